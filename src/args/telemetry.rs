//! The options that say where telemetry is sent.

use clap::Args;

/// The options of a job.
// Without a group of its own, which would count as an option that the environment gave.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub struct TelemetryArgs {
    /// Send the metrics, and traces of some panes, to this collector by OTLP (protobuf over HTTP, to /v1/metrics and /v1/traces
    /// there): http://host:4318, or off [default: off]
    #[arg(long, value_name = "URL|off", env = "CREST_OTLP")]
    pub otlp: Option<String>,
    /// A header of what is sent there; repeatable, and one a line in the variable. Better given as CREST_OTLP_HEADER or in a
    /// file: its value is a secret
    #[arg(
        long,
        value_name = "NAME=VALUE",
        env = "CREST_OTLP_HEADER",
        hide_env_values = true,
        value_delimiter = '\n'
    )]
    pub otlp_header: Vec<String>,
}

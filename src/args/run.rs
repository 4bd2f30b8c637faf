//! The options of a job, which the verbs over its past take too.

use super::archive::ArchiveOptions;
use super::cluster::ClusterArgs;
use super::telemetry::TelemetryArgs;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The run options.
#[derive(Debug, Default, Args)]
pub struct RunArgs {
    /// The cluster, and this process's place in it.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The archive.
    #[command(flatten)]
    pub archive: ArchiveOptions,
    /// Where telemetry is sent.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    /// The configuration, as TOML
    #[arg(long, value_name = "FILE", env = "CREST_CONFIG")]
    pub config: Option<PathBuf>,
    /// Read synthetic traffic whose rankings move
    #[arg(long, env = "CREST_DEMO", value_parser = clap::builder::FalseyValueParser::new())]
    pub demo: bool,
    /// Where events come from: kafka://host:port/topic (or several, /topic,topic, or a pattern, /^shop-.*), log:FOLDER for the embedded log, archive:URL, state:URL,URL for the states of regions, file:GLOB, or - for standard input
    /// [default: log:./crest-data/log, which POST /events writes; with -n, synthetic traffic]
    #[arg(long, value_name = "URL", env = "CREST_SOURCE")]
    pub source: Option<String>,
    /// Where rankings go: redis://host:port/db, kafka://host:port/topic or - for the final ones as JSON, or memory; repeatable
    #[arg(long, value_name = "URL", env = "CREST_SNAPSHOTS", value_delimiter = ' ')]
    pub snapshots: Vec<String>,
    /// What webhooks of [[changes]] without a secret of their own are signed with, 16 bytes or more. Better given as
    /// CREST_CHANGES_SECRET or in a file
    #[arg(long, value_name = "SECRET", env = "CREST_CHANGES_SECRET", hide_env_values = true)]
    pub changes_secret: Option<String>,
    /// Keep the state here, so that a restart resumes: a folder, s3://bucket/prefix, gs:// or az://, or off
    /// [default: ./crest-data for kafka://, log: and state:, otherwise off]
    #[arg(long, value_name = "URL|off", env = "CREST_STATE")]
    pub state: Option<String>,
    /// A board that may count something else than the one of its name in the state, and then counts anew; repeatable
    #[arg(long, value_name = "NAME", env = "CREST_RESET_BOARD", value_delimiter = ' ')]
    pub reset_board: Vec<String>,
    /// Wait until nothing is heard of the job on this state, for some 7 s, and take over then; needs a kafka:// or state: source, and a state
    /// that both can reach
    #[arg(long, env = "CREST_STANDBY", value_parser = clap::builder::FalseyValueParser::new())]
    pub standby: bool,
    /// Serve the page and the API of this process here, or off [default: 127.0.0.1:8080; off for bounded sources and
    /// for processes other than 0, of which each needs a port of its own]
    #[arg(long, value_name = "ADDR|off", env = "CREST_HTTP")]
    pub http: Option<String>,
    /// Where events that are sent to the API go: kafka://host:port/topic, on for where the job reads (Kafka or the
    /// embedded log), or off [default: on]
    #[arg(long, value_name = "URL|on|off", env = "CREST_INGEST")]
    pub ingest: Option<String>,
    /// A bearer token that sends events; others are refused. Better given as CREST_INGEST_TOKEN; repeatable
    #[arg(long, value_name = "TOKEN", env = "CREST_INGEST_TOKEN", value_delimiter = ' ')]
    pub ingest_token: Vec<String>,
    /// A bearer token that reads the API; others are refused. Better given as CREST_READ_TOKEN; repeatable
    #[arg(long, value_name = "TOKEN", env = "CREST_READ_TOKEN", value_delimiter = ' ')]
    pub read_token: Vec<String>,
    /// Where to begin in Kafka or the embedded log: earliest, latest, a time (2026-03-10T10:15:00Z) or offsets (0=123,1=456, of several
    /// topics a:0=123,b:0=456) [default: earliest]
    #[arg(long, value_name = "WHERE", env = "CREST_START")]
    pub start: Option<String>,
    /// What to do where Kafka has deleted records that are to be read, or the embedded log has lost them: fail, or skip them
    /// and count them [default: fail]
    #[arg(long, value_name = "fail|skip", env = "CREST_ON_GAP")]
    pub on_gap: Option<String>,
    /// The smallest slot of event time that is counted apart [default: 10s]
    #[arg(long, value_name = "DURATION", env = "CREST_PANE")]
    pub pane: Option<String>,
    /// A window of every board, in place of the configured ones: last_1m=1m/10s, or of a name alone for the whole of an
    /// input that ends; repeatable
    #[arg(long, value_name = "NAME[=SIZE/SLIDE]", env = "CREST_WINDOW", value_delimiter = ' ')]
    pub window: Vec<String>,
    /// How every board is counted: sketch or exact [default: as configured, or sketch]
    #[arg(long, value_name = "ENGINE", env = "CREST_ENGINE")]
    pub engine: Option<String>,
    /// The length of every ranking [default: 100]
    #[arg(short, value_name = "N", env = "CREST_K")]
    pub k: Option<usize>,
    /// How often provisional rankings are published [default: 1s]
    #[arg(long, value_name = "DURATION", env = "CREST_REFRESH")]
    pub refresh: Option<String>,
    /// How far behind its partition's newest event an event may be [default: 5s]
    #[arg(long, value_name = "DURATION", env = "CREST_OUT_OF_ORDERNESS")]
    pub out_of_orderness: Option<String>,
    /// How much longer a pane stays open for late events [default: 0s]
    #[arg(long, value_name = "DURATION", env = "CREST_ALLOWED_LATENESS")]
    pub allowed_lateness: Option<String>,
    /// A partition read to its end and silent for so long holds no window back [default: 10s]
    #[arg(long, value_name = "DURATION", env = "CREST_IDLE_TIMEOUT")]
    pub idle_timeout: Option<String>,
    /// An event further ahead of its broker time stamp than this is refused; given for files, one further ahead of the
    /// wall clock [default: 1m, and off for files]
    #[arg(long, value_name = "DURATION", env = "CREST_MAX_FUTURE_SKEW")]
    pub max_future_skew: Option<String>,
    /// Publish windows without an event, too, where the source ends
    #[arg(long, env = "CREST_EMPTY", value_parser = clap::builder::FalseyValueParser::new())]
    pub empty: bool,
    /// Append refused records here, as JSON lines; in a cluster each process appends to FILE.INDEX
    #[arg(long, value_name = "FILE", env = "CREST_REJECTS")]
    pub rejects: Option<PathBuf>,
    /// Write here, at the end, what became of the input, as one JSON object: read, counted, late, refused by reason, and
    /// what each board met; in a cluster process 0 writes it, of all
    #[arg(long, value_name = "FILE", env = "CREST_SUMMARY")]
    pub summary: Option<PathBuf>,
    /// Make this file when the job does its work: all workers are there and, in process 0, a ranking, if there is
    /// anything to rank; one of an earlier run is removed at the start
    #[arg(long, value_name = "FILE", env = "CREST_READY_FILE")]
    pub ready_file: Option<PathBuf>,
    /// The options that came from the environment, by their field's name.
    #[arg(skip)]
    pub from_environment: BTreeSet<String>,
}

/// The fields that the environment gave.
pub(super) fn from_environment(matches: &ArgMatches) -> BTreeSet<String> {
    let ids = matches.ids().map(clap::Id::as_str);
    ids.filter(|id| matches.value_source(id) == Some(ValueSource::EnvVariable)).map(str::to_owned).collect()
}

impl RunArgs {
    /// Notes what the environment gave, and lets a typed `--source` or `--demo` override the other there.
    pub(super) fn settle(&mut self, matches: &ArgMatches) {
        self.from_environment = from_environment(matches);
        let typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        match (typed("source"), typed("demo")) {
            (true, false) => self.demo = false,
            (false, true) => self.source = None,
            _ => {}
        }
    }
}

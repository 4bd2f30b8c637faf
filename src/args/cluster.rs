//! The options that say what the cluster is, and who may take part in it.

use clap::Args;
use std::path::PathBuf;

/// The options of a cluster.
// Without a group of its own, which would count as an option that the environment gave.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub struct ClusterArgs {
    /// Worker threads of each process
    #[arg(short, long, value_name = "N", env = "CREST_WORKERS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Processes of the cluster
    #[arg(short = 'n', long, value_name = "N", env = "CREST_PROCESSES", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub processes: Option<u16>,
    /// Which process of the cluster this is, from 0
    #[arg(short, long, value_name = "INDEX", env = "CREST_PROCESS")]
    pub process: Option<u16>,
    /// The processes' addresses, one host:port a line [default: 127.0.0.1, ports from 2101]
    #[arg(long, value_name = "FILE", env = "CREST_HOSTFILE")]
    pub hostfile: Option<PathBuf>,
    /// What all processes of the cluster know and nobody else, 16 bytes or more; required where other machines may reach an
    /// address of the hostfile. Better given as CREST_CLUSTER_SECRET or in a file
    #[arg(long, value_name = "SECRET", env = "CREST_CLUSTER_SECRET", hide_env_values = true)]
    pub cluster_secret: Option<String>,
    /// The file that holds this secret
    #[arg(long, value_name = "FILE", env = "CREST_CLUSTER_SECRET_FILE")]
    pub cluster_secret_file: Option<PathBuf>,
    /// Do without a secret: whoever reaches an address of the cluster may take part in it or end it; with TLS, whoever has a
    /// certificate of its authority
    #[arg(long, env = "CREST_CLUSTER_INSECURE", value_parser = clap::builder::FalseyValueParser::new())]
    pub cluster_insecure: bool,
    /// This process's certificate and any intermediate ones (PEM): the processes then speak TLS to each other, and all must.
    /// Its subject alternative names must include this process's host in the hostfile, or --cluster-tls-name. If it has an
    /// extended key usage, that must allow both serverAuth and clientAuth. Needs --cluster-tls-key and
    /// --cluster-tls-authority
    #[arg(long, value_name = "FILE", env = "CREST_CLUSTER_TLS_CERTIFICATE")]
    pub cluster_tls_certificate: Option<PathBuf>,
    /// The private key of this certificate (PEM)
    #[arg(long, value_name = "FILE", env = "CREST_CLUSTER_TLS_KEY")]
    pub cluster_tls_key: Option<PathBuf>,
    /// The CA certificates (PEM) by which those of all processes are verified
    #[arg(long, value_name = "FILE", env = "CREST_CLUSTER_TLS_AUTHORITY")]
    pub cluster_tls_authority: Option<PathBuf>,
    /// The name that the certificate of every process must have, in place of its host in the hostfile
    #[arg(long, value_name = "NAME", env = "CREST_CLUSTER_TLS_NAME")]
    pub cluster_tls_name: Option<String>,
}

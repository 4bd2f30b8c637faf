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
    /// What all processes of the cluster know and nobody else, 16 bytes or more; wanted where other machines may reach an
    /// address of the hostfile. Better given as CREST_CLUSTER_SECRET or in a file
    #[arg(long, value_name = "SECRET", env = "CREST_CLUSTER_SECRET", hide_env_values = true)]
    pub cluster_secret: Option<String>,
    /// The file that holds this secret
    #[arg(long, value_name = "FILE", env = "CREST_CLUSTER_SECRET_FILE")]
    pub cluster_secret_file: Option<PathBuf>,
    /// Do without a secret: whoever reaches an address of the cluster may take part in it or end it
    #[arg(long, env = "CREST_CLUSTER_INSECURE", value_parser = clap::builder::FalseyValueParser::new())]
    pub cluster_insecure: bool,
    /// Speak TLS to the other processes, as all of them must, and show them this certificate (PEM): for the host that this
    /// process has in the hostfile, both as a server and as a client, and followed by what leads to the authority
    #[arg(long, value_name = "FILE", env = "CREST_CLUSTER_TLS_CERTIFICATE")]
    pub cluster_tls_certificate: Option<PathBuf>,
    /// The private key of this certificate (PEM)
    #[arg(long, value_name = "FILE", env = "CREST_CLUSTER_TLS_KEY")]
    pub cluster_tls_key: Option<PathBuf>,
    /// The certificates (PEM) of the authority that has signed those of all processes
    #[arg(long, value_name = "FILE", env = "CREST_CLUSTER_TLS_AUTHORITY")]
    pub cluster_tls_authority: Option<PathBuf>,
    /// What the certificates of all processes are for, in place of the hosts of the hostfile
    #[arg(long, value_name = "NAME", env = "CREST_CLUSTER_TLS_NAME")]
    pub cluster_tls_name: Option<String>,
}

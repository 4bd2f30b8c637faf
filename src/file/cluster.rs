//! The section of the configuration file that says who may take part in the cluster.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Who may take part in the cluster.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterSection {
    /// As `--cluster-secret`.
    ///
    /// Default: none
    /// Example: "a-secret-of-16-bytes-or-more"
    pub secret: Option<String>,
    /// As `--cluster-secret-file`.
    ///
    /// Default: none
    /// Example: "cluster.secret"
    pub secret_file: Option<PathBuf>,
    /// As `--cluster-insecure`.
    ///
    /// Default: false
    /// Example: true
    pub insecure: Option<bool>,
    /// TLS between the processes: `certificate`, `key`, `authority`, `name`.
    ///
    /// Default: none
    /// Example: { certificate = "node.pem", key = "node.key", authority = "ca.pem" }
    #[serde(skip_serializing_if = "TlsSection::is_empty")]
    pub tls: TlsSection,
}

/// The files of TLS between the processes.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSection {
    /// As `--cluster-tls-certificate`.
    ///
    /// Default: none
    /// Example: "node.pem"
    pub certificate: Option<PathBuf>,
    /// As `--cluster-tls-key`.
    ///
    /// Default: none
    /// Example: "node.key"
    pub key: Option<PathBuf>,
    /// As `--cluster-tls-authority`.
    ///
    /// Default: none
    /// Example: "ca.pem"
    pub authority: Option<PathBuf>,
    /// As `--cluster-tls-name`.
    ///
    /// Default: the host of the hostfile
    /// Example: "crest.internal"
    pub name: Option<String>,
}

impl TlsSection {
    fn is_empty(&self) -> bool {
        *self == TlsSection::default()
    }
}

impl ClusterSection {
    pub(super) fn is_empty(&self) -> bool {
        *self == ClusterSection::default()
    }
}

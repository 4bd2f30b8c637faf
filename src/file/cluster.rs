//! The section of the configuration file that says who may take part in the cluster.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Who may take part in the cluster.
#[derive(Debug, Default, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterSection {
    /// As `--cluster-secret`.
    pub secret: Option<String>,
    /// As `--cluster-secret-file`.
    pub secret_file: Option<PathBuf>,
    /// As `--cluster-insecure`.
    pub insecure: Option<bool>,
    /// `tls`
    #[serde(skip_serializing_if = "TlsSection::is_empty")]
    pub tls: TlsSection,
}

/// The files of TLS between the processes.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSection {
    /// As `--cluster-tls-certificate`.
    pub certificate: Option<PathBuf>,
    /// As `--cluster-tls-key`.
    pub key: Option<PathBuf>,
    /// As `--cluster-tls-authority`.
    pub authority: Option<PathBuf>,
    /// As `--cluster-tls-name`.
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

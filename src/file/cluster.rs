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
}

impl ClusterSection {
    pub(super) fn is_empty(&self) -> bool {
        *self == ClusterSection::default()
    }
}

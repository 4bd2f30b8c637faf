//! Who may take part in the cluster: those who know its secret.

use super::cluster_tls::{self, ClusterTls};
use super::error::{SettingsError, refuse};
use super::keys::{Keyed, Keys};
use crate::file::ClusterSection;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Shorter secrets are guessed by who hears one meeting.
const LEAST_SECRET: usize = 16;
/// A file that is longer is another one than was meant.
const LONGEST_SECRET: usize = 4096;

/// What those know who are to know each other, and nobody else: the processes of a cluster, or a job and a webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// As it was given.
    pub fn new(text: &str) -> Self {
        Secret(text.as_bytes().into())
    }

    /// As the key of a proof or a signature.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Who may take part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterAccess {
    /// `None` where everybody may who reaches the addresses.
    pub secret: Option<Secret>,
    /// The file that it was read from.
    pub secret_file: Option<PathBuf>,
    /// Whether other machines may reach a cluster that has no secret.
    pub insecure: bool,
    /// `None` where the processes do not encrypt what they say to each other.
    pub tls: Option<ClusterTls>,
}

/// A secret, or the file that holds it, from one place.
type SecretSource = (Option<Keyed<String>>, Option<Keyed<PathBuf>>);

/// `reachable` is an address of the cluster that other machines may reach, if there is one.
pub(super) fn resolve(
    keys: &Keys<'_>,
    file: ClusterSection,
    reachable: Option<&str>,
) -> Result<ClusterAccess, SettingsError> {
    let run = &keys.run.cluster;
    let insecure = run.cluster_insecure || file.insecure.unwrap_or(false);
    let tls = cluster_tls::resolve(keys, file.tls.clone())?;
    let mut access = ClusterAccess { insecure, tls, ..ClusterAccess::default() };
    for (secret, path) in [given(keys, false), given(keys, true), filed(keys, file)] {
        match (secret, path) {
            (None, None) => continue,
            (Some(secret), None) => access.secret = Some(checked_secret(&secret.key, &secret.value)?),
            (None, Some(path)) => {
                access.secret = Some(read_secret(&path)?);
                access.secret_file = Some(path.value);
            }
            (Some(secret), Some(path)) => {
                return refuse(secret.key, "***", format!("must not stand beside {}", path.key));
            }
        }
        break;
    }
    match reachable {
        Some(address) if access.secret.is_none() && !insecure => refuse(
            keys.flag("hostfile"),
            address,
            "may be reached by other machines, so that the cluster needs a secret: CREST_CLUSTER_SECRET or \
             --cluster-secret-file, the same for all processes (or --cluster-insecure)",
        ),
        _ => Ok(access),
    }
}

/// What was typed, or what the environment gave.
fn given(keys: &Keys<'_>, by_environment: bool) -> SecretSource {
    let here = |id: &str| keys.run.from_environment.contains(id) == by_environment;
    let run = &keys.run.cluster;
    let secret = run.cluster_secret.clone().filter(|_| here("cluster_secret"));
    let path = run.cluster_secret_file.clone().filter(|_| here("cluster_secret_file"));
    (
        secret.map(|value| Keyed { key: keys.flag("cluster_secret"), value }),
        path.map(|value| Keyed { key: keys.flag("cluster_secret_file"), value }),
    )
}

fn filed(keys: &Keys<'_>, file: ClusterSection) -> SecretSource {
    (
        file.secret.map(|value| Keyed { key: keys.in_file("cluster.secret"), value }),
        file.secret_file.map(|value| Keyed { key: keys.in_file("cluster.secret_file"), value }),
    )
}

/// The secret that a file holds.
pub(super) fn read_secret(path: &Keyed<PathBuf>) -> Result<Secret, SettingsError> {
    let shown = path.value.display();
    match std::fs::read_to_string(&path.value) {
        Ok(text) if (LEAST_SECRET..=LONGEST_SECRET).contains(&text.trim().len()) => {
            checked_secret(&path.key, &text)
        }
        Ok(_) => refuse(&path.key, shown, format!("must hold {LEAST_SECRET} to {LONGEST_SECRET} bytes")),
        Err(error) => refuse(&path.key, shown, format!("cannot be read: {error}")),
    }
}

/// The white space around a secret is no part of it: editors end files with a line's end, and the same secret may be in a file
/// here and in a variable there.
pub(super) fn checked_secret(key: &str, secret: &str) -> Result<Secret, SettingsError> {
    let secret = secret.trim();
    if (LEAST_SECRET..=LONGEST_SECRET).contains(&secret.len()) {
        return Ok(Secret::new(secret));
    }
    refuse(key, "***", format!("must be {LEAST_SECRET} to {LONGEST_SECRET} bytes long"))
}

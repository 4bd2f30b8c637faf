//! This process's place in its cluster, and where the others are.

use super::error::{SettingsError, refuse};
use super::keys::Keys;
use super::value::address;
use std::path::Path;

/// The first port of a cluster on one machine: process `i` listens on this port plus `i`.
pub const FIRST_PORT: usize = 2101;

/// The cluster as its processes were told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Worker threads in each process.
    pub workers: usize,
    /// How many processes there are.
    pub processes: usize,
    /// The index of this one, from 0.
    pub process: usize,
    /// The address of each process, as host:port.
    pub addresses: Vec<String>,
}

pub(super) fn resolve(keys: &Keys<'_>) -> Result<Shape, SettingsError> {
    let run = keys.run;
    let processes = usize::from(run.processes.unwrap_or(1));
    let process = usize::from(run.process.unwrap_or(0));
    if process >= processes {
        let most = processes - 1;
        let allowed = match processes {
            1 => format!("must be 0, since there is one process; {} says how many", keys.flag("processes")),
            _ => format!("must be from 0 to {most}, since there are {processes} processes"),
        };
        return refuse(keys.flag("process"), process, allowed);
    }
    let addresses = match &run.hostfile {
        Some(path) => read_hosts(&keys.flag("hostfile"), path, processes)?,
        None => (0..processes).map(|i| format!("127.0.0.1:{}", FIRST_PORT + i)).collect(),
    };
    Ok(Shape { workers: usize::from(run.workers.unwrap_or(1)), processes, process, addresses })
}

/// One host:port a line; blank lines and what follows a `#` are skipped.
fn read_hosts(key: &str, path: &Path, processes: usize) -> Result<Vec<String>, SettingsError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return refuse(key, path.display(), format!("cannot be read: {error}")),
    };
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or("").trim());
    let mut hosts = Vec::new();
    for line in lines.filter(|line| !line.is_empty()).take(processes) {
        let host = address(&format!("{key} {}: line", path.display()), line, "")?;
        if hosts.contains(&host) {
            return refuse(format!("{key} {}: line", path.display()), format!("{host:?}"), "is there twice");
        }
        hosts.push(host);
    }
    if hosts.len() < processes {
        let allowed = format!("has {} addresses, and {processes} processes need as many", hosts.len());
        return refuse(key, path.display(), allowed);
    }
    Ok(hosts)
}

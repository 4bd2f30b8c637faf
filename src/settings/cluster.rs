//! This process's place in its cluster, and where the others are.

use super::cluster_access::{self, ClusterAccess};
use super::error::{SettingsError, refuse};
use super::keys::Keys;
use super::value::address;
use crate::args::ClusterArgs;
use crate::file::ClusterSection;
use std::net::IpAddr;
use std::path::Path;

/// The first port of a cluster on one machine: process `i` listens on this port plus `i`.
pub const FIRST_PORT: usize = 2101;

/// The cluster as its processes were told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterShape {
    /// Worker threads in each process.
    pub workers: usize,
    /// How many processes there are.
    pub processes: usize,
    /// The index of this one, from 0.
    pub process: usize,
    /// The address of each process, as host:port.
    pub addresses: Vec<String>,
    /// Who may take part.
    pub access: ClusterAccess,
    /// Whether it waits until the job on its state is gone.
    pub standby: bool,
}

impl ClusterShape {
    /// An address of the cluster that other machines may reach, if there is one.
    pub fn reachable(&self) -> Option<&str> {
        reachable(&self.addresses)
    }
}

pub(super) fn resolve(keys: &Keys<'_>, file: ClusterSection) -> Result<ClusterShape, SettingsError> {
    let ClusterArgs { workers, processes, process, hostfile, .. } = &keys.run.cluster;
    let workers = usize::from(workers.unwrap_or(1));
    let processes = usize::from(processes.unwrap_or(1));
    let process = usize::from(process.unwrap_or(0));
    if process >= processes {
        let most = processes - 1;
        let allowed = match processes {
            1 => format!("must be 0, since there is one process; {} says how many", keys.flag("processes")),
            _ => format!("must be from 0 to {most}, since there are {processes} processes"),
        };
        return refuse(keys.flag("process"), process, allowed);
    }
    let addresses = match hostfile {
        Some(path) => read_hosts(&keys.flag("hostfile"), path, processes)?,
        None => (0..processes).map(|i| format!("127.0.0.1:{}", FIRST_PORT + i)).collect(),
    };
    // One process listens nowhere.
    let reachable = Some(&addresses).filter(|_| processes > 1).and_then(|addresses| reachable(addresses));
    let access = cluster_access::resolve(keys, file, reachable)?;
    Ok(ClusterShape { workers, processes, process, addresses, access, standby: keys.run.standby })
}

/// The first address that is not of the loopback for certain; what a name stands for is known to the system alone.
fn reachable(addresses: &[String]) -> Option<&str> {
    let is_loopback = |address: &&String| {
        let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
        let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
    };
    addresses.iter().find(|address| !is_loopback(address)).map(String::as_str)
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

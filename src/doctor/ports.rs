//! The ports: those that this process is to listen on can be taken, and the other processes' hosts have an address.

use super::finding::Finding;
use crate::settings::Settings;
use std::io::ErrorKind;
use std::net::{TcpListener, ToSocketAddrs};

/// Takes each port and gives it back.
pub fn check(settings: &Settings) -> Vec<Finding> {
    let shape = &settings.shape;
    let mut findings = Vec::new();
    if let Some(address) = &settings.http.listen {
        findings.push(listen(address, "the API", "give another with --http, port 0 for any, or off"));
    }
    if shape.processes > 1 {
        let mine = &shape.addresses[shape.process];
        findings.push(listen(mine, "the cluster", "give another with --hostfile, on all processes"));
        let others = shape.addresses.iter().filter(|address| *address != mine);
        findings.extend(others.filter_map(|address| unresolved(address)));
    }
    findings
}

fn listen(address: &str, what: &str, otherwise: &str) -> Finding {
    let error = match TcpListener::bind(address) {
        Ok(_) => return Finding::ok("port", format!("{address} is free for {what}")),
        Err(error) => error,
    };
    let (found, fix) = match error.kind() {
        ErrorKind::AddrInUse => {
            (format!("{address} is in use"), format!("stop what listens there (ss -ltnp), or {otherwise}"))
        }
        ErrorKind::PermissionDenied => (
            format!("{address}: {error}"),
            format!("ports below 1024 need CAP_NET_BIND_SERVICE; {otherwise}"),
        ),
        ErrorKind::AddrNotAvailable => (
            format!("{address} is no address of this machine"),
            format!("name one of its own (ip address), or 0.0.0.0; or {otherwise}"),
        ),
        _ => (format!("{address}: {error}"), otherwise.to_owned()),
    };
    Finding::fix("port", format!("{found} ({what})"), fix)
}

/// Where the name of a host stands for no address.
fn unresolved(address: &str) -> Option<Finding> {
    let error = match address.to_socket_addrs() {
        Ok(mut found) => match found.next() {
            Some(_) => return None,
            None => "it has no address".to_owned(),
        },
        Err(error) => error.to_string(),
    };
    let found = format!("{address} of the hostfile: {error}");
    Some(Finding::fix("port", found, "correct the name, or the name service of this machine"))
}

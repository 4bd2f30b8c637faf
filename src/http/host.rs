//! For which host a request is. A browser sends requests to this machine for any page whose owner lets the name of its host
//! point here; by that name they are known.

use super::answer::Refused;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{Request, StatusCode, Version};
use parking_lot::Mutex;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The hosts that requests may name: all, or, where the server is only for this machine, the names of this machine.
#[derive(Debug)]
pub struct Hosts {
    loopback: bool,
    /// The `Host` that passed last, which most requests have as well: it need not be read again.
    passed: Mutex<Option<Box<[u8]>>>,
}

impl Hosts {
    /// Those of a server on a loopback address, or on another one.
    pub fn new(loopback: bool) -> Self {
        Hosts { loopback, passed: Mutex::default() }
    }

    /// Lets a request pass that names one host.
    ///
    /// # Errors
    /// The refusal.
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Refused> {
        let bad = |error: &str| Refused::new(StatusCode::BAD_REQUEST, error.to_owned());
        let mut named = request.headers().get_all(HOST).iter();
        let (named, again) = (named.next(), named.next());
        // A request may name its host in its first line, too.
        let in_line = request.uri().authority();
        let host = match (named, again) {
            (_, Some(_)) => return Err(bad("Host is given twice")),
            (Some(host), None)
                if in_line.is_none() && self.passed.lock().as_deref() == Some(host.as_bytes()) =>
            {
                return Ok(());
            }
            (Some(host), None) => Some(authority(host.as_bytes()).ok_or_else(|| bad("Host is not a host"))?),
            (None, None) if request.version() >= Version::HTTP_11 => return Err(bad("Host is missing")),
            (None, None) => None,
        };
        let mut hosts = host.iter().chain(in_line);
        if self.loopback && !hosts.all(|host| is_loopback(host.host())) {
            let error =
                "this server is on a loopback address and answers to loopback names only, such as localhost";
            return Err(Refused::new(StatusCode::MISDIRECTED_REQUEST, error.to_owned()));
        }
        if let Some(host) = named {
            *self.passed.lock() = Some(host.as_bytes().into());
        }
        Ok(())
    }
}

/// `host` or `host:port`.
fn authority(bytes: &[u8]) -> Option<Authority> {
    let authority = Authority::try_from(bytes).ok()?;
    let port = authority.as_str().strip_prefix(authority.host())?;
    let is_port = port.is_empty() || port == ":" || authority.port_u16().is_some();
    is_port.then_some(authority)
}

fn is_loopback(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let address = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        None => name.parse::<Ipv4Addr>().ok().map(IpAddr::from),
    };
    match address {
        Some(address) => address.to_canonical().is_loopback(),
        None => name.rsplit_once('.').map_or(name, |(_, last)| last).eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a request that is not one is a failed test
mod tests {
    use super::*;

    /// The status of a refusal, if the request does not pass.
    fn refused(hosts: &Hosts, line: &str, named: &[&str]) -> Option<u16> {
        let request = named.iter().fold(Request::get(line), |request, host| request.header(HOST, *host));
        let refused = hosts.check(&request.body(()).unwrap()).err()?;
        Some(axum::response::IntoResponse::into_response(refused).status().as_u16())
    }

    #[test]
    fn a_host_that_passed_lets_no_other_one_pass() {
        let hosts = Hosts::new(true);
        assert_eq!(refused(&hosts, "/top-k", &[""]), Some(400));
        for _ in 0..2 {
            assert_eq!(refused(&hosts, "/top-k", &["localhost:8080"]), None);
            assert_eq!(refused(&hosts, "/top-k", &["evil.example"]), Some(421));
            assert_eq!(refused(&hosts, "http://evil.example/top-k", &["localhost:8080"]), Some(421));
            assert_eq!(refused(&hosts, "/top-k", &["localhost:8080", "localhost:8080"]), Some(400));
            assert_eq!(refused(&hosts, "/top-k", &["local host"]), Some(400));
            assert_eq!(refused(&hosts, "/top-k", &[""]), Some(400));
            assert_eq!(refused(&hosts, "/top-k", &[]), Some(400));
            assert_eq!(refused(&hosts, "http://localhost/top-k", &["127.0.0.1"]), None);
        }
    }
}

//! For which host a request is. A browser sends requests to this machine for any page whose owner lets the name of its host
//! point here; by that name they are known.

use super::answer::Refused;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{Request, StatusCode, Version};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Lets a request pass that names one host; where the server is only for this machine (`loopback`), a name of this machine.
///
/// # Errors
/// The refusal.
pub fn check<B>(request: &Request<B>, loopback: bool) -> Result<(), Refused> {
    let bad = |error: &str| Refused::new(StatusCode::BAD_REQUEST, error.to_owned());
    let mut named = request.headers().get_all(HOST).iter();
    let host = match (named.next(), named.next()) {
        (_, Some(_)) => return Err(bad("Host is given twice")),
        (Some(host), None) => Some(authority(host.as_bytes()).ok_or_else(|| bad("Host is not a host"))?),
        (None, None) if request.version() >= Version::HTTP_11 => return Err(bad("Host is missing")),
        (None, None) => None,
    };
    // A request may name its host in its first line, too.
    let mut hosts = host.iter().chain(request.uri().authority());
    if loopback && !hosts.all(|host| is_loopback(host.host())) {
        let error =
            "this server is on a loopback address and answers to loopback names only, such as localhost";
        return Err(Refused::new(StatusCode::MISDIRECTED_REQUEST, error.to_owned()));
    }
    Ok(())
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

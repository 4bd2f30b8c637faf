//! The HTTP client of those who call a server that a user has named: webhooks, the schema registry, another `crest`.
//!
//! It trusts whom the system trusts, says who it is, and follows no redirect: what it sends, and what it proves itself with, is
//! for that server alone. Any status is an answer.

use rustls::crypto::ring;
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

/// For a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub enum Patience {
    /// For a whole call so long.
    Call(Duration),
    /// Of an answer that may have no end.
    Stream {
        /// So long until it begins, and …
        begins: Duration,
        /// … so long for more of it.
        silent: Duration,
    },
}

/// A client with this patience.
pub fn agent(patience: Patience) -> Agent {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()));
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .user_agent(concat!("crest/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls.build());
    let config = match patience {
        Patience::Call(whole) => config.timeout_global(Some(whole)),
        Patience::Stream { begins, silent } => {
            config.timeout_recv_response(Some(begins)).timeout_per_read(Some(silent))
        }
    };
    config.build().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    #[test]
    fn it_says_who_it_is_and_takes_any_status_for_an_answer_also_a_redirect() {
        for (status, patience) in [
            ("302 Found", Patience::Call(Duration::from_secs(30))),
            (
                "500 Broken",
                Patience::Stream { begins: Duration::from_secs(30), silent: Duration::from_secs(30) },
            ),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/", listener.local_addr().unwrap());
            let server = std::thread::spawn(move || {
                let mut stream = BufReader::new(listener.accept().unwrap().0);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    assert!(stream.read_line(&mut head).unwrap() > 0);
                }
                let more = "location: /elsewhere\r\ncontent-length: 0\r\nconnection: close";
                write!(stream.get_mut(), "HTTP/1.1 {status}\r\n{more}\r\n\r\n").unwrap();
                head.to_lowercase()
            });
            let answer = agent(patience).get(&url).call().unwrap();
            assert_eq!(answer.status().as_str(), &status[..3]);
            assert!(server.join().unwrap().contains("\r\nuser-agent: crest/"));
        }
    }
}

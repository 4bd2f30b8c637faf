//! TLS between the processes, where it is set: each shows its certificate and has the other one show its own, which must be
//! signed by the cluster's authority and be for the host that the other process has in the hostfile, or for the one name
//! that all have.

use super::distrust::Distrust;
use super::error::ClusterError;
use super::link::Link;
use super::secured::Secured;
use super::timed::Timed;
use crate::settings::ClusterTls;
use rustls::client::Resumption;
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    ClientConfig, ClientConnection, Connection, Error, RootCertStore, ServerConfig, ServerConnection,
};
use std::fmt::Display;
use std::io::{self, Read};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Whom TLS failed with has so long to hear why, before the connection is closed.
const HEARING: Duration = Duration::from_secs(1);
/// What it may have said meanwhile.
const HEARING_BYTES: u64 = 64 << 10;

/// How this process shows who it is, and knows the others.
pub struct Certificates {
    caller: Arc<ClientConfig>,
    answerer: Arc<ServerConfig>,
    /// What the certificate of each process is for.
    names: Vec<ServerName<'static>>,
    /// What all certificates are for, also those of processes that this cluster does not have.
    common: Option<ServerName<'static>>,
}

impl Certificates {
    /// As `tls` says, in a cluster with these addresses.
    ///
    /// # Errors
    /// Certificates that cannot be used, and hosts that no certificate can be for.
    pub fn new(tls: &ClusterTls, addresses: &[String]) -> Result<Self, ClusterError> {
        let mut roots = RootCertStore::empty();
        for authority in &tls.authorities {
            roots.add(authority.clone()).map_err(|error| of_authority(tls, &error))?;
        }
        let (roots, provider) = (Arc::new(roots), Arc::new(ring::default_provider()));
        let versions = &[&rustls::version::TLS13];
        let callers = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
        let callers = callers.build().map_err(|error| of_authority(tls, &error))?;
        let answerers = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
        let answerers = answerers.build().map_err(|error| of_authority(tls, &error))?;
        let mut caller = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .map_err(|error| of_own(tls, error))?
            .with_webpki_verifier(answerers)
            .with_client_auth_cert(tls.chain.clone(), tls.key.clone_key())
            .map_err(|error| of_own(tls, error))?;
        let mut answerer = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| of_own(tls, error))?
            .with_client_cert_verifier(callers)
            .with_single_cert(tls.chain.clone(), tls.key.clone_key())
            .map_err(|error| of_own(tls, error))?;
        // Two processes meet once.
        caller.resumption = Resumption::disabled();
        answerer.session_storage = Arc::new(NoServerSessionStorage {});
        answerer.send_tls13_tickets = 0;
        let names = addresses.iter().map(|address| match &tls.name {
            Some(name) => Ok(name.clone()),
            None => name(address),
        });
        let names = names.collect::<Result<_, _>>()?;
        let (caller, answerer, common) = (Arc::new(caller), Arc::new(answerer), tls.name.clone());
        Ok(Certificates { caller, answerer, names, common })
    }

    /// Begins TLS with process `index`, which was called.
    ///
    /// # Errors
    /// The connection's. `Distrust::of` says what is wrong with the other end.
    pub fn call(&self, stream: TcpStream, index: usize, patience: Duration) -> io::Result<Link> {
        let session = ClientConnection::new(self.caller.clone(), self.names[index].clone());
        secure(stream, session.map_err(io::Error::other)?.into(), patience)
    }

    /// Begins TLS with a caller.
    ///
    /// # Errors
    /// As those of [`call`](Self::call).
    pub fn answer(&self, stream: TcpStream, patience: Duration) -> io::Result<Link> {
        let session = ServerConnection::new(self.answerer.clone());
        secure(stream, session.map_err(io::Error::other)?.into(), patience)
    }

    /// What is wrong with the other end, which calls itself process `index`; `None` where it has that one's certificate.
    /// That of one that was called is known to be right.
    pub fn wrong(&self, link: &Link, index: usize) -> Option<Distrust> {
        let Some(name) = self.names.get(index).or(self.common.as_ref()) else {
            return Some(Distrust::Unknown(self.names.len()));
        };
        let Some(certificate) = link.session().and_then(Secured::certificate) else {
            return Some(Distrust::Missing);
        };
        let verified = ParsedCertificate::try_from(&certificate)
            .and_then(|certificate| verify_server_name(&certificate, name));
        verified.is_err().then_some(Distrust::Name)
    }
}

fn of_authority(tls: &ClusterTls, error: &dyn Display) -> ClusterError {
    unusable("authority", tls.files.authority.as_ref(), error.to_string())
}

/// What is wrong with the own certificate, or with its key.
fn of_own(tls: &ClusterTls, error: Error) -> ClusterError {
    match error {
        Error::InconsistentKeys(_) => {
            unusable("key", tls.files.key.as_ref(), "it is not the certificate's".to_owned())
        }
        // Of a key that cannot be read, or of a kind that is not known.
        Error::General(reason) => unusable("key", tls.files.key.as_ref(), reason),
        error => unusable("certificate", tls.files.certificate.as_ref(), error.to_string()),
    }
}

fn unusable(key: &'static str, file: Option<&PathBuf>, reason: String) -> ClusterError {
    ClusterError::Certificate { key, file: file.cloned().unwrap_or_default(), reason }
}

/// The host of an address, as a certificate names it.
fn name(address: &str) -> Result<ServerName<'static>, ClusterError> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned());
    name.map_err(|_| ClusterError::NoName { host: host.to_owned() })
}

fn secure(stream: TcpStream, mut session: Connection, patience: Duration) -> io::Result<Link> {
    let mut timed = Timed::new(&stream, patience);
    while session.is_handshaking() {
        if let Err(error) = session.complete_io(&mut timed) {
            dismiss(&stream);
            return Err(error);
        }
    }
    Ok(Link::secured(stream, Secured::new(session)))
}

/// Closes a connection so that the other end hears the last thing that was said: with bytes of it that nobody has read, the
/// system would throw that away.
fn dismiss(stream: &TcpStream) {
    if stream.shutdown(Shutdown::Write).is_ok() {
        // Who says no more has heard it, or will not.
        let _ = io::copy(&mut Timed::new(stream, HEARING).take(HEARING_BYTES), &mut io::sink());
    }
}

//! TLS between the processes of a cluster: the certificates, as their files hold them.

use super::error::{SettingsError, refuse};
use super::keys::{Keyed, Keys};
use crate::file::TlsSection;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// The certificates of a process.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterTls {
    /// The own one, and then those that lead from it to the authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// The own one's private key.
    pub key: Arc<PrivateKeyDer<'static>>,
    /// Those of the authority that has signed the certificates of all processes.
    pub authorities: Vec<CertificateDer<'static>>,
    /// What all certificates are for; `None` where it is the hosts of the hostfile.
    pub name: Option<ServerName<'static>>,
    /// Where they were read.
    pub files: TlsSection,
}

impl fmt::Debug for ClusterTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClusterTls").field(&self.files).finish()
    }
}

pub(super) fn resolve(keys: &Keys<'_>, file: TlsSection) -> Result<Option<ClusterTls>, SettingsError> {
    let run = &keys.run.cluster;
    let certificate = keys.given(
        "cluster_tls_certificate",
        run.cluster_tls_certificate.clone(),
        "cluster.tls.certificate",
        file.certificate,
    );
    let key = keys.given("cluster_tls_key", run.cluster_tls_key.clone(), "cluster.tls.key", file.key);
    let authority = keys.given(
        "cluster_tls_authority",
        run.cluster_tls_authority.clone(),
        "cluster.tls.authority",
        file.authority,
    );
    let name = keys.given("cluster_tls_name", run.cluster_tls_name.clone(), "cluster.tls.name", file.name);
    match (certificate, key, authority) {
        (Some(certificate), Some(key), Some(authority)) => read(certificate, key, authority, name).map(Some),
        (None, None, None) if name.is_none() => Ok(None),
        (certificate, key, authority) => {
            let shown =
                |path: Keyed<PathBuf>| Keyed { key: path.key, value: path.value.display().to_string() };
            let given = [certificate, key, authority].map(|file| file.map(shown));
            let missing = ["certificate", "key", "authority"].into_iter().zip(&given);
            let missing = missing.filter(|(_, given)| given.is_none()).map(|(name, _)| name);
            let missing: Vec<String> =
                missing.map(|name| format!("cluster.tls.{name} (or --cluster-tls-{name})")).collect();
            let allowed = format!("needs {} too", missing.join(" and "));
            match given.into_iter().flatten().next().or(name) {
                Some(given) => refuse(given.key, given.value, allowed),
                None => Ok(None),
            }
        }
    }
}

fn read(
    certificate: Keyed<PathBuf>,
    key: Keyed<PathBuf>,
    authority: Keyed<PathBuf>,
    name: Option<Keyed>,
) -> Result<ClusterTls, SettingsError> {
    let chain = certificates(&certificate)?;
    let private = PrivateKeyDer::from_pem_file(&key.value).or_else(|error| refuse_file(&key, &error))?;
    let authorities = certificates(&authority)?;
    let server_name = match &name {
        Some(name) => match ServerName::try_from(name.value.clone()) {
            Ok(name) => Some(name),
            Err(_) => return refuse(&name.key, &name.value, "must be the name of a host or an IP address"),
        },
        None => None,
    };
    let files = TlsSection {
        certificate: Some(certificate.value),
        key: Some(key.value),
        authority: Some(authority.value),
        name: name.map(|name| name.value),
    };
    Ok(ClusterTls { chain, key: Arc::new(private), authorities, name: server_name, files })
}

fn certificates(file: &Keyed<PathBuf>) -> Result<Vec<CertificateDer<'static>>, SettingsError> {
    let all = CertificateDer::pem_file_iter(&file.value).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => refuse_file(file, &pem::Error::NoItemsFound),
        Err(error) => refuse_file(file, &error),
    }
}

fn refuse_file<T>(file: &Keyed<PathBuf>, error: &pem::Error) -> Result<T, SettingsError> {
    let wrong = match error {
        pem::Error::Io(error) => format!("cannot be read: {error}"),
        pem::Error::NoItemsFound => "holds nothing of this kind in PEM (-----BEGIN …-----)".to_owned(),
        // What it says more may be a part of a key.
        _ => "is no PEM (-----BEGIN …-----)".to_owned(),
    };
    refuse(&file.key, file.value.display(), wrong)
}

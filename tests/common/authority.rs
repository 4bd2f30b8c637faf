//! An authority that signs certificates, made for one test.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use std::path::{Path, PathBuf};

/// An authority of its own key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// A new one. All have the same name, and other keys.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// Writes what a process has whose certificate is for `host`: its certificate, its key, and this authority.
    pub fn sign(&self, dir: &Path, host: &str) -> [PathBuf; 3] {
        self.write(dir, CertificateParams::new([host.to_owned()]).unwrap())
    }

    /// The certificates of this authority, as a client that has none of its own wants them.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The same, of a certificate that has expired.
    pub fn sign_for_the_past(&self, dir: &Path, host: &str) -> [PathBuf; 3] {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.not_after = date_time_ymd(2001, 1, 1);
        self.write(dir, params)
    }

    fn write(&self, dir: &Path, params: CertificateParams) -> [PathBuf; 3] {
        std::fs::create_dir_all(dir).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        let files =
            [("certificate", certificate), ("key", key.serialize_pem()), ("authority", self.pem.clone())];
        files.map(|(name, pem)| {
            let file = dir.join(format!("{name}.pem"));
            std::fs::write(&file, pem).unwrap();
            file
        })
    }
}

//! What is wrong with the other end of a connection by its certificate, or by what it says in place of one.

use rustls::{AlertDescription, CertificateError, Error};
use std::fmt;
use std::io;

/// Why TLS does not trust the other end, or it this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// It says something else than TLS.
    Plain,
    /// It went away in the midst of the handshake.
    HungUp,
    /// It has no certificate.
    Missing,
    /// Another authority has signed its certificate.
    Authority,
    /// The time of its certificate is over.
    Expired,
    /// The time of its certificate has not come.
    Early,
    /// Its certificate is for another host.
    Name,
    /// It calls itself a process that a cluster of so many does not have.
    Unknown(usize),
    /// Its certificate may not be used by one end or by the other.
    Purpose,
    /// Something else is wrong with its certificate.
    Invalid,
    /// It says that this process's certificate will not do.
    Ours(AlertDescription),
    /// It fails otherwise.
    Failed,
}

impl Distrust {
    /// How many kinds there are.
    pub const KINDS: usize = 12;

    /// What a failure of TLS says of the other end; `None` where it failed for another reason.
    pub fn of(error: &io::Error) -> Option<Distrust> {
        Some(match error.get_ref()?.downcast_ref::<Error>()? {
            Error::InvalidCertificate(error) => Distrust::of_certificate(error),
            Error::NoCertificatesPresented => Distrust::Missing,
            Error::InvalidMessage(_) => Distrust::Plain,
            Error::AlertReceived(alert) if is_of_certificate(*alert) => Distrust::Ours(*alert),
            _ => Distrust::Failed,
        })
    }

    fn of_certificate(error: &CertificateError) -> Distrust {
        match error {
            // Another authority of the same name has other signatures.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Distrust::Authority,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Distrust::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Distrust::Early,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Distrust::Name
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Distrust::Purpose
            }
            _ => Distrust::Invalid,
        }
    }

    /// A number below [`KINDS`](Self::KINDS).
    pub fn kind(self) -> usize {
        match self {
            Distrust::Plain => 0,
            Distrust::HungUp => 1,
            Distrust::Missing => 2,
            Distrust::Authority => 3,
            Distrust::Expired => 4,
            Distrust::Early => 5,
            Distrust::Name => 6,
            Distrust::Purpose => 7,
            Distrust::Invalid => 8,
            Distrust::Ours(_) => 9,
            Distrust::Failed => 10,
            Distrust::Unknown(_) => 11,
        }
    }
}

fn is_of_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::CertificateRequired
    )
}

/// What follows after “it”.
impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Distrust::Plain => f.write_str("does not speak TLS"),
            Distrust::HungUp => f.write_str("hangs up where TLS begins"),
            Distrust::Missing => f.write_str("has no certificate"),
            Distrust::Authority => f.write_str("has a certificate of another authority"),
            Distrust::Expired => f.write_str("has a certificate that has expired"),
            Distrust::Early => f.write_str("has a certificate that is not valid yet"),
            Distrust::Name => {
                f.write_str("has a certificate for another host (by its subject alternative names)")
            }
            Distrust::Unknown(processes) => write!(f, "is none of the {processes} processes of this cluster"),
            Distrust::Purpose => f.write_str("has a certificate that is not for both servers and clients"),
            Distrust::Invalid => f.write_str("has a certificate that is not valid"),
            Distrust::Ours(alert) => write!(f, "does not accept this process's certificate ({alert:?})"),
            Distrust::Failed => f.write_str("fails at TLS"),
        }
    }
}

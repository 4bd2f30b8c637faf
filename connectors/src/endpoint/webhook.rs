//! The receiver of a webhook: `https://host/path`. Its path and options are known to hold tokens, so they are never shown.

use super::error::EndpointError;
use std::fmt;
use std::str::FromStr;
use url::Url;

/// Where something is posted.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

impl WebhookUrl {
    /// All of it, as it is called.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host and the port that is called, which a host of IPv6 has in brackets.
    pub fn address(&self) -> String {
        format!("{}:{}", self.0.host_str().unwrap_or_default(), self.0.port_or_known_default().unwrap_or(443))
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let form = "expected https://host/path";
        let url = Url::parse(text).map_err(|_| form)?;
        if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none_or(str::is_empty) {
            return Err(form);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("credentials cannot stand in it: the receiver knows the job by its signature");
        }
        Ok(WebhookUrl(url))
    }
}

impl FromStr for WebhookUrl {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        WebhookUrl::parse(text).map_err(|reason| {
            let host = text.split_once("://").filter(|(_, rest)| !rest.contains('@'));
            let shown = host.map(|(scheme, rest)| {
                format!("{scheme}://{}", rest.split(['/', '?', '#']).next().unwrap_or(""))
            });
            EndpointError::invalid(&shown.unwrap_or_else(|| "***".to_owned()), reason.to_owned())
        })
    }
}

impl fmt::Display for WebhookUrl {
    /// Without its path and its options.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.origin().ascii_serialization())?;
        if self.0.path() != "/" || self.0.query().is_some() { f.write_str("/***") } else { Ok(()) }
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_shown_without_what_may_be_a_secret() {
        for (text, shown) in [
            ("https://hooks.example.com/services/T0/secret", "https://hooks.example.com/***"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https://h/?token=secret", "https://h/***"),
        ] {
            let url: WebhookUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("secret"));
            assert_eq!(url.as_str().trim_end_matches('/'), text);
        }
        for text in [
            "https://",
            "ftp://h/secret",
            "h/secret",
            "https://h x?secret",
            "https://u:secret@h/x",
            "kafka://h/t",
        ] {
            let error = text.parse::<WebhookUrl>().unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}

//! Where a registry is, and who asks it.

use std::fmt;
use std::str::FromStr;
use url::Url;

/// A registry and the credentials for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryOptions {
    /// Where it is.
    pub url: RegistryUrl,
    /// Who asks; `None` where everybody may.
    pub auth: Option<RegistryAuth>,
}

/// `http://host:port` or `https://host/path`, without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryUrl(Url);

/// The credentials for a registry. They are never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum RegistryAuth {
    /// By user and password, or by the key and the secret of an API.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// By a token.
    Bearer(String),
}

/// Why credentials cannot be sent, without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCredentials {
    /// RFC 7617 does not let them have control characters.
    #[error("{0} must be without control characters")]
    Control(&'static str),
    /// RFC 7617 ends the user with the first colon.
    #[error("the user must be without a colon")]
    Colon,
    /// No other token can be in a header.
    #[error("the token must be of ASCII characters without white space, and not empty")]
    Token,
}

impl RegistryAuth {
    /// Whether a request can carry them.
    ///
    /// # Errors
    /// It cannot, for this reason.
    pub fn check(&self) -> Result<(), BadCredentials> {
        match self {
            RegistryAuth::Basic { user, .. } if user.contains(':') => Err(BadCredentials::Colon),
            RegistryAuth::Basic { user, .. } if user.contains(char::is_control) => {
                Err(BadCredentials::Control("the user"))
            }
            RegistryAuth::Basic { password, .. } if password.contains(char::is_control) => {
                Err(BadCredentials::Control("the password"))
            }
            RegistryAuth::Bearer(token)
                if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) =>
            {
                Err(BadCredentials::Token)
            }
            RegistryAuth::Basic { .. } | RegistryAuth::Bearer(_) => Ok(()),
        }
    }
}

impl fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RegistryAuth::Basic { .. } => "Basic(***)",
            RegistryAuth::Bearer(_) => "Bearer(***)",
        })
    }
}

impl RegistryUrl {
    /// The URL of a call, by the segments of its path.
    pub(super) fn call(&self, path: &[&str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

impl fmt::Display for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for RegistryUrl {
    type Err = String;

    /// What is wrong is said without the URL, which may hold a password.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(url) = url.filter(|url| url.query().is_none() && url.fragment().is_none()) else {
            return Err("must be http://host:port or https://host".to_owned());
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must be without credentials: they belong to registry_auth".to_owned());
        }
        Ok(RegistryUrl(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_made_below_the_url_whatever_the_names_hold() {
        for (url, call) in [
            ("http://h:8081", "http://h:8081/subjects/a%2Fb%20c%3F/versions/1"),
            ("https://h/api/v7/", "https://h/api/v7/subjects/a%2Fb%20c%3F/versions/1"),
        ] {
            let url: RegistryUrl = url.parse().unwrap();
            assert_eq!(url.call(&["subjects", "a/b c?", "versions", "1"]).as_str(), call);
        }
    }

    #[test]
    fn urls_of_another_kind_or_with_credentials_are_refused_and_credentials_are_not_shown() {
        for text in ["h:8081", "ftp://h", "http://h?a=b", "http://"] {
            let refused = text.parse::<RegistryUrl>().unwrap_err();
            assert_eq!(refused, "must be http://host:port or https://host", "{text}");
        }
        let refused = "http://me:secret@h".parse::<RegistryUrl>().unwrap_err();
        assert_eq!(refused, "must be without credentials: they belong to registry_auth");
        let auth = RegistryAuth::Basic { user: "me".into(), password: "secret".into() };
        assert_eq!(format!("{auth:?}"), "Basic(***)");
        assert_eq!(format!("{:?}", RegistryAuth::Bearer("secret".into())), "Bearer(***)");
    }

    #[test]
    fn credentials_that_no_request_can_carry_are_refused_without_being_shown() {
        let basic = |user: &str, password: &str| {
            RegistryAuth::Basic { user: user.into(), password: password.into() }
                .check()
                .map_err(|e| e.to_string())
        };
        let bearer = |token: &str| RegistryAuth::Bearer(token.into()).check().map_err(|e| e.to_string());
        let refused = |reason: &str| Err(reason.to_owned());
        assert_eq!(basic("me", "se:cr\u{e9}t"), Ok(()));
        assert_eq!(basic("m:e", "secret"), refused("the user must be without a colon"));
        assert_eq!(basic("me\n", "secret"), refused("the user must be without control characters"));
        assert_eq!(basic("me", "secret\n"), refused("the password must be without control characters"));
        assert_eq!(bearer("a-._~+/=9"), Ok(()));
        for token in ["", "secret\n", "sec ret", "s\u{e9}cret", "\u{7f}"] {
            let reason = "the token must be of ASCII characters without white space, and not empty";
            assert_eq!(bearer(token), refused(reason), "{token:?}");
        }
    }
}

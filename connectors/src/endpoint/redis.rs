//! The servers of `redis://…`, `rediss://…`, `redis+cluster://…` and `redis+sentinel://…`.

use super::error::EndpointError;
use super::secrets::without_secrets;
use super::url::parts;
use ::redis::{ConnectionInfo, IntoConnectionInfo, RedisError, RedisResult};
use std::fmt;
use std::str::FromStr;

const FORMS: &str = "expected redis://[user:password@]host:port/db, rediss://… (TLS), \
                     redis+cluster://host:port,host:port or redis+sentinel://host:port,host:port/master/db";

/// A Redis: one server, a cluster, or what sentinels watch over.
#[derive(Clone)]
pub struct RedisUrl {
    /// The URL with the password.
    text: String,
    pub(crate) nodes: Vec<ConnectionInfo>,
    pub(crate) topology: Topology,
}

/// What the nodes of a URL are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    /// There is one, the server.
    Single,
    /// Some nodes of the cluster.
    Cluster,
    /// The sentinels of this master.
    Sentinel { master: String },
}

impl RedisUrl {
    /// What is wrong is said without secrets.
    fn parse(url: &str) -> Result<Self, String> {
        let parts = parts(url).ok_or(FORMS)?;
        let (scheme, kind) = parts.scheme.split_once('+').unwrap_or((parts.scheme, ""));
        if !["redis", "rediss"].contains(&scheme) {
            return Err(FORMS.to_owned());
        }
        let user = parts.user.map(|user| format!("{user}@")).unwrap_or_default();
        let (path, topology) = match kind {
            "" if parts.hosts.len() == 1 => (database(parts.path), Topology::Single),
            "cluster" => (database(parts.path), Topology::Cluster),
            "sentinel" => {
                let path = parts.path.filter(|path| !path.is_empty()).ok_or(FORMS)?;
                let (master, db) = path.split_once('/').map_or((path, None), |(name, db)| (name, Some(db)));
                (database(db), Topology::Sentinel { master: master.to_owned() })
            }
            _ => return Err(FORMS.to_owned()),
        };
        let node = |host: &&str| format!("{scheme}://{user}{host}{path}").into_connection_info();
        let nodes =
            parts.hosts.iter().map(node).collect::<RedisResult<_>>().map_err(|e| RedisUrl::reason(&e))?;
        Ok(RedisUrl { text: url.to_owned(), nodes, topology })
    }

    /// What is wrong with a URL, and which forms there are.
    pub(crate) fn reason(error: &RedisError) -> String {
        format!("{error}; {FORMS}")
    }
}

fn database(path: Option<&str>) -> String {
    path.map(|path| format!("/{path}")).unwrap_or_default()
}

impl FromStr for RedisUrl {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        RedisUrl::parse(text).map_err(|reason| EndpointError::invalid(text, reason))
    }
}

impl fmt::Display for RedisUrl {
    /// As it was given, without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_secrets(&self.text))
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

impl PartialEq for RedisUrl {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for RedisUrl {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_every_form_of_url() {
        let topology = |url: &str| RedisUrl::parse(url).unwrap().topology;
        for url in
            ["redis://h:6379/0", "redis://h", "redis://:pa%40ss@h:1/2", "rediss://u:p@h:1", "redis://[::1]:1"]
        {
            assert_eq!(topology(url), Topology::Single, "{url}");
        }
        assert_eq!(topology("redis+cluster://u:p@a:1,b:2"), Topology::Cluster);
        assert_eq!(topology("rediss+cluster://a:1"), Topology::Cluster);
        let main = Topology::Sentinel { master: "main".to_owned() };
        assert_eq!(topology("redis+sentinel://u:p@a:1,b:2/main/3"), main);
        assert_eq!(topology("rediss+sentinel://a:1/main"), main);
    }

    #[test]
    fn refuses_the_rest_with_what_is_allowed_and_without_secrets() {
        for url in [
            "localhost",
            "http://h",
            "redis://a:1,b:2",
            "redis+sentinel://a:1",
            "redis+other://a:1",
            "redis://h:x",
            "redis://u:secret@h:99999/0",
            "redis://h/x",
        ] {
            let error = url.parse::<RedisUrl>().unwrap_err().to_string();
            assert!(error.contains("expected redis://") && !error.contains("secret"), "{url}: {error}");
        }
    }
}

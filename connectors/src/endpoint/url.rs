//! The parts of a URL that may name several hosts.

/// What a URL like `scheme://[user[:password]@]hosts/path` holds, still encoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UrlParts<'a> {
    /// Before `://`.
    pub(super) scheme: &'a str,
    /// Before the `@`, where there is one.
    pub(super) user: Option<&'a str>,
    /// Between the `@` and the first `/`.
    pub(super) hosts: Vec<&'a str>,
    /// After the first `/`, where there is one.
    pub(super) path: Option<&'a str>,
}

/// Takes a URL with several hosts apart, which the `url` crate refuses. `None` where it has no `://`.
pub(super) fn parts(url: &str) -> Option<UrlParts<'_>> {
    let (scheme, rest) = url.split_once("://")?;
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    let (hosts, path) = match rest.split_once('/') {
        Some((hosts, path)) => (hosts, Some(path)),
        None => (rest, None),
    };
    Some(UrlParts { scheme, user, hosts: hosts.split(',').collect(), path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_urls_of_several_hosts_apart() {
        let found = parts("redis+sentinel://u:p@a:1,b:2/main/3").unwrap();
        assert_eq!(found.scheme, "redis+sentinel");
        assert_eq!(found.user, Some("u:p"));
        assert_eq!(found.hosts, ["a:1", "b:2"]);
        assert_eq!(found.path, Some("main/3"));
        assert_eq!(parts("nothing"), None);
    }
}

//! Which names objects may have: those that a file system and every cloud take as they are.

use super::error::StateError;

/// The one object that is replaced.
pub(super) const MANIFEST: &str = "manifest.json";

/// Beside the manifest in a local folder: held locked while the manifest is replaced.
pub(super) const MANIFEST_LOCK: &str = "manifest.lock";

/// S3 takes 1,024 bytes, of which a prefix in the URL uses some.
const MAX_NAME_BYTES: usize = 512;

/// File systems take 255 bytes.
const MAX_PART_BYTES: usize = 200;

/// Accepts `levels/1m/2026-11-22.panes` and its like.
///
/// # Errors
/// [`StateError::Name`].
pub(super) fn check(name: &str) -> Result<(), StateError> {
    let refuse = |reason| Err(StateError::Name { name: name.to_owned(), reason });
    if name == MANIFEST || name == MANIFEST_LOCK {
        return refuse("the store keeps this name for itself");
    }
    if name.len() > MAX_NAME_BYTES {
        return refuse("it is longer than 512 bytes");
    }
    let all_plain =
        |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.=".contains(&byte));
    for part in name.split('/') {
        if part.is_empty() || part.len() > MAX_PART_BYTES {
            return refuse("between its slashes are 1 to 200 bytes, and none are at its ends");
        }
        if part.starts_with('.') || !all_plain(part) {
            return refuse("it is made of letters, digits, `-`, `_`, `=` and `.`, the last not first");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_relative_and_plain() {
        for name in ["a", "pane/1m/2026-11-22T10=00.bin", "x..y", "-"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        let long = "n".repeat(MAX_PART_BYTES + 1);
        let deep = "part/".repeat(MAX_NAME_BYTES);
        for name in [
            "",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "./a",
            ".a",
            "a/.b",
            "a b",
            "a\\b",
            "a%2f",
            "ä",
            "a\0",
            "a:b",
            MANIFEST,
            MANIFEST_LOCK,
            &long,
            &deep,
        ] {
            let refused = check(name).expect_err(name);
            assert!(refused.to_string().contains(&format!("{name:?}")), "{refused}");
        }
    }
}

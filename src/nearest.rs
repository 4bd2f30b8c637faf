//! The name of a field that comes nearest to one that no event has.

use std::collections::BTreeSet;

/// From 0, nothing in common, to 1, the same: what a name must reach to be offered.
const NEAR: f64 = 0.6;
/// What a name reaches at most that is at another place, such as `repo.name` for `name`.
const ELSEWHERE: f64 = 0.9;

/// The one of `names` that comes nearest to `wanted`, if any comes near. Case, and what joins words, do not matter:
/// `userId` is near `user_id`, and so is `payload.user_id`. Of alternatives, as in `sku or id`, the best counts.
pub fn nearest<'n>(wanted: &str, names: &'n BTreeSet<String>) -> Option<&'n str> {
    let alternatives: Vec<&str> = wanted.split(" or ").map(|one| one.trim_start_matches("$.")).collect();
    // It is there, but not in the events that it is looked for in.
    if alternatives.iter().any(|one| names.contains(*one)) {
        return None;
    }
    let score = |name: &'n String| {
        let of = |wanted: &&str| similarity(wanted, name);
        (alternatives.iter().map(of).fold(0.0, f64::max), name.as_str())
    };
    let best = names.iter().map(score).max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(score, _)| *score >= NEAR).map(|(_, name)| name)
}

fn similarity(wanted: &str, name: &str) -> f64 {
    let of = |one: &str, other: &str| match (plain(one), plain(other)) {
        (one, other) if one.is_empty() || other.is_empty() => 0.0,
        (one, other) => strsim::normalized_damerau_levenshtein(&one, &other),
    };
    let last = of(last(wanted), last(name)) * ELSEWHERE;
    of(wanted, name).max(last)
}

/// The letters and digits of a name, small.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// What a path ends with.
fn last(path: &str) -> &str {
    path.rsplit(['.', ']']).find(|part| !part.is_empty()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_other_spellings_and_other_places_are_near() {
        let names = ["region", "user_id", "repo.name", "lines[*].sku", "timestamp", "@timestamp"];
        let names: BTreeSet<String> = names.map(str::to_owned).into();
        for (wanted, near) in [
            ("regoin", Some("region")),
            ("userId", Some("user_id")),
            ("name", Some("repo.name")),
            ("repo.nmae", Some("repo.name")),
            ("sku", Some("lines[*].sku")),
            ("kind or Region", Some("region")),
            ("$.regions", Some("region")),
            ("quantity", None),
            ("region", None),
            ("kind or region", None),
            ("@", None),
            ("", None),
        ] {
            assert_eq!(nearest(wanted, &names), near, "{wanted}");
        }
        assert_eq!(nearest("region", &BTreeSet::new()), None);
    }
}

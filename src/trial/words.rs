//! What the name of a field says of it, by the words that it is made of: `repo.name`, `productId`, `user_agent`.

use super::survey::Field;
use crest_formats::path::{Path, Step};

/// What is ranked by most people: weight 1.
const RANKED: &str = "\
    article asset book content episode film game hashtag item keyword listing movie page path playlist \
    post product query repo repository route search sensor sku song station story symbol tag term ticker \
    topic track video";
/// Addresses: weight 0.8, and less where they are those of something that has a name as well.
const ADDRESSES: &str = "href link uri url";
/// Who did it, or where: weight 0.3.
const ACTORS: &str = "\
    account actor app artist author brand category channel customer device host merchant pod seller \
    service shop store user";
/// Words that say little alone, so that what is above them counts as well: weight 0.3 where people can read it …
const NAMES: &str = "label login name slug title";
/// … and 0.2 otherwise.
const GENERIC: &str = "code id identifier key text value";
/// The weight of an address of something …
const OF_ADDRESS: f64 = 0.25;
/// … and how much of the weight of the name above counts for it, and for words that say little alone.
const OF_PARENT: f64 = 0.7;
/// Properties by which people filter or group: weight -0.6.
const PROPERTIES: &str = "\
    action agent browser city country currency env environment event field format gender kind lang \
    language level locale method op operation os platform protocol region severity state status table \
    timezone type unit verb version";
/// What differs for each event, or is no name of anything: weight -1.
const TECHNICAL: &str = "\
    avatar checksum correlation digest etag gravatar hash message msg nonce offset order referer \
    referrer request session sha signature span token trace transaction uuid";
/// What is added up or measured: weight -2.
pub const MEASURES: &str = "\
    amount balance byte count duration elapsed index lat latency latitude length lng lon longitude \
    percent price qty quantity rank rate rating ratio revenue score size sum temperature total weight \
    volume";
/// By what events are grouped.
pub const GROUPING: &str = "\
    app browser category channel city country department device environment lang language locale \
    platform region service store";
/// What tells kinds of events apart.
pub const EVENT_TYPES: &str = "action event kind method op operation status type verb";

/// The names that lead to a field, each in lower-case words, the last one last. A key of an attribute counts as its name.
pub fn names(path: &str) -> Vec<Vec<String>> {
    let steps = path.parse::<Path>().map(|path| path.steps).unwrap_or_default();
    let mut names: Vec<Vec<String>> = Vec::new();
    let mut is_attribute = false;
    for step in steps {
        match step {
            Step::Where(_, text) => {
                names.push(words(&text));
                is_attribute = true;
            }
            Step::Key(name) if !is_attribute => names.push(words(&name)),
            _ => {}
        }
    }
    names
}

/// The words of a name, in lower case and in the singular.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && after_lower) {
            words.push(String::new());
        }
        after_lower = c.is_lowercase() || c.is_numeric();
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words.into_iter().map(singular).collect()
}

fn singular(word: String) -> String {
    match word.strip_suffix("ies").filter(|stem| stem.len() > 1) {
        Some("ser" | "mov") | None => {}
        Some(stem) => return format!("{stem}y"),
    }
    let is_plural = word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") && !word.ends_with("us");
    if is_plural { word[..word.len() - 1].to_owned() } else { word }
}

/// How likely a field is what is ranked, by its name: from about -3 to 1.5.
pub fn ranked(field: &Field) -> f64 {
    let names = names(&field.path);
    let Some((last, above)) = names.split_last() else { return 0.0 };
    let is_of = |lists: &[&str]| last.iter().all(|word| lists.iter().any(|list| contains(list, word)));
    match above.last() {
        Some(parent) if is_of(&[ADDRESSES]) => OF_ADDRESS + OF_PARENT * weight(parent).max(0.0),
        Some(parent) if is_of(&[GENERIC, NAMES]) => weight(last) + OF_PARENT * weight(parent),
        _ => weight(last),
    }
}

fn weight(words: &[String]) -> f64 {
    let of = |word: &String| {
        let lists: [(&str, f64); 8] = [
            (RANKED, 1.0),
            (ADDRESSES, 0.8),
            (ACTORS, 0.3),
            (NAMES, 0.3),
            (GENERIC, 0.2),
            (PROPERTIES, -0.6),
            (TECHNICAL, -1.0),
            (MEASURES, -2.0),
        ];
        lists.into_iter().find(|(list, _)| contains(list, word)).map_or(0.0, |(_, weight)| weight)
    };
    let most = words.iter().map(of).fold(0.0, f64::max);
    let least = words.iter().map(of).fold(0.0, f64::min);
    most + least
}

/// Whether a list of words has this one.
pub fn contains(list: &str, word: &str) -> bool {
    list.split(' ').any(|known| known == word)
}

/// Whether the last name of a field has one of these words.
pub fn has(field: &Field, list: &str) -> bool {
    names(&field.path).last().is_some_and(|last| last.iter().any(|word| contains(list, word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_into_words() {
        for (name, expected) in [
            ("productId", "product id"),
            ("@timestamp", "timestamp"),
            ("line_items", "line item"),
            ("user-agent", "user agent"),
            ("status", "status"),
            ("categories", "category"),
            ("movies", "movie"),
            ("timeUnixNano", "time unix nano"),
        ] {
            assert_eq!(words(name).join(" "), expected);
        }
        let route = names("attributes[?@.key=='http.route'].value.stringValue");
        assert_eq!(route.last().unwrap().join(" "), "http route");
    }

    #[test]
    fn what_people_rank_comes_before_what_they_filter_by_or_add_up() {
        let order = [
            ["repo.name", "repo.url"],
            ["repo.name", "actor.login"],
            ["actor.login", "actor.url"],
            ["page.url", "user.id"],
            ["entities.hashtags[*].text", "user.screen_name"],
            ["data.object.customer", "data.object.currency"],
            ["line_items[*].product_id", "line_items[*].id"],
            ["url.path", "http.response.status_code"],
            ["page_url", "avatar_url"],
            ["user_id", "session_id"],
            ["status", "item_count"],
        ];
        for [more, less] in order {
            assert!(
                ranked(&Field::of_texts(more, &[])) > ranked(&Field::of_texts(less, &[])),
                "{more} {less}"
            );
        }
    }
}

//! Who is told what changes in rankings.

use super::cluster_access::{checked_secret, read_secret};
use super::endpoints::refuse_endpoint;
use super::error::{SettingsError, refuse};
use super::keys::{Keyed, Keys};
use super::resolved::{ChangesSettings, SourceSettings};
use super::sinks;
use crate::file::ChangesSection;
use crest_connectors::changes::Watch;
use crest_connectors::endpoint::{ReceiverUrl, SinkUrl};
use crest_connectors::selection::Selection;
use crest_state::spec::BoardSpec;
use std::collections::BTreeSet;

/// How many leading items are watched where nothing is said.
const DEFAULT_K: usize = 10;
/// The most that can be.
const MAX_K: usize = 1000;

/// All of them.
pub fn resolve(
    keys: &Keys<'_>,
    file: Vec<ChangesSection>,
    boards: &[BoardSpec],
    (source, rankings): (&SourceSettings, &[SinkUrl]),
) -> Result<Vec<ChangesSettings>, SettingsError> {
    let mut all: Vec<ChangesSettings> = Vec::new();
    for (place, section) in file.into_iter().enumerate() {
        let key = |name: &str| keys.in_file(&format!("changes[{place}].{name}"));
        let found = one(keys, &key, section, boards)?;
        if let ReceiverUrl::Kafka(topic) = &found.to {
            let shown = format!("{:?}", topic.to_string());
            if source.url.kafka().is_some_and(|read| read.reads(topic)) {
                return refuse(key("to"), shown, "must not be a topic that is read");
            }
            if rankings.iter().filter_map(SinkUrl::kafka).any(|other| other == topic) {
                // They have the same keys.
                return refuse(key("to"), shown, "must not be the topic of whole rankings");
            }
        }
        if all.iter().any(|other| other.watch.name == found.watch.name) {
            let allowed = "is there twice, and no two may have the same ids: give each a name of its own";
            return refuse(key("name"), format!("{:?}", found.watch.name), allowed);
        }
        all.push(found);
    }
    Ok(all)
}

fn one(
    keys: &Keys<'_>,
    key: &dyn Fn(&str) -> String,
    section: ChangesSection,
    boards: &[BoardSpec],
) -> Result<ChangesSettings, SettingsError> {
    let ChangesSection { name, board, window, k, groups, whole, certain, to, secret, secret_file } = section;
    let names = |all: &mut dyn Iterator<Item = String>| all.collect::<Vec<_>>().join(", ");
    let Some(found) = boards.iter().find(|known| *known.name == *board) else {
        let known = names(&mut boards.iter().map(|board| board.name.to_string()));
        return refuse(key("board"), format!("{board:?}"), format!("must be one of {known}"));
    };
    if !found.sliding_windows().any(|sliding| **sliding.name == *window) {
        let known = names(&mut found.sliding_windows().map(|sliding| sliding.name.to_string()));
        let allowed = format!("must be a window of the board {board} with a size: {known}");
        return refuse(key("window"), format!("{window:?}"), allowed);
    }
    let most = found.k.min(MAX_K);
    let k = k.unwrap_or(DEFAULT_K.min(most));
    if k == 0 || k > most {
        return refuse(key("k"), k, format!("must be from 1 to {most}"));
    }
    let known: BTreeSet<String> = found.by.iter().map(ToString::to_string).collect();
    let groups = sinks::groups(groups, &known, |dimension| key(&format!("groups.{dimension}")))?;
    let to = to.parse().or_else(|error| refuse_endpoint(&key("to"), error))?;
    let given = match (secret, secret_file) {
        (Some(_), Some(_)) => return refuse(key("secret"), "***", "must not stand beside secret_file"),
        (Some(value), None) => Some(checked_secret(&key("secret"), &value)?),
        (None, Some(value)) => Some(read_secret(&Keyed { key: key("secret_file"), value })?),
        (None, None) => None,
    };
    let secret = match (given, &to, &keys.run.changes_secret) {
        (Some(_), ReceiverUrl::Kafka(_), _) => {
            return refuse(key("secret"), "***", "only what goes to a webhook is signed");
        }
        (None, ReceiverUrl::Webhook(_), Some(secret)) => {
            Some(checked_secret(&keys.flag("changes_secret"), secret)?)
        }
        (None, ReceiverUrl::Webhook(url), None) => {
            let allowed =
                "needs a secret, which the receiver knows it by: secret, secret_file or CREST_CHANGES_SECRET";
            return refuse(key("to"), format!("{:?}", url.to_string()), allowed);
        }
        (given, ..) => given,
    };
    let name = name.unwrap_or_else(|| format!("{board}/{window}"));
    if name.is_empty() || name.chars().any(char::is_control) {
        return refuse(key("name"), format!("{name:?}"), "must be a text without control characters");
    }
    let selection =
        Selection { boards: [board].into(), windows: [window].into(), groups, whole: whole.unwrap_or(true) };
    Ok(ChangesSettings { watch: Watch { name, selection, k, certain: certain.unwrap_or(false) }, to, secret })
}

//! The boards of a job and their windows.

use super::error::{SettingsError, refuse};
use super::keys::Keys;
use super::resolved::SourceSettings;
use super::value::duration;
use crate::file::{BoardSection, CountOf, FilterSection, WindowSection};
use crest_connectors::id_list::IdList;
use crest_connectors::without_secrets;
use crest_state::against::Against;
use crest_state::blocklist::Blocklist;
use crest_state::calendar::{Calendar, Unit};
use crest_state::check::{MAX_COUNTERS, SpecError};
use crest_state::spec::{BoardSpec, Count, Engine, JobSpec, Ties, WindowSpec};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the HTTP API asks with, so that no dimension may be called so.
const QUERY_WORDS: [&str; 6] = ["board", "window", "k", "final", "from", "to"];

/// The file's boards, or the default one; with the windows and the K that the flags give to all.
pub fn resolve(
    keys: &Keys<'_>,
    pane: Duration,
    sections: Vec<BoardSection>,
) -> Result<Vec<BoardSpec>, SettingsError> {
    let run = keys.run;
    let key = keys.flag("window");
    let windows = run.window.iter().map(|text| typed_window(&key, text)).collect::<Result<Vec<_>, _>>()?;
    let mut boards = sections.into_iter().map(|s| board(keys, pane, s)).collect::<Result<Vec<_>, _>>()?;
    if boards.is_empty() {
        boards.push(BoardSpec { windows: WindowSpec::defaults(pane), ..BoardSpec::default() });
    }
    let typed = run.engine.as_deref().map(|name| engine(&keys.flag("engine"), name)).transpose()?;
    for board in &mut boards {
        board.engine = typed.unwrap_or(board.engine);
        if !windows.is_empty() {
            board.windows.clone_from(&windows);
        }
        board.k = run.k.unwrap_or(board.k);
    }
    Ok(boards)
}

fn board(keys: &Keys<'_>, pane: Duration, section: BoardSection) -> Result<BoardSpec, SettingsError> {
    let default = BoardSpec::default();
    let key = keys.in_file(&format!("board.{}", section.name));
    if let Some(word) = section.by.iter().find(|field| QUERY_WORDS.contains(&field.as_str())) {
        let allowed = format!("must not be one of {}, which the API asks with", QUERY_WORDS.join(", "));
        return refuse(format!("{key}.by"), format!("{word:?}"), allowed);
    }
    let windows = match section.windows {
        Some(windows) => {
            windows.into_iter().map(|w| filed_window(&key, pane, w)).collect::<Result<Vec<_>, _>>()?
        }
        None => WindowSpec::defaults(pane),
    };
    let counters = section.counters.unwrap_or(default.counters);
    let conditions = |section: BTreeMap<String, FilterSection>| {
        section.into_iter().map(|(field, filter)| (field, filter.into())).collect()
    };
    Ok(BoardSpec {
        name: section.name.into(),
        filter: conditions(section.filter),
        retract: conditions(section.retract),
        each: section.each,
        item: section.item.map(Into::into),
        timestamp: section.timestamp.map(Into::into),
        weight: section.weight.map(Into::into),
        count: section.count.map(|section| count(&key, section)).transpose()?.unwrap_or_default(),
        on_missing_item: section.on_missing_item.unwrap_or_default(),
        normalize: section.normalize,
        by: section.by,
        max_groups: section.max_groups.unwrap_or(default.max_groups),
        engine: match &section.engine {
            Some(name) => engine(&format!("{key}.engine"), name)?,
            None => default.engine,
        },
        counters,
        // What is to be kept is the count of every item.
        k: section.k.unwrap_or(if counters { MAX_COUNTERS } else { default.k }),
        ties: match &section.ties {
            Some(name) => ties(&format!("{key}.ties"), name)?,
            None => default.ties,
        },
        min_count: match section.min_count {
            Some(0) => refuse(format!("{key}.min_count"), "0", "must be a whole number of at least 1")?,
            given => given.unwrap_or_default(),
        },
        blocklist: section.blocklist.map(|place| blocklist(&key, place)).transpose()?.unwrap_or_default(),
        weights: section.weights,
        windows,
    })
}

/// Refuses windows of the whole input where the input has no end.
pub fn check_whole_windows(
    keys: &Keys<'_>,
    spec: &JobSpec,
    source: &SourceSettings,
) -> Result<(), SettingsError> {
    let mut whole = spec.boards.iter().flat_map(|board| board.whole_windows().map(move |name| (board, name)));
    let Some((board, name)) = whole.next().filter(|_| !source.url.is_bounded()) else { return Ok(()) };
    let allowed = format!(
        "a window of a name alone is the whole of an input that ends, which {} does not: give it a size and a slide",
        source.url
    );
    let key = format!("board.{}.windows", board.name);
    Err(keys.as_given(SpecError { key, value: format!("{name:?}"), allowed }))
}

fn count(key: &str, section: CountOf) -> Result<Count, SettingsError> {
    match section {
        CountOf::Distinct(section) => Ok(Count::Distinct(section.distinct.into())),
        CountOf::Word(word) if word == "events" => Ok(Count::Events),
        CountOf::Word(other) => {
            let allowed = "must be \"events\", or a table such as { distinct = \"user_id\" }";
            refuse(format!("{key}.count"), format!("{other:?}"), allowed)
        }
    }
}

fn engine(key: &str, name: &str) -> Result<Engine, SettingsError> {
    match name {
        "sketch" => Ok(Engine::Sketch),
        "exact" => Ok(Engine::Exact),
        other => refuse(key, format!("{other:?}"), "must be \"sketch\" or \"exact\""),
    }
}

fn ties(key: &str, name: &str) -> Result<Ties, SettingsError> {
    match name {
        "ordinal" => Ok(Ties::Ordinal),
        "competition" => Ok(Ties::Competition),
        "dense" => Ok(Ties::Dense),
        other => refuse(key, format!("{other:?}"), "must be \"ordinal\", \"competition\" or \"dense\""),
    }
}

fn blocklist(key: &str, place: String) -> Result<Blocklist, SettingsError> {
    match IdList::at(&place) {
        Ok(_) => Ok(Blocklist::at(place)),
        Err(error) => {
            let allowed = format!("must be a file of ids or a set of Redis: {error}");
            refuse(format!("{key}.blocklist"), format!("{:?}", without_secrets(&place)), allowed)
        }
    }
}

fn filed_window(key: &str, pane: Duration, window: WindowSection) -> Result<WindowSpec, SettingsError> {
    let key = format!("{key}.window.{}", window.name);
    let part = |part: &str, text: &str| duration(&format!("{key}.{part}"), text);
    let lacks = |part: &str| {
        let allowed = "must be given too; a window with neither size nor slide is the whole input";
        refuse(format!("{key}.{part}"), "none", allowed)
    };
    let spec = match (&window.size, &window.slide, calendar(&key, &window)?) {
        (None, slide, Some(calendar)) => {
            let slide = slide.as_deref().map(|slide| part("slide", slide)).transpose()?;
            WindowSpec::calendar_unit(&window.name, calendar, slide.unwrap_or(pane))
        }
        (Some(size), _, Some(_)) => {
            let allowed = "must be left out where the window is of the calendar, which says how long it is";
            return refuse(format!("{key}.size"), size, allowed);
        }
        (Some(size), Some(slide), None) => {
            WindowSpec::sliding(&window.name, part("size", size)?, part("slide", slide)?)
        }
        (None, None, None) => WindowSpec::whole(&window.name),
        (Some(_), None, None) => return lacks("slide"),
        (None, Some(_), None) => return lacks("size"),
    };
    let against = |text: &String| {
        let read: Result<Against, _> = text.parse();
        read.or_else(|error| refuse(format!("{key}.rising"), format!("{text:?}"), error.to_string()))
    };
    let rising = window.rising.iter().map(against).collect::<Result<_, _>>()?;
    Ok(WindowSpec { rising, ..spec })
}

/// The unit of the calendar that a window is of, if it is of one.
fn calendar(key: &str, window: &WindowSection) -> Result<Option<Calendar>, SettingsError> {
    let (unit, zone) = match (&window.calendar, &window.timezone) {
        (None, None) => return Ok(None),
        (Some(unit), Some(zone)) => (unit, zone),
        (Some(_), None) => {
            return refuse(
                format!("{key}.timezone"),
                "none",
                "must say where the calendar is, such as Europe/Berlin",
            );
        }
        (None, Some(zone)) => {
            return refuse(
                format!("{key}.timezone"),
                format!("{zone:?}"),
                "is of a calendar: it is given without one",
            );
        }
    };
    let Some(unit) = Unit::named(unit) else {
        return refuse(format!("{key}.calendar"), format!("{unit:?}"), "must be hour, day, week or month");
    };
    let calendar = Calendar::new(unit, zone);
    calendar
        .map(Some)
        .or_else(|error| refuse(format!("{key}.timezone"), format!("{zone:?}"), error.to_string()))
}

/// Refuses what rises to be published where it cannot be told.
pub fn check_rising(keys: &Keys<'_>, spec: &JobSpec, has_state: bool) -> Result<(), SettingsError> {
    let rises = |board: &BoardSpec| board.windows.iter().find(|window| !window.rising.is_empty()).cloned();
    let found = spec.boards.iter().find_map(|board| Some((board, rises(board)?)));
    let Some((board, window)) = found.filter(|_| !has_state) else { return Ok(()) };
    let key = format!("board.{}.window.{}.rising", board.name, window.name);
    let rising: Vec<String> = window.rising.iter().map(ToString::to_string).collect();
    let allowed = "needs a state, which has what was before: --state".to_owned();
    Err(keys.as_given(SpecError { key, value: rising.join(", "), allowed }))
}

/// `name=size/slide`, or the name of a window of the whole input.
fn typed_window(key: &str, text: &str) -> Result<WindowSpec, SettingsError> {
    if !text.contains(['=', '/']) {
        return Ok(WindowSpec::whole(text));
    }
    let parts = text.split_once('=').and_then(|(name, span)| Some((name, span.split_once('/')?)));
    let durations = parts.map(|(name, (size, slide))| {
        (name, humantime::parse_duration(size), humantime::parse_duration(slide))
    });
    match durations {
        Some((name, Ok(size), Ok(slide))) => Ok(WindowSpec::sliding(name, size, slide)),
        _ => {
            let allowed =
                "must be name=size/slide, such as last_1m=1m/10s, or a name alone for the whole input";
            refuse(key, format!("{text:?}"), allowed)
        }
    }
}

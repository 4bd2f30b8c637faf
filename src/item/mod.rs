//! `crest item`: one item's count, its rank range and its history in a terminal. It is a client of the HTTP API like any
//! other.

mod chart;
mod model;

use crate::args::ItemArgs;
use crate::failure::{Failure, print};
use crate::text::{apart, count, interval, json_line, seconds, shown, width};
use crate::top::{Client, Query, TopError, subject};
use crest_connectors::snapshot::Estimate;
use model::Item;

/// Shows what the arguments name.
///
/// # Errors
/// A server that cannot be reached or refuses, and what it does not know. A closed pipe is none.
pub fn run(args: &ItemArgs) -> Result<(), Failure> {
    let client = Client::new(&args.reader.url, args.reader.token.as_deref())?;
    let query = query(args, &client)?;
    if args.json {
        return print(&json_line(&client.item(&query, &args.id, args.step.as_deref())?));
    }
    let parse = |body: String| -> Result<Item, TopError> {
        serde_json::from_str(&body).map_err(|error| client.foreign(&error))
    };
    let item = parse(client.item(&query, &args.id, None)?)?;
    // Its history is from a state, which there need not be.
    let step = args.step.as_deref().unwrap_or("auto");
    let past = match client.item(&query, &args.id, Some(step)) {
        Ok(body) => Ok(parse(body)?),
        Err(
            error @ (TopError::Unreachable { .. } | TopError::Unauthorized(_) | TopError::Foreign { .. }),
        ) => {
            return Err(error.into());
        }
        Err(error) => Err(error),
    };
    let history = match past {
        Ok(past) => chart::chart(&past),
        // What was typed has to be answered.
        Err(error) if args.step.is_some() => return Err(error.into()),
        Err(error) => format!("no history: {error}\n"),
    };
    print(&(known(&item) + "\n" + &history))
}

/// What is asked for; the server says what there is where there is no such board.
fn query(args: &ItemArgs, client: &Client) -> Result<Query, TopError> {
    let first = || client.boards().map(|boards| boards.into_iter().next().map(|board| board.name));
    let board = args.reader.board.clone().map_or_else(first, |board| Ok(Some(board)))?;
    let board = board.ok_or_else(|| TopError::Refused("the server has no board".into()))?;
    Ok(Query { board, window: args.window.clone(), k: 1, group: args.reader.group.clone() })
}

/// What is known of it, each fact on a line.
fn known(item: &Item) -> String {
    let mut facts = vec![
        subject(&item.board, &item.window, &item.group),
        interval(item.window_start, item.window_end, false),
        if item.is_final { "final".into() } else { "provisional".into() },
        match &item.distinct {
            Some(field) => format!("different {}", shown(field)),
            None if item.retracts => format!("total {} net of removals", count(item.total)),
            None => format!("total {}", count(item.total)),
        },
    ];
    facts.extend(item.snapshot_age_seconds.map(|age| format!("{} old", seconds(age))));
    if item.partial {
        let missing: Vec<String> = item.missing.iter().map(|region| shown(region)).collect();
        let without =
            if missing.is_empty() { String::new() } else { format!(" without {}", missing.join(", ")) };
        facts.push(format!("partial{without}"));
    }
    facts.extend(item.stale.then(|| "stale".into()));
    let counted = match (item.lower, item.upper) {
        (_, upper) if item.withheld => {
            format!("not told, since it may be of too few: at most {}", count(upper))
        }
        (_, 0) if item.retracts => "0, nothing of it is left there".into(),
        (_, 0) => "0, it has no event there".into(),
        (lower, upper) if lower == upper => count(upper),
        (lower, upper) if let Some(Estimate { count: about, standard_error }) = item.estimate => {
            let (about, error) = (count(about), count(standard_error));
            format!("about {about} ±{error} (at least {}, at most {})", count(lower), count(upper))
        }
        (0, upper) if !item.listed => {
            format!("at most {}, as any item that is not counted on its own", count(upper))
        }
        (lower, upper) => format!("{} ({}: at least {})", count(upper), apart(lower, upper), count(lower)),
    };
    let rank = match &item.rank {
        None if item.withheld => "not told".into(),
        None => "none".into(),
        Some(rank) if rank.best == rank.worst => count(rank.best),
        Some(rank) => format!("{} to {}", count(rank.best), count(rank.worst)),
    };
    let mut lines = vec![("item", shown(&item.item_id)), ("count", counted), ("rank", rank)];
    if item.total > 0 && item.upper > 0 && item.distinct.is_none() && !item.retracts {
        lines.push(("share", share(item)));
    }
    let names = lines.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let line = |(name, fact): &(&str, String)| format!("{name:names$}  {fact}\n");
    facts.join(" · ") + "\n" + &lines.iter().map(line).collect::<String>()
}

/// Of all events in the window.
fn share(item: &Item) -> String {
    let percent = |part: u64| format!("{:.2}", 100.0 * part as f64 / item.total as f64);
    let (least, most) = (percent(item.lower), percent(item.upper.min(item.total)));
    if least == most { format!("{most} %") } else { format!("{least} to {most} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(changes: &[(&str, serde_json::Value)]) -> Item {
        let end = 1_773_137_700_000_i64;
        let mut said = serde_json::json!({
            "board": "videos", "item_id": "a\u{1b}[2J", "window": "last_1h", "group": {"region": "IN"},
            "window_start": end - 3_600_000, "window_end": end, "final": false, "total": 10_000,
            "count": 1234, "lower": 1200, "upper": 1234, "exact": false, "listed": true,
            "rank": {"best": 7, "worst": 9}, "snapshot_age_seconds": 0.4, "later": "is passed over",
        });
        for (name, value) in changes {
            said[*name] = value.clone();
        }
        serde_json::from_value(said).unwrap()
    }

    #[test]
    fn what_is_known_is_said_in_words_and_nothing_moves_the_cursor() {
        let expected = "\
videos last_1h region=IN · 2026-03-10 09:15:00 – 10:15:00 UTC · provisional · total 10,000 · 400 ms old
item   a\\u{1b}[2J
count  1,234 (−34: at least 1,200)
rank   7 to 9
share  12.00 to 12.34 %
";
        assert_eq!(known(&item(&[])), expected);
    }

    #[test]
    fn what_is_exact_unlisted_or_not_there_is_told_apart() {
        let lines = |changes: &[(&str, serde_json::Value)]| {
            known(&item(changes)).lines().skip(2).collect::<Vec<_>>().join("|")
        };
        let exact = [("lower", 1234.into()), ("rank", serde_json::json!({"best": 3, "worst": 3}))];
        assert_eq!(lines(&exact), "count  1,234|rank   3|share  12.34 %");
        let unlisted = [("lower", 0.into()), ("upper", 40.into()), ("listed", false.into())];
        assert!(
            lines(&unlisted).starts_with("count  at most 40, as any item that is not counted on its own|")
        );
        let none = [("lower", 0.into()), ("upper", 0.into()), ("rank", serde_json::Value::Null)];
        assert_eq!(lines(&none), "count  0, it has no event there|rank   none");
        let withheld = [
            ("lower", 0.into()),
            ("upper", 9.into()),
            ("rank", serde_json::Value::Null),
            ("withheld", true.into()),
        ];
        let said = lines(&withheld);
        assert!(
            said.starts_with("count  not told, since it may be of too few: at most 9|rank   not told"),
            "{said}"
        );
        let partial = known(&item(&[("partial", true.into()), ("missing", serde_json::json!(["eu\n"]))]));
        assert!(partial.contains("· partial without eu\\u{a}\n"), "{partial}");
    }
}

//! `crest top --by rise`: what rises, as a plain table or a line of JSON, once or whenever it has changed.

use super::client::{Client, TopError};
use super::model::Query;
use super::table::{aligned, subject_of};
use crate::failure::{Failure, seen};
use crate::text::{count, interval, json_line, shown};
use crest_connectors::rising::{Rising, RisingItem};
use std::io::{self, Write};
use std::time::Duration;

/// Between two questions of `--watch`: what is final changes with each slide at most.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// What the columns are called; the last is left out where all rises are exact.
const HEADS: [&str; 7] = ["rank", "item", "count", "before", "rise", "surge", "error"];

/// What is asked for.
pub struct Question<'a> {
    pub client: &'a Client,
    pub query: &'a Query,
    /// What it is compared with; by default the window before.
    pub against: Option<&'a str>,
    pub json: bool,
}

impl Question<'_> {
    /// Prints the answer.
    ///
    /// # Errors
    /// What the server refuses. A closed pipe is none.
    pub fn once(&self) -> Result<(), Failure> {
        crate::failure::print(&self.answer()?.1)
    }

    /// Prints every answer that differs from the one before, until nobody reads.
    ///
    /// # Errors
    /// What the server refuses, and output that cannot be written. A connection that is lost is told once on standard error, and
    /// made again.
    pub fn watch(&self) -> Result<(), Failure> {
        let (mut last, mut trouble) = (None, None);
        loop {
            match self.answer() {
                Ok((rising, text)) => {
                    trouble = None;
                    // When it was ranked is not what makes it another one.
                    let rising = Some(Rising { computed_at: 0, ..rising });
                    if last != rising {
                        last = rising;
                        let printed = print(&if self.json { text } else { text + "\n" });
                        if printed.is_err() {
                            return seen(printed);
                        }
                    }
                }
                Err(error) if error.passes() => {
                    let told = error.to_string();
                    if trouble.as_ref() != Some(&told) {
                        eprintln!("crest: {told}; it is tried again");
                        trouble = Some(told);
                    }
                }
                Err(error) => return Err(error.into()),
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    fn answer(&self) -> Result<(Rising, String), TopError> {
        let body = self.client.rising(self.query, self.against)?;
        let rising = serde_json::from_str(&body).map_err(|error| self.client.foreign(&error))?;
        let text = if self.json { json_line(&body) } else { table(&rising) };
        Ok((rising, text))
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// With a line end after each line.
fn table(rising: &Rising) -> String {
    let mut facts = vec![
        subject_of(&rising.board, &rising.window, &rising.group),
        interval(rising.window_start, rising.window_end, false),
        format!("against {}", interval(rising.before_start, rising.before_end, false)),
        format!("total {}, before {}", count(rising.total), count(rising.total_before)),
    ];
    if rising.partial {
        let regions: Vec<String> = rising.missing.iter().map(|region| shown(region)).collect();
        facts.push(format!("partial, without {}", regions.join(", ")));
    }
    let bounded = rising.items.iter().any(|item| !item.exact);
    let rows = std::iter::once(HEADS.map(str::to_owned)).chain(rising.items.iter().map(row));
    facts.join(" · ") + "\n" + &aligned(rows.collect(), "item", if bounded { 7 } else { 6 })
}

fn row(item: &RisingItem) -> [String; 7] {
    let signed = |number: i128| {
        let text = count(u64::try_from(number.unsigned_abs()).unwrap_or(u64::MAX));
        if number < 0 { format!("−{text}") } else { format!("+{text}") }
    };
    let error = match item.rise - item.rise_lower {
        0 => String::new(),
        doubt => format!("−{}", count(u64::try_from(doubt).unwrap_or(u64::MAX))),
    };
    [
        item.rank.to_string(),
        shown(&item.item_id),
        count(item.count),
        count(item.before),
        signed(item.rise),
        format!("{:.1}", item.surge),
        error,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rises_is_a_table_with_a_column_of_errors_where_there_are_any() {
        let end = 1_773_137_700_000_i64;
        let item = |id: &str, (lower, upper): (u64, u64), before_lower: u64| {
            serde_json::json!({
                "rank": 1, "item_id": id, "count": upper, "lower": lower, "upper": upper, "before": before_lower,
                "before_lower": before_lower, "exact": lower == upper, "rise": upper - before_lower,
                "rise_lower": lower as i64 - before_lower as i64, "surge": 12.345, "surge_lower": 12.0,
            })
        };
        let mut said = serde_json::json!({
            "board": "videos", "window": "last_1h", "group": {"region": "IN"}, "by": "rise", "against": "1d",
            "window_start": end - 3_600_000, "window_end": end, "before_start": end - 90_000_000,
            "before_end": end - 86_400_000, "computed_at": end, "watermark": end, "final": true, "total": 91_234,
            "total_before": 80_000, "error": 0, "error_floor": 0, "guaranteed": 1, "later": "is passed over",
            "items": [item("東\u{1b}", (5312, 5312), 100), item("b", (99, 99), 0)],
        });
        let read = |said: &serde_json::Value| table(&serde_json::from_value(said.clone()).unwrap());
        let expected = "\
videos last_1h region=IN · 2026-03-10 09:15:00 – 10:15:00 UTC · against 2026-03-09 09:15:00 – 10:15:00 UTC · total 91,234, before 80,000
rank  item      count  before    rise  surge
   1  東\\u{1b}  5,312     100  +5,212   12.3
   1  b            99       0     +99   12.3
";
        assert_eq!(read(&said), expected);
        said["items"] = serde_json::json!([item("a", (40, 52), 50)]);
        said["partial"] = true.into();
        said["missing"] = serde_json::json!(["eu"]);
        let text = read(&said);
        assert!(
            text.contains(" · partial, without eu\n")
                && text.ends_with("   1  a        52      50    +2   12.3    −12\n"),
            "{text}"
        );
    }
}

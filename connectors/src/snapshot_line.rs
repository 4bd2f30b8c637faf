//! A final snapshot as a line of JSON: what `serde_json` makes of it, in a third of the time. It is written by hand but for
//! the texts that need care, since there are many rows, and many groups of few rows.

use crate::snapshot::{Estimate, Item, Other, Snapshot};

/// Appends the snapshot and a line feed.
///
/// # Errors
/// None that is known: the types of a snapshot are all of JSON.
pub(crate) fn append_line(line: &mut Vec<u8>, snapshot: &Snapshot) -> serde_json::Result<()> {
    let rows = snapshot.items.iter().map(|item| 96 + item.item_id.len()).sum::<usize>();
    line.reserve(rows + 512);
    let mut digits = itoa::Buffer::new();
    append_head(line, &mut digits, snapshot)?;
    for (place, item) in snapshot.items.iter().enumerate() {
        if place > 0 {
            line.push(b',');
        }
        append_row(line, &mut digits, item)?;
    }
    line.extend_from_slice(b"]}\n");
    Ok(())
}

/// All that comes before the rows.
fn append_head(line: &mut Vec<u8>, digits: &mut itoa::Buffer, snapshot: &Snapshot) -> serde_json::Result<()> {
    line.extend_from_slice(b"{\"board\":");
    append_text(line, &snapshot.board)?;
    line.extend_from_slice(b",\"window\":");
    append_text(line, &snapshot.window)?;
    line.extend_from_slice(b",\"group\":");
    serde_json::to_writer(&mut *line, &snapshot.group)?;
    append_number(line, digits, b",\"window_start\":", snapshot.window_start);
    append_number(line, digits, b",\"window_end\":", snapshot.window_end);
    append_number(line, digits, b",\"computed_at\":", snapshot.computed_at);
    append_number(line, digits, b",\"watermark\":", snapshot.watermark);
    line.extend_from_slice(if snapshot.is_final { b",\"final\":true" } else { b",\"final\":false" });
    append_number(line, digits, b",\"total\":", snapshot.total);
    append_number(line, digits, b",\"error\":", snapshot.error);
    append_number(line, digits, b",\"error_floor\":", snapshot.error_floor);
    append_number(line, digits, b",\"guaranteed\":", snapshot.guaranteed);
    if let Some(Other { count, lower, upper, exact }) = snapshot.other() {
        append_number(line, digits, b",\"other\":{\"count\":", count);
        append_number(line, digits, b",\"lower\":", lower);
        append_number(line, digits, b",\"upper\":", upper);
        line.extend_from_slice(if exact { b",\"exact\":true}" } else { b",\"exact\":false}" });
    }
    if let Some(field) = &snapshot.distinct {
        line.extend_from_slice(b",\"distinct\":");
        append_text(line, field)?;
    }
    if snapshot.retracts {
        line.extend_from_slice(b",\"retracts\":true");
    }
    if snapshot.partial {
        line.extend_from_slice(b",\"partial\":true");
    }
    if let Some(since) = snapshot.since {
        append_number(line, digits, b",\"since\":", since);
    }
    if !snapshot.missing.is_empty() {
        line.extend_from_slice(b",\"missing\":");
        serde_json::to_writer(&mut *line, &snapshot.missing)?;
    }
    line.extend_from_slice(b",\"items\":[");
    Ok(())
}

// Inlined, so that each name is copied as a constant.
#[inline(always)]
fn append_number(line: &mut Vec<u8>, digits: &mut itoa::Buffer, name: &[u8], value: impl itoa::Integer) {
    line.extend_from_slice(name);
    line.extend_from_slice(digits.format(value).as_bytes());
}

fn append_text(line: &mut Vec<u8>, text: &str) -> serde_json::Result<()> {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if !text.bytes().all(is_plain) {
        return serde_json::to_writer(&mut *line, text);
    }
    line.push(b'"');
    line.extend_from_slice(text.as_bytes());
    line.push(b'"');
    Ok(())
}

fn append_row(line: &mut Vec<u8>, digits: &mut itoa::Buffer, item: &Item) -> serde_json::Result<()> {
    let Item { rank, item_id, count, lower, upper, exact, estimate, change } = item;
    append_number(line, digits, b"{\"rank\":", *rank);
    line.extend_from_slice(b",\"item_id\":");
    append_text(line, item_id)?;
    // Most rows are exact: one number is told three times.
    if *exact && count == lower && count == upper {
        let digits = digits.format(*count).as_bytes();
        for name in [b",\"count\":", b",\"lower\":", b",\"upper\":"] {
            line.extend_from_slice(name);
            line.extend_from_slice(digits);
        }
        line.extend_from_slice(b",\"exact\":true");
    } else {
        append_number(line, digits, b",\"count\":", *count);
        append_number(line, digits, b",\"lower\":", *lower);
        append_number(line, digits, b",\"upper\":", *upper);
        line.extend_from_slice(if *exact { b",\"exact\":true" } else { b",\"exact\":false" });
    }
    if let Some(Estimate { count, standard_error }) = estimate {
        append_number(line, digits, b",\"estimate\":{\"count\":", *count);
        append_number(line, digits, b",\"standard_error\":", *standard_error);
        line.push(b'}');
    }
    line.extend_from_slice(b",\"change\":");
    match change {
        Some(change) => line.extend_from_slice(digits.format(*change).as_bytes()),
        None => line.extend_from_slice(b"null"),
    }
    line.push(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group_key::GroupKey;
    use crate::snapshot::tests_support::snapshot;
    use proptest::prelude::*;
    use std::sync::Arc;

    proptest! {
        #[test]
        fn a_line_is_what_serde_json_makes_of_the_snapshot(
            rows in prop::collection::vec((any::<u32>(), "(\\PC|[\"\\\\\u{0}-\u{1f}\u{7f}]){0,40}", any::<u64>(), any::<u64>(), any::<Option<u64>>(), any::<Option<i32>>()), 0..5),
            value in "\\PC{0,5}",
            names in ["[ -~]{1,9}", "(\\PC|[\"\\\\]){1,9}", "(\\PC|[\"\\\\]){1,9}"],
            [is_final, partial, missing, distinct]: [bool; 4],
            numbers: [u64; 3],
            since: Option<i64>,
        ) {
            type Row = (u32, String, u64, u64, Option<u64>, Option<i32>);
            let row = |(rank, id, count, lower, error, change): Row| {
                let estimate = error.map(|standard_error| Estimate { count, standard_error });
                let exact = lower == count;
                Item { rank, item_id: id.into(), count, lower, upper: count, exact, estimate, change }
            };
            let group = GroupKey::from_values([("region", value)]);
            let items = rows.into_iter().map(row).collect();
            let [board, window, region] = names.map(Arc::<str>::from);
            let distinct = distinct.then(|| region.clone());
            let [total, error, error_floor] = numbers;
            let missing = if missing { vec![region] } else { Vec::new() };
            let snapshot = Snapshot {
                board, window, group, items, total, error, error_floor, partial, since, missing, distinct,
                ..snapshot("b", "w", 10_000, is_final)
            };
            let mut line = b"before".to_vec();
            append_line(&mut line, &snapshot).unwrap();
            let expected = format!("before{}\n", serde_json::to_string(&snapshot).unwrap());
            prop_assert_eq!(String::from_utf8(line).unwrap(), expected);
        }
    }
}

//! A final snapshot as a line of JSON: what `serde_json` makes of it, in a third of the time. Nothing but the rows is
//! written by hand, since there are many of them.

use crate::snapshot::{Item, Snapshot};

/// Appends the snapshot and a line feed.
///
/// # Errors
/// None that is known: the types of a snapshot are all of JSON.
pub(crate) fn append_line(line: &mut Vec<u8>, snapshot: &Snapshot) -> serde_json::Result<()> {
    serde_json::to_writer(&mut *line, &snapshot.shown(&[]))?;
    // It ends with the rows, of which there are none yet.
    debug_assert!(line.ends_with(b"\"items\":[]}"));
    line.truncate(line.len() - b"]}".len());
    line.reserve(snapshot.items.iter().map(|item| 96 + item.item_id.len()).sum::<usize>() + 3);
    let mut digits = itoa::Buffer::new();
    for (place, item) in snapshot.items.iter().enumerate() {
        if place > 0 {
            line.push(b',');
        }
        append_row(line, &mut digits, item)?;
    }
    line.extend_from_slice(b"]}\n");
    Ok(())
}

fn append_row(line: &mut Vec<u8>, digits: &mut itoa::Buffer, item: &Item) -> serde_json::Result<()> {
    let Item { rank, item_id, count, lower, upper, exact, change } = item;
    line.extend_from_slice(b"{\"rank\":");
    line.extend_from_slice(digits.format(*rank).as_bytes());
    line.extend_from_slice(b",\"item_id\":");
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if item_id.bytes().all(is_plain) {
        line.push(b'"');
        line.extend_from_slice(item_id.as_bytes());
        line.push(b'"');
    } else {
        serde_json::to_writer(&mut *line, item_id)?;
    }
    for (name, value) in
        [(&b",\"count\":"[..], count), (&b",\"lower\":"[..], lower), (&b",\"upper\":"[..], upper)]
    {
        line.extend_from_slice(name);
        line.extend_from_slice(digits.format(*value).as_bytes());
    }
    line.extend_from_slice(if *exact {
        b",\"exact\":true,\"change\":"
    } else {
        b",\"exact\":false,\"change\":"
    });
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

    proptest! {
        #[test]
        fn a_line_is_what_serde_json_makes_of_the_snapshot(
            rows in prop::collection::vec((any::<u32>(), "(\\PC|[\"\\\\\u{0}-\u{1f}\u{7f}]){0,40}", any::<u64>(), any::<u64>(), any::<Option<i32>>()), 0..5),
            value in "\\PC{0,5}",
            is_final: bool,
        ) {
            let row = |(rank, id, count, lower, change): (u32, String, u64, u64, Option<i32>)| Item {
                rank, item_id: id.into(), count, lower, upper: count, exact: lower == count, change,
            };
            let group = GroupKey::from_values([("region", value)]);
            let items = rows.into_iter().map(row).collect();
            let snapshot = Snapshot { group, items, ..snapshot("b", "w", 10_000, is_final) };
            let mut line = b"before".to_vec();
            append_line(&mut line, &snapshot).unwrap();
            let expected = format!("before{}\n", serde_json::to_string(&snapshot).unwrap());
            prop_assert_eq!(String::from_utf8(line).unwrap(), expected);
        }
    }
}

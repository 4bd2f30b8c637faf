//! Takes the escapes out of a text.

/// Appends the text between two quotes without its escapes, which must be well formed. Returns `None`, and appends
/// nothing, where it has half a surrogate pair or is not UTF-8.
pub(super) fn unescape(text: &[u8], to: &mut String) -> Option<()> {
    let from = to.len();
    let done = std::str::from_utf8(text).ok().and_then(|text| append(text, to));
    if done.is_none() {
        to.truncate(from);
    }
    done
}

fn append(text: &str, to: &mut String) -> Option<()> {
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        to.push_str(plain);
        let (char, after) = match escape.as_bytes().first()? {
            b'u' => unit(&escape[1..])?,
            b'b' => ('\u{8}', &escape[1..]),
            b'f' => ('\u{c}', &escape[1..]),
            b'n' => ('\n', &escape[1..]),
            b'r' => ('\r', &escape[1..]),
            b't' => ('\t', &escape[1..]),
            other => (char::from(*other), escape.get(1..)?),
        };
        to.push(char);
        rest = after;
    }
    to.push_str(rest);
    Some(())
}

/// The character of one or two UTF-16 units, and the text after them.
fn unit(text: &str) -> Option<(char, &str)> {
    let hex = |text: &str| u32::from_str_radix(text.get(..4)?, 16).ok();
    let (first, rest) = (hex(text)?, text.get(4..)?);
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first)?, rest));
    }
    let second = rest.strip_prefix("\\u")?;
    let low = hex(second).filter(|unit| (0xdc00..0xe000).contains(unit))?;
    let char = char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00))?;
    Some((char, &second[4..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn escapes_are_read_as_serde_json_reads_them(
            parts in prop::collection::vec(prop_oneof![
                "[a-z é😀]{0,4}",
                "\\\\[\"\\\\/bfnrt]",
                "\\\\u[0-9a-fA-F]{4}",
                "\\\\ud[89ab][0-9a-f]{2}\\\\ud[c-f][0-9a-f]{2}",
            ], 0..8)
        ) {
            let text = parts.concat();
            let expected = serde_json::from_str::<String>(&format!("\"{text}\"")).ok();
            let mut found = "before".to_owned();
            let done = unescape(text.as_bytes(), &mut found);
            prop_assert_eq!(done.map(|()| &found["before".len()..]), expected.as_deref());
            prop_assert!(done.is_some() || found == "before");
        }
    }
}

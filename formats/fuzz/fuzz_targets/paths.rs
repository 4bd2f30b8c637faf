//! The fuzzer's bytes as paths and a record: the parser finds what its slow twin finds.
//!
//! The first line is the path of the array of events, or empty. The paths of fields follow, a line each, up to an empty
//! line. The rest is the record.
#![no_main]

// Where the twin looks for them.
use crest_formats::{parser, path, plan_builder, refusal, schema};

#[path = "../../src/parser/twin.rs"]
mod twin;

/// What a field can be beside a path is not the twin's.
fn is_path(text: &str) -> bool {
    !text.contains('{') && !text.starts_with("record:") && text.parse::<path::Path>().is_ok()
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\n\n") else { return };
    let (Ok(head), record) = (std::str::from_utf8(&bytes[..end]), &bytes[end + 2..]) else { return };
    let mut lines = head.split('\n').map(str::to_owned);
    let each = lines.next().filter(|each| !each.is_empty());
    let names: Vec<String> = lines.collect();
    if !each.iter().chain(&names).all(|path| is_path(path)) {
        return;
    }
    let each = each.as_deref();
    assert_eq!(twin::found(record, each, &names), twin::expected(record, each, &names));
});

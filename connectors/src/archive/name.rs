//! What a block is called: its name says which offsets it covers, how many records it has, and their time stamps, so that
//! a listing tells what is there.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// What the names of blocks end with.
const ENDING: &str = ".ndjson.zst";
/// In place of time stamps, where no record has one.
const NO_TIMES: &str = "none";

/// The last part of a block's name: `FROM-TO_RECORDS_OLDEST-NEWEST.ndjson.zst`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlockName {
    /// The offsets that it covers.
    pub(crate) offsets: Range<i64>,
    /// How many records it has.
    pub(crate) records: u64,
    /// The oldest and the newest time stamp, in milliseconds since 1970 UTC.
    pub(crate) times: Option<(i64, i64)>,
}

impl fmt::Display for BlockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BlockName { offsets, records, times } = self;
        write!(f, "{:020}-{:020}_{records}_", offsets.start, offsets.end)?;
        match times {
            Some((oldest, newest)) => write!(f, "{oldest}-{newest}{ENDING}"),
            None => write!(f, "{NO_TIMES}{ENDING}"),
        }
    }
}

impl FromStr for BlockName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let pair = |text: &str| {
            let (first, second) = text.split_once('-')?;
            Some((first.parse::<i64>().ok()?, second.parse::<i64>().ok()?))
        };
        let mut parts = text.strip_suffix(ENDING).ok_or(())?.split('_');
        let (from, to) = parts.next().and_then(pair).filter(|(from, to)| from < to).ok_or(())?;
        let records = parts.next().and_then(|records| records.parse().ok()).ok_or(())?;
        let times = match parts.next().ok_or(())? {
            NO_TIMES => None,
            times => Some(pair(times).ok_or(())?),
        };
        let name = BlockName { offsets: from..to, records, times };
        if parts.next().is_none() { Ok(name) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written_and_nothing_else_is_one() {
        for times in [None, Some((5, 1_711_670_400_000))] {
            let name = BlockName { offsets: 7..4103, records: 4000, times };
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        let text = "00000000000000000007-00000000000000004103_4000_none.ndjson.zst";
        assert!(text.parse::<BlockName>().is_ok());
        for other in
            ["", "7-3_1_none.ndjson.zst", "7-8_1_none.ndjson", "7-8_1_none_2.ndjson.zst", "a.ndjson.zst"]
        {
            assert!(other.parse::<BlockName>().is_err(), "{other}");
        }
    }
}

//! What an interval is compared with: an equally long one before it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// No log reaches further back.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// The interval that another one is compared with, which is as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Against {
    /// The one that ends where it begins.
    Previous,
    /// The same one, so much earlier.
    Earlier(Duration),
}

impl Against {
    /// How much earlier it is than an interval of this length.
    pub fn earlier_than(self, length: Duration) -> Duration {
        match self {
            Against::Previous => length,
            Against::Earlier(by) => by,
        }
    }
}

impl fmt::Display for Against {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Against::Previous => to.write_str("previous"),
            // As it is usually typed, and without spaces, since it is part of a key.
            Against::Earlier(by) => {
                let mut left = by.as_millis();
                for (ms, unit) in
                    [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")]
                {
                    if left >= ms {
                        write!(to, "{}{unit}", left / ms)?;
                        left %= ms;
                    }
                }
                Ok(())
            }
        }
    }
}

/// What is no [`Against`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be previous, or a time such as 1d or 7d, of less than 100 years, by which the window compared with is earlier"
)]
pub struct NotAgainst;

impl FromStr for Against {
    type Err = NotAgainst;

    fn from_str(text: &str) -> Result<Self, NotAgainst> {
        if text == "previous" {
            return Ok(Against::Previous);
        }
        let by = humantime::parse_duration(text).ok().filter(|by| by.as_millis() > 0 && *by < LONGEST);
        by.map(Against::Earlier).ok_or(NotAgainst)
    }
}

impl TryFrom<String> for Against {
    type Error = NotAgainst;

    fn try_from(text: String) -> Result<Self, NotAgainst> {
        text.parse()
    }
}

impl From<Against> for String {
    fn from(against: Against) -> String {
        against.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let hours = |hours: u64| Against::Earlier(Duration::from_secs(hours * 3600));
        for (text, against) in [
            ("previous", Against::Previous),
            ("1d", hours(24)),
            ("7d", hours(168)),
            ("1d12h", hours(36)),
            ("1h30m", Against::Earlier(Duration::from_secs(5400))),
        ] {
            assert_eq!((text.parse(), against.to_string().as_str()), (Ok(against), text));
        }
        assert_eq!("24h".parse(), Ok(hours(24)));
        for text in ["", "0s", "last", "-1d", "1000years"] {
            assert_eq!(text.parse::<Against>(), Err(NotAgainst), "{text}");
        }
    }
}

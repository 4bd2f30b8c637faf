//! The clocks: that of this machine beside those of the servers, and beside the newest time stamp in the source.

use super::finding::Finding;
use crate::launch::state::time;
use crest_host::clock::wall_clock_ms;
use std::time::Duration;

/// Clocks that are so far apart are wrong, and not only asked over a slow network.
const APART_MS: u64 = 5_000;

/// What is known of other clocks.
#[derive(Debug, Default)]
pub struct Times {
    /// By how many milliseconds the clock of each server is ahead of this machine's.
    pub servers: Vec<(String, i64)>,
    /// The newest time stamp of the brokers in the sample, in milliseconds since 1970.
    pub newest: Option<i64>,
}

/// Compares. `most_ahead` is how far an event may be ahead of its broker's time.
pub fn check(times: &Times, most_ahead: Duration) -> Vec<Finding> {
    compare(times, most_ahead, wall_clock_ms())
}

fn compare(times: &Times, most_ahead: Duration, now: i64) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (server, ahead) in times.servers.iter().filter(|(_, ahead)| ahead.unsigned_abs() > APART_MS) {
        let (by, way) = (duration(ahead.unsigned_abs()), if *ahead > 0 { "ahead of" } else { "behind" });
        let found = format!("the clock of {server} is {by} {way} this machine's");
        findings.push(Finding::fix("clock", found, "set both by NTP, as chrony or systemd-timesyncd do"));
    }
    let ahead = times.newest.map_or(0, |newest| newest.saturating_sub(now));
    if ahead.unsigned_abs() > millis(most_ahead) && ahead > 0 {
        let by = duration(ahead.unsigned_abs());
        let found = format!("the newest record is stamped {by} ahead of this machine's clock");
        let fix = "set the clocks of this machine, of the brokers and of who writes to them by NTP: events that are \
                   ahead by more than max_future_skew are refused";
        findings.push(Finding::fix("clock", found, fix));
    }
    if findings.is_empty() {
        let beside = match times.servers.len() {
            0 => "no server tells its own".to_owned(),
            1 => "that of Redis agrees".to_owned(),
            more => format!("those of {more} Redis servers agree"),
        };
        findings.push(Finding::ok("clock", format!("{}; {beside}", time(now))));
    }
    findings
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// In whole seconds, as people write it.
fn duration(ms: u64) -> String {
    humantime::format_duration(Duration::from_secs(ms / 1000)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(servers: &[(&str, i64)], newest: Option<i64>) -> Vec<String> {
        let servers = servers.iter().map(|(name, ahead)| (name.to_string(), *ahead)).collect();
        let found = compare(&Times { servers, newest }, Duration::from_secs(60), 1_711_670_400_000);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn clocks_may_differ_by_what_a_network_takes() {
        let well = ["ok   clock         2024-03-29T00:00:00.000Z; that of Redis agrees"];
        assert_eq!(lines(&[("r", 4_999)], None), well);
        assert_eq!(lines(&[("r", -4_999)], Some(1_711_670_460_000)), well);
        assert_eq!(lines(&[("r", 3_600_500), ("s", 0)], None).len(), 1);
        assert!(lines(&[("r", 3_600_500)], None)[0].contains("r is 1h ahead of this machine's"));
        assert!(lines(&[("r", -5_001)], None)[0].contains("r is 5s behind this machine's"));
        assert!(lines(&[], None)[0].contains("no server tells its own"));
    }

    #[test]
    fn a_record_of_the_future_is_told_and_one_of_the_past_is_not() {
        let found = lines(&[], Some(1_711_670_400_000 + 120_000));
        assert!(found[0].starts_with("fix") && found[0].contains("2m ahead"), "{found:?}");
        assert!(lines(&[], Some(0))[0].starts_with("ok"));
        assert!(lines(&[], Some(i64::MIN))[0].starts_with("ok"));
    }
}

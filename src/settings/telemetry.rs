//! Where telemetry is sent, and what is said of its sender.

use super::error::{SettingsError, refuse};
use super::keys::{Keyed, Keys};
use crate::file::{Property, TelemetrySection};
use crate::telemetry::{Header, Options};
use crest_connectors::without_secrets;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;
use ureq::http::{HeaderName, HeaderValue, Uri};

const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);
/// A file that is longer is another one than was meant.
const LONGEST_FILE: u64 = 64 << 10;
/// What a request says of itself.
const OWN_HEADERS: [&str; 5] = ["connection", "content-length", "content-type", "host", "transfer-encoding"];

/// The flags' collector, or else the file's. Where there is none, the rest is not looked at.
pub fn resolve(keys: &Keys<'_>, file: TelemetrySection) -> Result<Option<Options>, SettingsError> {
    let typed = &keys.run.telemetry;
    let given = keys.given("otlp", typed.otlp.clone(), "telemetry.otlp", file.otlp);
    let Some(given) = given.filter(|given| given.value != "off") else { return Ok(None) };
    let url = collector(&given)?;
    let interval = match file.interval.as_deref() {
        None => DEFAULT_INTERVAL,
        Some(text) => match humantime::parse_duration(text) {
            Ok(interval) if INTERVALS.contains(&interval) => interval,
            _ => {
                let allowed = "must be a duration from 100ms to 1h, such as 10s";
                return refuse(keys.in_file("telemetry.interval"), format!("{text:?}"), allowed);
            }
        },
    };
    let service_name = file.service_name.unwrap_or_else(|| "crest".to_owned());
    if service_name.trim().is_empty() {
        let allowed = "must be a name";
        return refuse(keys.in_file("telemetry.service_name"), format!("{service_name:?}"), allowed);
    }
    let mut headers = Vec::new();
    for (name, value) in &file.headers {
        add(&mut headers, &keys.in_file(&format!("telemetry.headers.{name}")), name, value)?;
    }
    if let Some(path) = file.headers_file.as_deref() {
        add_lines(&mut headers, &keys.in_file("telemetry.headers_file"), path)?;
    }
    for text in typed.otlp_header.iter().filter(|text| !text.trim().is_empty()) {
        let key = keys.flag("otlp_header");
        let Some((name, value)) = text.split_once('=') else {
            return refuse(key, "***", "must be NAME=VALUE");
        };
        add(&mut headers, &key, name, value)?;
    }
    let attributes = Property::into_texts(file.attributes);
    if attributes.contains_key("") {
        return refuse(keys.in_file("telemetry.attributes"), "\"\"", "must have a name for each attribute");
    }
    let traces = file.traces.unwrap_or(true);
    Ok(Some(Options { url, headers, interval, traces, service_name, attributes }))
}

/// The URL, without a slash at its end.
fn collector(given: &Keyed) -> Result<String, SettingsError> {
    let url = given.value.trim_end_matches('/');
    let usable = |uri: &Uri| {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let signal = ["/v1/metrics", "/v1/traces"].iter().any(|path| uri.path().ends_with(path));
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && !authority.contains('@')
            && uri.query().is_none()
            && !signal
    };
    if url.parse().is_ok_and(|uri| usable(&uri)) && !url.contains('#') {
        return Ok(url.to_owned());
    }
    let allowed = "must be http://host:port or https://host, maybe with a path before /v1/metrics, and no user (see --otlp-header); or off";
    refuse(&given.key, format!("{:?}", without_secrets(&given.value)), allowed)
}

/// Adds a header, in place of one of this name.
fn add(headers: &mut Vec<Header>, key: &str, name: &str, value: &str) -> Result<(), SettingsError> {
    let Ok(name) = HeaderName::from_bytes(name.trim().as_bytes()) else {
        return refuse(key, format!("{name:?}"), "must have the name of a header");
    };
    if OWN_HEADERS.contains(&name.as_str()) {
        return refuse(
            key,
            format!("{:?}", name.as_str()),
            "must be another header than those of any request",
        );
    }
    let Ok(value) = HeaderValue::from_str(value.trim()) else {
        return refuse(key, "***", "must be a text of ASCII without control characters");
    };
    headers.retain(|header| header.name != name);
    headers.push(Header { name, value });
    Ok(())
}

fn add_lines(headers: &mut Vec<Header>, key: &str, path: &Path) -> Result<(), SettingsError> {
    let shown = path.display();
    let too_long = std::fs::metadata(path).is_ok_and(|found| found.len() > LONGEST_FILE);
    let text = match std::fs::read_to_string(path) {
        Ok(_) if too_long => return refuse(key, shown, format!("must hold at most {LONGEST_FILE} bytes")),
        Ok(text) => text,
        Err(error) => return refuse(key, shown, format!("cannot be read: {error}")),
    };
    for (place, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let Some((name, value)) = line.split_once('=') else {
            return refuse(
                key,
                shown,
                format!("must hold NAME=VALUE in each line, and not in line {}", place + 1),
            );
        };
        add(headers, &format!("{key}, line {}", place + 1), name, value)?;
    }
    Ok(())
}

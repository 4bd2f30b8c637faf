//! Single values, from text: durations, addresses, how to read a source.

use super::error::{SettingsError, refuse};
use crest_connectors::{Compression, Framing, OnGap, Start, UnknownCompression, UnknownFraming};
use std::time::Duration;

/// `10s`, `500ms`, `1h 30m`.
pub fn duration(key: &str, text: &str) -> Result<Duration, SettingsError> {
    humantime::parse_duration(text)
        .or_else(|_| refuse(key, format!("{text:?}"), "must be a duration such as 10s, 500ms or 1h"))
}

/// `8MiB`, `500KB`, `1024`.
pub fn bytes(key: &str, text: &str) -> Result<u64, SettingsError> {
    let parsed = text.parse::<bytesize::ByteSize>().map(|size| size.as_u64());
    parsed.or_else(|_| refuse(key, format!("{text:?}"), "must be a number of bytes such as 8MiB"))
}

/// `host:port`.
pub fn address(key: &str, text: &str, more: &str) -> Result<String, SettingsError> {
    let parts = text.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
    match parts {
        Some((host, Ok(_))) if !host.is_empty() && !host.contains(char::is_whitespace) => Ok(text.into()),
        _ => refuse(key, format!("{text:?}"), format!("must be host:port{more}")),
    }
}

/// See [`Start::from_str`](std::str::FromStr::from_str).
pub fn start(key: &str, text: &str) -> Result<Start, SettingsError> {
    let allowed = "must be earliest, latest, a time such as 2026-03-10T10:15:00Z, or offsets such as 0=123,1=456, and of several topics \
         a:0=123,b:0=456";
    text.parse().or_else(|_| refuse(key, format!("{text:?}"), allowed))
}

/// `fail` or `skip`.
pub fn on_gap(key: &str, text: &str) -> Result<OnGap, SettingsError> {
    text.parse().or_else(|_| refuse(key, format!("{text:?}"), "must be fail or skip"))
}

/// `auto`, `lines`, `array` or `documents`.
pub fn framing(key: &str, text: &str) -> Result<Framing, SettingsError> {
    text.parse().or_else(|error: UnknownFraming| refuse(key, format!("{text:?}"), error.to_string()))
}

/// `auto`, `none`, `gzip` or `zstd`.
pub fn compression(key: &str, text: &str) -> Result<Compression, SettingsError> {
    text.parse().or_else(|error: UnknownCompression| refuse(key, format!("{text:?}"), error.to_string()))
}

//! Where the API listens, who may ask it, where events that are sent to it go, and its limits.

use super::error::{SettingsError, refuse};
use super::keys::{Keyed, Keys};
use super::value;
use crate::file::{HttpSection, LimitsSection, OneOrMore, Switch};
use crate::http::{Access, IngestLimits, Limits, Policy, Token};
use axum::http::HeaderValue;
use crest_connectors::endpoint::{EndpointError, KafkaSourceUrl, KafkaUrl};
use crest_connectors::without_secrets;
use crest_formats::decode::FormatSpec;

/// Where the page and the API are unless told otherwise: nobody but this machine reaches it.
pub const DEFAULT_HTTP: &str = "127.0.0.1:8080";
/// Shorter tokens are guessed.
const LEAST_TOKEN: usize = 16;

/// The API of this process.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpSettings {
    /// As host:port; `None` for nowhere.
    pub listen: Option<String>,
    /// Where events that are sent to it go.
    pub ingest: IngestTo,
    /// Who may ask it, for whose pages, and its limits.
    pub policy: Policy,
}

/// Where events that are sent to the API go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngestTo {
    /// Where the job reads, if events can be added there; nobody has asked for it.
    Default,
    /// Where the job reads, if events can be added there.
    Source,
    /// A Kafka topic.
    Topic(KafkaUrl),
    /// Nowhere.
    Off,
}

/// The file is shared by all processes, so where it says to listen is for process 0; a flag is for its own process.
pub fn resolve(
    keys: &Keys<'_>,
    file: HttpSection,
    first: bool,
    bounded: bool,
) -> Result<HttpSettings, SettingsError> {
    let listen = listen(keys, file.listen.filter(|_| first), first, bounded)?;
    let ingest = ingest(keys, file.ingest)?;
    let run = keys.run;
    let tokens = |id: &str, typed: &[String], filed: Option<OneOrMore>| {
        let typed = Some(typed.to_vec()).filter(|tokens| !tokens.is_empty());
        let given = keys.given(
            id,
            typed,
            &format!("http.tokens.{}", id.trim_end_matches("_token")),
            filed.map(OneOrMore::into_vec),
        );
        given.map_or(Ok(Vec::new()), tokens_of)
    };
    let access = Access {
        ingest: tokens("ingest_token", &run.ingest_token, file.tokens.ingest)?,
        read: tokens("read_token", &run.read_token, file.tokens.read)?,
    };
    let cors =
        file.cors.map_or(Ok(Vec::new()), |origins| cors(&keys.in_file("http.cors"), origins.into_vec()))?;
    let policy = Policy { access, cors, limits: limits(keys, file.limits)? };
    Ok(HttpSettings { listen, ingest, policy })
}

fn listen(
    keys: &Keys<'_>,
    file: Option<String>,
    first: bool,
    bounded: bool,
) -> Result<Option<String>, SettingsError> {
    match keys.given("http", keys.run.http.clone(), "http.listen", file) {
        Some(given) if given.value == "off" => Ok(None),
        Some(given) => value::address(&given.key, &given.value, " (or off)").map(Some),
        None => Ok((first && !bounded).then(|| DEFAULT_HTTP.to_owned())),
    }
}

impl HttpSettings {
    /// Events that are posted are JSON. Where the records of the job are not, none are taken.
    pub(super) fn only_json(&mut self, keys: &Keys<'_>, format: &FormatSpec) -> Result<(), SettingsError> {
        if matches!(format, FormatSpec::Json | FormatSpec::FramedJson) {
            return Ok(());
        }
        self.not_to_source(keys, "events that are posted are JSON, and the records of the source are not")
    }

    /// Events are written to one topic. Where the job reads several, it does not say which.
    pub(super) fn only_one_topic(
        &mut self,
        keys: &Keys<'_>,
        source: Option<&KafkaSourceUrl>,
    ) -> Result<(), SettingsError> {
        if source.is_none_or(|source| source.one().is_some()) {
            return Ok(());
        }
        self.not_to_source(keys, "must be one topic, kafka://host:port/topic, where the source has several")
    }

    /// No events go to where the job reads; who wants that is told why not.
    fn not_to_source(&mut self, keys: &Keys<'_>, why: &str) -> Result<(), SettingsError> {
        match &self.ingest {
            IngestTo::Default => self.ingest = IngestTo::Off,
            IngestTo::Off | IngestTo::Topic(_) => {}
            IngestTo::Source => {
                let key =
                    if keys.run.ingest.is_some() { keys.flag("ingest") } else { keys.in_file("http.ingest") };
                return refuse(key, "on", why);
            }
        }
        Ok(())
    }
}

fn ingest(keys: &Keys<'_>, file: Option<Switch>) -> Result<IngestTo, SettingsError> {
    let file = file.map(|file| match file {
        Switch::On(true) => "on".to_owned(),
        Switch::On(false) => "off".to_owned(),
        Switch::To(url) => url,
    });
    let Some(Keyed { key, value }) = keys.given("ingest", keys.run.ingest.clone(), "http.ingest", file)
    else {
        return Ok(IngestTo::Default);
    };
    match value.as_str() {
        "off" => Ok(IngestTo::Off),
        "on" => Ok(IngestTo::Source),
        url if url.starts_with("kafka://") => {
            url.parse().map(IngestTo::Topic).or_else(|error: EndpointError| {
                let (url, reason) = error.into_parts();
                refuse(key, format!("{url:?}"), reason)
            })
        }
        url => refuse(
            key,
            format!("{:?}", without_secrets(url)),
            "must be kafka://host:port/topic, on for where the job reads, or off",
        ),
    }
}

fn tokens_of(given: Keyed<Vec<String>>) -> Result<Vec<Token>, SettingsError> {
    let good =
        |token: &String| token.len() >= LEAST_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !given.value.iter().all(good) {
        let allowed = format!("must be at least {LEAST_TOKEN} letters, digits and signs of ASCII each");
        return refuse(given.key, "***", allowed);
    }
    Ok(given.value.iter().map(|token| Token::new(token)).collect())
}

fn cors(key: &str, origins: Vec<String>) -> Result<Vec<HeaderValue>, SettingsError> {
    let alone = origins.len() == 1;
    let each = |origin: String| {
        let is_origin = ["http://", "https://"].iter().any(|scheme| {
            origin
                .strip_prefix(scheme)
                .is_some_and(|host| !host.is_empty() && !host.contains(['/', ' ', '*']))
        });
        let value = HeaderValue::from_str(&origin).ok().filter(|_| is_origin || (alone && origin == "*"));
        value.map_or_else(
            || {
                refuse(
                    key,
                    format!("{origin:?}"),
                    "must be an origin such as https://shop.example, or \"*\" alone",
                )
            },
            Ok,
        )
    };
    origins.into_iter().map(each).collect()
}

fn limits(keys: &Keys<'_>, file: LimitsSection) -> Result<Limits, SettingsError> {
    let default = Limits::default();
    let key = |name: &str| keys.in_file(&format!("http.limits.{name}"));
    let count = |name: &str, given: Option<usize>, default: usize| match given {
        Some(0) => refuse(key(name), 0, "must be at least 1"),
        // What a semaphore can count, and no machine has.
        Some(many) if many > 1 << 24 => refuse(key(name), many, "must be at most 16777216"),
        given => Ok(given.unwrap_or(default)),
    };
    let body = file.body.map(|body| value::bytes(&key("body"), &body)).transpose()?;
    if let Some(body) = body.filter(|body| !(1 << 10..=64 << 20).contains(body)) {
        return refuse(key("body"), body, "must be from 1KiB to 64MiB");
    }
    let time = file.time.map(|time| value::duration(&key("time"), &time)).transpose()?;
    if let Some(time) = time.filter(|time| !(1..=3600).contains(&time.as_secs())) {
        return refuse(key("time"), humantime::format_duration(time), "must be from 1s to 1h");
    }
    let time = time.unwrap_or(default.time);
    Ok(Limits {
        ingest: IngestLimits {
            body: body.map_or(default.ingest.body, |body| body as usize),
            events: count("events", file.events, default.ingest.events)?,
            time,
        },
        connections: count("connections", file.connections, default.connections)?,
        at_door: default.at_door,
        requests: count("requests", file.requests, default.requests)?,
        streams: count("streams", file.streams, default.streams)?,
        time,
    })
}

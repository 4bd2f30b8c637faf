//! Who is told: Redis servers can be written, topics are there, webhooks can be reached, and lists can be read.

use super::finding::Finding;
use super::source::of_brokers;
use crate::launch::{Publishes, blocklists, redis_options};
use crate::settings::{IngestTo, Settings};
use crest_connectors::endpoint::{KafkaUrl, ReceiverUrl, RedisUrl, SinkUrl, WebhookUrl};
use crest_connectors::kafka::partitions_of;
use crest_connectors::redis::{RedisFault, RedisTrial, try_out};
use crest_connectors::source::SourceError;
use std::collections::BTreeMap;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

const CHECK: &str = "snapshots";
/// How long a webhook's host may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The findings, and by how many milliseconds the clocks of the servers are ahead of this machine's.
pub fn check(settings: &Settings) -> (Vec<Finding>, Vec<(String, i64)>) {
    let (mut findings, mut clocks) = (Vec::new(), Vec::new());
    let snapshots = &settings.snapshots;
    let servers = snapshots.urls.iter().filter_map(SinkUrl::redis);
    for url in servers.chain(snapshots.shards.iter().map(|shard| &shard.url)) {
        let (finding, ahead) = redis(url, settings);
        findings.push(finding);
        clocks.extend(ahead.map(|ahead| (url.to_string(), ahead)));
    }
    let topics = snapshots.urls.iter().filter_map(SinkUrl::kafka);
    findings.extend(topics.map(|url| topic(CHECK, url, &snapshots.kafka)));
    for changes in &snapshots.changes {
        findings.push(match &changes.to {
            ReceiverUrl::Kafka(url) => topic("changes", url, &snapshots.kafka),
            ReceiverUrl::Webhook(url) => webhook(url),
        });
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, kept_here(&snapshots.urls)));
    }
    if let IngestTo::Topic(url) = &settings.http.ingest {
        findings.push(topic("ingest", url, &settings.source.kafka));
    }
    if settings.spec.boards.iter().any(|board| board.blocklist.place().is_some()) {
        findings.push(match blocklists::read(&settings.spec) {
            Ok(()) => Finding::ok("blocklist", "can be read"),
            Err(failure) => Finding::fix("blocklist", failure, "make it, or let this user read it"),
        });
    }
    (findings, clocks)
}

fn kept_here(urls: &[SinkUrl]) -> &'static str {
    if urls.contains(&SinkUrl::Stdout) { "go to standard output" } else { "are kept in memory, for the API" }
}

fn redis(url: &RedisUrl, settings: &Settings) -> (Finding, Option<i64>) {
    let publishes = if settings.source.url.is_bounded() { Publishes::Bounded } else { Publishes::Live };
    match try_out(&redis_options(url, settings, publishes)) {
        Ok(RedisTrial { clock_ahead_ms, evicts }) => {
            let evicts = if evicts { "; it removes rankings by itself when it is full" } else { "" };
            let found = format!("{url}: a ranking was published and removed{evicts}");
            (Finding::ok(CHECK, found), clock_ahead_ms)
        }
        Err(fault) => (Finding::fix(CHECK, with_url(url, &fault), redis_fix(&fault)), None),
    }
}

/// An error of the connection names its server already.
fn with_url(url: &RedisUrl, fault: &RedisFault) -> String {
    match fault {
        RedisFault::Unopened(error) => error.to_string(),
        fault => format!("{url}: {fault}"),
    }
}

fn redis_fix(fault: &RedisFault) -> &'static str {
    match fault {
        RedisFault::Unopened(_) => {
            "start it, and see that the address, the user, the password and rediss:// for TLS are right"
        }
        RedisFault::ReadOnly => "name its master, or redis+sentinel://, which finds the master",
        RedisFault::Full(_) => "give it more maxmemory, or remove what else is in it",
        RedisFault::Denied(_) => {
            "let the user (ACL SETUSER) run EVALSHA, SCRIPT LOAD and what they call on keys with this key_prefix: HSET, \
             HMGET, ZADD, DEL, PEXPIRE, TYPE"
        }
        RedisFault::Failed(_) => "see what its log says",
    }
}

fn topic(check: &'static str, url: &KafkaUrl, properties: &BTreeMap<String, String>) -> Finding {
    match partitions_of(url, properties) {
        Ok(Some(partitions)) => {
            let plural = if partitions == 1 { "" } else { "s" };
            Finding::ok(
                check,
                format!("{url}: is there, with {partitions} partition{plural}; nothing was written"),
            )
        }
        Ok(None) => {
            let fix = "make it, as with kafka-topics.sh --create";
            Finding::fix(check, format!("{url}: the brokers have no such topic"), fix)
        }
        Err(error @ SourceError::Invalid { .. }) => Finding::fix(check, error, "correct the property"),
        Err(error) => {
            let said = error.to_string();
            let fix = of_brokers(&said);
            Finding::fix(check, said, fix)
        }
    }
}

/// A webhook is not called: whoever receives it would take it for a change.
fn webhook(url: &WebhookUrl) -> Finding {
    let connected = url.address().to_socket_addrs().and_then(|mut found| {
        let address = found.next().ok_or_else(|| std::io::Error::other("it has no address"))?;
        TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)
    });
    match connected {
        Ok(_) => Finding::ok("changes", format!("{url}: takes connections; nothing was sent")),
        Err(error) => {
            let fix = "see that its host and port are right, and that this machine may reach it";
            Finding::fix("changes", format!("{url}: {error}"), fix)
        }
    }
}

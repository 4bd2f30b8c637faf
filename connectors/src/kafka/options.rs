//! How topics are read.

use super::client::Properties;
use crate::endpoint::KafkaSourceUrl;
use crate::range::{OnGap, Until};
use crate::source::Partition;
use crate::start::Start;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How topics are read.
#[derive(Clone)]
pub struct KafkaOptions {
    /// The topics.
    pub url: KafkaSourceUrl,
    /// Where each partition begins.
    pub start: Start,
    /// Up to where an earlier reader came, exclusive: a partition that ends before was cut or made anew, and is
    /// refused.
    pub reached: BTreeMap<Partition, i64>,
    /// Up to where each partition is read; with none for ever, and new partitions, and of a pattern new
    /// topics, are looked for.
    pub until: Option<Until>,
    /// What to do where records are gone that were to be read.
    pub on_gap: OnGap,
    /// The consumer group to which positions are committed every 5 s, for lag tools only; none commits nothing.
    pub group_id: Option<String>,
    /// Properties of librdkafka, over the defaults chosen here.
    pub properties: Properties,
    /// How often it is looked for new partitions, and whether the topics are still the same: 0.5 s. What a new partition
    /// has is not lost while the job finds it in less time than events may be out of order.
    pub discovery_interval: Duration,
    /// How long the brokers may take to answer at the start: 10 s.
    pub connect_timeout: Duration,
    /// How long the brokers may take to tell the topics' ids, without which they can be read as well: 5 s.
    pub identity_timeout: Duration,
    /// How long an error is waited out that may be a broker's that is just coming back, or one that lasts (access
    /// denied, a topic that is gone), before the reader gives up: 30 s. Outages are waited out for ever.
    pub error_patience: Duration,
}

impl KafkaOptions {
    /// The topics from their earliest records on.
    pub fn new(url: KafkaSourceUrl) -> Self {
        KafkaOptions {
            url,
            start: Start::Earliest,
            reached: BTreeMap::new(),
            until: None,
            on_gap: OnGap::Fail,
            group_id: None,
            properties: BTreeMap::new(),
            discovery_interval: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(10),
            identity_timeout: Duration::from_secs(5),
            error_patience: Duration::from_secs(30),
        }
    }
}

impl fmt::Debug for KafkaOptions {
    /// Without the properties' values, some of which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaOptions")
            .field("url", &self.url)
            .field("start", &self.start)
            .field("reached", &self.reached)
            .field("until", &self.until)
            .field("on_gap", &self.on_gap)
            .field("group_id", &self.group_id)
            .field("properties", &self.properties.keys())
            .finish_non_exhaustive()
    }
}

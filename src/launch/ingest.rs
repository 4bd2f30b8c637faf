//! Where events that are sent to the API go: the log that the job reads, or another topic.

use super::on_demand::OnDemand;
use crate::failure::Failure;
use crate::http::Ingest;
use crate::settings::{HttpSettings, IngestTo};
use crest_connectors::append::EventLog;
use crest_connectors::endpoint::{KafkaSourceUrl, KafkaUrl};
use crest_connectors::kafka::KafkaLog;
use crest_connectors::log::Log;
use crest_connectors::source::SourceError;
use crest_state::spec::JobSpec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Opens it, where there is such. `source`: the topics that the job reads, if it does, with librdkafka's properties; `log`:
/// the embedded log, if it reads that.
///
/// # Errors
/// Kafka cannot be reached, or the topic is not there.
pub fn open(
    settings: &HttpSettings,
    (source, kafka): (Option<&KafkaSourceUrl>, &BTreeMap<String, String>),
    log: Option<&Arc<Log>>,
    spec: &Arc<JobSpec>,
) -> Result<Option<Arc<Ingest>>, Failure> {
    let one = source.and_then(KafkaSourceUrl::one);
    let log: Arc<dyn EventLog> = match (&settings.ingest, log, &one) {
        (IngestTo::Topic(url), ..) => topic("--ingest", url, kafka)?,
        (IngestTo::Default | IngestTo::Source, Some(log), _) => log.clone(),
        (IngestTo::Source, None, Some(url)) => topic("--source", url, kafka)?,
        (IngestTo::Default, None, Some(url)) => Arc::new(OnDemand::new(url, kafka)),
        (IngestTo::Default | IngestTo::Source, None, None) | (IngestTo::Off, ..) => return Ok(None),
    };
    let ingest = Ingest::new(log, spec.clone(), settings.policy.limits.ingest);
    let elsewhere = matches!(&settings.ingest, IngestTo::Topic(url) if !source.is_some_and(|s| s.reads(url)));
    Ok(Some(Arc::new(if elsewhere { ingest.read_elsewhere() } else { ingest })))
}

fn topic(flag: &str, url: &KafkaUrl, kafka: &BTreeMap<String, String>) -> Result<Arc<dyn EventLog>, Failure> {
    let log = KafkaLog::connect(url, kafka).map_err(|error| match error {
        SourceError::Invalid { .. } => Failure::Usage(format!("{flag}: {error}")),
        error => Failure::Failed(format!("events cannot be sent on: {error}")),
    })?;
    Ok(Arc::new(log))
}

//! Where events that are sent to the API go: the log that the job reads, or another topic.

use super::on_demand::OnDemand;
use crate::failure::Failure;
use crate::http::Ingest;
use crate::settings::{HttpSettings, IngestTo, SourceSettings};
use crest_connectors::append::EventLog;
use crest_connectors::kafka::KafkaLog;
use crest_connectors::log::Log;
use crest_connectors::source::SourceError;
use crest_state::spec::JobSpec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Opens it, where there is such. `log`: the embedded one, if the job reads that.
///
/// # Errors
/// Kafka cannot be reached, or the topic is not there.
pub fn open(
    settings: &HttpSettings,
    source: &SourceSettings,
    log: Option<&Arc<Log>>,
    spec: &Arc<JobSpec>,
) -> Result<Option<Arc<Ingest>>, Failure> {
    let log: Arc<dyn EventLog> = match (&settings.ingest, log) {
        (IngestTo::Topic(url), _) => topic("--ingest", url, &source.kafka)?,
        (IngestTo::Default | IngestTo::Source, Some(log)) => log.clone(),
        (IngestTo::Source, None) if source.is_kafka() => topic("--source", &source.url, &source.kafka)?,
        (IngestTo::Default, None) if source.is_kafka() => Arc::new(OnDemand::new(&source.url, &source.kafka)),
        (IngestTo::Default | IngestTo::Source, None) | (IngestTo::Off, _) => return Ok(None),
    };
    let ingest = Ingest::new(log, spec.clone(), settings.terms.limits.ingest);
    let elsewhere = matches!(&settings.ingest, IngestTo::Topic(url) if *url != source.url);
    Ok(Some(Arc::new(if elsewhere { ingest.read_elsewhere() } else { ingest })))
}

fn topic(flag: &str, url: &str, kafka: &BTreeMap<String, String>) -> Result<Arc<dyn EventLog>, Failure> {
    let log = KafkaLog::connect(url, kafka).map_err(|error| match error {
        SourceError::Invalid { .. } => Failure::Usage(format!("{flag}: {error}")),
        error => Failure::Failed(format!("events cannot be sent on: {error}")),
    })?;
    Ok(Arc::new(log))
}

//! The records of a sample as JSON, by the decoders that a job has.

use super::sample::Sample;
use super::survey::Survey;
use crate::failure::Failure;
use crate::launch;
use crate::settings::Settings;
use crest_dataflows::registry::Schemas;
use crest_formats::decode::{Decode, FormatSpec, Lookup, RegisteredSchema, Registry, Undecoded};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// How long a schema registry is waited for, in all.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks at whether it has.
const PAUSE: Duration = Duration::from_millis(5);

/// The schema registry, where there is one, and how long it may still be waited for.
pub struct TrialRegistry {
    schemas: Arc<Schemas>,
    url: String,
    patience: Cell<Duration>,
}

impl TrialRegistry {
    /// Starts asking the registry of these settings.
    ///
    /// # Errors
    /// Its client cannot be started.
    pub fn of(settings: &Settings) -> Result<Option<Self>, Failure> {
        let Some(options) = settings.source.registry.clone() else { return Ok(None) };
        let url = options.url.to_string();
        let schemas = launch::start_registry(options)?;
        Ok(Some(TrialRegistry { schemas, url, patience: Cell::new(REGISTRY_PATIENCE) }))
    }

    /// For a job.
    pub fn registry(&self) -> Arc<dyn Registry> {
        self.schemas.clone()
    }

    /// Waits for a schema: says why there is none where the registry does not have it.
    ///
    /// # Errors
    /// The registry does not answer in time.
    pub fn schema(&self, id: u32) -> Result<Result<Arc<RegisteredSchema>, String>, Failure> {
        loop {
            match self.schemas.schema(id) {
                Lookup::Ready(schema) => return Ok(Ok(schema)),
                Lookup::Unknown(reason) => return Ok(Err(reason.to_string())),
                Lookup::Waiting => self.wait()?,
            }
        }
    }

    /// Waits a moment for an answer.
    fn wait(&self) -> Result<(), Failure> {
        let left = self.patience.get();
        if !left.is_zero() {
            self.patience.set(left.saturating_sub(PAUSE));
            std::thread::sleep(PAUSE);
            return Ok(());
        }
        let reason = self.schemas.0.trouble().unwrap_or_else(|| "it does not answer".to_owned());
        Err(Failure::Failed(format!("the registry {}: {reason}", self.url)))
    }
}

/// The fields of a sample's records. Those that are not of the format are left out.
///
/// # Errors
/// The format cannot be read, or its registry does not answer.
pub fn survey(
    sample: &Sample,
    format: &FormatSpec,
    registry: Option<&TrialRegistry>,
) -> Result<Survey, Failure> {
    let mut survey = Survey::new(format.untyped());
    for partition in &sample.partitions {
        // A partition with a header has a decoder of its own, and the others may.
        let mut decoder = format.decoder(registry.map(TrialRegistry::registry)).map_err(Failure::of)?;
        if let (Some(decoder), Some(header)) = (&mut decoder, &partition.header) {
            // All rows are refused where the header is none.
            let _ = decoder.header(header);
        }
        for kept in &partition.records {
            let kept = kept.record();
            let Some(bytes) = kept.payload.bytes() else { continue };
            let Some(json) = decoded(decoder.as_deref_mut(), bytes, registry)? else { continue };
            let Ok(record) = serde_json::from_slice(&json) else { continue };
            survey.record(&record);
            if let Some(key) = kept.key.and_then(|key| std::str::from_utf8(key).ok()) {
                survey.beside("record:key", key);
            }
        }
    }
    Ok(survey)
}

fn decoded(
    decoder: Option<&mut (dyn Decode + 'static)>,
    bytes: &[u8],
    registry: Option<&TrialRegistry>,
) -> Result<Option<Vec<u8>>, Failure> {
    let Some(decoder) = decoder else { return Ok(Some(bytes.to_vec())) };
    let mut json = Vec::new();
    loop {
        match (decoder.decode(bytes, &mut json), registry) {
            (Ok(()), _) => return Ok(Some(json)),
            (Err(Undecoded::Waiting), Some(registry)) => registry.wait()?,
            (Err(_), _) => return Ok(None),
        }
    }
}

//! The calls of a registry's API.

use super::options::{RegistryAuth, RegistryOptions, RegistryUrl};
use super::schema::Schema;
use crate::http_agent::{Patience, agent};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::time::Duration;
use ureq::Agent;
use url::Url;

/// For a whole call.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest answer that is read.
const MAX_ANSWER_BYTES: u64 = 4 << 20;
/// The most schemas that one may refer to, those behind others included, and …
const MAX_REFERENCES: usize = 200;
/// … the most bytes of all of them.
const MAX_TEXT_BYTES: usize = 8 << 20;

/// Why there is no schema.
pub(super) enum NoSchema {
    /// The registry does not have it, or has one that is too long.
    Unknown(String),
    /// The registry is of no use just now.
    Outage(String),
}

impl NoSchema {
    /// The same of a schema that is asked for because another one refers to it.
    fn of_reference(self, name: &str) -> Self {
        let reason = |reason| format!("the schema {name:?} that it refers to: {reason}");
        match self {
            NoSchema::Unknown(why) => NoSchema::Unknown(reason(why)),
            NoSchema::Outage(why) => NoSchema::Outage(reason(why)),
        }
    }
}

/// Asks a registry.
pub(super) struct Client {
    agent: Agent,
    pub(super) url: RegistryUrl,
    authorization: Option<String>,
}

/// A schema as the registry tells it.
#[derive(Deserialize)]
struct Told {
    schema: String,
    /// Absent for Avro.
    #[serde(rename = "schemaType")]
    language: Option<String>,
    #[serde(default)]
    references: Vec<Reference>,
}

#[derive(Clone, Deserialize, PartialEq, Eq, Hash)]
struct Reference {
    name: String,
    subject: String,
    version: i64,
}

/// An error as the registry tells it.
#[derive(Deserialize)]
struct Wrong {
    error_code: i64,
    #[serde(default)]
    message: String,
}

impl Client {
    pub(super) fn new(options: &RegistryOptions) -> Self {
        let authorization = options.auth.as_ref().map(|auth| match auth {
            RegistryAuth::Basic { user, password } => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
            }
            RegistryAuth::Bearer(token) => format!("Bearer {token}"),
        });
        Client { agent: agent(Patience::Call(CALL_TIMEOUT)), url: options.url.clone(), authorization }
    }

    /// The schema of an id, and all that it refers to.
    pub(super) fn schema(&self, id: u32) -> Result<Schema, NoSchema> {
        let told: Told = self.get(&self.url.call(&["schemas", "ids", &id.to_string()]))?;
        let mut bytes = told.schema.len();
        let (mut references, mut seen, mut open) = (Vec::new(), HashSet::new(), told.references);
        while let Some(reference) = open.pop() {
            if !seen.insert(reference.clone()) {
                continue;
            }
            let Reference { name, subject, version } = reference;
            let mut url = self.url.call(&["subjects", &subject, "versions", &version.to_string()]);
            // A schema may refer to one that was deleted since.
            url.set_query(Some("deleted=true"));
            let told: Told = self.get(&url).map_err(|error| error.of_reference(&name))?;
            bytes += name.len() + told.schema.len();
            if seen.len() > MAX_REFERENCES || bytes > MAX_TEXT_BYTES {
                return Err(NoSchema::Unknown("it refers to too many schemas".to_owned()));
            }
            references.push((name, told.schema));
            open.extend(told.references);
        }
        let language = told.language.unwrap_or_else(|| "AVRO".to_owned());
        Ok(Schema { language, text: told.schema, references })
    }

    fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<T, NoSchema> {
        let mut request = self.agent.get(url.as_str());
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let lost = |error: ureq::Error| NoSchema::Outage(error.to_string());
        let mut answer = request.call().map_err(lost)?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
        let body = body.map_err(|error| match error {
            // It will be as long when it is asked for again.
            ureq::Error::BodyExceedsLimit(limit) if status == 200 => {
                NoSchema::Unknown(format!("the answer is longer than {limit} bytes"))
            }
            error => lost(error),
        })?;
        if status == 200 {
            let told = serde_json::from_slice(&body);
            return told.map_err(|error| NoSchema::Outage(format!("it answers with no schema: {error}")));
        }
        let wrong = serde_json::from_slice::<Wrong>(&body);
        Err(match (status, wrong) {
            // The status alone may come from something else that listens there.
            (404 | 422, Ok(wrong)) => NoSchema::Unknown(shown(&wrong)),
            (401 | 403, _) => NoSchema::Outage(format!("it refuses the credentials, with status {status}")),
            (_, Ok(wrong)) => NoSchema::Outage(format!("it answers with status {status}: {}", shown(&wrong))),
            (_, Err(_)) => NoSchema::Outage(format!("it answers with status {status}")),
        })
    }
}

/// What a registry says is wrong, in one line that is not too long.
fn shown(wrong: &Wrong) -> String {
    let message: String = wrong.message.chars().filter(|c| !c.is_control()).take(200).collect();
    format!("{message} ({})", wrong.error_code)
}

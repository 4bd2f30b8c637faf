//! Brings messages to a webhook: one POST each, signed, in order, until the receiver takes it or refuses it for good.

use crate::endpoint::WebhookUrl;
use crate::http_agent::{Patience, agent};
use crate::outbox::{Courier, Delivery, Link, Message, Trouble};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;

/// For a whole call.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest pause that a receiver may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// What is read of an answer, so that its connection can be used again.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// Where messages are posted, and what they are signed with.
#[derive(Clone)]
pub struct Webhook {
    /// The receiver.
    pub url: WebhookUrl,
    /// The key of the signature.
    pub secret: Arc<[u8]>,
}

/// Posts messages to a webhook.
pub struct WebhookCourier {
    webhook: Webhook,
    agent: Agent,
    /// Whether the receiver refused the message before, which was told.
    refusing: bool,
}

/// What a receiver answered.
enum Answer {
    Taken,
    /// It will never take it.
    Refused(String),
    Later(Trouble),
}

impl WebhookCourier {
    /// A courier to this receiver, which is not asked anything yet.
    pub fn new(webhook: Webhook) -> Self {
        WebhookCourier { webhook, agent: agent(Patience::Call(CALL_TIMEOUT)), refusing: false }
    }

    fn post(&self, message: &Message) -> Answer {
        let Some(signature) = signature(&self.webhook.secret, &message.body) else {
            return Answer::Refused("its secret cannot sign".to_owned());
        };
        let request = self
            .agent
            .post(self.webhook.url.as_str())
            .header("content-type", "application/json")
            .header("crest-id", header_value(&message.id))
            .header("crest-signature", signature);
        let mut answer = match request.send(&message.body[..]) {
            Ok(answer) => answer,
            // What the library says may name the whole URL, which may have a secret.
            Err(error) => return Answer::Later(Trouble { reason: lost(&error), pause: None }),
        };
        let status = answer.status().as_u16();
        let pause = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()).and_then(pause);
        // Whatever it says besides.
        let _ = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
        let says = format!("it answers with status {status}");
        match status {
            200..=299 => Answer::Taken,
            408 | 425 | 429 | 500.. => Answer::Later(Trouble { reason: says, pause }),
            300..=399 => {
                Answer::Later(Trouble { reason: format!("{says}, and redirects are not followed"), pause })
            }
            _ => Answer::Refused(says),
        }
    }

    /// Tells of the first message of several that is refused.
    fn tell_of_refusal(&mut self, message: &Message, reason: &str) {
        if !self.refusing {
            let url = &self.webhook.url;
            tracing::error!(
                "{url}: {} is given up: {reason}; so is what follows, as long as that is so",
                message.id
            );
        }
        self.refusing = true;
    }
}

impl Courier for WebhookCourier {
    /// What is delivered is noted soon.
    fn most(&self) -> usize {
        1
    }

    fn deliver(&mut self, messages: &[Arc<Message>], link: &Link<'_>) -> Delivery {
        let mut delivery = Delivery::default();
        let Some(message) = messages.first().filter(|_| !link.is_closed()) else { return delivery };
        match self.post(message) {
            Answer::Taken => (delivery.done, self.refusing) = (1, false),
            Answer::Refused(reason) => {
                self.tell_of_refusal(message, &reason);
                (delivery.done, delivery.refused) = (1, 1);
            }
            Answer::Later(trouble) => delivery.trouble = Some(trouble),
        }
        delivery
    }
}

/// `sha256=` and the HMAC-SHA256 of the body, in hexadecimal.
fn signature(secret: &[u8], body: &[u8]) -> Option<String> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    hmac.update(body);
    let mut text = "sha256=".to_owned();
    for byte in hmac.finalize().into_bytes() {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

/// An id as a header can have it: what is no visible character of ASCII is written as `%` and its bytes in hexadecimal. The
/// body has it as it is.
fn header_value(id: &str) -> String {
    let mut text = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'!'..=b'~' => text.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(text, "%{byte:02X}")),
        }
    }
    text
}

/// The pause of a `Retry-After`: seconds, or a date.
fn pause(text: &str) -> Option<Duration> {
    let text = text.trim();
    let pause = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = DateTime::parse_from_rfc2822(text).ok()?.with_timezone(&Utc);
            let now = DateTime::from_timestamp_millis(crest_host::clock::wall_clock_ms())?;
            (until - now).to_std().unwrap_or(Duration::ZERO)
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}

/// Why no answer came, in words without the URL.
fn lost(error: &ureq::Error) -> String {
    match error {
        ureq::Error::BadUri(_) => "its URL cannot be used".to_owned(),
        error => format!("no answer: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_hmac_of_the_body() {
        // RFC 4231, test case 2.
        let signed = signature(b"Jefe", b"what do ya want for nothing?").unwrap();
        assert_eq!(signed, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn a_pause_is_seconds_or_a_date_and_not_without_end() {
        assert_eq!(pause("7"), Some(Duration::from_secs(7)));
        assert_eq!(pause(" 999999 "), Some(LONGEST_PAUSE));
        assert_eq!(pause("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(pause("Tue, 31 Dec 2199 23:59:59 GMT"), Some(LONGEST_PAUSE));
        assert_eq!(pause("soon"), None);
    }

    #[test]
    fn an_id_is_of_visible_characters_in_a_header() {
        assert_eq!(header_value("a/region=IN@10"), "a/region=IN@10");
        assert_eq!(header_value("a/region=Zürich x@1"), "a/region=Z%C3%BCrich%20x@1");
    }
}

//! What became of a record that librdkafka has sent, or has given up.
#![allow(unsafe_code)]

use rdkafka::bindings as ffi;
use rdkafka::message::DeliveryResult;

/// Whether a record is in the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is.
    Kept,
    /// It is not, and never will be.
    Dropped,
    /// It was sent and no answer came: nobody knows.
    Unknown,
}

impl Fate {
    /// The fate of the record in a delivery report.
    pub(super) fn of(report: &DeliveryResult<'_>) -> Self {
        let (Ok(message) | Err((_, message))) = report;
        // SAFETY: the message is librdkafka's own, and is borrowed from its event for as long as this takes.
        let status = unsafe { ffi::rd_kafka_message_status(message.ptr()) };
        match (report, status) {
            (Ok(_), _) | (_, ffi::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_PERSISTED) => Fate::Kept,
            (Err(_), ffi::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED) => Fate::Dropped,
            (Err(_), _) => Fate::Unknown,
        }
    }
}

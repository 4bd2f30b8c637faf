//! Which of Kafka's errors pass, which may, and which never do.

use rdkafka::error::RDKafkaErrorCode as Code;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// librdkafka tries again by itself: an outage, a leader that moves.
    Passing,
    /// It may pass, as while a broker comes back, or last: a topic that is gone, access denied.
    MayLast,
    /// Records are gone or cannot be read, whatever is tried.
    Fatal,
}

/// The kind of an error that came in place of a message.
pub(crate) fn kind(code: Code) -> Kind {
    match code {
        Code::LogTruncation
        | Code::Fatal
        | Code::BadMessage
        | Code::BadCompression
        | Code::NotImplemented
        | Code::UnsupportedCompressionType => Kind::Fatal,

        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::OperationTimedOut
        | Code::TimedOutQueue
        | Code::WaitingForCoordinator
        | Code::WaitCache
        | Code::InProgress
        | Code::Retry
        | Code::NodeUpdate
        | Code::BrokerDestroy
        | Code::DestroyBroker
        | Code::Unknown
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::RequestTimedOut
        | Code::BrokerNotAvailable
        | Code::ReplicaNotAvailable
        | Code::NetworkException
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::KafkaStorageError
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::OffsetNotAvailable
        | Code::PreferredLeaderNotAvailable
        | Code::EligibleLeadersNotAvailable
        | Code::ThrottlingQuotaExceeded
        | Code::RebootstrapRequired => Kind::Passing,

        _ => Kind::MayLast,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_fatal_outages_pass_and_the_unknown_may_last() {
        assert_eq!(kind(Code::LogTruncation), Kind::Fatal);
        assert_eq!(kind(Code::BrokerTransportFailure), Kind::Passing);
        assert_eq!(kind(Code::UnknownTopicOrPartition), Kind::MayLast);
        assert_eq!(kind(Code::TopicAuthorizationFailed), Kind::MayLast);
        assert_eq!(kind(Code::InvalidConfig), Kind::MayLast);
    }
}

//! What a cloud's answer means: wait, give up, or look at the manifest again.

use std::error::Error;

use object_store::client::{HttpError, HttpErrorKind};

use super::super::error::StateError;

/// A failed request, before it is known what it was about.
#[derive(Debug)]
pub(super) enum Failure {
    /// It may succeed later.
    Unreachable(String),
    /// It will not.
    Refused(String),
    /// A condition did not hold.
    Conflict(String),
}

impl Failure {
    /// The runtime gave a request up.
    pub(super) fn ended() -> Self {
        Failure::Unreachable("the request was given up".into())
    }

    /// The error to tell, of the place or object at `url`.
    pub(super) fn about(self, url: String) -> StateError {
        match self {
            Failure::Unreachable(reason) | Failure::Conflict(reason) => {
                StateError::Unreachable { url, reason }
            }
            Failure::Refused(reason) => StateError::Refused { url, reason },
        }
    }
}

impl From<object_store::Error> for Failure {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error as Kind;
        let reason = with_causes(&error);
        match error {
            Kind::AlreadyExists { .. } | Kind::Precondition { .. } | Kind::NotModified { .. } => {
                Failure::Conflict(reason)
            }
            Kind::Generic { .. } | Kind::JoinError { .. } if may_pass(&error, &reason) => {
                Failure::Unreachable(reason)
            }
            _ => Failure::Refused(reason),
        }
    }
}

/// Whether it is the bucket that was not found, and not an object in it: services answer 404 to both.
pub(super) fn is_of_the_bucket(error: &(dyn Error + 'static)) -> bool {
    let text = error.to_string();
    ["NoSuchBucket", "ContainerNotFound", "specified bucket does not exist"]
        .iter()
        .any(|sign| text.contains(sign))
}

/// Whether it is of the kind that ends by itself: no connection, no answer, a server that is busy or broken.
/// Whether an error may pass. An answer of the server shows only the text of its status.
fn may_pass(error: &object_store::Error, reason: &str) -> bool {
    if let Some(http) = causes(error).find_map(|cause| cause.downcast_ref::<HttpError>()) {
        return http.kind() != HttpErrorKind::Decode;
    }
    let status = reason.split("status code: ").nth(1).and_then(|rest| rest.get(..3));
    match status.and_then(|status| status.parse::<u16>().ok()) {
        Some(status) => status >= 500 || status == 408 || status == 429,
        None => reason.contains("error response"),
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause: &&'a (dyn Error + 'static)| cause.source())
}

/// The error and, of its causes, what it does not itself say.
fn with_causes(error: &object_store::Error) -> String {
    let mut text = String::new();
    for cause in causes(error).map(ToString::to_string) {
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text
}

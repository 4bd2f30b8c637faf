//! Errors of Redis in words.

use ::redis::RedisError;

/// The error in words.
pub(super) fn describe(error: &RedisError) -> String {
    // The system's own words for it are those of any call that would block.
    if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() }
}

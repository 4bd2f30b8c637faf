//! Random draws.

use crate::taken::ask;

/// A random number that no one outside can guess.
pub fn random() -> u64 {
    ask(|host| host.draw(), rand::random)
}

/// A random id that no other draw has given.
pub fn id() -> u128 {
    u128::from(random()) << 64 | u128::from(random())
}

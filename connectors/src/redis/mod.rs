//! Redis: rankings as sorted sets, which any client reads with `ZREVRANGE key 0 9 WITHSCORES`.
//!
//! Every ranking is replaced whole, together with its meta hash, by one script, and an older run of the job or
//! an older window never replaces a newer one. Of several jobs over the same keys the newest that is alive writes, see
//! `lease.rs`; what no job has written is left as it is, see `refusal.rs`. A thread of its own writes; while Redis is away,
//! the newest snapshot of each ranking waits, and is published on its return.
//!
//! [`RedisReader`] is the way back: it rebuilds what was published, from the server itself or a replica of it.
//! [`try_out`] finds out beforehand whether a job could publish.

mod call;
mod error;
mod id_set;
mod keys;
mod lease;
mod link;
mod options;
mod outcome;
mod pending;
mod read;
mod rebuild;
mod refusal;
mod remove;
mod shared;
mod sink;
mod stats;
mod trial;
mod writer;

pub use id_set::RedisIdSet;
pub use keys::RankingName;
pub use options::RedisOptions;
pub use read::{Damaged, Read, RedisReader, Tending};
pub use rebuild::Version;
pub use sink::RedisSink;
pub use stats::RedisStats;
pub use trial::{RedisFault, RedisTrial, try_out};

//! The 64-bit hash that is an item's identity in every table and on the wire.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The identity of the item `key` under `seed`: XXH3-64, whose specification is frozen, so that it is the same in
/// every process, version and machine. Never 0, which marks an empty slot (0 becomes 1).
#[inline]
pub fn item_hash(key: &[u8], seed: u64) -> u64 {
    xxh3_64_with_seed(key, seed).max(1)
}

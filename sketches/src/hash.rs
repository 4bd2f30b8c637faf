//! The 64-bit hash that is an item's identity in every table, on the wire and in stored state.
//!
//! Law: it is a function of key and seed alone, the same in every process, release and machine, so that a sketch
//! written today merges with one read in ten years. Every bound in this crate holds unless two items of one stream
//! share their hash: among `D` items, some collision touches one of `H` heavy ones with probability about
//! `H * D / 2^64`, which is 5e-7 for ten thousand heavy ones among a billion.
//!
//! That is so for items chosen by an enemy too, as long as the seed is a secret: the hash is SipHash-1-3, a
//! pseudorandom function whose key is the seed, so that nothing that is seen of it tells anything about what was not.
//! XXH3-64, which was used before, takes a fifth of the time, but a secret seed does not help it: two keys of 32
//! bytes are known that collide under one of 1,400 seeds, and others under one in 2^27 of secrets that are random
//! throughout (Cyan4973/xxHash, issue 1127), and whoever may send millions of pairs of keys has what they want. The
//! same goes for its kin, which fold a product of two words of the key.
//!
//! ```
//! use crest_sketches::item_hash;
//! assert_eq!(item_hash(b"product:abc123", 7), item_hash(b"product:abc123", 7));
//! assert_ne!(item_hash(b"product:abc123", 7), item_hash(b"product:abc123", 8));
//! ```

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The seed of all that was stored before seeds were drawn, known to everybody. Under it alone the hash is XXH3-64, as
/// it was then.
pub const FIRST_SEED: u64 = 0x6372_6573_7421;

/// The half of SipHash's key that is not the seed.
const OTHER_HALF: u64 = u64::from_le_bytes(*b"an item.");

/// The identity of the item `key` under `seed`. Never 0, which marks an empty slot: 0 becomes 1.
#[inline]
pub fn item_hash(key: &[u8], seed: u64) -> u64 {
    let hash = match seed {
        FIRST_SEED => xxh3_64_with_seed(key, seed),
        _ => sip_1_3([seed, OTHER_HALF], key),
    };
    hash.max(1)
}

/// SipHash-1-3 (Aumasson & Bernstein, "SipHash: a fast short-input PRF", 2012) of bytes that are all there.
#[inline]
fn sip_1_3([k0, k1]: [u64; 2], bytes: &[u8]) -> u64 {
    let mut state = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let mut take = |word: u64| {
        state[3] ^= word;
        round(&mut state);
        state[0] ^= word;
    };
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().for_each(|word| take(u64::from_le_bytes(*word)));
    take((bytes.len() as u64) << 56 | last_bytes(bytes));
    state[2] ^= 0xff;
    (0..3).for_each(|_| round(&mut state));
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

#[inline]
fn round(state: &mut [u64; 4]) {
    let [a, b, c, d] = state;
    (*a, *c) = (a.wrapping_add(*b), c.wrapping_add(*d));
    (*b, *d) = (b.rotate_left(13) ^ *a, d.rotate_left(16) ^ *c);
    *a = a.rotate_left(32);
    (*a, *c) = (a.wrapping_add(*d), c.wrapping_add(*b));
    (*b, *d) = (b.rotate_left(17) ^ *c, d.rotate_left(21) ^ *a);
    *c = c.rotate_left(32);
}

/// The bytes after the last whole word, as a number. Read as whole words where there are any, and without a loop.
#[inline]
fn last_bytes(bytes: &[u8]) -> u64 {
    let (len, rest) = (bytes.len(), bytes.len() % 8);
    let at = |index: usize| u64::from(bytes[index]);
    let half = |index: usize| bytes[index..].first_chunk().map_or(0, |half| u32::from_le_bytes(*half).into());
    match (rest, bytes.last_chunk::<8>()) {
        (0, _) => 0,
        (_, Some(word)) => u64::from_le_bytes(*word) >> (64 - 8 * rest),
        (4.., None) => half(0) | half(len - 4) << (8 * (len - 4)),
        (_, None) => at(0) | at(len / 2) << (8 * (len / 2)) | at(len - 1) << (8 * (len - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use siphasher::sip::SipHasher13;

    /// As the reference implementation of XXH3 in C computes them, and that of SipHash: one for each way by length. If
    /// one of them changes, nothing that was ever stored can be merged with anything new.
    #[test]
    fn golden_vectors() {
        let long = "0123456789abcdef".repeat(32);
        let vectors = [
            ("item-42", FIRST_SEED, 0xc47e_4964_d32c_8aee),
            ("product:abc123", FIRST_SEED, 0xb51a_2572_f130_3e6a),
            ("", 0, 0xd99a_84b5_c5b2_d23a),
            ("a", 0, 0x0483_348b_a1bd_e93d),
            ("item-42", 1, 0x58ea_0b1e_2c8a_abe2),
            ("product:abc123", 1, 0x29f3_a864_d20b_7a36),
            (&long, u64::MAX, 0x620b_faeb_fd4e_4088),
        ];
        for (key, seed, hash) in vectors {
            assert_eq!(item_hash(key.as_bytes(), seed), hash, "{key:?} under {seed}");
        }
    }

    proptest! {
        #[test]
        fn it_is_siphash_keyed_by_the_seed(key in prop::collection::vec(any::<u8>(), 0..100), seed: u64) {
            let reference = SipHasher13::new_with_keys(seed, OTHER_HALF).hash(&key);
            prop_assert_eq!(sip_1_3([seed, OTHER_HALF], &key), reference);
        }
    }

    /// Two keys that XXH3 takes for one, under a seed that nobody chose: from issue 1127 of its authors' repository.
    #[test]
    fn keys_that_collide_in_spite_of_a_secret_seed_do_so_no_more() {
        let block = 0x0501_0004_8200_0000_0000_4440_1012_1551_u128;
        let key = |block: u128| [[0; 16], block.to_le_bytes()].concat();
        let (one, other) = (key(block), key(!block));
        let seed = 0x2468_b3bc_26a4_4073;
        assert_eq!(xxh3_64_with_seed(&one, seed), xxh3_64_with_seed(&other, seed));
        assert_ne!(item_hash(&one, seed), item_hash(&other, seed));
    }
}

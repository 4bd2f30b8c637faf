//! Any bytes as stored sketches: refused, or a sketch that those bytes alone are of, and that can be used like any.

use super::shapes::{SEED, shapes, small};
use crest_sketches::{Digest, Merged, Ranking, Shape, WindowSum};
use xxhash_rust::xxh3::xxh3_64;

/// The greatest weight of which a few sketches can be added up.
const ADDABLE: u64 = 1 << 60;

/// Decodes the bytes, as they are and under a checksum that holds.
///
/// # Panics
/// If what is read is not what it should be.
pub fn run(bytes: &[u8]) {
    decode(bytes);
    let mut sealed = bytes.to_vec();
    if let Some((body, checksum)) = sealed.split_last_chunk_mut() {
        // XXH3-64 without a seed, as the encoding has it.
        *checksum = xxh3_64(body).to_le_bytes();
        decode(&sealed);
    }
}

fn decode(bytes: &[u8]) {
    if let Ok(digest) = Digest::decode(bytes, SEED) {
        assert_eq!(digest.encode(SEED), bytes);
        use_digest(&digest);
    }
    let distinct = [small().distinct(), small().exact().distinct()];
    for shape in shapes().into_iter().chain([small().exact()]).chain(distinct) {
        if let Ok(union) = Merged::decode(bytes, &shape) {
            assert_eq!(union.encode(), bytes);
            use_union(union, &shape);
        }
    }
}

fn use_digest(digest: &Digest) {
    assert_eq!(Digest::from_parts(digest.to_parts()).as_ref(), Ok(digest));
    if digest.total() > ADDABLE || digest.floor() > ADDABLE {
        return;
    }
    let mut window = WindowSum::new();
    window.push(1, digest);
    let twice = Digest::merge([digest, digest]);
    assert_eq!(uppers(window.rank(3)), uppers(digest.rank(3)));
    assert_eq!(uppers(window.rank_provisional(1, &[digest], 3)), uppers(twice.rank(3)));
    assert_eq!(uppers(window.rank_provisional(2, &[digest], 3)), uppers(digest.rank(3)));
    window.expire(2);
    assert_eq!((window.total(), window.floor(), window.is_empty()), (0, 0, true));
    assert_eq!((twice.total(), twice.floor()), (2 * digest.total(), 2 * digest.floor()));
    for rows in [0, 1, 5] {
        let cut = twice.clone().cut(rows);
        assert!(cut.rows().len() <= rows && cut.floor() >= twice.floor());
        let row = cut.rows().next().map(|row| (row.bounds, twice.bounds(row.hash, row.key)));
        assert!(row.is_none_or(|(cut, whole)| cut == whole));
    }
}

/// All but which comes first of two rows that have one upper bound, and one key under two hashes.
fn uppers(ranking: Ranking) -> (u64, u64, u64, Vec<u64>) {
    let uppers = ranking.rows.iter().map(|row| row.bounds.upper()).collect();
    (ranking.total, ranking.floor, ranking.outside, uppers)
}

fn use_union(mut union: Merged, shape: &Shape) {
    assert_eq!(Merged::from_parts(shape, union.to_parts()).as_ref(), Ok(&union));
    assert_eq!(union.count_min().weight(), union.total());
    use_digest(&union.cut(5));
    use_digest(&union.cut(usize::MAX));
    let (total, same) = (union.total(), union.clone());
    if union.merge(&same).is_ok() {
        assert_eq!(union.total(), 2 * total);
        use_digest(&union.cut(usize::MAX));
    } else {
        assert_eq!(union, same, "what is refused changes nothing");
    }
}

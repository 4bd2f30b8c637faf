//! What the fuzzer runs for longer, on random bytes: programs of operations on sketches, each step against twins and a
//! recount, and stored sketches of any content.

mod support;

use proptest::prelude::*;
use support::*;

/// Bytes that begin as a stored sketch of either content does.
fn stored() -> impl Strategy<Value = Vec<u8>> {
    let sketches = (stream(100), 0..40usize, prop::sample::select(shapes::shapes().to_vec()));
    let stored = sketches.prop_map(|(events, rows, shape)| {
        let union = merged(&shape, [&events[..]]);
        if rows < 20 { union.encode() } else { union.cut(rows).encode(SEED) }
    });
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (stored, changes).prop_map(|(mut bytes, changes)| {
        changes.into_iter().for_each(|(at, byte)| *at.get_mut(&mut bytes) = byte);
        bytes
    })
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn whatever_is_done_in_whatever_order_the_laws_hold(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        operations::run(&bytes);
    }

    #[test]
    fn whatever_is_stored_is_refused_or_usable(bytes in stored()) {
        decoding::run(&bytes);
    }
}

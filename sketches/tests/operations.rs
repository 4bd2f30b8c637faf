//! Random programs of operations on sketches, each step against twins and a recount: what the fuzzer runs for longer.

mod support;

use proptest::prelude::*;
use support::*;

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn whatever_is_done_in_whatever_order_the_laws_hold(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        operations::run(&bytes);
    }
}

//! The bytes of a pane, of a rollup of each level, and of a day.

use crate::day::Day;
use crest_connectors::state::StateStore;
use crest_state::inspect::Inspection;

const DAY_MS: u64 = 24 * 3600 * 1000;

pub fn measure(day: &Day) {
    let store = StateStore::open_to_read(day.default.state.to_str().unwrap(), &Default::default()).unwrap();
    let report = Inspection::open(store).unwrap().report();
    println!("{:<10} {:>8} {:>12} {:>12}", "level", "blocks", "KB each", "MB a day");
    let mut all = 0.0;
    for level in &report.levels {
        let each = level.bytes as f64 / level.blocks.max(1) as f64;
        let a_day = each * (DAY_MS / level.width_ms) as f64;
        all += a_day;
        println!("{:<10} {:>8} {:>12.1} {:>12.1}", level.level, level.blocks, each / 1e3, a_day / 1e6);
    }
    println!("{:<10} {:>8} {:>12} {:>12.1}\n", "together", "", "", all / 1e6);
}

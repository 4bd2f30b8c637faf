//! How long blocks are kept, and which have expired.

use crate::block_index::BlockIndex;
use crate::levels::{Block, Levels};
use crate::pane::Pane;
use crate::reach::Reach;
use crate::spec::JobSpec;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long the blocks of each level are kept, in event time before the durable frontier; `None` keeps them for good.
/// Blocks that the windows need are kept in any case. No block expires before the rollup above it is stored, nor before
/// the blocks below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention([Option<Duration>; 5]);

impl Default for Retention {
    /// Keeps panes for a day, rollups of 1 min for a week, of 10 min for 31 days, of 1 h for 400 days, and of 1 d for
    /// good.
    fn default() -> Self {
        Retention([Some(DAY), Some(7 * DAY), Some(31 * DAY), Some(400 * DAY), None])
    }
}

impl Retention {
    /// The names of the levels.
    pub const LEVELS: [&str; 5] = ["pane", "1m", "10m", "1h", "1d"];

    /// How long a level is kept; `None` is for good, or where there is no such level.
    pub fn of(&self, level: &str) -> Option<Duration> {
        Self::LEVELS.iter().position(|name| *name == level).and_then(|index| self.0[index])
    }

    /// Sets how long a level is kept. Returns false where there is no such level.
    pub fn set(&mut self, level: &str, age: Option<Duration>) -> bool {
        let index = Self::LEVELS.iter().position(|name| *name == level);
        index.map(|index| self.0[index] = age).is_some()
    }
}

/// The retention of one job, in panes.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    levels: Levels,
    /// For each level, how many panes before the durable frontier are kept; `None` keeps all.
    ages: Vec<Option<u64>>,
    /// For each level, how many panes before the published pane the windows made of it may still need.
    needs: Vec<u64>,
}

impl Rules {
    pub(super) fn new(spec: &JobSpec, retention: &Retention) -> Self {
        let levels = Levels::new(spec.time.pane);
        let width = levels.pane();
        let age = |level| retention.of(levels.name(level)).map(|age| width.panes(age.max(MINUTE)));
        let mut needs = vec![0; levels.count()];
        for board in &spec.boards {
            if board.has_whole_window() {
                needs[0] = u64::MAX;
            }
            for window in &board.windows {
                let Some(sliding) = window.sliding_window() else { continue };
                let mut need = |level: usize, panes: u64| needs[level] = panes.max(needs[level]);
                let reach = Reach::of(&sliding, width);
                need(reach.level(&levels, board.engine), reach.size + reach.slide);
                for against in &window.rising {
                    let earlier = width.panes(against.earlier_than(sliding.size));
                    let level = levels.dividing(&[reach.size, reach.slide, earlier]);
                    need(level, earlier + reach.size + reach.slide);
                }
            }
        }
        Rules { levels, ages: (0..levels.count()).map(age).collect(), needs }
    }

    #[cfg(test)]
    fn without_windows(self) -> Self {
        Rules { needs: vec![0; self.needs.len()], ..self }
    }

    /// Removes the blocks that have expired from the index and returns them with their epochs. They are older, seen
    /// from the durable frontier, than their level is kept, and no window needs them whose final snapshots were
    /// published up to `published`.
    pub(super) fn expire(&self, held: &mut BlockIndex, durable: Pane, published: Pane) -> Vec<(Block, u64)> {
        let mut gone = Vec::new();
        for (level, age) in self.ages.iter().enumerate() {
            let Some(age) = age else { continue };
            let keep = durable.saturating_sub(*age).min(published.saturating_sub(self.needs[level]));
            gone.extend(expire_level(&self.levels, held, level, keep));
        }
        gone
    }
}

/// Removes the blocks from `held` that have expired in another index of the same levels, and returns them. `durable` is how
/// far `held` goes: what is still to come may not have expired.
pub(super) fn follow(
    levels: &Levels,
    held: &mut BlockIndex,
    others: &BlockIndex,
    durable: Pane,
) -> Vec<(Block, u64)> {
    let expire = |level| expire_level(levels, held, level, others.from(level).min(durable));
    (0..levels.count()).flat_map(expire).collect()
}

/// Removes the blocks of a level before `keep` and returns them. The blocks below one rollup expire together, once it
/// is stored, and not before the blocks below themselves.
fn expire_level(levels: &Levels, held: &mut BlockIndex, level: usize, keep: Pane) -> Vec<(Block, u64)> {
    let above = (level + 1).min(levels.count() - 1);
    let below = level.checked_sub(1).map_or(Pane::MAX, |below| held.from(below));
    let keep = levels.block(above, keep.min(below)).start;
    if keep <= held.from(level) {
        return Vec::new();
    }
    let unbuilt = held
        .blocks(level, held.from(level)..keep)
        .map(|(block, _)| levels.block(above, block.start))
        .find(|parent| above > level && held.epoch(*parent).is_none());
    held.drop_before(level, unbuilt.map_or(keep, |parent| parent.start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::against::Against;
    use crate::manifest::tests::{levels, spec};
    use crate::spec::{Engine, WindowSpec};

    fn two_days() -> BlockIndex {
        let mut held = BlockIndex::new(&levels());
        for level in 0..4 {
            (0..2 * 8640)
                .step_by(levels().width(level) as usize)
                .for_each(|start| held.set(Block { level, start }, 1));
        }
        held
    }

    #[test]
    fn what_is_still_to_be_counted_has_not_expired_where_others_have() {
        let mut live = two_days();
        live.drop_before(0, 8640);
        let mut held = BlockIndex::new(&levels());
        assert_eq!(follow(&levels(), &mut held, &live, 360), []);
        assert_eq!(held.from(0), 360, "as far as it goes");
        held.set(Block { level: 0, start: 361 }, 2);
        assert!(held.is_sound(&levels(), 8640));
    }

    fn hours(retention: &mut Retention, level: &str, hours: u64) {
        assert!(retention.set(level, Some(Duration::from_secs(3600 * hours))));
    }

    #[test]
    fn what_windows_need_stays_however_short_the_retention() {
        let (mut retention, mut held) = (Retention::default(), two_days());
        ["pane", "1m", "10m", "1h"].iter().for_each(|level| hours(&mut retention, level, 0));
        let rules = Rules::new(&spec(), &retention);
        let gone = rules.expire(&mut held, 2 * 8640, 2 * 8640 - 3);
        // Kept are the panes of an hour and a slide, the minutes of a day and a slide, and whole blocks of the next
        // level.
        assert_eq!(held.from(0), levels().block(1, 2 * 8640 - 3 - 361).start);
        assert_eq!(held.from(1), levels().block(2, 2 * 8640 - 3 - 8646).start);
        // Wider blocks stay at least as long as narrower ones.
        let days = levels().block(3, held.from(1)).start;
        assert_eq!((held.from(2), held.from(3), held.from(4)), (days, 0, 0));
        assert_eq!(gone.len() + held.all().count(), two_days().all().count());
    }

    #[test]
    fn what_windows_are_compared_with_stays_in_blocks_that_begin_where_it_does() {
        let (mut retention, mut spec) = (Retention::default(), spec());
        ["pane", "1m", "10m", "1h"].iter().for_each(|level| hours(&mut retention, level, 0));
        let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
        for (slide, against, panes, minutes) in [
            (10, Against::Earlier(7 * hour), 8 * 360 + 1, 0),
            (10, Against::Previous, 2 * 360 + 1, 0),
            (60, Against::Earlier(day), 0, 25 * 360 + 6),
            (60, Against::Earlier(Duration::from_secs(30)), 360 + 6 + 3, 0),
        ] {
            let mut window = WindowSpec::sliding("w", hour, Duration::from_secs(slide));
            window.rising.push(against);
            spec.boards[0].windows = vec![window];
            let rules = Rules::new(&spec, &retention);
            let of_window = if slide == 10 { 0 } else { rules.levels.of_window(Engine::Sketch, 360, 6) };
            for (level, need) in [(0, panes), (1, minutes)] {
                let least = if level == of_window { 360 + slide / 10 } else { 0 };
                assert_eq!(rules.needs[level], need.max(least), "{slide} {against} level {level}");
            }
        }
    }

    #[test]
    fn nothing_goes_before_the_rollup_above_it_is_there() {
        let (mut retention, mut held) = (Retention::default(), two_days());
        hours(&mut retention, "pane", 2);
        let missing = Block { level: 1, start: 1200 };
        held.graft(1, 1200..1206, std::iter::empty());
        let rules = Rules::new(&spec(), &retention);
        rules.expire(&mut held, 2 * 8640, 2 * 8640);
        assert_eq!(held.from(0), 1200);
        held.set(missing, 2);
        rules.expire(&mut held, 2 * 8640, 2 * 8640);
        assert_eq!(held.from(0), 2 * 8640 - 720);
        // The hours stay, since no rollup of a day is stored above them.
        assert_eq!(held.from(3), 0);
    }

    #[test]
    fn rollups_that_come_late_are_never_of_what_has_expired() {
        let (mut retention, mut held) = (Retention::default(), BlockIndex::new(&levels()));
        hours(&mut retention, "pane", 1);
        hours(&mut retention, "1m", 2);
        hours(&mut retention, "10m", 3);
        let rules = Rules::new(&spec(), &retention).without_windows();
        // Each rollup is stored twenty minutes after its end.
        for pane in 0..2 * 8640u64 {
            held.set(Block { level: 0, start: pane }, 1);
            for level in 1..4 {
                let width = levels().width(level);
                if let Some(start) =
                    (pane + 1).checked_sub(120 + width).filter(|start| start.is_multiple_of(width))
                {
                    held.set(Block { level, start }, 1);
                }
            }
            rules.expire(&mut held, pane + 1, pane + 1);
            assert!(held.is_sound(&levels(), pane + 1), "{held:?}");
        }
        assert_eq!(held.from(0), 2 * 8640 - 360);
        assert!(held.from(2) > 8640 && held.from(2) <= held.from(1) && held.from(1) <= held.from(0));
    }

    #[test]
    fn panes_of_a_width_without_rollups_are_kept_as_long_as_they_say() {
        let mut spec = spec();
        spec.time.pane = Duration::from_secs(7);
        spec.boards[0].windows.clear();
        let levels = Levels::new(spec.time.pane);
        let mut held = BlockIndex::new(&levels);
        (0..100_000).for_each(|start| held.set(Block { level: 0, start }, 1));
        Rules::new(&spec, &Retention::default()).expire(&mut held, 100_000, 100_000);
        assert_eq!(held.from(0), 100_000 - 24 * 3600 / 7);
    }
}

//! Gaps that come while a log is read: what is archived covers all else, once, and the gap is told apart from offsets that
//! the log has skipped.

use super::outlet::Outlet;
use super::shared::Shared;
use super::source::{Begins, TeeSource};
use crate::archive::{Archive, Begin, Meta};
use crate::source::{Partition, Payload, Progress, Record, Source, SourceError};
use crate::state::StateStore;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::{Duration, Instant};

/// What comes next of a log.
#[derive(Clone, Debug)]
enum Step {
    /// The log has no record of this offset.
    Skip,
    Record,
    /// So many offsets are gone. Who reads hears of it at once, or with what is behind it.
    Gap(i64, bool),
}

/// A log that does as it is told.
struct Scripted {
    steps: VecDeque<Step>,
    next: i64,
    gap: Option<Range<i64>>,
}

impl Scripted {
    fn pass_gap(&mut self, lost: i64) {
        self.gap = Some(self.next..self.next + lost);
        self.next += lost;
        self.steps.pop_front();
    }
}

impl Source for Scripted {
    fn partitions(&mut self) -> &[Partition] {
        &[0]
    }

    fn name(&self, _slot: usize) -> String {
        "log/0".into()
    }

    fn read(
        &mut self,
        _slot: usize,
        limit: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<Progress, SourceError> {
        let (mut records, mut passed) = (0, false);
        while records < limit {
            match self.steps.front() {
                None if records == 0 => return Ok(Progress::Ended),
                None => break,
                Some(&Step::Gap(lost, at_once)) => {
                    // What comes before the gap is all that this call hands over, or nothing comes before it.
                    if !passed && (records == 0 || at_once) {
                        self.pass_gap(lost);
                        passed = true;
                    } else {
                        break;
                    }
                    if records > 0 {
                        break;
                    }
                }
                Some(Step::Skip) => {
                    self.next += 1;
                    self.steps.pop_front();
                }
                Some(Step::Record) => {
                    each(Record::new(self.next, Payload::Text("{}")));
                    (self.next, records) = (self.next + 1, records + 1);
                    self.steps.pop_front();
                }
            }
        }
        Ok(Progress::Read(records))
    }

    fn bounded(&self) -> bool {
        false
    }

    fn position(&self, _slot: usize) -> Option<i64> {
        Some(self.next)
    }

    fn gap(&self, _slot: usize) -> Option<Range<i64>> {
        self.gap.clone()
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Skip),
        12 => Just(Step::Record),
        1 => (1i64..5, any::<bool>()).prop_map(|(lost, at_once)| Step::Gap(lost, at_once)),
    ]
}

/// The offsets of the records of a script from offset 0 on, and of its gaps.
fn offsets(steps: &[Step]) -> (Vec<i64>, Vec<Range<i64>>) {
    let (mut next, mut records, mut gaps) = (0, Vec::new(), Vec::new());
    for step in steps {
        match step {
            Step::Skip => next += 1,
            Step::Record => {
                records.push(next);
                next += 1;
            }
            Step::Gap(lost, _) => {
                gaps.push(next..next + lost);
                next += lost;
            }
        }
    }
    (records, gaps)
}

proptest! {
    #[test]
    fn what_is_archived_is_all_but_the_gaps(
        steps in prop::collection::vec(step(), 1..60), archived in 0i64..20, wanted in 0i64..40, limit in 1usize..12,
        interval in prop::sample::select(vec![Duration::ZERO, Duration::from_secs(3600)]),
    ) {
        let (records, gaps) = offsets(&steps);
        let store = StateStore::in_memory();
        let begin = BTreeMap::from([("log/0".to_owned(), Begin { new: archived, known: archived })]);
        Meta::claim(&store, "log", None, begin).unwrap();
        let shared = Shared::new(store.clone());
        let outlet = Outlet::start(shared.clone(), 0, usize::MAX).unwrap();
        let begins = Begins { job: [(0, wanted)].into(), archive: [(0, archived)].into() };
        let inner = Box::new(Scripted { steps: steps.into(), next: 0, gap: None });
        let mut tee = TeeSource::new(inner, (shared.clone(), outlet), begins, interval, usize::MAX);
        let mut shown = Vec::new();
        while tee.read(0, limit, &mut |record| shown.push(record.offset)).unwrap() != Progress::Ended {}
        drop(tee);
        prop_assert!(shared.finish(Instant::now() + Duration::from_secs(60)));
        prop_assert_eq!(shown, records.iter().copied().filter(|o| *o >= wanted).collect::<Vec<_>>());

        let archive = Archive::in_store(store).unwrap();
        let kept: Vec<i64> = archive.offsets(0).unwrap();
        let expected: Vec<i64> = records.iter().copied().filter(|o| *o >= archived).collect();
        prop_assert_eq!(&kept, &expected, "each once");
        // No block covers what is in a gap, and blocks cover all offsets between two records that no gap parts.
        let covered = archive.covered(0);
        let is_covered = |offset: i64| covered.iter().any(|block| block.contains(&offset));
        for gap in gaps.iter().filter(|gap| gap.start >= archived) {
            prop_assert!(gap.clone().all(|offset| !is_covered(offset)), "{gap:?} in {covered:?}");
        }
        for pair in expected.windows(2) {
            let parted = gaps.iter().any(|gap| pair[0] < gap.start && gap.end <= pair[1]);
            prop_assert!(parted || (pair[0]..=pair[1]).all(is_covered), "{pair:?} in {covered:?}");
        }
        let lost = gaps.iter().map(|gap| (gap.end - gap.start.max(archived)).max(0)).sum::<i64>();
        prop_assert_eq!(shared.status().gap_offsets, lost as u64);
    }
}

#[test]
fn a_topic_whose_name_no_folder_can_have_is_refused() {
    assert!(super::check_name("orders.v2_eu-west/0").is_ok());
    for name in [".hidden/0".to_owned(), format!("{}/0", "x".repeat(201))] {
        let error = super::check_name(&name).unwrap_err().to_string();
        assert!(error.contains(&format!("{name:?} cannot be archived")), "{error}");
    }
}

//! Compares windows of all levels with a naive merge of their panes.

mod cut_off;

use super::board::BoardWindows;
use super::resume_point::ResumePoint;
use super::{Restoring, TURN};
use crate::admission::Places;
use crate::job::Job;
use crate::status::JobView;
use crest_connectors::group_key::GroupKey;
use crest_connectors::snapshot::{SinkError, Snapshot, SnapshotSink};
use crest_connectors::source::{Source, SourceError, SourceFactory};
use crest_sketches::{Digest, Merged, PaneSketch, Shape};
use crest_state::input::Input;
use crest_state::levels::Block;
use crest_state::pane::{EncodedGroups, Pane, PaneDigests};
use crest_state::spec::{BoardSpec, Engine, JobSpec, SketchSpec, WindowSpec};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// Sizes and slides in panes of 10 s, made of panes, of minutes and of 10 minutes.
const WINDOWS: [(&str, u64, u64); 8] = [
    ("1m/10s", 6, 1),
    ("1h/10s", 360, 1),
    ("1h/1m", 360, 6),
    ("24h/1m", 8640, 6),
    ("each_15m", 90, 90),
    ("each_1h", 360, 360),
    ("each_1d", 8640, 8640),
    ("24h/10m", 8640, 60),
];
const K: usize = 5;
/// The rows of a window's nodes; a pane has eight times as many.
const ROWS_KEPT: usize = 5;

type Groups = BTreeMap<GroupKey, Digest>;
/// Closed panes of the board.
type Panes = BTreeMap<Pane, Groups>;
/// The final snapshots, by window, group and end.
type Finals = BTreeMap<(String, GroupKey, i64), Snapshot>;
type Rollups = Vec<(Block, Rc<EncodedGroups>)>;

/// A source that nobody opens.
struct Unread(bool);

impl SourceFactory for Unread {
    fn open(&self, _worker: usize, _workers: usize) -> Result<Box<dyn Source>, SourceError> {
        unreachable!("the windows are given their panes")
    }

    fn bounded(&self) -> bool {
        self.0
    }
}

#[derive(Default)]
struct Kept(Mutex<Vec<Snapshot>>);

impl SnapshotSink for Kept {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        self.0.lock().unwrap().push(Snapshot { computed_at: 0, ..Snapshot::clone(snapshot) });
    }

    fn finals_complete(&self, _board: &Arc<str>, _end: i64) {}

    fn flush(&self, _deadline: Instant) -> Result<(), SinkError> {
        Ok(())
    }
}

/// A run of the windows of one board.
struct Run {
    boards: BTreeMap<u32, BoardWindows>,
    kept: Arc<Kept>,
    rollups: Rollups,
}

impl Run {
    fn new(windows: &[(&str, u64, u64)], bounded: bool, resume_point: Option<ResumePoint>) -> Self {
        let kept = Arc::new(Kept::default());
        let seconds = |panes| Duration::from_secs(10 * panes);
        let spec = |&(name, size, slide): &(&str, u64, u64)| {
            WindowSpec::sliding(name, seconds(size), seconds(slide))
        };
        let windows = windows.iter().map(spec).collect();
        let job = Job {
            spec: Arc::new(JobSpec {
                boards: vec![BoardSpec { k: K, windows, ..BoardSpec::default() }],
                sketch: SketchSpec { rows: 32, rows_kept: ROWS_KEPT, ..SketchSpec::default() },
                ..JobSpec::default()
            }),
            source: Input::Records(Arc::new(Unread(bounded))),
            sink: kept.clone(),
            registry: None,
            rejects: None,
            view: Arc::new(JobView::new(1, 1)),
            workers_per_process: 1,
            epoch: 1,
            range: None,
            resume: None,
            audit: None,
            state: None,
        };
        let boards = BTreeMap::from([(0, BoardWindows::new(&job, 0, resume_point, None))]);
        Run { boards, kept, rollups: Vec::new() }
    }

    fn windows(&mut self) -> &mut BoardWindows {
        self.boards.get_mut(&0).unwrap()
    }

    fn closed(&mut self, pane: Pane, groups: &Groups) {
        self.windows().closed(digests(pane, groups));
    }

    /// Time passes up to `frontier`, and to the end of all when it is `None`.
    fn advance(&mut self, frontier: Option<Pane>) {
        while !self.windows().advance(frontier, Instant::now() + TURN) {}
        let rollups = self.windows().take_rollups();
        self.rollups.extend(rollups);
    }

    /// Takes in stored blocks as they come from the state.
    fn restore(&mut self, blocks: Vec<(Block, Groups)>) {
        let (sender, feed) = mpsc::channel();
        let mut restoring = Restoring { feed, block: None, places: Places::default() };
        let job = self.windows().set.job.clone();
        for (block, groups) in blocks {
            sender.send(Some((block, vec![(0, groups)]))).unwrap();
        }
        assert!(!restoring.take_in(&mut self.boards, &job, Instant::now() + TURN), "there may be more");
        sender.send(None).unwrap();
        while !restoring.take_in(&mut self.boards, &job, Instant::now() + TURN) {}
    }

    fn finals(&self) -> Finals {
        let mut finals = Finals::new();
        for snapshot in self.kept.0.lock().unwrap().iter().filter(|snapshot| snapshot.is_final) {
            let key = (snapshot.window.to_string(), snapshot.group.clone(), snapshot.window_end);
            assert_eq!(finals.insert(key, snapshot.clone()), None, "published twice");
        }
        finals
    }
}

fn digests(pane: Pane, groups: &Groups) -> PaneDigests {
    let shared = |(key, digest): (&GroupKey, &Digest)| (key.clone(), Rc::new(digest.clone()));
    PaneDigests { pane, groups: groups.iter().map(shared).collect() }
}

fn region(number: u64) -> GroupKey {
    GroupKey::from_values([("region", number.to_string())])
}

fn digest(items: impl Iterator<Item = (u64, u32)>) -> Digest {
    let spec = SketchSpec::default();
    let shape = Shape::new(32, spec.epsilon, spec.delta, spec.seed).unwrap();
    let mut sketch = PaneSketch::new(&shape);
    items.for_each(|(item, weight)| sketch.add(format!("item:{item}").as_bytes(), weight));
    let mut merged = Merged::new(&shape);
    merged.add(&sketch);
    merged.cut(8 * ROWS_KEPT)
}

/// Panes of up to `items` items, with gaps up to `longest` between them. Each has the whole board and perhaps a group.
fn panes(items: u64, longest: u64) -> impl Strategy<Value = Panes> {
    let gap = prop_oneof![12 => 1u64..4, 6 => 5u64..100, 2 => 300u64..800, 1 => longest / 2..longest];
    let counts = prop::collection::vec((0..items, 1u32..5), 1..40);
    let pane = (gap, counts, prop::option::of(0u64..7));
    (0u64..10_000, prop::collection::vec(pane, 1..40)).prop_map(|(mut at, list)| {
        let pane = |(gap, counts, group): (u64, Vec<(u64, u32)>, Option<u64>)| {
            at += gap;
            let whole = (GroupKey::WHOLE, digest(counts.into_iter()));
            let group = group.map(|item| (region(item % 2), digest(std::iter::once((item, 1)))));
            (at, group.into_iter().chain([whole]).collect())
        };
        list.into_iter().map(pane).collect()
    })
}

fn some_windows() -> impl Strategy<Value = Vec<(&'static str, u64, u64)>> {
    prop::sample::subsequence(WINDOWS.to_vec(), 1..5)
}

/// One run over all panes; time passes pane by pane, or at the end.
fn whole_run(windows: &[(&str, u64, u64)], bounded: bool, panes: &Panes, at_once: bool) -> Run {
    let mut run = Run::new(windows, bounded, None);
    go_through(&mut run, panes.iter(), at_once);
    run.advance(end_of(bounded, panes));
    run
}

fn go_through<'a>(run: &mut Run, panes: impl Iterator<Item = (&'a Pane, &'a Groups)>, at_once: bool) {
    for (pane, groups) in panes {
        run.closed(*pane, groups);
        if !at_once {
            run.advance(Some(pane + 1));
        }
    }
}

fn end_of(bounded: bool, panes: &Panes) -> Option<Pane> {
    panes.keys().last().filter(|_| !bounded).map(|last| last + 1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn windows_of_all_levels_are_the_merge_of_their_panes(
        windows in some_windows(), panes in panes(20, 3000), at_once: bool,
    ) {
        let finals = whole_run(&windows, true, &panes, at_once).finals();
        let last = *panes.keys().last().unwrap();
        for &(name, size, slide) in &windows {
            let last_end = (last + 1).next_multiple_of(slide);
            for ((_, group, end), snapshot) in finals.iter().filter(|((window, ..), _)| window == name) {
                let end = *end as u64 / 10_000;
                prop_assert!(end <= last_end && end.is_multiple_of(slide));
                let parts = panes.range(end.saturating_sub(size)..end);
                let expected = Digest::merge(parts.filter_map(|(_, groups)| groups.get(group)));
                prop_assert!(expected.is_exact());
                assert_shows(snapshot, &expected);
            }
            let key = (name.to_owned(), GroupKey::WHOLE, last_end as i64 * 10_000);
            prop_assert!(finals.contains_key(&key), "the last window is published, partly filled");
        }
    }
}

fn assert_shows(snapshot: &Snapshot, expected: &Digest) {
    let items: Vec<_> = snapshot.items.iter().map(|item| (item.item_id.as_bytes(), item.count)).collect();
    let ranking = expected.rank(K);
    let rows: Vec<_> = ranking.rows.iter().map(|row| (&row.key[..], row.bounds.upper())).collect();
    assert_eq!((snapshot.total, items), (expected.total(), rows), "{snapshot:?}");
}

#[test]
fn a_tumbling_day_shows_what_came_since_midnight() {
    let day = [("each_1d", 8640, 8640)];
    let mut run = Run::new(&day, false, None);
    let pane = |pane: u64| {
        let counts = |salt: u64| digest((0..5).map(|n| ((pane * 7 + n * salt) % 30, 1 + n as u32)));
        Groups::from([(GroupKey::WHOLE, counts(3)), (region(pane % 3), counts(1))])
    };
    let at: Vec<Pane> = (0..1500).map(|n| 100 + n * 13 + n % 5).collect();
    for pair in at.windows(2) {
        run.closed(pair[0], &pane(pair[0]));
        run.windows().open(vec![Rc::new(digests(pair[1], &pane(pair[1])))]);
        run.advance(Some(pair[0] + 1));
        let shown = std::mem::take(&mut *run.kept.0.lock().unwrap());
        let (start, end) = (pair[1] / 8640 * 8640, (pair[1] / 8640 + 1) * 8640);
        let provisional: Vec<_> = shown.iter().filter(|snapshot| !snapshot.is_final).collect();
        assert_eq!(provisional.len(), 2, "of the board and of the open pane's group");
        for snapshot in provisional {
            assert_eq!(snapshot.window_end, end as i64 * 10_000);
            let panes: Vec<Groups> =
                at.iter().filter(|at| (start..=pair[1]).contains(at)).map(|at| pane(*at)).collect();
            assert_shows(
                snapshot,
                &Digest::merge(panes.iter().filter_map(|groups| groups.get(&snapshot.group))),
            );
        }
    }
}

/// The groups of the provisional snapshots since the last call, each with its window.
fn shown(run: &Run) -> Vec<(String, String)> {
    let of = |snapshot: &Snapshot| (snapshot.window.to_string(), snapshot.group.to_string());
    let all = std::mem::take(&mut *run.kept.0.lock().unwrap());
    all.iter().filter(|snapshot| !snapshot.is_final).map(of).collect()
}

#[test]
fn only_what_may_have_changed_is_ranked_and_shown_again() {
    let mut run = Run::new(&[("1m/10s", 6, 1), ("each_15m", 90, 90)], false, None);
    let one = |item| digest(std::iter::once((item, 1)));
    let key = |text: &str| text.parse::<GroupKey>().unwrap();
    let groups = |b| Groups::from([(key(""), one(b)), (key("r=a"), one(1)), (key("r=b"), one(b))]);
    let mut open = digests(900, &groups(2));
    let show = |run: &mut Run, open: &PaneDigests| {
        run.windows().open(vec![Rc::new(open.clone())]);
        run.advance(Some(900));
        shown(run)
    };
    assert_eq!(show(&mut run, &open).len(), 6, "of each window: the whole board and two groups");
    assert_eq!(show(&mut run, &open), [], "nothing came");
    open.groups.insert(key("r=b"), Rc::new(one(3)));
    let both = |text: &str| ["1m/10s", "each_15m"].map(|window| (window.to_owned(), text.to_owned()));
    assert_eq!(show(&mut run, &open), both("r=b"), "an event of one group came");

    // The next pane: one window slides, and the other one goes on.
    let next = digests(901, &groups(2));
    run.windows().open(vec![Rc::new(open.clone()), Rc::new(next.clone())]);
    run.advance(Some(900));
    assert_eq!(shown(&run).len(), 6, "all groups have events in it");
    let later = digests(902, &Groups::from([(key(""), one(2))]));
    run.windows().open(vec![Rc::new(open.clone()), Rc::new(next.clone()), Rc::new(later)]);
    run.advance(Some(900));
    let slid = ["", "r=a", "r=b"].map(|text| ("1m/10s".to_owned(), text.to_owned()));
    let expected: BTreeSet<_> = both("").into_iter().chain(slid).collect();
    let all = shown(&run);
    assert_eq!((all.len(), BTreeSet::from_iter(all)), (4, expected), "the groups have slid on in one window");

    // A pane is closed: what had been shown of it may have been cut.
    run.closed(900, &groups(3));
    run.windows().open(vec![Rc::new(next)]);
    run.advance(Some(901));
    assert!(shown(&run).len() >= 6);
}

#[test]
fn a_provisional_ranking_shows_how_ranks_changed_since_the_last_final_one() {
    let mut run = Run::new(&[("each_20s", 2, 2)], false, None);
    let of = |counts: [(u64, u32); 2]| Groups::from([(GroupKey::WHOLE, digest(counts.into_iter()))]);
    let open = Rc::new(digests(902, &of([(1, 2), (2, 1)])));
    run.closed(900, &of([(1, 1), (2, 2)]));
    run.windows().open(vec![open.clone()]);
    run.advance(Some(901));
    let change = |run: &Run| {
        let all = std::mem::take(&mut *run.kept.0.lock().unwrap());
        all.iter().rfind(|snapshot| !snapshot.is_final).map(|snapshot| snapshot.items[0].change)
    };
    assert_eq!(change(&run), Some(None));
    run.windows().open(vec![open.clone()]);
    run.advance(Some(902));
    assert_eq!(change(&run), Some(Some(1)), "it was second in the window that has ended");
    run.windows().open(vec![open]);
    run.advance(Some(902));
    assert_eq!(change(&run), None);
}

#[test]
fn blocks_that_time_has_not_passed_are_no_rollups() {
    let whole = Groups::from([(GroupKey::WHOLE, digest(std::iter::once((1, 1))))]);
    // The second one is made of hours, which are made of what the first one is made of.
    let windows = [("each_1d", 8640, 8640), ("each_7d", 60_480, 60_480)];
    let mut run = Run::new(&windows, true, None);
    (8640..8640 + 65).for_each(|pane| run.closed(pane, &whole));
    run.advance(Some(8640 + 66));
    let count = |run: &Run, level| run.rollups.iter().filter(|(block, _)| block.level == level).count();
    assert_eq!(
        (count(&run, 1), count(&run, 2)),
        (11, 1),
        "a minute is complete though its last pane is empty"
    );
    run.closed(8640 + 70, &whole);
    run.advance(None);
    assert_eq!((count(&run, 1), run.rollups.len()), (11, 12));
    let finals = run.finals();
    assert_eq!(finals.values().map(|snapshot| snapshot.total).collect::<Vec<_>>(), [66, 66]);
}

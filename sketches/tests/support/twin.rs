//! Slow and obvious twins of the pane sketches: ordered maps, whole scans, and only what the textbook says.
//!
//! A union of sketches has no twin of its own: it is asked from its panes, one by one. What the textbook leaves open
//! is which of several least counters of Space-Saving is taken over. What follows whichever it is: the counts, as a
//! multiset; and, for each item of more than the least of them, that it has a counter, and its count. So an item has
//! at most `max(count, floor)` whichever it is, and this is what unions are checked for.

use super::laws::{Hash, Truth, by_hash};
use crest_sketches::{Bounds, CountMin, Kind, Merged, PaneSketch, Shape};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// A Count-Min matrix of 64 bits to each cell.
#[derive(Clone)]
pub struct NaiveMatrix {
    shape: Shape,
    cells: Vec<u64>,
}

impl NaiveMatrix {
    pub fn new(shape: &Shape) -> Self {
        NaiveMatrix { shape: shape.clone(), cells: vec![0; shape.depth() * shape.width()] }
    }

    /// That of a whole stream.
    pub fn of(shape: &Shape, truth: &Truth, hash: Hash) -> Self {
        let mut matrix = NaiveMatrix::new(shape);
        truth.iter().for_each(|(key, &weight)| matrix.add(hash(key), weight));
        matrix
    }

    pub fn add(&mut self, hash: u64, weight: u64) {
        places(&self.shape, hash).iter().for_each(|&place| self.cells[place] += weight);
    }

    pub fn estimate(&self, hash: u64) -> u64 {
        places(&self.shape, hash).iter().map(|&place| self.cells[place]).min().unwrap()
    }

    pub fn cells(&self) -> &[u64] {
        &self.cells
    }
}

/// The cells of items, by depth, width and hash.
type Places = HashMap<(usize, usize, u64), Rc<[usize]>>;

thread_local! {
    /// To look at every cell for every event would take most of the tests' time.
    static PLACES: RefCell<Places> = RefCell::default();
}

/// The item's cells.
fn places(shape: &Shape, hash: u64) -> Rc<[usize]> {
    let matrix = (shape.depth(), shape.width(), hash);
    PLACES.with_borrow_mut(|places| places.entry(matrix).or_insert_with(|| find_places(shape, hash)).clone())
}

/// Which cells are an item's, a matrix of nothing but the item says.
fn find_places(shape: &Shape, hash: u64) -> Rc<[usize]> {
    let mut item = CountMin::new(shape);
    item.add(hash, 1);
    let places: Rc<[usize]> =
        item.cells().enumerate().filter(|&(_, cell)| cell == 1).map(|(at, _)| at).collect();
    let rows: Vec<_> = places.iter().map(|place| place / shape.width()).collect();
    assert_eq!(rows, (0..shape.depth()).collect::<Vec<_>>(), "one cell in each row");
    places
}

/// The gated ledger as its module describes it.
#[derive(Clone)]
pub struct NaiveLedger {
    room: usize,
    /// Count and base.
    rows: BTreeMap<u64, (u64, u64)>,
    tail: NaiveMatrix,
    gate: u64,
}

impl NaiveLedger {
    fn count(&mut self, hash: u64, weight: u64) {
        if let Some((count, _)) = self.rows.get_mut(&hash) {
            *count += weight;
            return;
        }
        let estimate = self.tail.estimate(hash);
        if estimate + weight < self.gate {
            self.tail.add(hash, weight);
        } else if self.rows.len() < self.room {
            self.rows.insert(hash, (weight, estimate.min(self.gate - 1)));
        } else {
            self.raise_gate();
            self.count(hash, weight);
        }
    }

    fn raise_gate(&mut self) {
        let mut uppers: Vec<_> = self.rows.values().map(|(count, base)| count + base).collect();
        uppers.sort();
        self.gate = (uppers[self.room * 5 / 8] + 1).max(self.gate + self.gate / 8);
        for (hash, (count, _)) in self.rows.extract_if(.., |_, (count, base)| *count + *base < self.gate) {
            self.tail.add(hash, count);
        }
    }
}

/// Space-Saving.
#[derive(Clone)]
pub struct NaiveCounters {
    room: usize,
    /// Count and error.
    counters: BTreeMap<u64, (u64, u64)>,
    taken_over: bool,
}

impl NaiveCounters {
    pub fn new(room: usize) -> Self {
        NaiveCounters { room, counters: BTreeMap::new(), taken_over: false }
    }

    pub fn count(&mut self, hash: u64, weight: u64) {
        if let Some((count, _)) = self.counters.get_mut(&hash) {
            *count += weight;
        } else if self.counters.len() < self.room {
            self.counters.insert(hash, (weight, 0));
        } else {
            let (&loser, &(least, _)) = self.counters.iter().min_by_key(|(_, (count, _))| count).unwrap();
            self.counters.remove(&loser);
            self.counters.insert(hash, (least + weight, least));
            self.taken_over = true;
        }
    }

    pub fn floor(&self) -> u64 {
        let least = self.counters.values().map(|&(count, _)| count).min();
        if self.taken_over { least.unwrap() } else { 0 }
    }

    pub fn counts(&self) -> BTreeMap<u64, u64> {
        self.counters.iter().map(|(&hash, &(count, _))| (hash, count)).collect()
    }
}

/// Space-Saving beside a Count-Min matrix of everything.
#[derive(Clone)]
pub struct NaiveClassic {
    heavy: NaiveCounters,
    matrix: NaiveMatrix,
}

/// The twin of one [`PaneSketch`].
#[derive(Clone)]
pub enum NaivePane {
    Ledger(NaiveLedger),
    Classic(NaiveClassic),
}

impl NaivePane {
    pub fn new(shape: &Shape) -> Self {
        let (room, matrix) = (shape.rows(), NaiveMatrix::new(shape));
        match shape.kind() {
            Kind::Ledger => {
                NaivePane::Ledger(NaiveLedger { room, rows: BTreeMap::new(), tail: matrix, gate: 1 })
            }
            Kind::Classic => NaivePane::Classic(NaiveClassic { heavy: NaiveCounters::new(room), matrix }),
            Kind::Exact | Kind::Distinct | Kind::ExactDistinct => panic!("held against the truth itself"),
        }
    }

    pub fn count(&mut self, hash: u64, weight: u64) {
        match self {
            _ if weight == 0 => {}
            NaivePane::Ledger(ledger) => ledger.count(hash, weight),
            NaivePane::Classic(classic) => {
                classic.matrix.add(hash, weight);
                classic.heavy.count(hash, weight);
            }
        }
    }

    /// An item without a row has at most this weight.
    pub fn floor(&self) -> u64 {
        match self {
            NaivePane::Ledger(ledger) => ledger.gate - 1,
            NaivePane::Classic(classic) => classic.heavy.floor(),
        }
    }

    pub fn rows(&self) -> usize {
        match self {
            NaivePane::Ledger(ledger) => ledger.rows.len(),
            NaivePane::Classic(classic) => classic.heavy.counters.len(),
        }
    }

    /// The items that have a row, whichever least counters were taken over.
    pub fn certain(&self) -> BTreeSet<u64> {
        match self {
            NaivePane::Ledger(ledger) => ledger.rows.keys().copied().collect(),
            NaivePane::Classic(classic) => {
                let (counts, floor) = (classic.heavy.counts(), classic.heavy.floor());
                counts.into_iter().filter(|&(_, count)| count > floor).map(|(hash, _)| hash).collect()
            }
        }
    }

    /// What the row says, without the matrix.
    fn row(&self, hash: u64) -> Bounds {
        let bounds = match self {
            NaivePane::Ledger(ledger) => {
                ledger.rows.get(&hash).map(|&(count, base)| Bounds::new(count, count + base))
            }
            NaivePane::Classic(classic) => {
                let counter = classic.heavy.counters.get(&hash);
                counter.map(|&(count, error)| Bounds::new(count - error, count))
            }
        };
        bounds.unwrap_or(Bounds::at_most(self.floor()))
    }

    fn matrix(&self) -> &NaiveMatrix {
        match self {
            NaivePane::Ledger(ledger) => &ledger.tail,
            NaivePane::Classic(classic) => &classic.matrix,
        }
    }

    /// What is known of an item by panes that were each counted apart.
    pub fn bounds(panes: &[&NaivePane], hash: u64) -> Bounds {
        let Some(first) = panes.first() else { return Bounds::default() };
        let rows: Bounds = panes.iter().map(|pane| pane.row(hash)).sum();
        let sum = |place: usize| panes.iter().map(|pane| pane.matrix().cells[place]).sum::<u64>();
        let estimate = places(&first.matrix().shape, hash).iter().map(|&place| sum(place)).min().unwrap();
        match first {
            NaivePane::Ledger(_) => Bounds::new(rows.lower(), rows.lower() + rows.doubt().min(estimate)),
            NaivePane::Classic(_) => Bounds::new(rows.lower(), rows.upper().min(estimate)),
        }
    }

    /// Whether the textbook fixes lower bounds too.
    fn fixes_lower(&self) -> bool {
        matches!(self, NaivePane::Ledger(_))
    }
}

/// The sketch knows what its twin knows, and it is true.
pub fn check_sketch(sketch: &PaneSketch, twin: &NaivePane, truth: &Truth, hash: Hash) {
    assert_eq!(sketch.total(), truth.values().sum::<u64>());
    assert_eq!((sketch.rows(), sketch.is_exact()), (twin.rows(), twin.floor() == 0));
    for (hash, together) in by_hash(truth, hash) {
        let (ours, theirs) = (sketch.bounds(hash), NaivePane::bounds(&[twin], hash));
        assert!(ours.contains(together.weight), "{together:?}, said {ours:?}");
        assert_eq!(ours.upper(), theirs.upper());
        assert!(!twin.fixes_lower() || ours.lower() == theirs.lower(), "{ours:?}, {theirs:?}");
    }
    let unknown = 0x0123_4567_89ab_cdef;
    assert_eq!(sketch.bounds(unknown), NaivePane::bounds(&[twin], unknown));
}

/// The union knows what the twins of its panes know, it is true, and its matrix is that of the whole stream.
pub fn check_union(
    union: &Merged,
    twins: &[&NaivePane],
    truth: &Truth,
    unseen: u64,
    shape: &Shape,
    hash: Hash,
) {
    let plain = union.count_min();
    assert_eq!(plain.weight(), truth.values().sum::<u64>());
    assert!(plain.cells().eq(NaiveMatrix::of(shape, truth, hash).cells().iter().copied()), "cell for cell");

    let digest = union.cut(usize::MAX);
    assert_eq!(digest.floor(), twins.iter().map(|twin| twin.floor()).sum::<u64>() + unseen);
    let groups = by_hash(truth, hash);
    let mut certain: BTreeSet<_> = twins.iter().flat_map(|twin| twin.certain()).collect();
    for row in digest.rows() {
        let theirs = NaivePane::bounds(twins, row.hash);
        assert_eq!(row.bounds.upper(), theirs.upper() + unseen);
        assert!(row.bounds.contains(groups[&row.hash].weight), "{row:?}, {:?}", groups[&row.hash]);
        let known = certain.remove(&row.hash);
        if shape.kind() == Kind::Ledger {
            assert!(known && row.bounds.lower() == theirs.lower(), "{row:?}, {theirs:?}");
        }
    }
    assert!(certain.is_empty(), "each item of a row has a row");
    assert!(digest.rows().len() <= twins.iter().map(|twin| twin.rows()).sum());
}

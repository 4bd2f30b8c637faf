//! The spec of a job: what it computes, as plain values. The program makes it from flags and files and refuses what
//! cannot run (see [`JobSpec::check`]). The stages only read it.

use crate::blocklist::Blocklist;
pub use crate::filter::{Conditions, Constant, Filter};
pub use crate::window_spec::{Extent, Sliding, WindowSpec};
use crest_formats::decode::FormatSpec;
use crest_formats::names::Names;
pub use crest_formats::normalize::Rule;
use crest_formats::schema::SchemaSpec;
pub use crest_sketches::FIRST_SEED;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What a job computes. It is the same on every process of a cluster.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct JobSpec {
    /// The boards, at least one, with different names.
    pub boards: Vec<BoardSpec>,
    /// How event time moves.
    pub time: TimeSpec,
    /// The sketch of a pane.
    pub sketch: SketchSpec,
    /// Where the fields of an event are.
    pub schema: SchemaSpec,
    /// What the records are. A state may go on with another format, since the same events come in many.
    #[serde(skip)]
    pub format: FormatSpec,
    /// Whether a run that ends publishes windows without an event as well, as live runs do while time goes on.
    #[serde(skip)]
    pub empty: bool,
}

impl Default for JobSpec {
    /// A job with the default board.
    fn default() -> Self {
        JobSpec {
            boards: vec![BoardSpec::default()],
            time: TimeSpec::default(),
            sketch: SketchSpec::default(),
            schema: SchemaSpec::default(),
            format: FormatSpec::default(),
            empty: false,
        }
    }
}

impl JobSpec {
    /// The shapes of the boards' pane sketches, in the order of the boards.
    ///
    /// # Errors
    /// A size of the sketch is out of range.
    pub fn shapes(&self) -> Result<Vec<crest_sketches::Shape>, crest_sketches::ShapeError> {
        let shape = self.sketch.shape()?;
        let of = |board: &BoardSpec| {
            let shape = match board.engine {
                Engine::Sketch => shape.clone(),
                Engine::Exact => shape.clone().exact(),
            };
            if board.count.is_distinct() { shape.distinct() } else { shape }
        };
        Ok(self.boards.iter().map(of).collect())
    }

    /// Whether a board has a window of the whole input.
    pub fn has_whole_windows(&self) -> bool {
        self.boards.iter().any(BoardSpec::has_whole_window)
    }

    /// The same job with this board only, or with all boards.
    pub fn only(&self, board: Option<&str>) -> JobSpec {
        let mut spec = self.clone();
        spec.boards.retain(|found| board.is_none_or(|board| board == &*found.name));
        spec
    }

    /// The same job without windows, for a run that fills a state and publishes nothing.
    pub fn without_windows(&self) -> JobSpec {
        let mut spec = self.clone();
        spec.boards.iter_mut().for_each(|board| board.windows.clear());
        spec
    }
}

/// One leaderboard.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BoardSpec {
    /// Its name, in keys, URLs and JSON.
    pub name: Arc<str>,
    /// For each field, the values that count. An event counts if all of these fields match. The key `event_type` means
    /// the event's type, wherever the schema finds it.
    pub filter: BTreeMap<String, Filter>,
    /// For each field, the values of the events that take away what others have counted. An event that counts retracts if all
    /// of these fields match; none does where there are none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retract: BTreeMap<String, Filter>,
    /// The array whose elements are the board's events; `None` takes the schema's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// The field that names the item; `None` takes the schema's.
    pub item: Option<Names>,
    /// The event time; `None` takes the schema's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Names>,
    /// The weight; `None` takes the schema's, and no names let every event weigh 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Names>,
    /// What is counted of each item.
    #[serde(default, skip_serializing_if = "Count::is_of_events")]
    pub count: Count,
    /// What becomes of an event that the board takes and that has no usable item.
    #[serde(default, skip_serializing_if = "MissingItem::is_refused")]
    pub on_missing_item: MissingItem,
    /// Rules that are applied to the item's text, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub normalize: Vec<Rule>,
    /// The fields whose values group the board, in order. The whole board is always kept as well.
    pub by: Vec<String>,
    /// The most groups in all windows together, and in an open pane of one partition. The weight of other groups counts
    /// in the whole board, and in the rest.
    pub max_groups: usize,
    /// How the board is counted.
    #[serde(default, skip_serializing_if = "Engine::is_sketch")]
    pub engine: Engine,
    /// Whether Redis gets the running counts of all items in the bucket that is filling, at each refresh. It needs an
    /// exact board with a tumbling window.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub counters: bool,
    /// The length of the ranking.
    pub k: usize,
    /// What the ranks of rows with equal counts are.
    #[serde(default, skip_serializing_if = "Ties::is_ordinal")]
    pub ties: Ties,
    /// A row is shown only where its lower bound reaches this; 0 shows all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_count: u64,
    /// The items that are left out of its rankings. They are no part of the spec's JSON: their place may hold a secret.
    #[serde(skip)]
    pub blocklist: Blocklist,
    /// The factor of each event type; 1 where absent.
    pub weights: BTreeMap<String, u32>,
    /// The windows, at least one, with different names.
    pub windows: Vec<WindowSpec>,
}

/// What a board counts of each item.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Count {
    /// Its events, by their weights.
    #[default]
    Events,
    /// How many different values its events have in the first of these fields that they have.
    Distinct(Names),
}

impl Count {
    /// Whether it is [`Count::Events`].
    pub fn is_of_events(&self) -> bool {
        *self == Count::Events
    }

    /// Whether different values are counted.
    pub fn is_distinct(&self) -> bool {
        !self.is_of_events()
    }

    /// What the field is called whose different values are counted; `None` where events are.
    pub fn distinct(&self) -> Option<Arc<str>> {
        match self {
            Count::Events => None,
            Count::Distinct(Names(names)) => Some(names.join(" or ").into()),
        }
    }

    /// The names of the field whose different values are counted; none where events are.
    pub fn distinct_names(&self) -> &[String] {
        match self {
            Count::Events => &[],
            Count::Distinct(Names(names)) => names,
        }
    }
}

/// What becomes of an event that a board takes and that has no usable item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingItem {
    /// It is refused, and counted as such.
    #[default]
    Refuse,
    /// The board passes over it, as over an event that its filter does not take.
    Skip,
}

impl MissingItem {
    /// Whether it is [`MissingItem::Refuse`].
    pub fn is_refused(&self) -> bool {
        *self == MissingItem::Refuse
    }
}

/// What the ranks of rows with equal counts are. They are in the same order whichever it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ties {
    /// 1, 2, 3: the place of each row.
    #[default]
    Ordinal,
    /// 1, 1, 3: one more than the number of rows with greater counts.
    Competition,
    /// 1, 1, 2: one more than the number of greater counts.
    Dense,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Ties {
    /// Whether it is [`Ties::Ordinal`].
    pub fn is_ordinal(&self) -> bool {
        *self == Ties::Ordinal
    }
}

/// How a board is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Sketches of bounded size, whose every count states its bounds.
    #[default]
    Sketch,
    /// Exact counts of every item, by a differential dataflow. Its memory grows with the distinct items of the longest
    /// window.
    Exact,
}

impl Engine {
    /// Whether it is [`Engine::Sketch`].
    pub fn is_sketch(&self) -> bool {
        *self == Engine::Sketch
    }
}

/// How event time moves.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TimeSpec {
    /// The width of a pane, the smallest slot of event time that is counted apart.
    #[serde(with = "crate::duration")]
    pub pane: Duration,
    /// How far an event may be behind the newest event of its partition.
    #[serde(with = "crate::duration")]
    pub out_of_orderness: Duration,
    /// How much longer a pane stays open for late events.
    #[serde(with = "crate::duration")]
    pub allowed_lateness: Duration,
    /// A partition that was read to its end and has had no admitted event for this long holds no window back.
    #[serde(with = "crate::duration")]
    pub idle_timeout: Duration,
    /// An event whose time is further ahead of its broker time than this is refused.
    #[serde(with = "crate::duration")]
    pub max_future_skew: Duration,
    /// Whether `max_future_skew` applies to bounded sources as well. An event without a broker time is compared with
    /// the wall clock.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub guards_files: bool,
    /// How often provisional snapshots are published.
    #[serde(with = "crate::duration")]
    pub refresh: Duration,
}

/// How a pane is counted, as in [`crest_sketches::Kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum SketchKind {
    /// An exact table in front of a Count-Min tail.
    Ledger,
    /// A Count-Min matrix beside Space-Saving's counters, for comparison.
    Classic,
}

/// The seed of bounded runs, so that two runs over the same files agree. It is no secret.
pub const FIXED_SEED: u64 = 1;

/// The sketch of a pane.
#[derive(Clone, PartialEq, serde::Serialize)]
pub struct SketchSpec {
    /// How a pane is counted.
    pub kind: SketchKind,
    /// The number of items that one partition's sketch of a pane can count exactly: a power of two from 32 to 16,384.
    pub rows: usize,
    /// The number of rows that a pane of a window keeps: at least ten times the largest K. A window of more than a few
    /// thousand panes keeps fewer rows of each, down to a quarter of this number.
    pub rows_kept: usize,
    /// The error of the Count-Min matrix, as a fraction of the weight in it.
    pub epsilon: f64,
    /// The probability that the error exceeds `epsilon`.
    pub delta: f64,
    /// The seed of the item hash. All sketches that are ever merged share it. A state keeps its own, with which a job
    /// on it must run. It is a secret of the state and the job's processes, since it allows making items whose hashes
    /// collide.
    pub seed: u64,
    /// Whether the configuration names the seed. If so, a state with another one is refused.
    #[serde(skip)]
    pub seed_named: bool,
}

impl Default for TimeSpec {
    fn default() -> Self {
        TimeSpec {
            pane: Duration::from_secs(10),
            out_of_orderness: Duration::from_secs(5),
            allowed_lateness: Duration::ZERO,
            idle_timeout: Duration::from_secs(10),
            max_future_skew: Duration::from_secs(60),
            guards_files: false,
            refresh: Duration::from_secs(1),
        }
    }
}

/// Shows all but the seed, which is a secret.
impl std::fmt::Debug for SketchSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let SketchSpec { kind, rows, rows_kept, epsilon, delta, seed: _, seed_named } = self;
        let mut sketch = f.debug_struct("SketchSpec");
        sketch.field("kind", kind).field("rows", rows).field("rows_kept", rows_kept);
        sketch.field("epsilon", epsilon).field("delta", delta).field("seed_named", seed_named);
        sketch.finish_non_exhaustive()
    }
}

impl Default for SketchSpec {
    fn default() -> Self {
        SketchSpec::of(SketchKind::Ledger)
    }
}

impl Default for BoardSpec {
    /// The board of a job that configures none.
    fn default() -> Self {
        BoardSpec {
            name: "default".into(),
            filter: BTreeMap::new(),
            retract: BTreeMap::new(),
            each: None,
            item: None,
            timestamp: None,
            weight: None,
            count: Count::Events,
            on_missing_item: MissingItem::Refuse,
            normalize: Vec::new(),
            by: Vec::new(),
            max_groups: 1000,
            engine: Engine::Sketch,
            counters: false,
            k: 100,
            ties: Ties::Ordinal,
            min_count: 0,
            blocklist: Blocklist::default(),
            weights: BTreeMap::new(),
            windows: WindowSpec::defaults(Duration::from_secs(10)),
        }
    }
}

impl BoardSpec {
    /// The windows that have ends while the input goes on.
    pub fn sliding_windows(&self) -> impl Iterator<Item = Sliding<'_>> {
        self.windows.iter().filter_map(WindowSpec::sliding_window)
    }

    /// The names of the windows of the whole input.
    pub fn whole_windows(&self) -> impl Iterator<Item = &Arc<str>> {
        self.windows.iter().filter(|window| window.is_whole()).map(|window| &window.name)
    }

    /// Whether some of its events take away what others have counted.
    pub fn retracts(&self) -> bool {
        !self.retract.is_empty()
    }

    /// Whether it has a window of the whole input.
    pub fn has_whole_window(&self) -> bool {
        self.whole_windows().next().is_some()
    }
}

impl SketchSpec {
    /// The default sizes of a kind, with [`FIXED_SEED`].
    pub fn of(kind: SketchKind) -> Self {
        let rows = match kind {
            SketchKind::Ledger => 4096,
            SketchKind::Classic => 1024,
        };
        SketchSpec {
            kind,
            rows,
            rows_kept: 1024,
            epsilon: 0.001,
            delta: 0.00005,
            seed: FIXED_SEED,
            seed_named: false,
        }
    }

    /// The seed; `None` if the configuration does not name it.
    pub fn named_seed(&self) -> Option<u64> {
        self.seed_named.then_some(self.seed)
    }

    /// The shape of the pane sketches.
    ///
    /// # Errors
    /// A size is out of range.
    pub fn shape(&self) -> Result<crest_sketches::Shape, crest_sketches::ShapeError> {
        let new = match self.kind {
            SketchKind::Ledger => crest_sketches::Shape::new,
            SketchKind::Classic => crest_sketches::Shape::classic,
        };
        new(self.rows, self.epsilon, self.delta, self.seed)
    }

    /// The most rows of a closed pane of a board, merged over all partitions. A pane of an exact board keeps all rows.
    pub fn rows_of(&self, board: &BoardSpec) -> usize {
        if board.engine.is_sketch() { self.pane_rows() } else { usize::MAX }
    }

    /// The most rows of a rollup, and of a sketched pane merged over all partitions. They are more than a window keeps
    /// of each pane, so that rollups and windows of few panes choose among more items.
    pub fn pane_rows(&self) -> usize {
        8 * self.rows_kept
    }
}

//! What a tested job is told: the program reads it as a file, the recount as it is.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A job's event time and boards. Times are in ms.
#[derive(Clone, Debug)]
pub struct Rules {
    pub pane: i64,
    pub out_of_orderness: i64,
    pub allowed_lateness: i64,
    /// `None` for bounded sources, which have no such guard, and publish no window without an event.
    pub max_future_skew: Option<i64>,
    pub boards: Vec<Board>,
}

/// One board.
#[derive(Clone, Debug)]
pub struct Board {
    pub name: &'static str,
    /// A field, and the values of it that count.
    pub filter: Vec<(&'static str, Vec<&'static str>)>,
    /// A field, and the values of it by which an event takes away what others have counted.
    pub retract: Vec<(&'static str, Vec<&'static str>)>,
    /// The field that names the item, where it is not `item_id`.
    pub item: Option<&'static str>,
    pub by: Vec<&'static str>,
    /// `sketch` or `exact`.
    pub engine: &'static str,
    /// Whether Redis is to hold the counts of the bucket that is filling.
    pub counters: bool,
    pub k: usize,
    /// Factors by event type.
    pub weights: Vec<(&'static str, u64)>,
    /// The field whose different values it counts, where it does not count events.
    pub distinct: Option<&'static str>,
    pub windows: Vec<Window>,
}

/// One window of a board. Times are in ms.
#[derive(Clone, Debug)]
pub struct Window {
    pub name: &'static str,
    pub size: i64,
    pub slide: i64,
}

impl Default for Rules {
    /// What a job does that is told nothing, reading a bounded source.
    fn default() -> Self {
        Rules {
            pane: 10_000,
            out_of_orderness: 5_000,
            allowed_lateness: 0,
            max_future_skew: None,
            boards: vec![Board::default()],
        }
    }
}

impl Rules {
    /// Boards on a live source, with panes of a second and events up to two seconds out of order.
    pub fn live(boards: Vec<Board>) -> Rules {
        let (pane, out_of_orderness, max_future_skew) = (1000, 2000, Some(60_000));
        Rules { pane, out_of_orderness, max_future_skew, boards, ..Rules::default() }
    }

    /// Those with one board of twenty items and one window, which slides.
    pub fn live_sliding() -> Rules {
        let windows = vec![Window { name: "last_5s", size: 5000, slide: 1000 }];
        Rules::live(vec![Board { k: 20, windows, ..Board::default() }])
    }

    /// Those with two boards that this engine counts: of everything, and of views and sales in each region.
    pub fn live_with_groups(engine: &'static str) -> Rules {
        let windows = vec![
            Window { name: "last_5s", size: 5000, slide: 1000 },
            Window { name: "twos", size: 2000, slide: 2000 },
        ];
        let regions = Board {
            name: "regions",
            engine,
            filter: vec![("event_type", vec!["view", "buy"])],
            by: vec!["region"],
            k: 5,
            weights: vec![("buy", 3)],
            windows: windows.clone(),
            ..Board::default()
        };
        Rules::live(vec![Board { engine, k: 20, windows, ..Board::default() }, regions])
    }

    /// Panes and windows of a second on a live source, and one board of ten items.
    pub fn of_seconds(out_of_orderness: i64) -> Rules {
        let windows = vec![Window { name: "seconds", size: 1000, slide: 1000 }];
        Rules {
            pane: 1000,
            out_of_orderness,
            max_future_skew: Some(60_000),
            boards: vec![Board { k: 10, windows, ..Board::default() }],
            ..Rules::default()
        }
    }
}

impl Default for Board {
    fn default() -> Self {
        let minute = 60_000;
        Board {
            name: "default",
            filter: Vec::new(),
            retract: Vec::new(),
            item: None,
            by: Vec::new(),
            engine: "sketch",
            counters: false,
            k: 100,
            weights: Vec::new(),
            distinct: None,
            windows: vec![
                Window { name: "last_1m", size: minute, slide: 10_000 },
                Window { name: "last_1h", size: 60 * minute, slide: 10_000 },
                Window { name: "last_24h", size: 24 * 60 * minute, slide: minute },
            ],
        }
    }
}

impl Rules {
    /// Writes them as a configuration file of the program.
    pub fn write(&self, dir: &Path) -> PathBuf {
        let file = dir.join("crest.toml");
        std::fs::write(&file, self.toml()).unwrap();
        file
    }

    fn toml(&self) -> String {
        let mut text = String::new();
        let (pane, disorder, lateness) = (self.pane, self.out_of_orderness, self.allowed_lateness);
        writeln!(text, "[time]\npane = \"{pane}ms\"\nout_of_orderness = \"{disorder}ms\"").unwrap();
        writeln!(text, "allowed_lateness = \"{lateness}ms\"").unwrap();
        if let Some(skew) = self.max_future_skew {
            writeln!(text, "max_future_skew = \"{skew}ms\"").unwrap();
        }
        writeln!(text, "[schema]\nweight = \"weight\"\nweight_default = 1").unwrap();
        for board in &self.boards {
            text += &board.toml();
        }
        text
    }
}

impl Board {
    fn toml(&self) -> String {
        let mut text = format!("\n[[board]]\nname = {:?}\nk = {}\nby = {:?}\n", self.name, self.k, self.by);
        writeln!(text, "engine = {:?}\ncounters = {}", self.engine, self.counters).unwrap();
        if let Some(item) = self.item {
            writeln!(text, "item = {item:?}").unwrap();
        }
        if let Some(field) = self.distinct {
            writeln!(text, "count = {{ distinct = {field:?} }}").unwrap();
        }
        let table = |conditions: &[(&str, Vec<&str>)]| {
            let each = conditions.iter().map(|(name, values)| format!("{name:?} = {values:?}"));
            each.collect::<Vec<_>>().join(", ")
        };
        let weights: Vec<_> =
            self.weights.iter().map(|(name, factor)| format!("{name:?} = {factor}")).collect();
        writeln!(text, "filter = {{ {} }}\nretract = {{ {} }}", table(&self.filter), table(&self.retract))
            .unwrap();
        writeln!(text, "weights = {{ {} }}", weights.join(", ")).unwrap();
        let window = |Window { name, size, slide }: &Window| {
            format!("{{ name = {name:?}, size = \"{size}ms\", slide = \"{slide}ms\" }}")
        };
        let windows: Vec<_> = self.windows.iter().map(window).collect();
        writeln!(text, "windows = [ {} ]", windows.join(", ")).unwrap();
        text
    }
}

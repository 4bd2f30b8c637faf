//! The shapes of events that are measured, where their fields are, and their budgets.

/// How an event is laid out.
#[derive(Clone, Copy, PartialEq)]
pub enum Layout {
    /// As many fields as the length asks for, the item and the time among them.
    Flat,
    /// The same, with escapes in the item.
    Escaped,
    /// An envelope with the item three levels down.
    Envelope,
    /// An analytics call, with escapes in fields that nobody asked for.
    Call,
}

pub struct Shape {
    pub name: &'static str,
    pub layout: Layout,
    /// About how long an event is, with its line feed.
    pub bytes: usize,
    pub budget: Budget,
}

/// What an event may take.
pub struct Budget {
    pub nanoseconds: f64,
    /// Of what the script takes.
    pub of_script: f64,
}

/// Of what the flat event of the same length takes.
pub const OF_FLAT: f64 = 1.1;

/// Of what DuckDB takes on a core.
pub const OF_DUCKDB: f64 = 1.0;

const fn shape(name: &'static str, layout: Layout, bytes: usize, nanoseconds: f64, of_script: f64) -> Shape {
    Shape { name, layout, bytes, budget: Budget { nanoseconds, of_script } }
}

pub const SHAPES: [Shape; 6] = [
    shape("flat 90 B", Layout::Flat, 90, 100.0, 0.3),
    shape("flat 500 B", Layout::Flat, 500, 250.0, 0.25),
    shape("nested 500 B", Layout::Envelope, 500, 250.0, 0.25),
    shape("nested 1 KB", Layout::Call, 1_000, 600.0, 0.25),
    shape("nested 2 KB", Layout::Call, 2_000, 1_100.0, 0.25),
    shape("escaped ids 90 B", Layout::Escaped, 90, 120.0, 0.3),
];

impl Shape {
    pub fn named(name: &str) -> &'static Shape {
        SHAPES.iter().find(|shape| shape.name == name).expect("the name of a shape")
    }
}

impl Layout {
    /// Whether anything in it is escaped or nested, so that it has a flat twin.
    pub fn has_twin(self) -> bool {
        self != Layout::Flat
    }

    /// The paths of the item and of the time.
    pub fn paths(self) -> (&'static str, &'static str) {
        match self {
            Layout::Flat | Layout::Escaped => ("item_id", "timestamp"),
            Layout::Envelope => ("data.product.id", "time"),
            Layout::Call => ("properties.product_id", "timestamp"),
        }
    }

    /// The columns that DuckDB reads.
    pub fn columns(self) -> &'static str {
        match self {
            Layout::Flat | Layout::Escaped => "{item_id: 'VARCHAR', timestamp: 'BIGINT'}",
            Layout::Envelope => "{time: 'BIGINT', data: 'STRUCT(product STRUCT(id VARCHAR))'}",
            Layout::Call => "{timestamp: 'BIGINT', properties: 'STRUCT(product_id VARCHAR)'}",
        }
    }
}

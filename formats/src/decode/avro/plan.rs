//! A schema, prepared for reading: its types in a row, which refer to each other by their places.

use super::super::json_text::{key, push_text};
use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, UuidSchema};
use std::collections::HashMap;

/// A schema, prepared for reading.
#[derive(Debug)]
pub(in crate::decode) struct Plan {
    nodes: Vec<Node>,
    /// The type of the datum.
    pub(super) root: At,
}

/// The place of a type in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At(usize);

/// A type, as far as reading is concerned.
#[derive(Debug)]
pub(super) enum Node {
    /// Named, and not defined so far.
    Undefined,
    Null,
    Boolean,
    /// A whole number of 32 bits …
    Int,
    /// … or of 64, also a time in its unit.
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    /// Days since 1970.
    Date,
    /// An unscaled number, in so many bytes where that is fixed.
    Decimal {
        scale: usize,
        size: Option<usize>,
    },
    /// An unscaled number with its scale.
    BigDecimal,
    /// The sixteen bytes of a UUID, behind their length or not.
    Uuid {
        fixed: bool,
    },
    /// Months, days and milliseconds.
    Duration,
    /// The symbols, in quotes.
    Enum(Vec<Box<[u8]>>),
    Array(At),
    Map(At),
    Union(Vec<At>),
    /// The fields, each as its name in quotes with a colon, and its type.
    Record(Vec<(Box<[u8]>, At)>),
}

impl Plan {
    /// Prepares a schema in JSON; `references` are schemas that define names in it.
    pub(super) fn new(schema: &str, references: &[&str]) -> Result<Self, String> {
        let (schema, references) =
            Schema::parse_str_with_list(schema, references).map_err(|error| error.to_string())?;
        let mut builder = Builder { nodes: Vec::new(), named: HashMap::new() };
        let root = builder.place(&schema);
        for reference in &references {
            builder.place(reference);
        }
        if let Some((name, _)) =
            builder.named.iter().find(|(_, at)| matches!(builder.nodes[at.0], Node::Undefined))
        {
            return Err(format!("{name} is not defined"));
        }
        Ok(Plan { nodes: builder.nodes, root })
    }

    pub(super) fn node(&self, at: At) -> &Node {
        &self.nodes[at.0]
    }
}

struct Builder {
    nodes: Vec<Node>,
    /// The places of the types that have names.
    named: HashMap<String, At>,
}

impl Builder {
    /// The place of a named type, whether it is defined already or not.
    fn named(&mut self, name: String) -> At {
        *self.named.entry(name).or_insert_with(|| {
            self.nodes.push(Node::Undefined);
            At(self.nodes.len() - 1)
        })
    }

    /// Finds a place for a type.
    fn place(&mut self, schema: &Schema) -> At {
        match (schema, schema.name()) {
            (Schema::Ref { .. }, Some(name)) => self.named(name.fullname(None)),
            (_, Some(name)) => {
                let at = self.named(name.fullname(None));
                self.nodes[at.0] = self.node(schema);
                at
            }
            (_, None) => {
                let node = self.node(schema);
                self.nodes.push(node);
                At(self.nodes.len() - 1)
            }
        }
    }

    fn node(&mut self, schema: &Schema) -> Node {
        match schema {
            Schema::Null => Node::Null,
            Schema::Boolean => Node::Boolean,
            Schema::Int | Schema::TimeMillis => Node::Int,
            Schema::Long
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Node::Long,
            Schema::Float => Node::Float,
            Schema::Double => Node::Double,
            Schema::Bytes => Node::Bytes,
            Schema::String | Schema::Uuid(UuidSchema::String) => Node::Text,
            Schema::Fixed(fixed) => Node::Fixed(fixed.size),
            Schema::Date => Node::Date,
            Schema::Decimal(decimal) => Node::Decimal {
                scale: decimal.scale,
                size: match &decimal.inner {
                    InnerDecimalSchema::Bytes => None,
                    InnerDecimalSchema::Fixed(fixed) => Some(fixed.size),
                },
            },
            Schema::BigDecimal => Node::BigDecimal,
            Schema::Uuid(UuidSchema::Bytes) => Node::Uuid { fixed: false },
            Schema::Uuid(UuidSchema::Fixed(_)) => Node::Uuid { fixed: true },
            Schema::Duration(_) => Node::Duration,
            Schema::Enum(symbols) => {
                Node::Enum(symbols.symbols.iter().map(|symbol| quoted(symbol)).collect())
            }
            Schema::Array(array) => Node::Array(self.place(&array.items)),
            Schema::Map(map) => Node::Map(self.place(&map.types)),
            Schema::Union(union) => {
                Node::Union(union.variants().iter().map(|variant| self.place(variant)).collect())
            }
            Schema::Record(record) => Node::Record(
                record.fields.iter().map(|field| (key(&field.name), self.place(&field.schema))).collect(),
            ),
            Schema::Ref { .. } => Node::Undefined,
        }
    }
}

fn quoted(symbol: &str) -> Box<[u8]> {
    let mut text = Vec::with_capacity(symbol.len() + 2);
    push_text(&mut text, symbol);
    text.into()
}

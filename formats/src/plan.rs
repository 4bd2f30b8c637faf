//! The plan of a parser: which fields are read from which places, and which values of a record are events.
//!
//! A **field** is a list of texts, which are tried in order. A text names a path (see [`crate::path`]), something that
//! came beside the record (`record:key`), or is a template with fields in it (`{origin}-{destination}`). A name that is
//! literally all of a path's text comes before the path, so that `url.path` finds the member of that very name first.
//!
//! A **view** says which values are events: the record as a whole, or each element of an array in it.
//!
//! ```
//! use crest_formats::parser::Parser;
//! use crest_formats::plan_builder::PlanBuilder;
//! use crest_formats::schema::SchemaSpec;
//!
//! let mut plan = PlanBuilder::new(&SchemaSpec::default())?;
//! let lines = plan.view(Some("order.lines"), &["$.at".into()])?;
//! let product = plan.field(lines, &["sku".into(), "product_id".into()])?;
//! let mut parser = Parser::new(plan.finish());
//!
//! let record = br#"{"at":1711670400,"order":{"lines":[{"sku":"tea"},{"sku":"","product_id":7}]}}"#;
//! let mut events = parser.read(record, &()).unwrap();
//! assert_eq!(events.next().unwrap().field(product).text(), Some("tea"));
//! let event = events.next().unwrap();
//! assert_eq!((event.time, event.field(product).text()), (Some(1_711_670_400_000), Some("7")));
//! assert!(events.next().is_none());
//! # Ok::<(), crest_formats::plan::FieldError>(())
//! ```

use crate::beside::{RecordField, RecordFieldError};
use crate::path::{PathError, Step};
use crate::time::{TimeForm, TimeFormError};
use crate::tree::Tree;
use crate::weight::Scale;

/// A field of a plan. It is valid for that plan only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldId(pub(crate) usize);

/// A view of a plan. It is valid for that plan only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ViewId(pub(crate) usize);

/// A field that cannot be read from anywhere, or a rule of values that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// Its path is none.
    #[error(transparent)]
    Path(#[from] PathError),
    /// There is no such `record:` field.
    #[error(transparent)]
    Record(#[from] RecordFieldError),
    /// Its template is not closed, or has nothing between its braces.
    #[error("the template {0:?}: each {{ must be closed by a }} after the name of a field")]
    Template(String),
    /// The form of times makes no sense.
    #[error(transparent)]
    Time(#[from] TimeFormError),
    /// The scale of weights is 0.
    #[error("weight_scale 0: must be from 1 to 4,294,967,295")]
    Scale,
}

/// What a parser reads.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The values that are read once from each record.
    pub(crate) record: Scope,
    pub(crate) beside: Vec<(RecordField, usize)>,
    pub(crate) views: Vec<View>,
    /// The slots of each field, in the order in which they are tried.
    pub(crate) fields: Vec<Vec<usize>>,
    /// How many slots there are.
    pub(crate) slots: usize,
    pub(crate) times: TimeForm,
    pub(crate) scale: Scale,
    pub(crate) weight_default: Option<u32>,
    /// Whether texts may stand for numbers and booleans.
    pub(crate) untyped: bool,
}

impl Plan {
    /// The names of the headers that it reads.
    pub fn headers(&self) -> Vec<String> {
        let name = |(field, _): &(RecordField, usize)| match field {
            RecordField::Header(name) => Some(name.to_string()),
            _ => None,
        };
        self.beside.iter().filter_map(name).collect()
    }

    /// Whether a record may be an array, whose elements are events.
    pub fn takes_arrays(&self) -> bool {
        let root = self.record.tree.node(Tree::ROOT).slot;
        self.views.iter().filter_map(|view| view.each.as_ref()).any(|(container, _)| Some(*container) == root)
    }

    /// The members of a record that it reads; `None` where it reads the record as a whole.
    pub fn members(&self) -> Option<Vec<String>> {
        let root = self.record.tree.node(Tree::ROOT);
        let names = root.names().map(|name| String::from_utf8_lossy(name).into_owned());
        root.slot.is_none().then(|| names.collect())
    }
}

/// What is read from one value: a record, or an element that is an event.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) tree: Tree,
    /// Values below arrays.
    pub(crate) derived: Vec<Derived>,
    pub(crate) templates: Vec<Template>,
}

/// The first value that steps lead to from a container.
#[derive(Clone, Debug)]
pub(crate) struct Derived {
    pub(crate) from: usize,
    pub(crate) steps: Vec<Step>,
    pub(crate) to: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) parts: Vec<Part>,
    pub(crate) to: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Part {
    Text(String),
    /// The first usable value of these slots.
    Field(Vec<usize>),
}

#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Where each event is an element: the container that holds them, and the steps to them.
    pub(crate) each: Option<(usize, Vec<Step>)>,
    /// What is read from each element.
    pub(crate) element: Option<Scope>,
    pub(crate) timestamp: FieldId,
}

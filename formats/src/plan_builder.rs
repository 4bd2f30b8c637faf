//! Builds a plan: collects what is to be read, and then gives each value its slot.

use crate::beside::RecordField;
use crate::path::{Path, Step};
use crate::plan::{Derived, FieldError, FieldId, Part, Plan, Scope, Template, View, ViewId};
use crate::schema::SchemaSpec;
use crate::time::TimeForm;
use crate::tree::{NodeId, Tree};
use crate::weight::Scale;

/// Collects the views and fields of a [`Plan`].
#[derive(Debug)]
pub struct PlanBuilder {
    record: Draft,
    beside: Vec<RecordField>,
    views: Vec<ViewDraft>,
    fields: Vec<FieldDraft>,
    times: TimeForm,
    scale: Scale,
    weight_default: Option<u32>,
}

#[derive(Debug)]
struct FieldDraft {
    view: ViewId,
    names: Vec<String>,
    places: Vec<Place>,
}

#[derive(Debug)]
struct ViewDraft {
    each: Option<Each>,
    timestamp: FieldId,
    timestamp_names: Vec<String>,
}

#[derive(Debug)]
struct Each {
    text: String,
    from: NodeId,
    steps: Vec<Step>,
    element: Draft,
}

/// Whether a text has fields in it, in braces that are in no quoted name.
fn is_template(text: &str) -> bool {
    let Some((before, _)) = text.split_once('{') else { return false };
    // Only what is quoted in brackets may have a brace in it and still be a path.
    !(before.contains('[') && text.parse::<Path>().is_ok())
}

/// A scope whose slots have no numbers yet.
#[derive(Debug)]
struct Draft {
    tree: Tree,
    derived: Vec<(NodeId, Vec<Step>)>,
    templates: Vec<Vec<PartDraft>>,
    /// The first slot of all, of the derived values and of the templates, once they are numbered.
    first: usize,
    first_derived: usize,
    first_template: usize,
}

#[derive(Clone, Debug)]
enum PartDraft {
    Text(String),
    Field(Vec<Place>),
}

/// Where a value will be.
#[derive(Clone, Copy, Debug)]
enum Place {
    Node(At, NodeId),
    Derived(At, usize),
    Template(At, usize),
    Beside(usize),
}

/// The scope of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Record,
    Element(ViewId),
}

impl PlanBuilder {
    /// A plan with the schema's rules of times and weights, and nothing to read so far.
    ///
    /// # Errors
    /// The rules make no sense.
    pub fn new(schema: &SchemaSpec) -> Result<Self, FieldError> {
        let times = TimeForm::new(schema.timestamp_format.as_deref(), schema.timezone.as_deref())?;
        if schema.weight_scale == 0 {
            return Err(FieldError::Scale);
        }
        Ok(PlanBuilder {
            record: Draft::new(),
            beside: Vec::new(),
            views: Vec::new(),
            fields: Vec::new(),
            times,
            scale: Scale(schema.weight_scale),
            weight_default: schema.weight_default,
        })
    }

    /// The view whose events are the elements that `each` names, or the records, and whose times are in these fields.
    ///
    /// # Errors
    /// A path makes no sense.
    pub fn view(&mut self, each: Option<&str>, timestamp: &[String]) -> Result<ViewId, FieldError> {
        let same = |view: &ViewDraft| {
            view.each.as_ref().map(|each| each.text.as_str()) == each && view.timestamp_names == timestamp
        };
        if let Some(known) = self.views.iter().position(same) {
            return Ok(ViewId(known));
        }
        let id = ViewId(self.views.len());
        let each = each.map(|text| self.each(text)).transpose()?;
        let timestamp_names = timestamp.to_vec();
        self.views.push(ViewDraft { each, timestamp: FieldId(usize::MAX), timestamp_names });
        let times = self.field(id, timestamp)?;
        self.views[id.0].timestamp = times;
        Ok(id)
    }

    fn each(&mut self, text: &str) -> Result<Each, FieldError> {
        let path: Path = text.parse()?;
        let (names, steps) = path.split_at_array();
        let mut steps = steps.to_vec();
        // The path of an array stands for its elements.
        if let None | Some(Step::Key(_)) = steps.last() {
            steps.push(Step::All);
        }
        let from = self.record.tree.keep(names);
        Ok(Each { text: text.into(), from, steps, element: Draft::new() })
    }

    /// The field that these texts name in the events of a view. Equal names give the same field.
    ///
    /// # Errors
    /// One of them makes no sense.
    pub fn field(&mut self, view: ViewId, names: &[String]) -> Result<FieldId, FieldError> {
        if let Some(known) = self.fields.iter().position(|field| field.view == view && field.names == names) {
            return Ok(FieldId(known));
        }
        let mut places = Vec::new();
        for name in names {
            self.read(view, name, &mut places)?;
        }
        self.fields.push(FieldDraft { view, names: names.to_vec(), places });
        Ok(FieldId(self.fields.len() - 1))
    }

    /// Appends the places that a text names.
    fn read(&mut self, view: ViewId, text: &str, to: &mut Vec<Place>) -> Result<(), FieldError> {
        if text.starts_with("record:") {
            let field: RecordField = text.parse()?;
            to.push(Place::Beside(self.beside(field)));
        } else if is_template(text) {
            let at = self.event(view);
            let parts = self.template(view, text)?;
            let templates = &mut self.draft(at).templates;
            templates.push(parts);
            to.push(Place::Template(at, templates.len() - 1));
        } else {
            self.path(view, text, to)?;
        }
        Ok(())
    }

    fn beside(&mut self, field: RecordField) -> usize {
        self.beside.iter().position(|known| *known == field).unwrap_or_else(|| {
            self.beside.push(field);
            self.beside.len() - 1
        })
    }

    fn path(&mut self, view: ViewId, text: &str, to: &mut Vec<Place>) -> Result<(), FieldError> {
        let path: Path = text.parse()?;
        let event = self.event(view);
        let at = if path.from_record { At::Record } else { event };
        let name = if path.from_record { text.strip_prefix("$.").unwrap_or(text) } else { text };
        let literal = matches!(path.steps.as_slice(), [Step::Key(key)] if **key == *name);
        if !literal {
            to.push(Place::Node(at, self.draft(at).tree.keep([name])));
        }
        let (names, steps) = path.split_at_array();
        let draft = self.draft(at);
        let node = draft.tree.keep(names);
        if steps.is_empty() {
            to.push(Place::Node(at, node));
        } else {
            draft.derived.push((node, steps.to_vec()));
            to.push(Place::Derived(at, draft.derived.len() - 1));
        }
        Ok(())
    }

    fn template(&mut self, view: ViewId, text: &str) -> Result<Vec<PartDraft>, FieldError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let field = after.split_once('}').filter(|(name, _)| !name.is_empty() && !name.contains('{'));
            let (name, after) = field.ok_or_else(|| FieldError::Template(text.into()))?;
            let mut places = Vec::new();
            self.read(view, name, &mut places)?;
            parts.push(PartDraft::Text(before.into()));
            parts.push(PartDraft::Field(places));
            rest = after;
        }
        parts.push(PartDraft::Text(rest.into()));
        Ok(parts)
    }

    /// The scope of a view's events.
    fn event(&self, view: ViewId) -> At {
        if self.views[view.0].each.is_some() { At::Element(view) } else { At::Record }
    }

    fn draft(&mut self, at: At) -> &mut Draft {
        match at {
            At::Record => &mut self.record,
            At::Element(view) => match &mut self.views[view.0].each {
                Some(each) => &mut each.element,
                None => &mut self.record,
            },
        }
    }

    /// The plan. Fields that were asked for are in it, by their ids.
    pub fn finish(mut self) -> Plan {
        let mut next = 0;
        self.record.number(&mut next);
        let beside = next;
        next += self.beside.len();
        let elements = self.views.iter_mut().filter_map(|view| view.each.as_mut());
        elements.for_each(|each| each.element.number(&mut next));

        let slots = |places: &[Place]| places.iter().map(|place| self.slot(*place, beside)).collect();
        let view = |view: &ViewDraft| View {
            each: view.each.as_ref().map(|each| (self.record.slot(each.from), each.steps.clone())),
            element: view.each.as_ref().map(|each| each.element.scope(slots)),
            timestamp: view.timestamp,
        };
        Plan {
            views: self.views.iter().map(view).collect(),
            record: self.record.scope(slots),
            fields: self.fields.iter().map(|field| slots(&field.places)).collect(),
            beside: self.beside.iter().cloned().zip(beside..).collect(),
            slots: next,
            times: self.times.clone(),
            scale: self.scale,
            weight_default: self.weight_default,
            untyped: false,
        }
    }

    fn slot(&self, place: Place, beside: usize) -> usize {
        let draft = |at: At| match at {
            At::Element(view) => self.views[view.0].each.as_ref().map_or(&self.record, |each| &each.element),
            At::Record => &self.record,
        };
        match place {
            Place::Node(at, id) => draft(at).slot(id),
            Place::Derived(at, index) => draft(at).first_derived + index,
            Place::Template(at, index) => draft(at).first_template + index,
            Place::Beside(index) => beside + index,
        }
    }
}

impl Draft {
    fn new() -> Self {
        let (tree, derived, templates) = (Tree::new(), Vec::new(), Vec::new());
        Draft { tree, derived, templates, first: 0, first_derived: 0, first_template: 0 }
    }

    /// Takes as many slots from `next` on as it needs.
    fn number(&mut self, next: &mut usize) {
        self.first = *next;
        self.first_derived = self.tree.number(self.first);
        self.first_template = self.first_derived + self.derived.len();
        *next = self.first_template + self.templates.len();
    }

    fn slot(&self, id: NodeId) -> usize {
        self.tree.node(id).slot.unwrap_or(self.first)
    }

    fn scope(&self, slots: impl Fn(&[Place]) -> Vec<usize>) -> Scope {
        let derived = |(to, (from, steps)): (usize, &(NodeId, Vec<Step>))| Derived {
            from: self.slot(*from),
            steps: steps.clone(),
            to,
        };
        let part = |part: &PartDraft| match part {
            PartDraft::Text(text) => Part::Text(text.clone()),
            PartDraft::Field(places) => Part::Field(slots(places)),
        };
        let template =
            |(to, parts): (usize, &Vec<PartDraft>)| Template { parts: parts.iter().map(part).collect(), to };
        Scope {
            tree: self.tree.clone(),
            derived: (self.first_derived..).zip(&self.derived).map(derived).collect(),
            templates: (self.first_template..).zip(&self.templates).map(template).collect(),
        }
    }
}

//! Where the boards of a job find their fields: the plan of the job's parser, and each board's part of it.

use crate::spec::{BoardSpec, Filter, JobSpec};
use crate::spec_error::SpecError;
use crest_formats::names::Names;
use crest_formats::path::Path;
use crest_formats::plan::{FieldError, FieldId, Plan, ViewId};
use crest_formats::plan_builder::PlanBuilder;
use crest_formats::refusal::Refusal;
use crest_formats::schema::SchemaSpec;
use std::collections::BTreeMap;
use std::str::FromStr;

/// The plan of a job's parser, and where each board finds its fields in it.
#[derive(Clone, Debug)]
pub struct JobFields {
    /// What the parser reads.
    pub plan: Plan,
    /// In the order of the spec.
    pub boards: Vec<BoardFields>,
}

/// The fields of a board.
#[derive(Clone, Debug)]
pub struct BoardFields {
    /// The events that it sees.
    pub view: ViewId,
    /// Its item.
    pub item: FieldId,
    /// The event type.
    pub event_type: FieldId,
    /// Its weight; `None` where every event weighs 1.
    pub weight: Option<FieldId>,
    /// The field whose different values it counts; `None` where it counts events.
    pub distinct: Option<FieldId>,
    /// Its filter's, in the order of the spec.
    pub filter: Vec<FieldId>,
    /// Those of the conditions under which an event retracts, in the order of the spec.
    pub retract: Vec<FieldId>,
    /// Those that group it, in the order of the spec.
    pub by: Vec<FieldId>,
}

impl JobFields {
    /// The fields of a job's boards.
    ///
    /// # Errors
    /// A name makes no sense, or a rule of values does not.
    pub fn new(spec: &JobSpec) -> Result<Self, SpecError> {
        let schema = &spec.schema;
        let mut plan = PlanBuilder::new(schema).map_err(|error| of_schema(schema, &error))?;
        let boards = spec
            .boards
            .iter()
            .map(|board| BoardFields::new(board, schema, &mut plan))
            .collect::<Result<_, _>>()?;
        Ok(JobFields { plan: plan.finish(), boards })
    }
}

/// The key of a rule that makes no sense.
fn of_schema(schema: &SchemaSpec, error: &FieldError) -> SpecError {
    use crest_formats::time::TimeFormError;
    let (key, value) = match error {
        FieldError::Scale => ("weight_scale", schema.weight_scale.to_string()),
        FieldError::Time(TimeFormError::Zone(name)) => ("timezone", format!("{name:?}")),
        _ => ("timestamp_format", format!("{:?}", schema.timestamp_format.clone().unwrap_or_default())),
    };
    SpecError { key: format!("schema.{key}"), value, allowed: error.to_string() }
}

impl BoardFields {
    fn new(board: &BoardSpec, schema: &SchemaSpec, plan: &mut PlanBuilder) -> Result<Self, SpecError> {
        let Resolved { each, timestamp, item, weight } = Resolved::of(board, schema);
        let refused = |(of_board, key): (bool, String), names: &[String], error: FieldError| SpecError {
            key: if of_board { format!("board.{}.{key}", board.name) } else { format!("schema.{key}") },
            value: format!("{names:?}"),
            allowed: error.to_string(),
        };
        // The array is looked at before the times, so that each error has the name of its own key.
        if let Some(each) = each {
            let key = (board.each.is_some(), "each".into());
            Path::from_str(each).map_err(|error| refused(key, &[each.to_owned()], error.into()))?;
        }
        let view = plan
            .view(each, timestamp)
            .map_err(|error| refused((board.timestamp.is_some(), "timestamp".into()), timestamp, error))?;
        let mut field = |of_board: bool, key: &str, names: &[String]| {
            plan.field(view, names).map_err(|error| refused((of_board, key.into()), names, error))
        };
        let event_type = field(false, "type", &schema.event_type)?;
        let mut of_conditions = |key: &str, conditions: &BTreeMap<String, Filter>| {
            let fields = conditions.keys().map(|name| match name.as_str() {
                "event_type" => Ok(event_type),
                name => field(true, &format!("{key}.{name}"), &[name.to_owned()]),
            });
            fields.collect::<Result<Vec<_>, _>>()
        };
        let filter = of_conditions("filter", &board.filter)?;
        let retract = of_conditions("retract", &board.retract)?;
        let by = board.by.iter().map(|name| field(true, "by", std::slice::from_ref(name)));
        Ok(BoardFields {
            view,
            by: by.collect::<Result<_, _>>()?,
            item: field(board.item.is_some(), "item", item)?,
            weight: match weight {
                [] => None,
                names => Some(field(board.weight.is_some(), "weight", names)?),
            },
            distinct: match board.count.distinct_names() {
                [] => None,
                names => Some(field(true, "count.distinct", names)?),
            },
            event_type,
            filter,
            retract,
        })
    }
}

/// A board's own names, or else the schema's.
struct Resolved<'s> {
    each: Option<&'s str>,
    timestamp: &'s [String],
    item: &'s [String],
    weight: &'s [String],
}

impl<'s> Resolved<'s> {
    fn of(board: &'s BoardSpec, schema: &'s SchemaSpec) -> Self {
        fn own<'s>(own: &'s Option<Names>, schema: &'s [String]) -> &'s [String] {
            own.as_ref().map_or(schema, |Names(names)| names)
        }
        // Where different values are counted, an event weighs nothing.
        let weight = if board.count.is_distinct() { &[][..] } else { own(&board.weight, &schema.weight) };
        Resolved {
            each: board.each.as_deref().or(schema.each.as_deref()),
            timestamp: own(&board.timestamp, &schema.timestamp),
            item: own(&board.item, &schema.item),
            weight,
        }
    }
}

/// The array whose elements are the board's events; `None` where they are the records.
pub fn each<'s>(board: &'s BoardSpec, schema: &'s SchemaSpec) -> Option<&'s str> {
    Resolved::of(board, schema).each
}

/// The names under which a board looks for its item, and for its weight.
pub fn item_and_weight<'s>(board: &'s BoardSpec, schema: &'s SchemaSpec) -> (&'s [String], &'s [String]) {
    let Resolved { item, weight, .. } = Resolved::of(board, schema);
    (item, weight)
}

/// The names under which the boards look for the field that an event is refused for; none for reasons that are of no
/// field.
pub fn looked_for(spec: &JobSpec, refusal: Refusal) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for board in &spec.boards {
        let Resolved { timestamp, item, weight, .. } = Resolved::of(board, &spec.schema);
        let of_board = match refusal {
            Refusal::Item | Refusal::ItemTooLong => item,
            Refusal::Timestamp | Refusal::Future => timestamp,
            Refusal::Weight => weight,
            Refusal::Distinct => board.count.distinct_names(),
            _ => &[],
        };
        for name in of_board {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    names
}

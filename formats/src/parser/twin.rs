//! Holds the parser against a slow twin: a plain walk over what `serde_json` reads, without a plan, tokens or slots.

use crate::parser::Parser;
use crate::path::{Path, Step};
use crate::plan_builder::PlanBuilder;
use crate::refusal::Refusal;
use crate::schema::SchemaSpec;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A value as the twin sees it.
fn shown(raw: &str) -> String {
    match raw.as_bytes()[0] {
        b'"' => {
            serde_json::from_str::<String>(raw).map_or("Unusable".into(), |text| format!("Text({text:?})"))
        }
        b'n' => "Absent".into(),
        b't' | b'f' => format!("Bool({raw:?})"),
        b'{' | b'[' => "Unusable".into(),
        _ => format!("Number({raw:?})"),
    }
}

/// A member's name, which need not be Unicode text.
#[derive(PartialEq, Eq)]
struct Name(Vec<u8>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("a name")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Name, E> {
        Ok(Name(name.to_vec()))
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Name, &'de RawValue)>;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

fn member<'r>(raw: &'r str, name: &str) -> Option<&'r str> {
    let members = serde_json::Deserializer::from_str(raw).deserialize_map(Members).ok()?;
    members.into_iter().rfind(|(Name(found), _)| found == name.as_bytes()).map(|(_, value)| value.get())
}

fn follow<'r>(raw: &'r str, steps: &[Step]) -> Vec<&'r str> {
    let Some((step, rest)) = steps.split_first() else { return vec![raw] };
    let elements = || serde_json::from_str::<Vec<&RawValue>>(raw).unwrap_or_default();
    let next: Vec<&str> = match step {
        Step::Key(name) => member(raw, name).into_iter().collect(),
        Step::Index(index) => {
            let elements = elements();
            let place = if *index < 0 { elements.len() as i64 + index } else { *index };
            let element = usize::try_from(place).ok().and_then(|place| elements.get(place).copied());
            element.into_iter().map(RawValue::get).collect()
        }
        Step::All => elements().into_iter().map(RawValue::get).collect(),
        Step::Where(names, text) => {
            let wanted = serde_json::to_string(text).unwrap();
            let holds = |element: &&RawValue| {
                let value = names.iter().try_fold(element.get(), |raw, name| member(raw, name));
                value.is_some_and(|value| shown(value) == shown(&wanted))
            };
            elements().into_iter().filter(holds).map(RawValue::get).collect()
        }
    };
    next.into_iter().flat_map(|raw| follow(raw, rest)).collect()
}

/// What the twin finds under one name, in an event of a record.
fn field(record: &str, event: &str, name: &str) -> String {
    let path: Path = name.parse().unwrap();
    let (from, key) = match path.from_record {
        true => (record, name.strip_prefix("$.").unwrap_or(name)),
        false => (event, name),
    };
    let literal = member(from, key).map(shown).unwrap_or("Absent".into());
    let values = follow(from, &path.steps).into_iter().map(shown);
    let along = values.into_iter().find(|value| value != "Absent").unwrap_or("Absent".into());
    let usable = |value: &&String| !matches!(value.as_str(), "Absent" | "Unusable" | "Text(\"\")");
    let both = [literal, along];
    both.iter().find(usable).or(both.iter().find(|value| *value != "Absent")).unwrap_or(&both[0]).clone()
}

/// The fields of the events of a record, as the twin finds them. Paths must make sense.
pub fn expected(record: &[u8], each: Option<&str>, names: &[String]) -> Result<Vec<Vec<String>>, Refusal> {
    let record = std::str::from_utf8(record).map_err(|_| Refusal::InvalidUtf8)?;
    let raw: &RawValue = serde_json::from_str(record).map_err(|_| Refusal::Malformed)?;
    let record = raw.get();
    let rooted = |text: &str| {
        let path: Path = text.parse().unwrap();
        path.steps.first().is_none_or(|step| !matches!(step, Step::Key(_)))
            && (each.is_none() || path.from_record)
    };
    let at_root = match each {
        None => names.iter().any(|name| rooted(name)),
        Some(each) => {
            !matches!(each.parse::<Path>().unwrap().steps.first(), Some(Step::Key(_)))
                || names.iter().any(|name| rooted(name))
        }
    };
    if !record.starts_with('{') && !at_root {
        return Err(Refusal::Malformed);
    }
    let events = match each {
        None => vec![record],
        Some(each) => {
            let mut steps = each.parse::<Path>().unwrap().steps;
            if let None | Some(Step::Key(_)) = steps.last() {
                steps.push(Step::All);
            }
            follow(record, &steps)
        }
    };
    let of = |event: &str| names.iter().map(|name| field(record, event, name)).collect();
    Ok(events.into_iter().map(of).collect())
}

/// The same, as the parser finds them.
pub fn found(record: &[u8], each: Option<&str>, names: &[String]) -> Result<Vec<Vec<String>>, Refusal> {
    let mut plan = PlanBuilder::new(&SchemaSpec::default()).unwrap();
    let view = plan.view(each, &["at".into()]).unwrap();
    let fields: Vec<_> =
        names.iter().map(|name| plan.field(view, std::slice::from_ref(name)).unwrap()).collect();
    let mut parser = Parser::new(plan.finish());
    // What an earlier record has left must not matter.
    let _ = parser.read(br#"{"a":{"b":"left over","key":[1]},"key":"\n","a.b":2}"#, &());
    let mut events = parser.read(record, &())?;
    let mut all = Vec::new();
    while let Some(event) = events.next() {
        assert_eq!(event.element, each.map(|_| all.len()));
        all.push(fields.iter().map(|field| format!("{:?}", event.field(*field))).collect());
    }
    Ok(all)
}

#[cfg(test)]
mod tests;

//! Whether the value of a field meets the condition that a board sets on it.

use crest_formats::value::Value;
use crest_state::spec::{Conditions, Constant, Filter};

/// A filter, with its constants ready to be compared.
#[derive(Debug)]
pub enum Condition {
    /// One of these texts, as most filters have it.
    AnyText(Vec<String>),
    /// One of these values.
    AnyOf(Vec<Constant>),
    /// All of these.
    All(Conditions),
}

impl Condition {
    /// The condition of a filter.
    pub fn new(filter: &Filter) -> Self {
        let text = |constant: &Constant| match constant {
            Constant::Text(text) => Some(text.clone()),
            _ => None,
        };
        match filter {
            Filter::AnyOf(constants) => match constants.iter().map(text).collect() {
                Some(texts) => Condition::AnyText(texts),
                None => Condition::AnyOf(constants.clone()),
            },
            Filter::All(conditions) => Condition::All(conditions.clone()),
        }
    }

    /// Whether a value meets it.
    #[inline]
    pub fn holds(&self, value: Value<'_>) -> bool {
        match self {
            Condition::AnyText(texts) => value.text().is_some_and(|text| texts.iter().any(|any| any == text)),
            Condition::AnyOf(constants) => any_of(constants, value),
            Condition::All(conditions) => all(conditions, value),
        }
    }
}

fn any_of(constants: &[Constant], value: Value<'_>) -> bool {
    constants.iter().any(|constant| is(constant, value))
}

fn all(conditions: &Conditions, value: Value<'_>) -> bool {
    let Conditions { not, prefix, exists } = conditions;
    let begins = |prefixes: &Vec<String>| {
        value.text().is_some_and(|text| prefixes.iter().any(|prefix| text.starts_with(prefix)))
    };
    not.as_ref().is_none_or(|not| !any_of(not, value))
        && prefix.as_ref().is_none_or(begins)
        && exists.is_none_or(|exists| exists == (value != Value::Absent))
}

fn is(constant: &Constant, value: Value<'_>) -> bool {
    let number = match value {
        Value::Number(text) | Value::Untyped(text) => Some(text),
        _ => None,
    };
    match (constant, value) {
        (Constant::Text(wanted), value) => value.text() == Some(wanted),
        (Constant::Integer(wanted), _) => number.is_some_and(|text| match text.parse::<i64>() {
            Ok(number) => number == *wanted,
            Err(_) => text.parse() == Ok(*wanted as f64),
        }),
        (Constant::Decimal(wanted), _) => number.is_some_and(|text| text.parse() == Ok(*wanted)),
        (Constant::Bool(wanted), Value::Bool(text) | Value::Untyped(text)) => text.parse() == Ok(*wanted),
        (Constant::Bool(_), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(filter: Filter, value: Value<'_>) -> bool {
        Condition::new(&filter).holds(value)
    }

    #[test]
    fn values_are_compared_as_what_they_are() {
        let any = |constant: Constant, value| holds(Filter::AnyOf(vec![constant]), value);
        for (constant, same, other) in [
            (Constant::Text("404".into()), Value::Text("404"), Value::Text("0404")),
            (Constant::Text("404".into()), Value::Number("404"), Value::Number("404.0")),
            (Constant::Text("false".into()), Value::Bool("false"), Value::Absent),
            (Constant::Integer(404), Value::Number("404"), Value::Text("404")),
            (Constant::Integer(404), Value::Number("4.04e2"), Value::Number("404.5")),
            (Constant::Integer(404), Value::Untyped("404"), Value::Untyped("x")),
            (
                Constant::Integer(9_007_199_254_740_993),
                Value::Number("9007199254740993"),
                Value::Number("9007199254740992"),
            ),
            (Constant::Decimal(0.5), Value::Number("0.50"), Value::Bool("true")),
            (Constant::Bool(false), Value::Bool("false"), Value::Bool("true")),
            (Constant::Bool(false), Value::Untyped("false"), Value::Text("false")),
        ] {
            assert!(any(constant.clone(), same), "{constant:?} is {same:?}");
            assert!(!any(constant.clone(), other), "{constant:?} is not {other:?}");
            assert!(!any(constant, Value::Unusable));
        }
    }

    #[test]
    fn all_conditions_must_hold() {
        let all = |conditions: Conditions, value| holds(Filter::All(conditions), value);
        let not =
            || Conditions { not: Some(vec!["US".into(), Constant::Integer(1)]), ..Conditions::default() };
        assert!(all(not(), Value::Text("IN")) && all(not(), Value::Absent) && all(not(), Value::Text("1")));
        assert!(!all(not(), Value::Text("US")) && !all(not(), Value::Number("1.0")));
        let prefix = Conditions { prefix: Some(vec!["/p/".into(), "/q".into()]), ..Conditions::default() };
        assert!(all(prefix.clone(), Value::Text("/p/1")) && all(prefix.clone(), Value::Text("/q")));
        assert!(!all(prefix.clone(), Value::Text("/p")) && !all(prefix, Value::Absent));
        let exists = |exists| Conditions { exists: Some(exists), ..Conditions::default() };
        assert!(all(exists(true), Value::Unusable) && !all(exists(true), Value::Absent));
        assert!(!all(exists(false), Value::Text("")) && all(exists(false), Value::Absent));
        let both =
            Conditions { not: Some(vec!["/p/x".into()]), prefix: Some(vec!["/p".into()]), exists: None };
        assert!(all(both.clone(), Value::Text("/p/y")) && !all(both.clone(), Value::Text("/p/x")));
        assert!(!all(both, Value::Text("/q")));
    }
}

//! Says what a record has, for people.

use serde_json::Value;

/// The paths of the values of a JSON text that are no objects, in their order, up to `most` of them and then
/// `…`; an array stands for its elements as `[*]`. Empty where the bytes are no JSON.
pub fn paths(record: &[u8], most: usize) -> Vec<String> {
    let mut paths = Vec::new();
    if let Ok(value) = serde_json::from_slice(record) {
        collect("", &value, most, &mut paths);
    }
    if paths.len() > most {
        paths.truncate(most);
        paths.push("…".into());
    }
    paths
}

/// The path of a member by this name, of the value at a path; that of the event itself is empty.
pub fn member(path: &str, name: &str) -> String {
    let is_plain = !name.is_empty() && !name.contains(['.', '[', '{']);
    // At the beginning of a path these mean something else.
    let is_marked = name.starts_with('$') || name.starts_with("record:") || name == "@";
    match path {
        "" if is_plain && !is_marked => name.to_owned(),
        "" => format!("[{}]", quoted(name)),
        path if is_plain => format!("{path}.{name}"),
        path => format!("{path}[{}]", quoted(name)),
    }
}

/// A name or text in the quotes that paths have.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn collect(path: &str, value: &Value, most: usize, paths: &mut Vec<String>) {
    if paths.len() > most {
        return;
    }
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                collect(&member(path, name), value, most, paths);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                collect(&format!("{path}[*]"), element, most, paths);
            }
        }
        _ if paths.iter().any(|known| known == path) => {}
        _ => paths.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::Parser;
    use crate::plan_builder::PlanBuilder;
    use crate::schema::SchemaSpec;
    use serde_json::json;

    #[test]
    fn the_paths_of_a_record_are_named_as_the_configuration_names_them() {
        let record =
            br#"{"id":1,"repo":{"name":"x","a.b":null},"tags":["a","b"],"o":[{"p":1},{"p":2,"q":{}}]}"#;
        let all = ["id", "o[*].p", "repo.name", "repo['a.b']", "tags[*]"];
        let mut found = paths(record, 9);
        found.sort();
        assert_eq!(found, all);
        assert_eq!(paths(record, 2).len(), 3);
        assert_eq!(paths(record, 2)[2], "…");
        assert_eq!(paths(b"{", 2), [""; 0]);
    }

    #[test]
    fn every_name_has_a_path_that_leads_to_it() {
        for name in [
            "a",
            "",
            "a.b",
            "@",
            "@timestamp",
            "$",
            "$a",
            "it's",
            "a\\",
            "record:key",
            "[0]",
            "{a}",
            "a{b",
            "p {EUR}",
            "é",
        ] {
            for (above, steps) in [("", vec![]), ("top", vec!["top"])] {
                let mut record = json!({ name: "found" });
                for step in steps {
                    record = json!({ step: record });
                }
                let mut plan = PlanBuilder::new(&SchemaSpec::default()).unwrap();
                let view = plan.view(None, &[]).unwrap();
                let field = plan.field(view, &[member(above, name)]).unwrap();
                let mut parser = Parser::new(plan.finish());
                let record = record.to_string();
                let mut events = parser.read(record.as_bytes(), &()).unwrap();
                assert_eq!(events.next().unwrap().field(field).text(), Some("found"), "{name:?}");
            }
        }
    }
}

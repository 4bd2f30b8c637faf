//! Says what a record has, for people.

use serde_json::Value;

/// The paths of the values of a JSON text that are no objects, in the order of their names, up to `most` of them and then
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

fn collect(path: &str, value: &Value, most: usize, paths: &mut Vec<String>) {
    if paths.len() > most {
        return;
    }
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let plain = !name.is_empty() && !name.contains(['.', '[', '{']);
                let path = match (plain, path) {
                    (true, "") => name.clone(),
                    (true, path) => format!("{path}.{name}"),
                    (false, path) => format!("{path}['{}']", name.replace('\'', "\\'")),
                };
                collect(&path, value, most, paths);
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
}

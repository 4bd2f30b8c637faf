//! The schema: under which names the fields of an event are, as the configuration says.

/// The names of each field of an event, which are tried in order. Values that are absent, null, empty or unusable are
/// passed over.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct SchemaSpec {
    /// The item's id: a string, or a whole number taken as its digits.
    pub item: Vec<String>,
    /// The event type.
    pub event_type: Vec<String>,
    /// The event time: whole seconds, milliseconds or microseconds since 1970, or RFC 3339 text.
    pub timestamp: Vec<String>,
    /// The weight: a whole number from 1 to 4,294,967,295. If it has no name, every event weighs 1.
    pub weight: Vec<String>,
    /// The weight of an event that has none of the weight's fields; `None` refuses such an event.
    pub weight_default: Option<u32>,
}

impl Default for SchemaSpec {
    fn default() -> Self {
        let names = |list: &[&str]| list.iter().map(|n| n.to_string()).collect();
        SchemaSpec {
            item: names(&["item_id"]),
            event_type: names(&["event_type", "event"]),
            timestamp: names(&["timestamp"]),
            weight: Vec::new(),
            weight_default: None,
        }
    }
}

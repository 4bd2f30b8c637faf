//! The schema: where the fields of an event are, and how their values are read, as the configuration says.

/// Where the fields of an event are. Each is a list of texts that name fields (see [`crate::plan`]), which are tried in
/// order. Values that are absent, null, empty or unusable are passed over.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct SchemaSpec {
    /// The array whose elements are the events; `None` where each record is one event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// The item's id: a text, or a number or boolean as it is written.
    pub item: Vec<String>,
    /// The event type.
    pub event_type: Vec<String>,
    /// The event time, see [`crate::time`].
    pub timestamp: Vec<String>,
    /// How texts of times are written, for `strftime`; `None` reads RFC 3339 and numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_format: Option<String>,
    /// The IANA name of the time zone of texts that name none; `None` refuses them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The weight: a number, or a text that is one. If it has no name, every event weighs 1.
    pub weight: Vec<String>,
    /// The weight of an event that has none of the weight's fields; `None` refuses such an event.
    pub weight_default: Option<u32>,
    /// In how many units one is counted: 100 counts amounts in cents. With 1 a weight must be whole.
    #[serde(skip_serializing_if = "is_one")]
    pub weight_scale: u32,
}

fn is_one(scale: &u32) -> bool {
    *scale == 1
}

impl Default for SchemaSpec {
    fn default() -> Self {
        let names = |list: &[&str]| list.iter().map(|n| n.to_string()).collect();
        SchemaSpec {
            each: None,
            item: names(&["item_id"]),
            event_type: names(&["event_type", "event"]),
            timestamp: names(&["timestamp"]),
            timestamp_format: None,
            timezone: None,
            weight: Vec::new(),
            weight_default: None,
            weight_scale: 1,
        }
    }
}

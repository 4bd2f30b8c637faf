//! The text format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write};

/// A metric's name, its help, and its value of a thing.
pub type Family<T, N> = (&'static str, &'static str, fn(&T) -> N);

/// The text so far.
pub struct Page(pub String);

impl Page {
    /// The lines before a metric's samples. What ends in `_total` is a counter.
    pub fn family(&mut self, name: &str, help: &str) {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP crest_{name} {help}\n# TYPE crest_{name} {kind}");
    }

    /// A metric's value.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &dyn Display)], value: impl Display) {
        let _ = write!(self.0, "crest_{name}");
        for (place, (label, text)) in labels.iter().enumerate() {
            let open = if place == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{open}{label}=\"{}\"", escaped(&text.to_string()));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }

    /// Metrics that several things have, each told apart by a label.
    pub fn table<T, N: Display>(
        &mut self,
        families: &[Family<T, N>],
        label: &str,
        things: &[(impl Display, &T)],
    ) {
        for (name, help, value) in families {
            self.family(name, help);
            things.iter().for_each(|(thing, of)| self.sample(name, &[(label, thing)], value(of)));
        }
    }

    /// A metric with one sample.
    pub fn one(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<(&str, &dyn Display)> =
            labels.iter().map(|(name, text)| (*name, text as &dyn Display)).collect();
        self.family(name, help);
        self.sample(name, &labels, value);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

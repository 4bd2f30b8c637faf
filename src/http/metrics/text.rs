//! The text format of Prometheus, version 0.0.4.

use crate::figures::Figures;
use std::fmt::Write;

/// These figures in it.
pub fn text(figures: &Figures) -> String {
    let mut page = String::with_capacity(16 << 10);
    for figure in figures.all() {
        let (name, help) = (figure.name, figure.help);
        let kind = if figure.is_counter() { "counter" } else { "gauge" };
        // Writing to a string does not fail.
        let _ = writeln!(page, "# HELP crest_{name} {help}\n# TYPE crest_{name} {kind}");
        for sample in &figure.samples {
            let _ = write!(page, "crest_{name}");
            for (place, (label, text)) in sample.labels.iter().enumerate() {
                let open = if place == 0 { '{' } else { ',' };
                let _ = write!(page, "{open}{label}=\"{}\"", escaped(text));
            }
            let close = if sample.labels.is_empty() { "" } else { "}" };
            let _ = writeln!(page, "{close} {}", sample.value);
        }
    }
    page
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

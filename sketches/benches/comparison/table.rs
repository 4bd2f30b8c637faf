//! Markdown tables on standard output: names to the left, numbers to the right.

pub struct Table {
    /// The leading columns that are names.
    names: usize,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<S: Into<String>>(names: usize, header: impl IntoIterator<Item = S>) -> Self {
        Table { names, header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let cells: Vec<_> = cells.into_iter().map(Into::into).collect();
        assert_eq!(cells.len(), self.header.len(), "a cell for each column");
        self.rows.push(cells);
    }

    /// With remarks under it, where there are any.
    pub fn print(&self, title: &str, remarks: &str) {
        println!("### {title}\n");
        let all = || std::iter::once(&self.header).chain(&self.rows);
        let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<_> = (0..self.header.len()).map(width).collect();
        for (number, row) in all().enumerate() {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
                _ if column < self.names => format!("{cell:width$}"),
                _ => format!("{cell:>width$}"),
            });
            println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
            if number == 0 {
                let rules = widths.iter().enumerate().map(|(column, &width)| match column {
                    _ if column < self.names => "-".repeat(width),
                    _ => format!("{}:", "-".repeat(width.max(2) - 1)),
                });
                println!("| {} |", rules.collect::<Vec<_>>().join(" | "));
            }
        }
        println!();
        if !remarks.is_empty() {
            println!("{remarks}\n");
        }
    }
}

/// A number, and what it is of the one that others are compared with.
pub fn with_ratio(value: f64, base: f64, digits: usize) -> String {
    format!("{value:.digits$} ({:.1}x)", value / base)
}

/// A share in percent, of whatever size.
pub fn percent(share: f64) -> String {
    if share == 0.0 { "0".to_owned() } else { format!("{:.4}", 100.0 * share) }
}

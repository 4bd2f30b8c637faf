//! The table of all shapes, and which budgets are missed.

use crate::costs::Row;
use crate::figures::note;
use crate::shape::{OF_DUCKDB, OF_FLAT};

pub fn print(rows: &[Row]) {
    println!(
        "| shape | bytes | crest ns/event | MB/s | script ns/event | crest to script | DuckDB ns/event | crest to flat | budget |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    rows.iter().for_each(Row::print);
    rows.iter().for_each(Row::note);
    let missed: Vec<String> = rows.iter().flat_map(Row::missed).collect();
    match missed.as_slice() {
        [] => println!("\nNo budget is missed."),
        missed => println!("\nMissed: {}.", missed.join("; ")),
    }
}

impl Row {
    fn print(&self) {
        let (name, bytes, budget) = (self.shape.name, self.bytes, &self.shape.budget);
        let ns = |costs: &[f64]| median(costs.to_vec()).map(|ns| format!("{ns:.0}")).unwrap_or_default();
        let ratio = |ratio: Option<f64>| ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let rate = median(self.costs.crest.clone()).map(|ns| format!("{:.0}", bytes * 1e3 / ns));
        let of_flat = self.to_flat().map(|_| format!("; {OF_FLAT} of flat")).unwrap_or_default();
        println!(
            "| {name} | {bytes:.0} | {} | {} | {} | {} | {} | {} | {} ns; {} of the script{of_flat} |",
            ns(&self.costs.crest),
            rate.unwrap_or_default(),
            ns(&self.costs.script),
            ratio(self.to_script()),
            ns(&self.costs.duckdb),
            ratio(self.to_flat()),
            budget.nanoseconds,
            budget.of_script,
        );
    }

    fn note(&self) {
        let (what, budget) = (format!("{}, one worker", self.shape.name), &self.shape.budget);
        let figures = [
            (median(self.costs.crest.clone()), "ns of CPU an event", format!("{} ns", budget.nanoseconds)),
            (self.to_script(), "of the tuned script's CPU", budget.of_script.to_string()),
            (self.to_duckdb(), "of DuckDB's CPU", OF_DUCKDB.to_string()),
            (self.to_flat(), "of the flat event of its length", OF_FLAT.to_string()),
        ];
        for (measured, unit, budget) in figures {
            measured.into_iter().for_each(|measured| note(&what, measured, unit, &budget));
        }
    }

    fn to_duckdb(&self) -> Option<f64> {
        ratio(&self.costs.crest, &self.costs.duckdb)
    }

    fn to_script(&self) -> Option<f64> {
        ratio(&self.costs.crest, &self.costs.script)
    }

    fn to_flat(&self) -> Option<f64> {
        ratio(&self.costs.crest, &self.costs.twins)
    }

    fn missed(&self) -> Vec<String> {
        let (name, budget) = (self.shape.name, &self.shape.budget);
        let figures = [
            (median(self.costs.crest.clone()), budget.nanoseconds, "ns"),
            (self.to_script(), budget.of_script, "of the script"),
            (self.to_duckdb(), OF_DUCKDB, "of DuckDB"),
            (self.to_flat(), OF_FLAT, "of flat"),
        ];
        let over = |(measured, budget, unit): (Option<f64>, f64, &str)| {
            let measured = measured.filter(|&measured| measured > budget)?;
            let shown = if unit == "ns" { format!("{measured:.0}") } else { format!("{measured:.2}") };
            Some(format!("{name}: {shown} {unit}, not {budget}"))
        };
        figures.into_iter().filter_map(over).collect()
    }
}

/// The median of the ratios of each round; nothing where one of the two was not measured.
fn ratio(costs: &[f64], to: &[f64]) -> Option<f64> {
    median(costs.iter().zip(to).map(|(cost, to)| cost / to).collect())
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

//! The budgets that the design sets to a sketch, and whether this run kept them.

use crate::contenders::{Contender, classic, ledger};
use crate::days::Measured;
use crate::heads::Shifted;
use crate::table::{Table, percent};
use crate::updates::Updates;
use crate::windows::Judged;

/// A budget, what was measured, and whether that keeps it.
struct Line {
    what: String,
    budget: String,
    measured: String,
    kept: bool,
}

impl Line {
    fn at_most(what: &str, most: f64, measured: f64, unit: &str) -> Line {
        Line {
            what: what.to_owned(),
            budget: format!("at most {most} {unit}"),
            measured: format!("{measured:.2} {unit}"),
            kept: measured <= most,
        }
    }

    fn at_least(what: &str, least: f64, measured: f64, unit: &str) -> Line {
        Line {
            what: what.to_owned(),
            budget: format!("at least {least}{unit}"),
            measured: format!("{measured:.2}{unit}"),
            kept: measured >= least,
        }
    }
}

fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}

fn least(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::MAX, f64::min)
}

/// Of those topics that were measured.
pub fn print(updates: &[Updates], judged: &[Judged], days: &[Measured], heads: &[Shifted]) {
    let mut lines = Vec::new();
    if !updates.is_empty() {
        lines.extend(of_updates(updates));
    }
    if !judged.is_empty() {
        lines.extend(of_windows(judged));
    }
    if !days.is_empty() {
        lines.extend(of_days(days));
    }
    if !heads.is_empty() {
        let ours = heads.iter().filter(|shifted| shifted.is_ours());
        let recall = least(ours.map(|shifted| shifted.verdicts[0].recall_100));
        lines.push(Line::at_least("recall@100, 1 h, a head that shifts", 0.97, recall, ""));
        let verdicts = heads.iter().flat_map(|shifted| &shifted.verdicts);
        let violations = verdicts.map(|verdict| verdict.violations).sum();
        lines.push(none_violated("violations of a bound, a head that shifts", violations));
    }
    let mut table = Table::new(1, ["budget", "", "worst measured", "kept"]);
    for Line { what, budget, measured, kept } in lines {
        table.row([what, budget, measured, if kept { "yes" } else { "NO" }.to_owned()]);
    }
    table.print("Budgets", "");
}

fn of_updates(updates: &[Updates]) -> Vec<Line> {
    let ledger_ns = |updates: &Updates| updates.costs[0].1;
    let slowest = |uniform: bool| most(updates.iter().filter(|u| u.is_uniform() == uniform).map(ledger_ns));
    // Everyone's time as a multiple of the ledger's, where it is least.
    let ratio = |contender: &Contender| {
        let of = |updates: &Updates| {
            let its = updates.costs.iter().find(|(other, ..)| other == contender);
            its.map_or(f64::MAX, |(_, ns, _)| ns / ledger_ns(updates))
        };
        least(updates.iter().map(of))
    };
    let mut lines = vec![
        Line::at_most("update, Zipf", 35.0, slowest(false), "ns"),
        Line::at_most("update, uniform", 55.0, slowest(true), "ns"),
        Line::at_least("rate to the classic pair's", 3.0, ratio(&classic()), "x"),
    ];
    for (contender, ..) in updates.iter().take(1).flat_map(|updates| &updates.costs) {
        if let Contender::FrequentItems { .. } = contender {
            let what = format!("rate to that of {}", contender.name());
            lines.push(Line::at_least(&what, 2.0, ratio(contender), "x"));
        }
    }
    lines
}

fn of_windows(judged: &[Judged]) -> Vec<Line> {
    let ours = || judged.iter().filter(|judged| judged.contender == ledger());
    let zipf = || ours().filter(|judged| !judged.is_uniform()).map(|judged| &judged.verdict);
    let violations: usize = ours().map(|judged| judged.verdict.violations).sum();
    vec![
        Line::at_least("recall@10, 1 min, Zipf", 1.0, least(zipf().map(|verdict| verdict.recall_10)), ""),
        Line::at_least("recall@100, 1 min, Zipf", 0.99, least(zipf().map(|verdict| verdict.recall_100)), ""),
        mean_error("mean error of the top 100, 1 min, Zipf", most(zipf().map(|verdict| verdict.mean_error))),
        none_violated("violations of a bound, 1 min", violations),
    ]
}

fn of_days(days: &[Measured]) -> Vec<Line> {
    let costs = || days.iter().map(|day| &day.costs[0]);
    let verdicts = |uniform: bool| {
        let of = days.iter().filter(move |day| uniform || !day.is_uniform()).flat_map(|day| &day.verdicts);
        of.filter(|(_, name, ..)| name.contains("running sum")).map(|(.., verdict)| verdict)
    };
    let zipf = || verdicts(false);
    vec![
        Line::at_least(
            "recall@10, 1 h and 24 h, Zipf",
            1.0,
            least(zipf().map(|verdict| verdict.recall_10)),
            "",
        ),
        Line::at_least(
            "recall@100, 1 h and 24 h, Zipf",
            0.99,
            least(zipf().map(|verdict| verdict.recall_100)),
            "",
        ),
        mean_error(
            "mean error of the top 100, 1 h and 24 h, Zipf",
            most(zipf().map(|verdict| verdict.mean_error)),
        ),
        none_violated(
            "violations of a bound, 1 h and 24 h",
            verdicts(true).map(|verdict| verdict.violations).sum(),
        ),
        Line::at_most("a slide of 24 h", 5.0, most(costs().map(|cost| cost.slide)), "ms"),
        top_100("top 100 of 24 h, Zipf", days.iter().filter(|day| !day.is_uniform())),
        top_100("top 100 of 24 h, uniform", days.iter().filter(|day| day.is_uniform())),
    ]
}

/// It reads all candidates, and so it takes as long as there are.
fn top_100<'a>(what: &str, days: impl Iterator<Item = &'a Measured>) -> Line {
    let costs = days.map(|day| &day.costs[0]);
    let slowest = costs.max_by(|a, b| a.top.unwrap_or(0.0).total_cmp(&b.top.unwrap_or(0.0)));
    let (top, candidates) =
        slowest.map_or((0.0, 0), |cost| (cost.top.unwrap_or(0.0), cost.candidates.unwrap_or(0)));
    let line = Line::at_most(what, 0.3, top, "ms");
    Line { measured: format!("{} of {candidates} candidates", line.measured), ..line }
}

fn mean_error(what: &str, error: f64) -> Line {
    Line {
        what: what.to_owned(),
        budget: "at most 0.5 %".to_owned(),
        measured: format!("{} %", percent(error)),
        kept: error <= 0.005,
    }
}

fn none_violated(what: &str, violations: usize) -> Line {
    Line {
        what: what.to_owned(),
        budget: "0".to_owned(),
        measured: violations.to_string(),
        kept: violations == 0,
    }
}

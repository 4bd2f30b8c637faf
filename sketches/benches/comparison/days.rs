//! A window of a day in nodes of a minute that slides by one: what a slide costs, and how good the long windows are.

use crate::contenders::{Contender, classic, classic_shape, ledger, ledger_shape};
use crate::judge::{Truth, Verdict, judge};
use crate::runners::{Cost, Day, Exact, Remerged, Running, SLIDES};
use crate::streams::{Draws, Law};
use crate::table::Table;

/// Enough to overflow the ledger of a minute.
const EVENTS_A_MINUTE: usize = 30_000;
/// Minutes of the shorter of the two windows that are judged.
const HOUR: u64 = 60;

const REMARKS: &str = "MB are those of all that a slide needs: of the window, and of what it keeps of each minute. The \
                       ledger keeps 1024 rows of a minute. DataSketches' sketches cannot be subtracted, so that a \
                       slide merges all minutes anew.";

/// On one stream.
pub struct Measured {
    law: Law,
    pub costs: Vec<Cost>,
    /// Of the windows of some minutes.
    pub verdicts: Vec<(u64, String, usize, Verdict)>,
}

/// Everyone on the first two laws; the ledger and `FrequentItems` on those without a head and with a great one.
pub fn measure(contenders: &[Contender], map: usize, minutes: u64, seed: u64) -> Vec<Measured> {
    let law = |exponent| Law { exponent, items: 1_000_000, weighted: false };
    let laws = [(1.0, true), (0.0, true), (0.8, false), (1.3, false)];
    let measured = |(exponent, everyone): (f64, bool)| {
        eprintln!("a day of {}", law(exponent).name());
        let of_day = contenders.iter().filter_map(|contender| {
            let day: Box<dyn Day> = match contender {
                _ if *contender == ledger() => Box::new(Running::new(ledger_shape())),
                _ if *contender == classic() && everyone => Box::new(Running::new(classic_shape())),
                Contender::FrequentItems { map: its } if *its == map => Box::new(Remerged::new(contender)),
                Contender::CountMin if everyone => Box::new(Remerged::new(contender)),
                Contender::Exact if everyone => Box::new(Exact::new()),
                _ => return None,
            };
            Some(day)
        });
        run(law(exponent), of_day.collect(), minutes, seed)
    };
    laws.into_iter().map(measured).collect()
}

fn run(law: Law, mut days: Vec<Box<dyn Day>>, minutes: u64, seed: u64) -> Measured {
    let (mut draws, mut truth) = (Draws::new(law, seed), Truth::new(law.items));
    let mut verdicts = Vec::new();
    for number in 0..minutes + SLIDES {
        let events = draws.stream(EVENTS_A_MINUTE);
        days.iter_mut().for_each(|day| day.minute(number, minutes, &events));
        truth.add(&events);
        if [HOUR, minutes].contains(&(number + 1)) {
            let answers = days.iter().flat_map(|day| day.answers());
            verdicts.extend(
                answers.map(|(name, answer)| (number + 1, name, answer.rows.len(), judge(&answer, &truth))),
            );
        }
    }
    Measured { law, costs: days.iter().map(|day| day.cost()).collect(), verdicts }
}

pub fn print(all: &[Measured], minutes: u64) {
    print_costs(all, minutes);
    print_verdicts(all);
}

fn print_costs(all: &[Measured], minutes: u64) {
    let mut table = Table::new(
        2,
        ["stream", "", "candidates", "MB", "ms a slide", "ratio", "ms top 100", "ms provisional"],
    );
    for measured in all {
        for cost in &measured.costs {
            let time = |time: Option<f64>| time.map_or("none".to_owned(), |time| format!("{time:.3}"));
            table.row([
                measured.law.name(),
                cost.name.clone(),
                cost.candidates.map_or("none".to_owned(), |candidates| candidates.to_string()),
                format!("{:.1}", cost.megabytes),
                format!("{:.3}", cost.slide),
                format!("{:.1}x", cost.slide / measured.costs[0].slide),
                time(cost.top),
                time(cost.provisional),
            ]);
        }
    }
    let title = format!(
        "Slide: a window of {minutes} minutes of {EVENTS_A_MINUTE} events takes in one and drops one"
    );
    table.print(&title, REMARKS);
}

fn print_verdicts(all: &[Measured]) {
    let mut table = Table::new(
        2,
        [
            "stream",
            "",
            "minutes",
            "candidates",
            "recall@10",
            "recall@100",
            "mean error %",
            "largest %",
            "guaranteed",
            "E %",
            "violations",
        ],
    );
    for measured in all {
        for (minutes, name, candidates, verdict) in &measured.verdicts {
            let head = [measured.law.name(), name.clone(), minutes.to_string(), candidates.to_string()];
            table.row(head.into_iter().chain(verdict.cells()));
        }
    }
    table.print("Accuracy of the top 100 of long windows", "");
}

impl Measured {
    pub fn is_uniform(&self) -> bool {
        self.law.is_uniform()
    }
}

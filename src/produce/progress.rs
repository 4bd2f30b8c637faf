//! How far a load is: a bar on a terminal, and the last line.

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// The bar is told of so many records at once.
const RECORDS_PER_UPDATE: u64 = 1024;
const REDRAW: Duration = Duration::from_millis(250);

/// Counts records and bytes. `indicatif` draws on standard error, and nothing where that is no terminal.
pub struct Progress {
    bar: ProgressBar,
    began: Instant,
    records: u64,
    sent: u64,
    sent_bytes: u64,
    read_bytes: u64,
}

impl Progress {
    /// `total` is in bytes, where it is known.
    pub fn new(total: Option<u64>) -> Self {
        let (bar, template) = match total {
            Some(total) => {
                (ProgressBar::new(total), "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {msg} {eta} left")
            }
            None => (ProgressBar::new_spinner(), "{spinner} {bytes} {bytes_per_sec} {msg}"),
        };
        let bar = match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        bar.enable_steady_tick(REDRAW);
        Progress { bar, began: Instant::now(), records: 0, sent: 0, sent_bytes: 0, read_bytes: 0 }
    }

    /// A record of `bytes` was sent; `delivered` were acknowledged so far.
    pub fn sent(&mut self, bytes: u64, delivered: u64) {
        self.sent += 1;
        self.sent_bytes += bytes;
        if self.sent.is_multiple_of(RECORDS_PER_UPDATE) {
            self.bar.set_message(format!("{delivered} acknowledged"));
        }
        self.passed(bytes);
    }

    /// A record of `bytes` was read.
    pub fn passed(&mut self, bytes: u64) {
        self.records += 1;
        self.read_bytes += bytes + 1;
        if self.records.is_multiple_of(RECORDS_PER_UPDATE) {
            self.bar.set_position(self.read_bytes);
        }
    }

    /// Takes the bar away; what is to be said instead.
    pub fn finish(&self) -> String {
        self.bar.finish_and_clear();
        let seconds = self.began.elapsed().as_secs_f64();
        let rate = (self.sent as f64 / seconds.max(1e-9)).round();
        let bytes = HumanBytes(self.sent_bytes);
        format!("sent {} records, {bytes}, in {seconds:.2} s: {rate} records/s", self.sent)
    }
}

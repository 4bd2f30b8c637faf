//! What a run has made of its input, of all workers together: read, counted, late, refused by reason; and of each board
//! what it took, and which of the fields that its configuration names no event had. In numbers, and in the words that end
//! a bounded run, warn in the log of a live one, and explain over HTTP why there is no ranking.

use crate::failure::Failure;
use crate::nearest::nearest;
use crest_dataflows::match_counts::{Field, MatchCounts, Role, fields};
use crest_dataflows::status::{JobView, WorkerStatus};
use crest_formats::refusal::Refusal;
use crest_state::spec::JobSpec;
use indicatif::HumanCount;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

/// Where more than one in so many records or events cannot be counted, the configuration is taken for wrong, and not these.
pub const TOLERATED: u64 = 10;
/// Fields that a line names; of more it says how many.
const TOLD_FIELDS: usize = 8;

/// What a run has made of its input. Counts are since the start.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Records read from the source.
    pub records: u64,
    /// Events counted in at least one board.
    pub events: u64,
    /// Events of panes that their partition had passed.
    pub late: u64,
    /// Those of the late events that are counted all the same, in windows of the whole input alone.
    pub late_in_whole: u64,
    /// Records refused otherwise, by reason.
    pub refused: Vec<(Refusal, u64)>,
    /// Good events that no board's filter takes.
    pub unmatched: u64,
    /// Good events of panes that are not among those to be counted.
    pub outside: u64,
    /// Records that say only that their key is deleted.
    pub tombstones: u64,
    /// Records without an element of the array whose elements are the events.
    pub without_events: u64,
    /// Records that an earlier run had counted or refused.
    pub replayed: u64,
    /// In the order of the configuration.
    pub boards: Vec<BoardAccount>,
    /// The schema's timestamp, where no record had it.
    no_timestamp: Option<String>,
}

/// What became of a board's events.
#[derive(Clone, Debug)]
pub struct BoardAccount {
    /// Its name.
    pub name: Arc<str>,
    /// What its filter took, and could not count.
    pub match_counts: MatchCounts,
    /// What its configuration names.
    pub fields: Vec<Field>,
    /// Names of fields that events have.
    names: Arc<BTreeSet<String>>,
    /// Whether any event came as far as the boards. Those that are refused for their time do not.
    is_asked: bool,
}

impl Account {
    /// The account of all workers of a job that have reported.
    pub fn of(spec: &JobSpec, view: &JobView) -> Self {
        let names = view.names();
        let boards = (0..spec.boards.len()).map(|board| BoardAccount::new(spec, board, &names)).collect();
        let mut account = Account { boards, ..Account::default() };
        let mut refused = [0; Refusal::ALL.len()];
        let mut saw_timestamp = false;
        view.with_workers(|workers| {
            for (_, WorkerStatus { counts, .. }) in workers.iter().flatten() {
                account.records += counts.records;
                account.events += counts.events;
                account.late_in_whole += counts.late_in_whole;
                account.unmatched += counts.unmatched;
                account.outside += counts.outside;
                account.tombstones += counts.tombstones;
                account.without_events += counts.without_events;
                account.replayed += counts.replayed;
                refused.iter_mut().zip(counts.refused).for_each(|(sum, theirs)| *sum += theirs);
                account.boards.iter_mut().zip(&counts.boards).for_each(|(sum, b)| sum.match_counts.add(b));
                saw_timestamp |= counts.saw_timestamp;
            }
        });
        account.late = account.late_in_whole + std::mem::take(&mut refused[Refusal::Late as usize]);
        account.refused = Refusal::ALL.into_iter().zip(refused).filter(|(_, count)| *count > 0).collect();
        let timeless = [Refusal::Malformed, Refusal::InvalidUtf8, Refusal::TooLong, Refusal::Timestamp];
        let timed = account.events
            + account.late
            + account.unmatched
            + account.outside
            + account.sum(|reason| !timeless.contains(&reason));
        account.note_asked();
        account.no_timestamp = (!saw_timestamp && timed == 0).then(|| spec.schema.timestamp.join(" or "));
        account
    }

    /// Adds the account of another run of the same job.
    pub fn add(&mut self, other: Account) {
        self.records += other.records;
        self.events += other.events;
        self.late += other.late;
        self.late_in_whole += other.late_in_whole;
        self.unmatched += other.unmatched;
        self.outside += other.outside;
        self.tombstones += other.tombstones;
        self.without_events += other.without_events;
        self.replayed += other.replayed;
        let mut refused: BTreeMap<Refusal, u64> = std::mem::take(&mut self.refused).into_iter().collect();
        other.refused.into_iter().for_each(|(reason, count)| *refused.entry(reason).or_default() += count);
        self.refused = refused.into_iter().collect();
        self.boards
            .iter_mut()
            .zip(&other.boards)
            .for_each(|(sum, theirs)| sum.match_counts.add(&theirs.match_counts));
        self.note_asked();
        self.no_timestamp = self.no_timestamp.take().filter(|_| other.no_timestamp.is_some());
    }

    /// Notes whether any event came as far as the boards.
    fn note_asked(&mut self) {
        let is_asked = self.unmatched + self.without_events > 0
            || self.boards.iter().any(|board| board.match_counts.matched > 0);
        self.boards.iter_mut().for_each(|board| board.is_asked = is_asked);
    }

    fn sum(&self, of: impl Fn(Refusal) -> bool) -> u64 {
        self.refused.iter().filter(|(reason, _)| of(*reason)).map(|(_, count)| count).sum()
    }

    /// Whether records were read, and none of them was counted, now or by an earlier run.
    pub fn counted_nothing(&self) -> bool {
        self.events == 0 && self.records > self.replayed
    }

    /// Whether nothing was late or refused.
    pub fn is_whole(&self) -> bool {
        self.late == 0 && self.refused.is_empty()
    }

    /// `read 10,000 records, counted 1,966: 8,034 late`.
    pub fn headline(&self) -> String {
        let lost = self.lost();
        let counted = match self.events {
            _ if self.records == 0 => return "read 0 records".to_owned(),
            0 => "none".to_owned(),
            events if events == self.records && lost.is_empty() => "all".to_owned(),
            events => HumanCount(events).to_string(),
        };
        let text = format!("read {}, counted {counted}", many(self.records, "record"));
        let text = if lost.is_empty() { text } else { format!("{text}: {}", lost.join(", ")) };
        match self.late_in_whole {
            0 => text,
            late => format!("{text}; {} late and only in windows of the whole input", HumanCount(late)),
        }
    }

    /// What became of the records that were not counted.
    fn lost(&self) -> Vec<String> {
        let mut lost = Vec::new();
        let mut tell = |count: u64, what: &str| {
            if count > 0 {
                lost.push(format!("{} {what}", HumanCount(count)));
            }
        };
        tell(self.late - self.late_in_whole, "late");
        for (reason, count) in &self.refused {
            tell(*count, &format!("refused as {}{}", reason.name(), self.cause(*reason)));
        }
        tell(self.unmatched, "on no board");
        tell(self.outside, "outside the range");
        tell(self.tombstones, if self.tombstones == 1 { "tombstone" } else { "tombstones" });
        tell(self.without_events, "without an event");
        tell(self.replayed, "known from an earlier run");
        lost
    }

    /// Why so many were refused for this reason, where it is that a field was never there.
    fn cause(&self, reason: Refusal) -> String {
        let role = match reason {
            Refusal::Item => Role::Item,
            Refusal::Weight => Role::Weight,
            Refusal::Timestamp => {
                return self.no_timestamp.as_ref().map_or_else(String::new, |n| format!(" (none has {n})"));
            }
            _ => return String::new(),
        };
        let mut names: Vec<&str> = Vec::new();
        for board in self.boards.iter().filter(|board| board.match_counts.matched > 0) {
            match board.unseen().find(|field| field.role == role) {
                Some(field) if !names.contains(&field.name.as_str()) => names.push(&field.name),
                Some(_) => {}
                None => return String::new(),
            }
        }
        if names.is_empty() { String::new() } else { format!(" (none has {})", names.join(" or ")) }
    }

    /// Why a board has no ranking, where that is because it has counted nothing of what was read.
    pub fn nothing_of(&self, board: &str) -> Option<String> {
        let board = self.boards.iter().find(|known| *known.name == *board)?;
        if self.counted_nothing() {
            let headline = self.headline();
            return Some(if board.is_plain() { headline } else { format!("{headline}; {}", board.line()) });
        }
        let left_out = self.events > 0 && board.counted() == 0;
        left_out.then(|| format!("read {}; {}", many(self.records, "record"), board.line()))
    }

    /// Says in the log what each board has met, where anything was read.
    pub fn tell_boards(&self) {
        for board in self.boards.iter().filter(|_| self.records > 0) {
            if board.is_well() {
                tracing::info!("{}", board.line());
            } else {
                tracing::warn!("{}", board.line());
            }
        }
    }

    /// How a bounded run has ended.
    ///
    /// # Errors
    /// It has read records, and counted nothing.
    pub fn result(&self) -> Result<(), Failure> {
        if self.counted_nothing() {
            return Err(Failure::Failed(format!("nothing was counted: {}", self.headline())));
        }
        Ok(())
    }
}

impl BoardAccount {
    fn new(spec: &JobSpec, board: usize, names: &Arc<BTreeSet<String>>) -> Self {
        let board = &spec.boards[board];
        let fields = fields(&spec.schema, board);
        let (name, names) = (board.name.clone(), names.clone());
        BoardAccount { name, match_counts: MatchCounts::default(), fields, names, is_asked: false }
    }

    /// Each field of its configuration, and whether an event had it.
    pub fn seen(&self) -> impl Iterator<Item = (&Field, bool)> {
        let seen = self.match_counts.seen.iter().copied().chain(std::iter::repeat(false));
        self.fields.iter().zip(seen)
    }

    /// The fields that no event had that the board matched; of its filter, that none had at all; and the array of its
    /// events, where there was none.
    pub fn unseen(&self) -> impl Iterator<Item = &Field> {
        // Without an event, nobody knows which fields it would have had.
        let known = |field: &Field| {
            self.match_counts.matched > 0 || self.is_asked && matches!(field.role, Role::Each | Role::Filter)
        };
        self.seen().filter(move |(field, seen)| !seen && known(field)).map(|(field, _)| field)
    }

    /// Whether something of its configuration has matched nothing.
    pub fn is_amiss(&self) -> bool {
        self.match_counts.matched == 0 || self.unseen().next().is_some()
    }

    /// The events that it took and that have no usable value, where it counts different values.
    pub fn without_value(&self) -> Option<u64> {
        let is_distinct = self.fields.iter().any(|field| field.role == Role::Distinct);
        is_distinct.then_some(self.match_counts.without_value)
    }

    fn counted(&self) -> u64 {
        let lacking: u64 = self.lacking().iter().map(|(count, _)| count).sum();
        self.match_counts.matched.saturating_sub(lacking)
    }

    /// What of each event could not be used, as it is told, and for how many of those that it took.
    pub fn lacking(&self) -> [(u64, &'static str); 3] {
        let MatchCounts { without_item, without_weight, without_value, .. } = self.match_counts;
        [(without_item, "item"), (without_weight, "weight"), (without_value, "value to count")]
    }

    /// Whether it could not count so many of the events that it took that its configuration is to blame, and not the events.
    pub fn is_lacking(&self) -> bool {
        let matched = self.match_counts.matched;
        matched - self.counted() > matched / TOLERATED
    }

    fn is_well(&self) -> bool {
        !self.is_amiss() && self.counted() == self.match_counts.matched
    }

    /// Whether its configuration is no cause for anything: it takes what comes, or nothing came as far.
    fn is_plain(&self) -> bool {
        self.match_counts.matched > 0
            || !self.is_asked
            || self.fields.iter().all(|field| !matches!(field.role, Role::Each | Role::Filter))
    }

    /// `board videos matched 10,000 events, 20 of them without an item; none had region (by)`.
    pub fn line(&self) -> String {
        let matched = self.match_counts.matched;
        let mut text = match matched {
            0 => format!("board {} matched no event", self.name),
            _ => format!("board {} matched {}", self.name, many(matched, "event")),
        };
        for (count, what) in self.lacking() {
            if count > 0 {
                // Writing to a string does not fail.
                let _ = write!(text, ", {} of them without a usable {what}", HumanCount(count));
            }
        }
        let told = self.unseen().take(TOLD_FIELDS).map(|field| written(field, &self.names));
        let first = told.collect::<Vec<String>>().join(", ");
        if !first.is_empty() {
            let more = match self.unseen().skip(TOLD_FIELDS).count() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let _ = write!(text, "; no event had {first}{more}");
        }
        text
    }
}

/// `regoin (by; did you mean region?)`.
fn written(field: &Field, names: &BTreeSet<String>) -> String {
    let Field { name, role } = field;
    let near = match role {
        // A factor is of a value, and not of a field.
        Role::Factor => None,
        Role::Each => nearest(name, names).and_then(array).filter(|array| array != name),
        _ => nearest(name, names),
    };
    let meant = match near.map(|near| (near, near.rsplit_once("[*]."))) {
        None => String::new(),
        // As it stands it would be that of the first element alone.
        Some((_, Some((array, field)))) => format!("; did you mean {field}, with each = \"{array}[*]\"?"),
        Some((near, None)) => format!("; did you mean {near}?"),
    };
    format!("{name} ({}{meant})", role.key())
}

/// The last array on the way to a field.
fn array(field: &str) -> Option<&str> {
    const ARRAY: &str = "[*]";
    field.rfind(ARRAY).map(|at| &field[..at + ARRAY.len()])
}

fn many(count: u64, what: &str) -> String {
    format!("{} {what}{}", HumanCount(count), if count == 1 { "" } else { "s" })
}

//! The thread that writes to Redis: what waits, in pipelines, once its window's lease is there.

use super::call::Calls;
use super::lease::{Leases, RENEW};
use super::link::{Link, Target};
use super::options::RedisOptions;
use super::outcome::{Outcome, Removal};
use super::pending::Write;
use super::refusal::{Answer, Refusals};
use super::shared::Shared;
use crate::outage::Backoff;
use ::redis::{Cmd, RedisError, RedisResult, Script};
use crest_host::clock;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// Between two attempts: at first, and at most.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
/// Snapshots written in one pipeline …
const PIPELINE: usize = 128;
/// … unless they have more rows than this, which keep a server busy for about a tenth of a second.
const PIPELINE_ROWS: usize = 100_000;
/// A write that was refused for its epoch is repeated with a greater one so many times.
const EPOCHS: usize = 3;

/// What the thread that writes owns.
pub(super) struct Writer {
    shared: Arc<Shared>,
    wire: Wire,
    calls: Calls,
    leases: Leases,
    refusals: Refusals,
}

/// The connection, made anew where it was lost.
struct Wire {
    target: Target,
    link: Option<Link>,
}

impl Wire {
    /// Runs calls on the connection there is, or on a new one. One that was closed while it was idle is no
    /// outage, and to publish twice does no harm.
    fn call(&mut self, script: &Script, calls: &[Cmd]) -> RedisResult<Vec<RedisResult<Answer>>> {
        let first = self.link.as_mut().map(|link| link.run(script, calls));
        let answers = match first {
            Some(Err(error)) if !error.is_connection_dropped() => return Err(error),
            Some(Ok(answers)) => answers,
            _ => self.link.insert(self.target.connect()?).run(script, calls)?,
        };
        Ok(answers.into_iter().map(|answer| Answer::of(&answer?)).collect())
    }
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, target: Target, options: &RedisOptions) -> Self {
        let (wire, calls) = (Wire { target, link: None }, Calls::new(options));
        Writer { shared, wire, calls, leases: Leases::new(options), refusals: Refusals::default() }
    }

    /// Writes until the sink is closed.
    pub(super) fn run(mut self, opened: &SyncSender<RedisResult<()>>) {
        let first = self.wire.target.connect_at_start().map(|link| self.wire.link = Some(link));
        let failed = first.is_err();
        if opened.send(first).is_err() || failed {
            return;
        }
        let (mut backoff, mut again) = (BACKOFF, clock::now() + RENEW);
        while let Some((writes, removals, all)) = self.shared.take(again) {
            if all {
                again = clock::now() + RENEW;
            }
            let mut outcome = self.write(writes);
            self.remove(removals, &mut outcome);
            self.refusals.tell();
            (outcome.refused, outcome.refusals) = (self.refusals.text(), self.refusals.counts());
            let failed = outcome.error.is_some();
            self.shared.settle(outcome);
            if failed {
                self.shared.back_off(backoff.pause());
            } else {
                backoff.reset();
            }
        }
        self.release();
        self.shared.end();
    }

    /// Lets other jobs have the keys at once. A server that is away does so by itself.
    fn release(&mut self) {
        let calls = self.leases.release();
        if let Some(link) = self.wire.link.as_mut().filter(|_| !calls.is_empty())
            && let Err(error) = link.run(self.leases.script(), &calls)
        {
            tracing::debug!(%error, "Redis: the leases will expire");
        }
    }

    /// Writes what there is, and renews the leases that are due, also where there is nothing.
    fn write(&mut self, mut writes: Vec<Write>) -> Outcome {
        let mut outcome = Outcome::default();
        loop {
            let rest = writes.split_off(pipeline(&writes));
            if let Err((error, writes)) = self.write_some(writes, &mut outcome) {
                // Nothing further will fare better on this connection.
                outcome.failed.extend(writes);
                outcome.failed.extend(rest);
                outcome.error = Some(error);
                break;
            }
            if rest.is_empty() {
                break;
            }
            writes = rest;
        }
        if outcome.error.is_some() {
            self.wire.link = None;
        }
        outcome
    }

    /// Removes the rankings of groups that left, unless what was to be written before failed.
    fn remove(&mut self, mut removals: Vec<Removal>, outcome: &mut Outcome) {
        while !removals.is_empty() && outcome.error.is_none() {
            let rest = removals.split_off(removals.len().min(PIPELINE));
            if let Err((error, removals)) = self.remove_some(removals, outcome) {
                self.wire.link = None;
                outcome.unremoved.extend(removals);
                outcome.error = Some(error);
            }
            removals = rest;
        }
        outcome.unremoved.extend(removals);
    }

    /// One pipeline. Where the connection fails, all of it is given back.
    fn remove_some(
        &mut self,
        removals: Vec<Removal>,
        outcome: &mut Outcome,
    ) -> Result<(), (RedisError, Vec<Removal>)> {
        removals.iter().for_each(|(name, epoch)| self.leases.note(&name.board, &name.window, *epoch));
        if let Err(error) = self.renew(&[]) {
            return Err((error, removals));
        }
        let (mut granted, mut calls) = (Vec::new(), Vec::new());
        for removal in removals {
            match self.leases.grant(&removal.0.board, &removal.0.window) {
                Some(grant) => {
                    calls.push(self.calls.removal(&removal.0, grant));
                    granted.push(removal);
                }
                None => outcome.held_removals.push(removal),
            }
        }
        if granted.is_empty() {
            return Ok(());
        }
        let answers = match self.wire.call(&self.calls.removal, &calls) {
            Ok(answers) => answers,
            Err(error) => return Err((error, granted)),
        };
        for (removal, answer) in granted.into_iter().zip(answers) {
            match answer {
                Ok(Answer::Removed) => outcome.removed += 1,
                Ok(Answer::Newer { epoch }) => {
                    self.leases.pass(&removal.0.board, &removal.0.window, epoch);
                    outcome.held_removals.push(removal);
                }
                Ok(Answer::Early) => outcome.held_removals.push(removal),
                // There is no ranking of a job.
                Ok(_) => {}
                Err(error) => {
                    outcome.unremoved.push(removal);
                    outcome.error = Some(error);
                }
            }
        }
        Ok(())
    }

    /// One pipeline. Where the connection fails, all of it is given back.
    fn write_some(
        &mut self,
        mut writes: Vec<Write>,
        outcome: &mut Outcome,
    ) -> Result<(), (RedisError, Vec<Write>)> {
        for _ in 0..EPOCHS {
            if let Err(error) = self.renew(&writes) {
                return Err((error, writes));
            }
            let (mut granted, mut calls) = (Vec::new(), Vec::new());
            for write in writes {
                match self.leases.grant(&write.snapshot().board, &write.snapshot().window) {
                    Some(grant) => {
                        calls.push(self.calls.of(&write, grant));
                        granted.push(write);
                    }
                    None => outcome.held.push(write),
                }
            }
            if granted.is_empty() {
                return Ok(());
            }
            let began = clock::now();
            let answers = match self.wire.call(&self.calls.script, &calls) {
                Ok(answers) => answers,
                Err(error) => return Err((error, granted)),
            };
            outcome.rounds += 1;
            outcome.round_time += clock::since(began);
            writes = Vec::new();
            for (write, answer) in granted.into_iter().zip(answers) {
                writes.extend(self.settle(write, answer, outcome));
            }
        }
        outcome.held.extend(writes);
        Ok(())
    }

    /// Notes what became of a write; it is given back where it is to be repeated with a greater epoch.
    fn settle(&mut self, write: Write, answer: RedisResult<Answer>, outcome: &mut Outcome) -> Option<Write> {
        match answer {
            Ok(Answer::Newer { epoch }) => {
                self.leases.pass(&write.snapshot().board, &write.snapshot().window, epoch);
                return Some(write);
            }
            Ok(Answer::Foreign { key, kind }) => {
                self.refusals.note_foreign(&self.calls.keys(&write).ranking, &key, &kind);
                outcome.held.push(write);
                return None;
            }
            Ok(Answer::Early) => outcome.early.push(write),
            Ok(Answer::Outdated) => outcome.outdated += 1,
            Ok(_) => {
                outcome.written += 1;
                self.leases.written(write.snapshot());
                if self.refusals.any() {
                    self.refusals.clear(&self.calls.keys(&write).ranking);
                }
            }
            Err(error) => {
                outcome.failed.push(write);
                outcome.error = Some(error);
            }
        }
        None
    }

    /// Asks for the leases that are due.
    fn renew(&mut self, writes: &[Write]) -> RedisResult<()> {
        let (windows, calls): (Vec<_>, Vec<Cmd>) =
            self.leases.due(writes, self.shared.hindered()).into_iter().unzip();
        if calls.is_empty() {
            return Ok(());
        }
        let answers = self.wire.call(self.leases.script(), &calls)?;
        windows.iter().zip(answers).try_for_each(|(window, answer)| {
            self.leases.take_answer(window, &answer?, &mut self.refusals);
            Ok(())
        })
    }
}

/// How many of some writes go in one pipeline: at least one, if there is any.
fn pipeline(writes: &[Write]) -> usize {
    let mut rows = 0;
    let fits = |write: &&Write| {
        rows += write.snapshot().items.len();
        rows <= PIPELINE_ROWS
    };
    writes.iter().take(PIPELINE).take_while(fits).count().max(1).min(writes.len())
}

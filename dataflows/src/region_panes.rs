//! The panes of regions: takes the place of the source and the pane sketches where a job merges panes that were counted
//! elsewhere.
//!
//! **In**: the news of all regions, which the first worker follows; the others have nothing to do. **Out**: for each closed
//! pane, board and region a share. **Always holds**:
//! - A pane closes once all regions have closed it. A region that is behind the others, and of which nothing has come for
//!   `idle_timeout` and two panes, holds nobody up any longer: from the panes that close without it, it is said to be missing,
//!   until it has handed over all that it has closed. A run over a range of panes waits for all of them.
//! - What comes of a region for a pane that has closed is late. It is told, and not counted: a final ranking never changes.
//! - At most [`AHEAD`] panes of a region are taken before all have closed them.
//!
//! **Costs**: one share a pane, board and region.

use crate::control::Alarm;
use crate::frame::Frames;
use crate::job::{Job, JobError};
use crate::late_pane::PaneSpan;
use crate::local::{Frontiers, Local};
use crate::match_counts::{MatchCounts, fields};
use crate::share::{GroupShare, Kind, PaneShare, Sketch};
use crate::status::{Holding, PartitionStatus, Standing};
use crest_connectors::group_key::GroupKey;
use crest_formats::refusal::Refusal;
use crest_host::clock;
use crest_sketches::Digest;
use crest_state::pane::{END, Pane, PaneWidth};
use crest_state::region_feed::{RegionFeed, RegionNews, Regions, Stopping};
use crest_state::rest::rest_of;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator;
use timely::dataflow::operators::probe::Handle;
use timely::dataflow::{Scope, Stream};

/// How many panes of a region are taken before all regions have closed them.
const AHEAD: Pane = 16;
/// How many panes may be closed and not yet published; beyond that, nothing more is taken.
const UNPUBLISHED_PANES: Pane = 1024;
/// How often the regions' news are looked at while there are none.
const LOOK: Duration = Duration::from_millis(10);
/// A turn that comes later after the one before says nothing of the regions: this process has stood still.
const PROMPT: Duration = Duration::from_secs(1);
/// How many news of a region are taken before the rest of the dataflow gets its turn.
const NEWS_PER_TURN: usize = 16;

type Shares<'scope> = Stream<'scope, u64, Frames<PaneShare>>;

/// Builds the source of one worker.
///
/// # Errors
/// The threads that follow the regions cannot be started.
pub(crate) fn region_panes<'scope>(
    scope: Scope<'scope, u64>,
    job: &Job,
    regions: &Regions,
    local: &Local,
    frontiers: Frontiers,
) -> Result<Shares<'scope>, JobError> {
    let mut panes = RegionPanes::new(job, regions, local, frontiers)?;
    Ok(operator::source::<u64, CapacityContainerBuilder<Frames<PaneShare>>, _, _>(
        scope,
        "RegionPanes",
        |capability, info| {
            let mut alarm = Alarm::new(scope.activator_for(info.address));
            panes.begin(capability);
            move |output| {
                let mut ship = |capability: &Capability<u64>, share| output.session(capability).give(share);
                let news = panes.turn(&mut ship);
                match panes.capability {
                    Some(_) if news => alarm.now(),
                    Some(_) => alarm.after(LOOK),
                    None => {}
                }
            }
        },
    ))
}

/// One region.
struct Region {
    name: Arc<str>,
    feed: RegionFeed,
    /// All panes before this one have come.
    closed: Pane,
    /// The pane that it is at: that of its news that wait, or else the first one that has not come.
    at: Pane,
    /// Since when nothing has come of it though it is behind others; `None` while that is not so.
    behind_since: Option<Instant>,
    /// No more panes will come.
    ended: bool,
    /// Whether it is missing from the panes that close now.
    silent: bool,
    /// How many of its panes have come late since it was silent.
    late: u64,
    /// News that wait until the other regions are as far.
    waiting: Option<RegionNews>,
}

/// The state of the operator.
struct RegionPanes {
    job: Job,
    local: Local,
    frontiers: Frontiers,
    width: PaneWidth,
    capability: Option<Capability<u64>>,
    regions: Vec<Region>,
    /// How long a region may hold the others up.
    patience: Duration,
    /// When the last turn was.
    turned: Instant,
    /// Panes that came late, of all regions.
    late: u64,
    /// Panes with an event that were taken, of all regions.
    records: u64,
    /// The weight in them, of each board.
    totals: Vec<u64>,
}

impl RegionPanes {
    fn new(job: &Job, regions: &Regions, local: &Local, frontiers: Frontiers) -> Result<Self, JobError> {
        let durable = job.resume.as_ref().map_or(0, |resume| resume.durable);
        let range = job.range.clone().unwrap_or(0..END);
        let view = job.view.clone();
        let stopping: Stopping = Arc::new(move || view.stopping());
        let from = range.start.max(durable);
        // They are few, and what they have is read by threads of their own.
        let feeds = match local.worker {
            0 => regions.follow(&job.spec, &stopping, &(from..range.end))?,
            _ => Vec::new(),
        };
        let region = |(name, feed): (&Arc<str>, RegionFeed)| Region {
            name: name.clone(),
            feed,
            closed: from,
            at: from,
            behind_since: None,
            ended: false,
            silent: false,
            late: 0,
            waiting: None,
        };
        let time = &job.spec.time;
        Ok(RegionPanes {
            job: job.clone(),
            local: local.clone(),
            frontiers,
            width: PaneWidth::new(time.pane),
            capability: None,
            regions: regions.names().zip(feeds).map(region).collect(),
            patience: time.idle_timeout + 2 * time.pane,
            turned: clock::now(),
            late: 0,
            records: 0,
            totals: vec![0; job.spec.boards.len()],
        })
    }

    /// Takes the capability, unless this worker has nothing to read.
    fn begin(&mut self, mut capability: Capability<u64>) {
        let from = self.regions.first().map_or(0, |region| region.closed);
        if from < END {
            capability.downgrade(&from);
        }
        self.capability = Some(capability).filter(|_| !self.regions.is_empty());
        self.update_status();
    }

    /// Takes one turn: ships what has come, and lets time pass. Returns whether anything has come.
    fn turn(&mut self, ship: &mut impl FnMut(&Capability<u64>, PaneShare)) -> bool {
        let Some(capability) = self.capability.clone() else { return false };
        if self.job.view.stopping() {
            for board in 0..self.totals.len() {
                ship(&capability, share(board, *capability.time(), Kind::Halt));
            }
            self.capability = None;
            self.update_status();
            return false;
        }
        let (mut news, prompt) = (false, clock::since(self.turned) < PROMPT && !self.is_far_ahead());
        self.turned = clock::now();
        if !prompt {
            self.regions.iter_mut().for_each(|region| region.behind_since = None);
        }
        for place in 0..self.regions.len() {
            news |= self.read(place, &capability, ship);
        }
        self.pass_time(capability, ship);
        self.update_status();
        news
    }

    /// Takes the news of a region, as far as they may be taken now. Returns whether there were any.
    fn read(
        &mut self,
        place: usize,
        capability: &Capability<u64>,
        ship: &mut impl FnMut(&Capability<u64>, PaneShare),
    ) -> bool {
        if self.is_far_ahead() {
            return false;
        }
        let mut taken = 0;
        while taken < NEWS_PER_TURN {
            let region = &mut self.regions[place];
            let Some(news) = region.waiting.take().or_else(|| region.feed.try_recv().ok()) else { break };
            if let RegionNews::Pane(pane, _) = &news {
                let pane = *pane;
                region.waiting = Some(news);
                region.at = pane;
                if pane > self.slowest().saturating_add(AHEAD) {
                    break;
                }
                let Some(news) = self.regions[place].waiting.take() else { break };
                self.take(place, news, capability, ship);
            } else {
                self.take(place, news, capability, ship);
            }
            taken += 1;
        }
        taken > 0
    }

    /// Whether more panes are closed than may wait to be published.
    fn is_far_ahead(&self) -> bool {
        let first =
            |handle: &Handle<u64>| handle.with_frontier(|panes| panes.first().copied().unwrap_or(END));
        let (closed, published) = (first(&self.frontiers.closed), first(&self.frontiers.published));
        closed < END && closed.saturating_sub(published) > UNPUBLISHED_PANES
    }

    /// How far the slowest region is of those that others wait for.
    fn slowest(&self) -> Pane {
        let waited_for = self.regions.iter().filter(|region| !region.ended && !region.silent);
        waited_for.map(|region| region.at).min().unwrap_or(END)
    }

    fn take(
        &mut self,
        place: usize,
        news: RegionNews,
        capability: &Capability<u64>,
        ship: &mut impl FnMut(&Capability<u64>, PaneShare),
    ) {
        let open = *capability.time();
        let region = &mut self.regions[place];
        region.behind_since = None;
        match news {
            RegionNews::Pane(pane, _) if pane < open => {
                if region.late == 0 {
                    tracing::warn!(
                        region = %region.name,
                        "panes of the region come after their rankings were final; crest backfill counts them"
                    );
                }
                region.late += 1;
                self.late += 1;
            }
            RegionNews::Pane(pane, boards) => {
                self.records += 1;
                let capability = capability.delayed(&pane);
                for (board, groups) in boards {
                    let whole = [&GroupKey::WHOLE, &GroupKey::REMOVED_OF_WHOLE].map(|key| groups.get(key));
                    self.totals[board as usize] +=
                        whole.into_iter().flatten().map(Digest::total).sum::<u64>();
                    ship(&capability, closed_share(place as u32, board, pane, groups));
                }
            }
            RegionNews::Lacking(board, panes) => {
                // Those that have closed were said to be missing then.
                self.miss(place, board as usize, panes.start.max(open)..panes.end, capability, ship);
            }
            RegionNews::Before(panes) => {
                for board in 0..self.totals.len() {
                    self.miss(place, board, panes.clone(), capability, ship);
                }
            }
            RegionNews::Closed(pane, all) => {
                (region.closed, region.at) = (pane, pane.max(region.at));
                self.job.source.regions().into_iter().for_each(|regions| regions.hear(&region.name));
                if region.silent && (all || pane >= open) {
                    let (name, late) = (&region.name, region.late);
                    tracing::info!(region = %name, late, "the region takes part again");
                    (region.silent, region.late) = (false, 0);
                }
            }
            RegionNews::Ended => region.ended = true,
            RegionNews::Failed(error) => *self.local.failure.borrow_mut() = Some(error.into()),
        }
    }

    /// Says that a region is missing from panes of a board.
    fn miss(
        &self,
        place: usize,
        board: usize,
        panes: Range<Pane>,
        capability: &Capability<u64>,
        ship: &mut impl FnMut(&Capability<u64>, PaneShare),
    ) {
        if panes.is_empty() {
            return;
        }
        let span = Some(PaneSpan { first: panes.start, last: panes.end - 1 });
        let (worker, pane) = (place as u32, *capability.time());
        ship(capability, PaneShare { worker, span, ..share(board, pane, Kind::Missing) });
    }

    /// Lets the panes close that all regions have closed which hold the others up.
    fn pass_time(&mut self, capability: Capability<u64>, ship: &mut impl FnMut(&Capability<u64>, PaneShare)) {
        self.note_silence();
        if self.regions.iter().all(|region| region.ended) {
            return self.end(&capability, ship);
        }
        let open = *capability.time();
        let holding = self.regions.iter().filter(|region| !region.ended && !region.silent);
        let held = holding.map(|region| region.closed).min();
        // Those that have ended may have been further than those that are gone.
        let furthest = || self.regions.iter().map(|region| region.closed).max();
        let Some(target) = held.or_else(furthest).filter(|target| *target > open) else { return };
        for place in 0..self.regions.len() {
            let Region { silent, ended, closed, .. } = self.regions[place];
            for board in (0..self.totals.len()).filter(|_| silent && !ended) {
                self.miss(place, board, closed.max(open)..target, &capability, ship);
            }
        }
        if let Some(capability) = &mut self.capability {
            capability.downgrade(&target);
        }
    }

    /// Notes which regions have been behind the others for too long.
    fn note_silence(&mut self) {
        if self.job.range.is_some() {
            return;
        }
        let furthest = self.regions.iter().map(|region| region.at).max().unwrap_or(0);
        let (patience, now) = (self.patience, clock::now());
        for region in self.regions.iter_mut().filter(|region| !region.ended && !region.silent) {
            if region.at >= furthest || region.waiting.is_some() {
                region.behind_since = None;
            } else if now.saturating_duration_since(*region.behind_since.get_or_insert(now)) > patience {
                region.silent = true;
                tracing::warn!(
                    region = %region.name,
                    "nothing has come of the region for {}: rankings go on without it, and say so",
                    humantime::format_duration(patience)
                );
            }
        }
    }

    /// Announces the last pane with an event, and drops the capability.
    fn end(&mut self, capability: &Capability<u64>, ship: &mut impl FnMut(&Capability<u64>, PaneShare)) {
        let last = self.regions.iter().map(|region| region.closed).max().and_then(|end| end.checked_sub(1));
        for (board, last) in (0..self.totals.len()).flat_map(|board| last.map(|last| (board, last))) {
            ship(capability, share(board, last, Kind::End));
        }
        self.capability = None;
    }

    /// Updates the status that the control dataflow reports to the others.
    fn update_status(&mut self) {
        let held = self.capability.as_ref().map(|capability| *capability.time());
        let holding = || self.regions.iter().filter(|region| !region.ended && !region.silent);
        let (start, now) = (|pane: Pane| (pane > 0).then(|| self.width.start(pane)), clock::now());
        let mut status = self.local.status.borrow_mut();
        status.worker = self.local.worker;
        status.holding = holding().next().is_some();
        status.active = holding().map(|region| start(region.closed).unwrap_or(0)).min();
        status.newest = self.regions.iter().filter_map(|region| start(region.closed)).max();
        status.ended = self.capability.is_none();
        let of = |region: &Region| {
            let since = region.behind_since.filter(|_| !region.ended);
            let behind = since.map(|since| now.saturating_duration_since(since).as_millis() as u64);
            let holding = behind.filter(|_| !region.silent).map(|ms| Holding { ms, why: Standing::Waiting });
            let watermark = start(region.closed);
            (region.name.to_string(), PartitionStatus { watermark, holding, ..PartitionStatus::default() })
        };
        status.partitions = self.regions.iter().map(of).collect();
        status.held = held;
        status.durable = self.job.state.as_ref().map(|state| state.queue().durable().unwrap_or(END));
        let counts = &mut status.counts;
        (counts.records, counts.events) = (self.records + self.late, self.records);
        counts.refused[Refusal::Late as usize] = self.late;
        counts.source.disconnected = self.regions.iter().any(|region| region.silent);
        let spec = &self.job.spec;
        let matched = |(board, matched): (usize, &u64)| MatchCounts {
            matched: *matched,
            seen: vec![true; fields(&spec.schema, &spec.boards[board]).len()],
            ..MatchCounts::default()
        };
        counts.boards = self.totals.iter().enumerate().map(matched).collect();
    }
}

fn share(board: usize, pane: Pane, kind: Kind) -> PaneShare {
    PaneShare { worker: 0, board: board as u32, pane, kind, refused: 0, span: None, groups: Vec::new() }
}

/// What a region has of a closed pane.
fn closed_share(region: u32, board: u32, pane: Pane, groups: BTreeMap<GroupKey, Digest>) -> PaneShare {
    // Any group that the region does not list may have so much.
    let refused = rest_of(&groups);
    let listed = groups.into_iter().filter(|(group, _)| !group.is_rest());
    let groups = listed.map(|(group, digest)| GroupShare { group, sketch: Sketch::Cut(digest) }).collect();
    PaneShare { worker: region, refused, groups, ..share(board as usize, pane, Kind::Closed) }
}

//! Follows the states of regions: a thread for each reads the panes that the region has closed, and hands them on in their
//! order, hashed as the job hashes.

use crate::blocks::Blocks;
use crate::error::StateFailure;
use crate::levels::Block;
use crate::object::Pick;
use crate::pane::{END, Pane};
use crate::region::{Region, RegionError, RegionFault, Seen};
use crate::spec::JobSpec;
use crest_connectors::group_key::GroupKey;
use crest_connectors::outage::Outage;
use crest_host::clock;
use crest_sketches::Digest;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// The most news on their way to the worker.
const AHEAD: usize = 16;
/// How many panes are read from one manifest, so that none expires before it is read.
const PANES_AT_ONCE: Pane = 64;
/// How often a region's manifest is read at least and at most; between these it is as often as rankings are refreshed.
const LOOKS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];
/// The longest nap before the thread looks whether it is to stop.
const NAP: Duration = Duration::from_millis(50);
/// How often in a row a pane may be missing or damaged that the manifest names: it may have expired, or been counted again,
/// since the manifest was read.
const MOST_MISSES: u32 = 3;

/// What a region has, in order.
pub enum RegionNews {
    /// A closed pane with an event: for some boards, by their places in the spec, the digest of each group.
    Pane(Pane, Vec<(u32, BTreeMap<GroupKey, Digest>)>),
    /// Panes in which the region may have events that are not to be had for this board: they are kept no more, cannot be read,
    /// or were counted without it.
    Lacking(u32, Range<Pane>),
    /// Panes that the region had counted before it came in.
    Before(Range<Pane>),
    /// All panes before this one have come; and whether the region has closed no more of them so far.
    Closed(Pane, bool),
    /// No more panes will come.
    Ended,
    /// The region cannot be read any further.
    Failed(RegionError),
}

/// Says whether the job was asked to stop.
pub type Stopping = Arc<dyn Fn() -> bool + Send + Sync>;

/// The news of a region.
pub type RegionFeed = Receiver<RegionNews>;

/// The regions of a job.
pub struct Regions {
    regions: Vec<Region>,
    /// The ids of their states, as far as they are known.
    ids: BTreeMap<Arc<str>, String>,
    /// Those that an earlier run has not counted, where there was one.
    new: BTreeSet<Arc<str>>,
    /// Those of them of which nothing has come yet.
    unheard: Mutex<BTreeSet<Arc<str>>>,
    bounded: bool,
}

impl Regions {
    /// Looks at all regions, and checks that they fit the job. `counted` is the [identity](Self::identity) of the regions
    /// that an earlier run has counted, to their end if it has `ended`. One of these that cannot be read is taken as it was.
    ///
    /// # Errors
    /// A region cannot be read, counts something else, is another one than the one that was counted, or came in after the end.
    pub fn open(
        regions: Vec<Region>,
        spec: &JobSpec,
        counted: Option<&str>,
        ended: bool,
    ) -> Result<Self, RegionError> {
        let known = counted.into_iter().flat_map(|ids| ids.split(',')).filter_map(|id| id.split_once('='));
        let known: BTreeMap<&str, &str> = known.collect();
        let (mut ids, mut new, mut apart, mut bounded) =
            (BTreeMap::new(), BTreeSet::new(), BTreeSet::new(), true);
        for region in &regions {
            let counted = known.get(&*region.name).map(|id| (*id).to_owned());
            if counted.is_none() && ended {
                return Err(region.error(RegionFault::AfterTheEnd { url: region.url().to_owned() }));
            }
            match region.see(spec) {
                Ok(seen) => {
                    check_id(region, &seen, counted.as_deref())?;
                    bounded &= seen.ended();
                    ids.insert(region.name.clone(), seen.id());
                    apart.extend(seen.is_told_apart().then(|| region.name.clone()));
                }
                Err(error) if error.may_pass() && counted.is_some() => {
                    tracing::warn!("{error}; going on without it until it can be read");
                    bounded = false;
                    ids.extend(counted.clone().map(|id| (region.name.clone(), id)));
                }
                Err(error) => return Err(error),
            }
            new.extend((counted.is_none() && !known.is_empty()).then(|| region.name.clone()));
        }
        for (place, region) in regions.iter().enumerate() {
            let told = |region: &Region| apart.contains(&region.name);
            let same = |other: &&Region| {
                let alike = ids.get(&other.name) == ids.get(&region.name);
                alike && ((told(other) && told(region)) || other.url() == region.url())
            };
            if let Some(first) = regions[..place].iter().find(same) {
                let (url, other) = (region.url().to_owned(), first.name.clone());
                return Err(region.error(RegionFault::Same { url, other }));
            }
        }
        let unheard = Mutex::new(new.clone());
        Ok(Regions { regions, ids, new, unheard, bounded })
    }

    /// Checks that every region has all that it counted in a run of panes.
    ///
    /// # Errors
    /// The first one that does not, and why.
    pub fn check_range(&self, spec: &JobSpec, panes: &Range<Pane>) -> Result<(), RegionError> {
        for region in &self.regions {
            let seen = region.see(spec)?;
            let gone = panes.start..seen.kept_from(panes);
            let lacks = |board: &str| !seen.lacking(board, panes).is_empty();
            let why = if seen.closed() < panes.end && !seen.ended() {
                "some are still open".to_owned()
            } else if !seen.counted(&gone).is_empty() {
                "some are kept no more".to_owned()
            } else if let Some(board) = spec.boards.iter().find(|board| lacks(&board.name)) {
                format!(
                    "some were counted without the board {:?}, or without a region of its own",
                    &*board.name
                )
            } else {
                continue;
            };
            let url = region.url().to_owned();
            return Err(region.error(RegionFault::Lacks { url, why }));
        }
        Ok(())
    }

    /// The names of the regions, in the order of their names.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.regions.iter().map(|region| &region.name)
    }

    /// Which states they are, as [`join_identities`](crest_connectors::source::join_identities) takes it. A new one is not
    /// among them before something has come of it: a run that follows still has to say what is missing from before.
    pub fn identity(&self) -> Option<String> {
        let unheard = self.unheard.lock();
        let heard = self.ids.iter().filter(|(name, _)| !unheard.contains(*name));
        let ids: Vec<String> = heard.map(|(name, id)| format!("{name}={id}")).collect();
        Some(ids.join(",")).filter(|ids| !ids.is_empty())
    }

    /// Notes that something has come of a region.
    pub fn hear(&self, name: &str) {
        self.unheard.lock().remove(name);
    }

    /// Whether all of them were counted to their end.
    pub fn bounded(&self) -> bool {
        self.bounded
    }

    /// Begins to follow all regions through these panes. Their news come in the order of their names.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn follow(
        &self,
        spec: &Arc<JobSpec>,
        stopping: &Stopping,
        panes: &Range<Pane>,
    ) -> Result<Vec<RegionFeed>, RegionError> {
        let follow = |region: &Region| {
            let (news, feed) = sync_channel(AHEAD);
            let follower = Follower {
                region: region.clone(),
                id: self.ids.get(&region.name).cloned(),
                spec: spec.clone(),
                stopping: stopping.clone(),
                news,
                before: self.new.contains(&region.name).then_some(0..panes.start),
                at: panes.start,
                told: panes.start,
                end: panes.end,
                is_whole: panes.end < END,
                misses: 0,
            };
            let started = crest_host::thread::spawn("region", move || follower.run());
            started.map_err(|error| region.error(RegionFault::Thread(error)))?;
            Ok(feed)
        };
        self.regions.iter().map(follow).collect()
    }
}

impl std::fmt::Debug for Regions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Regions").field("regions", &self.regions).finish_non_exhaustive()
    }
}

fn check_id(region: &Region, seen: &Seen, counted: Option<&str>) -> Result<(), RegionError> {
    match counted {
        Some(counted) if *counted != seen.id() => {
            let (url, counted, found) = (region.url().to_owned(), counted.to_owned(), seen.id());
            Err(region.error(RegionFault::Replaced { url, counted, found }))
        }
        _ => Ok(()),
    }
}

/// The thread's own data.
struct Follower {
    region: Region,
    id: Option<String>,
    spec: Arc<JobSpec>,
    stopping: Stopping,
    news: SyncSender<RegionNews>,
    /// The panes before the region came in, until it is known which of them it has counted.
    before: Option<Range<Pane>>,
    /// All panes before this one were handed over.
    at: Pane,
    /// All panes before this one were said to have come.
    told: Pane,
    /// Panes from this one on are not wanted.
    end: Pane,
    /// Whether nothing of them may be lacking.
    is_whole: bool,
    misses: u32,
}

/// Whether the thread goes on.
enum Then {
    /// There may be more at once.
    GoOn,
    /// There was nothing new.
    Wait,
    /// All has come, nobody takes it, or the job stops.
    Stop,
}

impl Follower {
    fn run(mut self) {
        let mut outage = Outage::default();
        let [least, most] = LOOKS;
        let pause = self.spec.time.refresh.clamp(least, most);
        loop {
            let then = match self.step() {
                Ok(then) => {
                    if let Some(lasted) = outage.end() {
                        tracing::info!(region = %self.region.name, ?lasted, "the region can be read again");
                    }
                    then
                }
                Err(error) if error.may_pass() => {
                    if outage.begin(error.to_string()) {
                        tracing::warn!("{error}; trying again until it can be read");
                    }
                    Then::Wait
                }
                Err(error) => {
                    self.send(RegionNews::Failed(error));
                    return;
                }
            };
            match then {
                Then::GoOn => {}
                Then::Wait => self.wait(pause),
                Then::Stop => return,
            }
            if (self.stopping)() {
                return;
            }
        }
    }

    /// Reads the manifest, and hands over some of the panes that have closed.
    fn step(&mut self) -> Result<Then, RegionError> {
        let seen = self.region.see(&self.spec)?;
        check_id(&self.region, &seen, self.id.as_deref())?;
        self.id = Some(seen.id());
        for counted in self.before.take().into_iter().flat_map(|before| seen.counted(&before)) {
            self.send(RegionNews::Before(counted));
        }
        let closed = seen.closed().min(self.end);
        let to = closed.min(self.at.saturating_add(PANES_AT_ONCE));
        // A long time without an event is one step.
        let to = match seen.manifest.held.blocks(0, self.at..closed).next() {
            None => closed,
            Some((first, _)) => to.max(first.start),
        };
        if to > self.at {
            if !self.hand_over(&seen, self.at..to)? {
                return Ok(if self.misses > 0 { Then::Wait } else { Then::GoOn });
            }
            self.at = to;
        }
        // Also where the last of them could not be read, and was passed over before.
        if self.at > self.told {
            self.told = self.at;
            if !self.send(RegionNews::Closed(self.at, self.at >= closed)) {
                return Ok(Then::Stop);
            }
        }
        if self.at >= self.end || (seen.ended() && self.at >= closed) {
            self.send(RegionNews::Ended);
            return Ok(Then::Stop);
        }
        Ok(if to < closed { Then::GoOn } else { Then::Wait })
    }

    /// Hands over the panes of a run. Returns false where one of them could not be read: it may have expired meanwhile.
    fn hand_over(&mut self, seen: &Seen, panes: Range<Pane>) -> Result<bool, RegionError> {
        let kept = seen.kept_from(&panes);
        for (board, place) in self.spec.boards.iter().zip(0..) {
            let gone = seen.counted(&(panes.start..kept)).into_iter();
            for lacking in gone.chain(seen.lacking(&board.name, &(kept..panes.end))) {
                self.lack(place, lacking)?;
            }
        }
        let reader = Blocks::of(self.region.store().clone(), &seen.manifest, &seen.counted);
        let held = &seen.manifest.held;
        let blocks: Vec<Block> = held.blocks(0, kept..panes.end).map(|(block, _)| block).collect();
        let (mut at, this) = (panes.start, &*self);
        let read = reader.read_all(held, &blocks, Pick::All, &mut |found| {
            at = found.block.start + 1;
            this.send(RegionNews::Pane(found.block.start, this.boards(found.digests)));
            Ok::<(), StateFailure>(())
        });
        self.misses = if at > self.at { 0 } else { self.misses };
        // What was handed over is not handed over again.
        self.at = at;
        match read {
            Ok(()) => Ok(true),
            Err(error @ (StateFailure::Missing { .. } | StateFailure::Object { .. })) => {
                self.misses += 1;
                let unread =
                    blocks.iter().find(|block| block.start >= at).filter(|_| self.misses > MOST_MISSES);
                if let Some(block) = unread {
                    tracing::warn!("of region {}, {error}; going on without that pane", self.region.name);
                    (0..self.spec.boards.len() as u32)
                        .try_for_each(|board| self.lack(board, block.start..block.start + 1))?;
                    (self.at, self.misses) = (block.start + 1, 0);
                }
                Ok(false)
            }
            Err(error) => Err(self.region.error(error)),
        }
    }

    /// Says that panes of a board are not to be had. A run over a range of panes must have all of them.
    fn lack(&self, board: u32, panes: Range<Pane>) -> Result<(), RegionError> {
        if self.is_whole {
            let (url, why) = (self.region.url().to_owned(), "some could not be had any more".to_owned());
            return Err(self.region.error(RegionFault::Lacks { url, why }));
        }
        self.send(RegionNews::Lacking(board, panes));
        Ok(())
    }

    /// The job's boards in an object of the region, hashed as the job hashes.
    fn boards(
        &self,
        digests: BTreeMap<String, BTreeMap<GroupKey, Digest>>,
    ) -> Vec<(u32, BTreeMap<GroupKey, Digest>)> {
        let seed = self.spec.sketch.seed;
        let rehashed = |(key, digest): (GroupKey, Digest)| (key, digest.rehashed(seed));
        let boards = digests.into_iter().filter_map(|(name, groups)| {
            let place = self.spec.boards.iter().position(|board| *board.name == *name)?;
            Some((place as u32, groups.into_iter().map(rehashed).collect()))
        });
        boards.collect()
    }

    /// Hands over, once there is room. Returns false where nobody takes it any more.
    fn send(&self, mut news: RegionNews) -> bool {
        loop {
            match self.news.try_send(news) {
                Ok(()) => return true,
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(_)) if (self.stopping)() => return false,
                Err(TrySendError::Full(back)) => news = back,
            }
            crest_host::thread::sleep(Duration::from_millis(1));
        }
    }

    fn wait(&self, time: Duration) {
        let until = clock::now() + time;
        while clock::now() < until && !(self.stopping)() {
            crest_host::thread::sleep(NAP.min(time));
        }
    }
}

//! The freshest snapshots, in memory: what the HTTP API reads.

use crate::group_key::GroupKey;
use crate::snapshot::{Retired, Snapshot, SnapshotSink};
use crest_host::clock;
use crest_host::clock::wall_clock_ms;
use crest_host::condition::Condition;
use parking_lot::{Mutex, RwLock};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rankings (board, window and group together) kept at most; beyond it, those whose windows ended longest ago
/// go. At 100 items each they take some 500 MB.
const MAX_RANKINGS: usize = 65_536;
/// How long the rankings of a group that left can still be looked at: its last ones are empty, and streams are to see them.
const FAREWELL: Duration = Duration::from_secs(2);

/// Keeps, for each board, window and group, the freshest snapshot and the latest final one. A snapshot that is
/// less fresh than the one held changes nothing.
#[derive(Default)]
pub struct MemoryStore {
    boards: RwLock<Boards>,
    version: Mutex<u64>,
    changed: Condition,
}

/// One ranking that the store knows, as [`MemoryStore::list`] tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The board's name.
    pub board: Arc<str>,
    /// The window's name.
    pub window: Arc<str>,
    /// The group, or the whole board.
    pub group: GroupKey,
    /// The end of the freshest snapshot's window, in milliseconds since 1970 UTC.
    pub window_end: i64,
    /// How long ago the freshest snapshot came.
    pub age: Duration,
}

/// A group that the store knows, as [`MemoryStore::groups`] tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownGroup {
    /// Its key.
    pub group: GroupKey,
    /// The weight of its events in the freshest snapshot.
    pub total: u64,
}

/// A snapshot, and when it was computed by the clock of this process, which nobody sets.
#[derive(Clone, Debug)]
pub struct Held {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    came: Instant,
    age_then: Duration,
}

impl Held {
    /// A snapshot that came just now. Of one that was computed elsewhere, by a clock that is ahead of this one, the age is
    /// counted from here.
    fn now(snapshot: &Arc<Snapshot>) -> Self {
        let now = wall_clock_ms();
        let ms = u64::try_from(now.saturating_sub(snapshot.computed_at)).unwrap_or(0);
        Held { snapshot: snapshot.clone(), came: clock::now(), age_then: Duration::from_millis(ms) }
    }

    /// How long ago it was computed.
    pub fn age(&self) -> Duration {
        clock::since(self.came) + self.age_then
    }
}

#[derive(Default)]
struct Boards {
    by_name: HashMap<Arc<str>, HashMap<Arc<str>, Groups>>,
    rankings: usize,
    /// Groups that left, by when, and their boards.
    left: VecDeque<(Instant, Arc<str>, GroupKey)>,
}

/// A window's rankings by the group.
type Groups = HashMap<GroupKey, Ranking>;

struct Ranking {
    latest: Held,
    latest_final: Option<Held>,
    /// Whether its group has left, and nothing came since.
    left: bool,
}

impl MemoryStore {
    /// Without a snapshot.
    pub fn new() -> Self {
        Self::default()
    }

    /// The freshest snapshot, provisional or final.
    pub fn latest(&self, board: &str, window: &str, group: &GroupKey) -> Option<Arc<Snapshot>> {
        self.held(board, window, group, false).map(|held| held.snapshot)
    }

    /// The final snapshot with the latest window.
    pub fn latest_final(&self, board: &str, window: &str, group: &GroupKey) -> Option<Arc<Snapshot>> {
        self.held(board, window, group, true).map(|held| held.snapshot)
    }

    /// The same snapshots, with their age.
    pub fn held(&self, board: &str, window: &str, group: &GroupKey, final_only: bool) -> Option<Held> {
        self.look(board, window, group, |ranking| {
            if final_only { ranking.latest_final.clone() } else { Some(ranking.latest.clone()) }
        })
    }

    /// Takes a snapshot although it is less fresh than the one held: of a copy, when the original went back.
    pub fn replace(&self, snapshot: &Arc<Snapshot>) {
        let mut boards = self.boards.write();
        boards.forget(&snapshot.board, &snapshot.window, &snapshot.group);
        boards.take(snapshot);
        drop(boards);
        *self.version.lock() += 1;
        self.changed.notify_all();
    }

    /// Forgets a ranking at once: of a copy, when the original is gone.
    pub fn forget(&self, board: &Arc<str>, window: &Arc<str>, group: &GroupKey) {
        let mut boards = self.boards.write();
        if boards.forget(board, window, group) {
            drop(boards);
            *self.version.lock() += 1;
            self.changed.notify_all();
        }
    }

    /// All rankings that are held, by board, window and group, but for those of groups that left.
    pub fn list(&self) -> Vec<Known> {
        let mut list = Vec::new();
        let boards = self.boards.read();
        for (board, windows) in &boards.by_name {
            for (window, groups) in windows {
                let held = groups.iter().filter(|(_, ranking)| !ranking.left);
                list.extend(held.map(|(group, ranking)| Known {
                    board: board.clone(),
                    window: window.clone(),
                    group: group.clone(),
                    window_end: ranking.latest.snapshot.window_end,
                    age: clock::since(ranking.latest.came),
                }));
            }
        }
        drop(boards);
        list.sort_by(|a, b| (&a.board, &a.window, &a.group).cmp(&(&b.board, &b.window, &b.group)));
        list
    }

    /// The groups of a window, the whole board and those that left aside, in no order.
    pub fn groups(&self, board: &str, window: &str) -> Vec<KnownGroup> {
        let boards = self.boards.read();
        let groups = boards.by_name.get(board).and_then(|windows| windows.get(window));
        let groups = groups.into_iter().flatten().filter(|(key, ranking)| !key.is_whole() && !ranking.left);
        groups
            .map(|(_, Ranking { latest, .. })| KnownGroup {
                group: latest.snapshot.group.clone(),
                total: latest.snapshot.total,
            })
            .collect()
    }

    /// Grows with every snapshot that changed something.
    pub fn version(&self) -> u64 {
        *self.version.lock()
    }

    /// Waits until the version is greater than `seen`, at most for `timeout`, and returns it as it then is.
    pub fn wait_past(&self, seen: u64, timeout: Duration) -> u64 {
        let mut version = self.version.lock();
        self.changed.wait_while_for(&mut version, |version| *version <= seen, timeout);
        *version
    }

    fn look<R>(
        &self,
        board: &str,
        window: &str,
        group: &GroupKey,
        f: impl FnOnce(&Ranking) -> Option<R>,
    ) -> Option<R> {
        let boards = self.boards.read();
        boards.by_name.get(board)?.get(window)?.get(group).and_then(f)
    }
}

impl SnapshotSink for MemoryStore {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        if self.boards.write().take(snapshot) {
            *self.version.lock() += 1;
            self.changed.notify_all();
        }
    }

    fn retire(&self, group: &Retired) {
        self.boards.write().retire(group);
        *self.version.lock() += 1;
        self.changed.notify_all();
    }
}

impl Boards {
    /// Keeps the snapshot where it is the freshest or the latest final one; says whether it was either.
    fn take(&mut self, snapshot: &Arc<Snapshot>) -> bool {
        self.forget_left(clock::now());
        let groups = self
            .by_name
            .entry(snapshot.board.clone())
            .or_default()
            .entry(snapshot.window.clone())
            .or_default();
        let Some(ranking) = groups.get_mut(&snapshot.group) else {
            let latest = Held::now(snapshot);
            let latest_final = snapshot.is_final.then(|| latest.clone());
            groups.insert(snapshot.group.clone(), Ranking { latest, latest_final, left: false });
            self.rankings += 1;
            if self.rankings > MAX_RANKINGS {
                self.forget_oldest(MAX_RANKINGS / 16);
            }
            return true;
        };
        let newer = |held: &Held| snapshot.freshness() >= held.snapshot.freshness();
        let fresh = newer(&ranking.latest);
        let fresh_final = snapshot.is_final && ranking.latest_final.as_ref().is_none_or(newer);
        if fresh {
            (ranking.latest, ranking.left) = (Held::now(snapshot), false);
        }
        if fresh_final {
            ranking.latest_final = Some(Held::now(snapshot));
        }
        fresh || fresh_final
    }

    /// Forgets a ranking. Whether it was held.
    fn forget(&mut self, board: &str, window: &str, group: &GroupKey) -> bool {
        let groups = self.by_name.get_mut(board).and_then(|board| board.get_mut(window));
        let gone = groups.and_then(|groups| groups.remove(group)).is_some();
        self.rankings -= usize::from(gone);
        gone
    }

    /// Notes that a group left: its rankings are forgotten in a while, unless others come.
    fn retire(&mut self, retired: &Retired) {
        let now = clock::now();
        let windows = self.by_name.get_mut(&retired.board).into_iter().flat_map(HashMap::values_mut);
        let rankings = windows.filter_map(|groups| groups.get_mut(&retired.group));
        if rankings.map(|ranking| ranking.left = true).count() > 0 {
            self.left.push_back((now, retired.board.clone(), retired.group.clone()));
        }
        self.forget_left(now);
    }

    /// Forgets the rankings of groups that left a while ago.
    fn forget_left(&mut self, now: Instant) {
        while let Some((_, board, group)) = self.left.pop_front_if(|(left, ..)| now - *left >= FAREWELL) {
            for groups in self.by_name.get_mut(&board).into_iter().flat_map(HashMap::values_mut) {
                // One that came back and left again has its time.
                let gone = |ranking: &Ranking| ranking.left && now - ranking.latest.came >= FAREWELL;
                if groups.get(&group).is_some_and(gone) {
                    groups.remove(&group);
                    self.rankings -= 1;
                }
            }
        }
    }

    /// Forgets at least `count` rankings, those of the earliest windows. Groups whose items went quiet pile up
    /// here; it is rare enough to look at all.
    fn forget_oldest(&mut self, count: usize) {
        let each = || self.by_name.values().flat_map(HashMap::values).flat_map(HashMap::values);
        let mut ends: Vec<i64> = each().map(|ranking| ranking.latest.snapshot.window_end).collect();
        let (_, last_forgotten, _) = ends.select_nth_unstable(count);
        let last_forgotten = *last_forgotten;
        let mut left = count;
        for groups in self.by_name.values_mut().flat_map(HashMap::values_mut) {
            groups.retain(|group, ranking| {
                let keep =
                    left == 0 || group.is_whole() || ranking.latest.snapshot.window_end > last_forgotten;
                left -= usize::from(!keep);
                keep
            });
        }
        self.rankings -= count - left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests_support::snapshot;

    fn publish(store: &MemoryStore, snapshot: Snapshot) -> Arc<Snapshot> {
        let snapshot = Arc::new(snapshot);
        store.publish(&snapshot);
        snapshot
    }

    #[test]
    fn keeps_the_freshest_and_the_latest_final() {
        let store = MemoryStore::new();
        assert_eq!(store.latest("b", "w", &GroupKey::WHOLE), None);
        let first = publish(&store, snapshot("b", "w", 10_000, true));
        let open = publish(&store, snapshot("b", "w", 20_000, false));
        assert_eq!(store.latest("b", "w", &GroupKey::WHOLE), Some(open.clone()));
        assert_eq!(store.latest_final("b", "w", &GroupKey::WHOLE), Some(first));

        let version = store.version();
        publish(&store, snapshot("b", "w", 10_000, false));
        assert_eq!(
            (store.latest("b", "w", &GroupKey::WHOLE), store.version()),
            (Some(open), version),
            "an older one came late"
        );

        let second = publish(&store, snapshot("b", "w", 20_000, true));
        assert_eq!(store.latest("b", "w", &GroupKey::WHOLE), Some(second.clone()));
        assert_eq!(store.latest_final("b", "w", &GroupKey::WHOLE), Some(second));
        assert_eq!(store.latest("b", "other", &GroupKey::WHOLE), None);
    }

    #[test]
    fn a_copy_goes_back_with_its_original() {
        let store = MemoryStore::new();
        publish(&store, Snapshot { epoch: 9, ..snapshot("b", "w", 20_000, true) });
        let (version, anew) = (store.version(), Arc::new(snapshot("b", "w", 10_000, false)));
        store.replace(&anew);
        assert_eq!(store.latest("b", "w", &GroupKey::WHOLE), Some(anew));
        assert_eq!(store.latest_final("b", "w", &GroupKey::WHOLE), None, "it was of the run that is gone");
        assert!(store.version() > version && store.list().len() == 1);
    }

    #[test]
    fn lists_what_there_is_in_order() {
        let store = MemoryStore::new();
        publish(&store, snapshot("b", "w", 10_000, true));
        let group = GroupKey::from_values([("region", "IN")]);
        publish(&store, Snapshot { group: group.clone(), ..snapshot("b", "w", 20_000, true) });
        publish(&store, snapshot("a", "w", 10_000, true));
        let known: Vec<_> = store
            .list()
            .into_iter()
            .map(|k| format!("{} {} {} {}", k.board, k.window, k.group, k.window_end))
            .collect();
        assert_eq!(known, ["a w  10000", "b w  10000", "b w region=IN 20000"]);
        assert!(store.latest("b", "w", &group).is_some());
    }

    #[test]
    fn a_group_that_left_is_listed_no_more_and_soon_forgotten_unless_it_comes_back() {
        let mut boards = Boards::default();
        let of = |group: &str, window: &str, end| {
            let group = GroupKey::from_values([("n", group)]);
            Arc::new(Snapshot { group, ..snapshot("b", window, end, true) })
        };
        for (group, window) in [("1", "v"), ("1", "w"), ("2", "w")] {
            boards.take(&of(group, window, 10_000));
        }
        for group in ["1", "2"] {
            let group = of(group, "w", 0).group.clone();
            boards.retire(&Retired { board: "b".into(), windows: Vec::new(), group, epoch: 1 });
        }
        boards.take(&of("2", "w", 20_000));
        let held = |boards: &Boards| {
            let groups = boards.by_name["b"].values().flatten();
            let mut held: Vec<_> = groups.map(|(text, ranking)| (text.to_string(), ranking.left)).collect();
            held.sort();
            held
        };
        let (one, two) = ("n=1".to_owned(), ("n=2".to_owned(), false));
        assert_eq!(held(&boards), [(one.clone(), true), (one, true), two.clone()], "streams may look at it");
        boards.forget_left(Instant::now() + FAREWELL);
        assert_eq!((held(&boards), boards.rankings, boards.left.len()), (vec![two], 1, 0));
    }

    #[test]
    fn a_waiting_reader_wakes_when_something_changes() {
        let store = Arc::new(MemoryStore::new());
        assert_eq!(store.wait_past(0, Duration::ZERO), 0);
        let waiting = std::thread::spawn({
            let store = store.clone();
            move || store.wait_past(0, Duration::from_secs(60))
        });
        publish(&store, snapshot("b", "w", 10_000, false));
        assert_eq!(waiting.join().unwrap(), 1);
    }

    #[test]
    fn forgets_the_groups_of_the_earliest_windows_and_never_the_whole_board() {
        let mut boards = Boards::default();
        boards.take(&Arc::new(snapshot("b", "w", 0, true)));
        for end in 1..100 {
            let group = GroupKey::from_values([("n", end.to_string())]);
            boards.take(&Arc::new(Snapshot { group, ..snapshot("b", "w", end, true) }));
        }
        boards.forget_oldest(10);
        let groups = &boards.by_name["b"]["w"];
        assert_eq!(boards.rankings, groups.len());
        assert!(groups.contains_key("") && !groups.contains_key("n=1") && groups.contains_key("n=11"));
    }
}

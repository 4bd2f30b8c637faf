//! How much memory a job may take, and how much there is.
//!
//! What is needed is an estimate from above: sketches that are full in every partition, as many groups as may be. The figures
//! beside the constants are measured; `docs/measurements.md` has them.

use crest_state::spec::{Engine, JobSpec};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use std::fs;
use std::path::Path;

/// The program, its threads, the API and its caches.
const PROGRAM: u64 = 48 << 20;
/// A job on Kafka keeps so much that is fetched for each worker …
const FETCHED: u64 = 64 << 20;
/// … and at least so much for each partition.
const FETCHED_OF_PARTITION: u64 = 1 << 20;
/// Bytes of an id in the mean.
const KEY_BYTES: usize = 24;
/// A row of a pane in a window: three windows over 8,192 rows took 22 to 30 MB.
const WINDOW_ROW_BYTES: u64 = 1_250;
/// A group in a window: 10,000 groups with three windows took 119 to 142 MB in all.
const GROUP_BYTES: u64 = 4_096;
/// An item of the longest window of an exact board: 998,000 took 1,315 MB.
pub const EXACT_ITEM_BYTES: u64 = 1_320;

/// What a process takes at most, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needed {
    /// The program itself.
    pub program: u64,
    /// What is fetched and not counted yet.
    pub reading: u64,
    /// The sketches of open panes.
    pub counting: u64,
    /// What windows are made of.
    pub windows: u64,
    /// Groups of boards.
    pub groups: u64,
}

impl Needed {
    /// All of it.
    pub fn all(&self) -> u64 {
        let parts = [self.program, self.reading, self.counting, self.windows, self.groups];
        parts.into_iter().fold(0, u64::saturating_add)
    }
}

/// What a process with so many workers, which hold so many partitions together, takes for a job, without the items of
/// exact boards.
pub fn needed(spec: &JobSpec, workers: usize, partitions: usize, is_kafka: bool) -> Needed {
    let (workers, partitions) = (workers as u64, partitions as u64);
    let reading =
        if is_kafka { (FETCHED * workers).max(FETCHED_OF_PARTITION.saturating_mul(partitions)) } else { 0 };
    let time = &spec.time;
    let waiting = (time.out_of_orderness + time.allowed_lateness).as_millis() / time.pane.as_millis().max(1);
    // The one that fills, the one that begins, and those that wait for events out of order.
    let open = 2 + u64::try_from(waiting).unwrap_or(u64::MAX);
    let mut needed = Needed { program: PROGRAM, reading, ..Needed::default() };
    let shapes = spec.shapes().unwrap_or_default();
    for (board, shape) in spec.boards.iter().zip(shapes) {
        let windows = board.windows.len() as u64;
        if board.engine == Engine::Sketch {
            let pane = shape.bytes(KEY_BYTES) as u64;
            let panes = open.saturating_mul(partitions).saturating_mul(pane);
            needed.counting = needed.counting.saturating_add(panes);
            let rows = spec.sketch.pane_rows() as u64;
            needed.windows = needed.windows.saturating_add(windows * rows * WINDOW_ROW_BYTES);
        }
        if !board.by.is_empty() {
            let groups = (board.max_groups as u64).saturating_mul(windows * GROUP_BYTES);
            needed.groups = needed.groups.saturating_add(groups);
        }
    }
    needed
}

/// Memory that this process may still have, in bytes: what the machine has free, or less where its control group or its limit
/// of address space allow less.
pub fn available() -> Option<u64> {
    let bounds = [free_of_machine(), free_of_group(Path::new("/sys/fs/cgroup")), left_of_address_space()];
    bounds.into_iter().flatten().min()
}

fn free_of_machine() -> Option<u64> {
    in_kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// The value of a line such as `MemAvailable:  2048 kB`, in bytes.
fn in_kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// What the control group of this process, and those above it, leave (version 2; `root` is where they are mounted).
fn free_of_group(root: &Path) -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    least_of_groups(root, own)
}

fn least_of_groups(root: &Path, own: &str) -> Option<u64> {
    let number = |path: &Path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let of = |group: &Path| {
        let group = root.join(group);
        Some(number(&group.join("memory.max"))?.saturating_sub(number(&group.join("memory.current"))?))
    };
    Path::new(own).ancestors().filter_map(of).min()
}

fn left_of_address_space() -> Option<u64> {
    let (soft, _) = getrlimit(Resource::RLIMIT_AS).ok()?;
    if soft == RLIM_INFINITY {
        return None;
    }
    let taken = in_kilobytes(&fs::read_to_string("/proc/self/status").ok()?, "VmSize:").unwrap_or(0);
    Some(soft.saturating_sub(taken))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const MB: u64 = 1_000_000;

    #[test]
    fn the_estimates_are_above_what_was_measured_and_not_far_above() {
        let mut spec = JobSpec::default();
        let one = needed(&spec, 1, 1, false);
        assert!((22 * MB..40 * MB).contains(&one.windows), "{one:?}");
        // 1,000 partitions of one worker, two open panes: 1.4 GB of sketches when all are full, and less than half when not.
        let many = needed(&spec, 1, 1000, true);
        assert!((600 * MB..1_500 * MB).contains(&many.counting), "{many:?}");
        assert!(many.reading >= 1_000 * MB && one.reading == 0);
        (spec.boards[0].by, spec.boards[0].max_groups) = (vec!["region".into()], 10_000);
        let grouped = needed(&spec, 1, 1, false);
        assert!((119 * MB..285 * MB).contains(&grouped.all()), "{grouped:?}");
    }

    #[test]
    fn lateness_keeps_panes_open_and_an_exact_board_has_no_sketch() {
        let mut spec = JobSpec::default();
        let usual = needed(&spec, 1, 4, false).counting;
        spec.time.allowed_lateness = Duration::from_secs(60);
        assert_eq!(needed(&spec, 1, 4, false).counting, usual * 4);
        spec.boards[0].engine = Engine::Exact;
        let exact = needed(&spec, 1, 4, false);
        assert_eq!((exact.counting, exact.windows), (0, 0));
    }

    #[test]
    fn a_control_group_leaves_what_the_tightest_above_it_does() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        assert_eq!(least_of_groups(root.path(), "a/b"), None);
        let write = |group: &Path, max: &str, current: &str| {
            fs::write(group.join("memory.max"), max).unwrap();
            fs::write(group.join("memory.current"), current).unwrap();
        };
        write(&inner, "max\n", "50\n");
        write(&root.path().join("a"), "1000\n", "400\n");
        assert_eq!(least_of_groups(root.path(), "a/b"), Some(600));
        write(&inner, "100\n", "150\n");
        assert_eq!(least_of_groups(root.path(), "a/b"), Some(0));
        assert_eq!(in_kilobytes("MemTotal:  1 kB\nMemAvailable:   2 kB\n", "MemAvailable:"), Some(2048));
    }
}

//! What must stay flat over hours: the memory and the descriptors of the processes, the state and Redis.

use super::faults::open_files;
use super::world::World;
use std::fmt;
use std::path::Path;

/// From this many rounds on, growth is told from noise.
const ENOUGH: usize = 60;

/// What is measured at the end of a round.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Of the largest process, in MiB.
    memory: f64,
    /// Of the process with the most.
    descriptors: f64,
    /// Bytes of all objects, in KiB.
    state: f64,
    objects: f64,
    /// What Redis says it uses, in KiB.
    redis: f64,
    keys: f64,
}

/// A figure, and how much it may grow by noise alone.
type Figure = (&'static str, fn(&Sample) -> f64, f64);

const FIGURES: [Figure; 6] = [
    ("MiB of memory", |sample| sample.memory, 16.0),
    ("descriptors", |sample| sample.descriptors, 20.0),
    ("KiB of state", |sample| sample.state, 200.0),
    ("objects", |sample| sample.objects, 30.0),
    ("KiB in Redis", |sample| sample.redis, 500.0),
    ("keys", |sample| sample.keys, 30.0),
];

impl Sample {
    pub fn take(world: &World) -> Sample {
        let processes = world.job.processes();
        let most = |figure: fn(u32) -> Option<f64>| {
            processes.iter().filter_map(|(_, id)| figure(*id)).fold(0.0, f64::max)
        };
        let mut sample = Sample {
            memory: most(resident),
            descriptors: most(|id| open_files(id).map(|count| count as f64)),
            ..Sample::default()
        };
        weigh(&world.state, &mut sample);
        let mut redis = world.redis.connect();
        let memory: String = redis::cmd("INFO").arg("memory").query(&mut redis).unwrap();
        let used = memory.lines().find_map(|line| line.strip_prefix("used_memory:"));
        sample.redis = used.unwrap().trim().parse::<f64>().unwrap() / 1024.0;
        sample.keys = redis::cmd("DBSIZE").query(&mut redis).unwrap();
        sample
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = FIGURES.map(|(name, figure, _)| format!("{:.0} {name}", figure(self)));
        f.write_str(&figures.join(", "))
    }
}

/// The resident memory of a process.
fn resident(id: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
}

/// Adds what a folder holds. What is deleted meanwhile is not in it.
fn weigh(folder: &Path, sample: &mut Sample) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(found) if found.is_dir() => weigh(&entry.path(), sample),
            Ok(found) => {
                sample.state += found.len() as f64 / 1024.0;
                sample.objects += 1.0;
            }
            Err(_) => {}
        }
    }
}

/// What the figures were, and which of them went on growing: the median of the last third of all rounds is greater than
/// that of the second by more than a fifth and the noise.
pub fn judge(samples: &[Sample]) -> (String, Vec<String>) {
    let third = samples.len() / 3;
    let (mut lines, mut grown) = (String::new(), Vec::new());
    for (name, figure, noise) in FIGURES {
        let median = |samples: &[Sample]| {
            let mut values: Vec<f64> = samples.iter().map(figure).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or_default()
        };
        let [first, middle, last] =
            [&samples[..third], &samples[third..2 * third], &samples[2 * third..]].map(median);
        let line = format!("{name}: medians of the thirds {first:.0}, {middle:.0}, {last:.0}");
        if samples.len() >= ENOUGH && last > 1.2 * middle + noise {
            grown.push(format!("{line}: it goes on growing"));
        }
        lines += &format!("  {line}\n");
    }
    (lines, grown)
}

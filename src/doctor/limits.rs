//! What this machine lets a process have: open files and memory, beside what the job may take.

use super::finding::Finding;
use super::memory::{self, Needed};
use crate::launch::descriptors;
use crate::settings::Settings;
use crest_state::spec::Engine;
use indicatif::HumanBytes;

/// Both checks. `partitions`: how many the source has, where it can be read.
pub fn check(settings: &Settings, partitions: Option<usize>) -> Vec<Finding> {
    vec![open_files(settings), memory_for(settings, partitions.unwrap_or(1))]
}

fn open_files(settings: &Settings) -> Finding {
    let asked = settings.http.listen.as_ref().map(|_| settings.http.policy.limits);
    let wanted = asked.as_ref().map_or(descriptors::ROOM, descriptors::needed);
    match descriptors::limit() {
        None => Finding::ok("files", format!("up to {wanted} are opened; the limit is not known")),
        Some(limit) if limit >= wanted => {
            Finding::ok("files", format!("up to {wanted} are opened, and {limit} may be"))
        }
        Some(limit) => {
            let found =
                format!("up to {wanted} are opened, and {limit} may be: fewer connections are served");
            let fix = "raise the hard limit (ulimit -Hn, LimitNOFILE= of systemd), or lower http.limits.connections";
            Finding::fix("files", found, fix)
        }
    }
}

fn memory_for(settings: &Settings, partitions: usize) -> Finding {
    let (spec, shape) = (&settings.spec, &settings.shape);
    let held = partitions.div_ceil(shape.processes);
    let needed = memory::needed(spec, shape.workers, held, settings.source.url.kafka().is_some());
    let exact = spec.boards.iter().filter(|board| board.engine == Engine::Exact).count();
    let beside = match exact {
        0 => String::new(),
        _ => format!(
            ", and beside it {} for each million items in the longest window of an exact board",
            HumanBytes(memory::EXACT_ITEM_BYTES * 1_000_000)
        ),
    };
    let Needed { program, reading, counting, windows, groups } = needed;
    let parts = [
        (program, "the program"),
        (reading, "reading"),
        (counting, "open panes"),
        (windows, "windows"),
        (groups, "groups"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(bytes, _)| *bytes > 0)
        .map(|(bytes, what)| format!("{} {what}", HumanBytes(*bytes)))
        .collect();
    let all = needed.all();
    let found = format!("up to {} are needed ({}){beside}", HumanBytes(all), parts.join(", "));
    match memory::available() {
        None => Finding::ok("memory", found),
        Some(free) if free >= all => Finding::ok("memory", format!("{found}; {} are free", HumanBytes(free))),
        Some(free) => {
            let fix = "give it more, or fewer boards, windows, max_groups or sketch.rows, or more processes";
            Finding::fix("memory", format!("{found}; only {} are free", HumanBytes(free)), fix)
        }
    }
}

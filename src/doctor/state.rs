//! The state and the archive: their places can be written and have room, and what is in the state is this job's.

use super::finding::Finding;
use crate::launch::state::{identity, refused, time};
use crate::settings::{Settings, StateSettings};
use crest_connectors::state::{StateError, StateStore, Tried, try_out};
use crest_dataflows::event_time::Clock;
use crest_state::look::{Found, look};
use crest_state::pane::END;
use crest_state::replay::Resume;
use crest_state::spec::JobSpec;
use indicatif::HumanBytes;
use nix::sys::statvfs::statvfs;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const CHECK: &str = "state";
/// Bytes that a row takes in a stored pane, ids of some twenty bytes being compressed: 8,192 rows took 62 to 68 KB.
const ROW_BYTES: u64 = 8;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Panes that are kept for longer than this are a matter of months to come.
const MOST_DAYS: u32 = 31;

/// The findings, and from where the job would go on.
pub fn check(settings: &Settings) -> (Vec<Finding>, Option<Resume>) {
    let (mut findings, mut resume) = (Vec::new(), None);
    // Only process 0 has a state.
    let first = settings.shape.process == 0;
    match settings.state.as_ref().filter(|_| first) {
        Some(place) => {
            let (found, next) = state(settings, place);
            findings.push(found);
            resume = next;
        }
        None if first => {
            findings.push(Finding::ok(CHECK, "none: a job that is restarted counts anew"));
        }
        None => {}
    }
    if let Some(archive) = &settings.archive {
        findings.push(match written("archive", &archive.url, &archive.options, 0) {
            Ok((found, _)) => Finding::ok("archive", found),
            Err(finding) => finding,
        });
    }
    (findings, resume)
}

fn state(settings: &Settings, place: &StateSettings) -> (Finding, Option<Resume>) {
    let needed = disk(&settings.spec, place);
    let (said, is_new) = match written(CHECK, &place.url, &place.options, needed) {
        Ok(found) => found,
        Err(finding) => return (finding, None),
    };
    if is_new {
        return (Finding::ok(CHECK, format!("{said}; it is new")), None);
    }
    match held(settings, place) {
        Ok(None) => (Finding::ok(CHECK, format!("{said}; it is empty")), None),
        Ok(Some(Found { epoch, resume })) => {
            let from = match &resume {
                None => "nothing is durable yet".to_owned(),
                Some(resume) if resume.durable == END => "all is counted to its end".to_owned(),
                Some(resume) => {
                    let clock = Clock::new(&settings.spec.time, settings.source.url.is_bounded());
                    format!("all before {} is durable", time(clock.start(resume.durable)))
                }
            };
            (Finding::ok(CHECK, format!("{said}; it is this job's, of epoch {epoch}: {from}")), resume)
        }
        Err(finding) => (finding, None),
    }
}

/// What the state has of this job.
fn held(settings: &Settings, place: &StateSettings) -> Result<Option<Found>, Finding> {
    let store =
        StateStore::open_to_read(&place.url, &place.options).map_err(|error| unwritten(CHECK, &error))?;
    let source = identity(&settings.source)
        .map_err(|failure| Finding::fix(CHECK, failure, "see that the archive is there"))?;
    look(&store, &settings.spec, &source, &place.reset).map_err(|refusal| {
        let fix = "give another place, or set back what differs; crest state shows what it holds";
        Finding::fix(CHECK, refused(refusal), fix)
    })
}

/// That a place can be written and has room for so many bytes, and whether it is still to be made.
fn written(
    check: &'static str,
    url: &str,
    options: &BTreeMap<String, String>,
    needed: u64,
) -> Result<(String, bool), Finding> {
    let shown = crest_connectors::without_secrets(url);
    match try_out(url, options).map_err(|error| unwritten(check, &error))? {
        Tried::Bucket => Ok((format!("{shown} can be written"), false)),
        Tried::Folder { path, is_new } => {
            let Some(free) = free(&path) else { return Ok((format!("{shown} can be written"), is_new)) };
            if free < needed {
                let found = format!(
                    "{shown}: {} are free, and up to {} are kept",
                    HumanBytes(free),
                    HumanBytes(needed)
                );
                let fix = "give it more room, or keep panes for less time (state.retention)";
                return Err(Finding::fix(check, found, fix));
            }
            Ok((format!("{shown} can be written, {} are free", HumanBytes(free)), is_new))
        }
    }
}

fn unwritten(check: &'static str, error: &StateError) -> Finding {
    let fix = match error {
        StateError::NoSpace { .. } => "make room, or give another place",
        StateError::Refused { .. } => {
            "let this user write there (of a bucket: list, get, put and delete), or give another place"
        }
        StateError::Unreachable { .. } => {
            "see that the endpoint, the region and the credentials are right, and this machine's clock"
        }
        StateError::Invalid { .. } | StateError::Name { .. } | StateError::Superseded { .. } => {
            "correct the URL or its options"
        }
    };
    Finding::fix(check, error, fix)
}

/// Bytes that this user may still write where a folder is, or is to be.
fn free(path: &Path) -> Option<u64> {
    let path = std::path::absolute(path).ok()?;
    let there = path.ancestors().find(|above| above.exists())?;
    let found = statvfs(there).ok()?;
    Some(found.blocks_available().saturating_mul(found.fragment_size()))
}

/// Bytes that the panes of all boards take at most while they are kept, without groups. Rollups are a fifth of that in a day,
/// and few later.
fn disk(spec: &JobSpec, place: &StateSettings) -> u64 {
    let kept = place.retention.of("pane").unwrap_or(MOST_DAYS * DAY).min(MOST_DAYS * DAY);
    let panes = kept.as_millis() / spec.time.pane.as_millis().max(1);
    let rows = spec.sketch.pane_rows() as u64 * spec.boards.len() as u64;
    u64::try_from(panes).unwrap_or(u64::MAX).saturating_mul(rows.saturating_mul(ROW_BYTES)) / 5 * 6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_state::retention::Retention;

    #[test]
    fn a_day_of_panes_takes_what_was_measured() {
        let place = StateSettings {
            url: String::new(),
            options: BTreeMap::new(),
            retention: Retention::default(),
            reset: Vec::new(),
        };
        let mut spec = JobSpec::default();
        // 8,656 objects of a day had 408 MB of panes and 84 MB of rollups.
        assert!((400_000_000..800_000_000).contains(&disk(&spec, &place)), "{}", disk(&spec, &place));
        spec.boards.push(spec.boards[0].clone());
        assert!((800_000_000..1_600_000_000).contains(&disk(&spec, &place)));
    }
}

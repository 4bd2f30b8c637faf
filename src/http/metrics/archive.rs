//! The metrics of the archive, in each process of a job that writes one.

use super::super::api::Api;
use crate::figures::Figures;
use crest_connectors::tee::ArchiveStatus;

/// What a sample shows of the archive.
type Shown = fn(&ArchiveStatus) -> u64;

/// Writes them.
pub(super) fn write(page: &mut Figures, api: &Api) {
    let Some(status) = api.archive.as_ref().map(|archive| archive.status()) else { return };
    let families: [(&str, &str, Shown); 9] = [
        ("archive_records_total", "Records archived.", |s| s.records),
        ("archive_blocks_total", "Blocks of the archive written.", |s| s.blocks),
        ("archive_bytes_total", "Their bytes, compressed.", |s| s.bytes),
        ("archive_deleted_total", "Blocks deleted, since they were older than the retention.", |s| s.deleted),
        ("archive_retries_total", "Calls of the archive's store that failed and were repeated.", |s| {
            s.retries
        }),
        ("archive_gap_offsets_total", "Offsets that the log had let go of before they were archived.", |s| {
            s.gap_offsets
        }),
        ("archive_held_bytes", "Bytes of records that were read and are not archived yet.", |s| s.held_bytes),
        ("archive_unreachable", "1 while the archive's store cannot be written.", |s| {
            u64::from(s.waiting.is_some())
        }),
        (
            "archive_held_up_workers",
            "Workers that read nothing, since too much waits for the archive.",
            |s| s.held_up,
        ),
    ];
    for (name, help, shown) in families {
        page.one(name, help, &[], shown(&status));
    }
}

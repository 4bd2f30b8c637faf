//! The backfill of one board: what the state has of the other boards is carried over into its blocks.

use crate::error::StateFailure;
use crate::levels::Block;
use crate::manifest_writer::ManifestWriter;
use crate::object_writer::{Named, ObjectWriter, Unstored};
use crate::pane::Pane;
use crate::retry::Broken;
use std::ops::Range;

/// The panes of a run with the groups that were counted of one board, and with those that the state has of the others. What
/// it has of the board itself is left out.
///
/// # Errors
/// A pane of the state is missing or damaged, or another run has claimed the backfill.
pub(super) fn with_the_others(
    objects: &mut ObjectWriter,
    manifests: &mut ManifestWriter,
    board: &str,
    counted: &Unstored,
    run: Range<Pane>,
) -> Result<Named, Broken> {
    let mut known = None;
    loop {
        let held = manifests.current().held.clone();
        let stored: Vec<Block> = held.blocks(0, run.clone()).map(|(block, _)| block).collect();
        let mut panes: Named = counted
            .iter()
            .filter(|(block, _)| run.contains(&block.start))
            .map(|(block, boards)| (*block, objects.named(boards)))
            .collect();
        match objects.read_others(&held, &stored, board) {
            Ok(found) => {
                for pane in found {
                    panes.entry(pane.block).or_default().extend(objects.blocks.encoded(&pane));
                }
                return Ok(panes);
            }
            // The job may have let a pane expire since the manifest was read.
            Err(Broken::Failed(StateFailure::Missing { .. })) if known.as_ref() != Some(&stored) => {
                known = Some(stored);
                manifests.look()?;
            }
            Err(broken) => return Err(broken),
        }
    }
}

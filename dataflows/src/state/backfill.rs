//! A backfill's end: what it counted takes its place among the held blocks, with the rollups above it built anew.

use super::StateFailure;
use super::books::Books;
use super::held::Held;
use super::manifest::{Manifest, Part};
use super::retention::Rules;
use super::retry::Broken;
use super::writer::Writer;
use crate::event_time::Pane;
use crate::levels::{Block, Levels};
use std::ops::Range;

/// Puts the backfill's blocks in the place of those that were held before, in one step with the rollups that reach
/// beyond its range, and lets go of its part of the manifest.
///
/// # Errors
/// What is beside it cannot be read, or it was taken over.
pub(super) fn take_its_place(
    writer: &mut Writer,
    books: &mut Books,
    range: &Range<Pane>,
    rules: &Rules,
) -> Result<(), Broken> {
    let (levels, epoch, part) = (writer.blocks.form.levels, books.epoch(), Part::Backfill(range.clone()));
    loop {
        let Some(mut view) = with_its_blocks(books.manifest(), &part, range, &levels) else { return Ok(()) };
        let mut built = Vec::new();
        for level in 1..levels.count() {
            for block in to_build(books.manifest(), &view, range, &levels, level) {
                if view.from(level - 1) > block.start {
                    return Err(cannot_build(writer, block).into());
                }
                writer.build(&view, block, epoch)?;
                view.set(block, epoch);
                built.push(block);
            }
        }
        let (mut done, mut gone) = (false, Vec::new());
        books.change(writer.retry(), |manifest| {
            // The job may have gone on, and completed another rollup over the range.
            let Some(mut now) = with_its_blocks(manifest, &part, range, &levels) else { return };
            let mut still = Vec::new();
            for level in 1..levels.count() {
                still.extend(to_build(manifest, &now, range, &levels, level));
                built.iter().filter(|block| block.level == level).for_each(|block| now.set(*block, epoch));
            }
            done = still == built;
            if done {
                gone = replace(manifest, now, range, &levels);
                gone.extend(rules.expire(&mut manifest.held, manifest.live.durable, manifest.published));
            }
        })?;
        if done {
            writer.let_go(gone);
            writer.collect_garbage();
            return Ok(());
        }
    }
}

/// All that is held, as if the backfill's blocks had their places; `None` when they have.
fn with_its_blocks(manifest: &Manifest, part: &Part, range: &Range<Pane>, levels: &Levels) -> Option<Held> {
    let (theirs, mut held) = (manifest.held_by(part)?, manifest.held.clone());
    for level in 0..levels.count() {
        let whole = whole_blocks(levels, level, range);
        // Of what is older than its level is kept, only the rollups above are of use.
        let whole = whole.start.max(held.from(level))..whole.end;
        if !whole.is_empty() {
            held.graft(level, whole.clone(), theirs.blocks(level, whole));
        }
    }
    Some(held)
}

/// The panes of a level's blocks that are wholly within a range.
fn whole_blocks(levels: &Levels, level: usize, range: &Range<Pane>) -> Range<Pane> {
    let width = levels.width(level);
    range.start.next_multiple_of(width)..range.end / width * width
}

/// The rollups of a level to be built: those that reach beyond the range, as far as the job is beyond them (it builds
/// the others when it comes to their ends), and those within it that are not held though something below them is. One
/// at the edge of what is counted has what is counted of it.
fn to_build(
    manifest: &Manifest,
    view: &Held,
    range: &Range<Pane>,
    levels: &Levels,
    level: usize,
) -> Vec<Block> {
    let (first, last) = (levels.block(level, range.start).start, range.end);
    let touching = (first..last).step_by(levels.width(level) as usize).map(|start| Block { level, start });
    let is_needed = |block: &Block| {
        let (panes, inside) = (block.start..levels.end(*block), range.start <= block.start);
        let inside = inside && panes.end <= range.end;
        let below = || view.blocks(level - 1, panes.clone()).next().is_some();
        let kept = panes.start >= view.from(level);
        let due = if inside { view.epoch(*block).is_none() } else { panes.end <= manifest.live.durable };
        kept && due && below()
    };
    touching.filter(is_needed).collect()
}

/// The held blocks with the backfill's: what is not named any more.
fn replace(manifest: &mut Manifest, now: Held, range: &Range<Pane>, levels: &Levels) -> Vec<(Block, u64)> {
    let part = Part::Backfill(range.clone());
    let before: Vec<(Block, u64)> = manifest.held.all().collect();
    let theirs: Vec<(Block, u64)> = manifest.held_by(&part).into_iter().flat_map(Held::all).collect();
    let gone = before.into_iter().chain(theirs).filter(|(block, epoch)| now.epoch(*block) != Some(*epoch));
    let gone = gone.collect();
    manifest.held = now;
    manifest.counted.add(range.clone());
    let top = levels.block(levels.count() - 1, range.end - 1);
    if levels.end(top) > manifest.live.durable {
        manifest.recounted.add(range.clone());
    }
    manifest.backfills.retain(|backfill| backfill.range != *range);
    gone
}

fn cannot_build(writer: &Writer, block: Block) -> StateFailure {
    StateFailure::Missing {
        url: writer.blocks.store.url().to_owned(),
        name: format!("the blocks below {}", writer.blocks.form.name(block, 0)),
    }
}

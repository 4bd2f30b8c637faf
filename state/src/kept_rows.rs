//! How many rows of a stored block its windows take when they are restored. The rest of them need not be read.
//!
//! A block that is part of an incomplete rollup is needed whole, and so is what is not cut: the panes of exact boards and of
//! windows of the whole input.

use crate::levels::{Block, Levels};
use crate::pane::Pane;
use crate::reach::Reach;
use crate::spec::{BoardSpec, JobSpec, SketchSpec};
use std::collections::BTreeMap;

/// How many rows are kept of the blocks of a job that goes on.
#[derive(Debug)]
pub(super) struct KeptRows {
    /// For each board, by name, and each level.
    rows: BTreeMap<String, Vec<usize>>,
    /// For each level, the pane from which on its blocks are part of an incomplete rollup.
    whole_from: Vec<Pane>,
}

impl KeptRows {
    /// Of a job all of whose panes before `durable` are in the store.
    pub(super) fn new(spec: &JobSpec, durable: Pane) -> Self {
        let levels = Levels::new(spec.time.pane);
        let of_board = |board: &BoardSpec| (board.name.to_string(), rows_of(board, &levels, &spec.sketch));
        let whole_from = (0..levels.count()).map(|level| levels.incomplete_above(level, durable)).collect();
        KeptRows { rows: spec.boards.iter().map(of_board).collect(), whole_from }
    }

    /// The most rows that are kept of a digest in a block of a board.
    pub(super) fn of(&self, board: &str, block: Block) -> usize {
        let is_part = self.whole_from.get(block.level).is_none_or(|from| *from <= block.start);
        let rows = self.rows.get(board).and_then(|rows| rows.get(block.level)).copied();
        rows.filter(|_| !is_part).unwrap_or(usize::MAX)
    }
}

/// For each level, the most rows that a window of the board keeps of a block.
fn rows_of(board: &BoardSpec, levels: &Levels, sketch: &SketchSpec) -> Vec<usize> {
    let mut rows = vec![0; levels.count()];
    if board.has_whole_window() {
        rows[0] = usize::MAX;
    }
    for window in board.sliding_windows() {
        let reach = Reach::of(&window, levels.pane());
        let level = reach.level(levels, board.engine);
        let of_window = match board.engine.is_sketch() {
            true => reach.node_rows(levels.width(level), sketch),
            false => usize::MAX,
        };
        rows[level] = of_window.max(rows[level]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Engine;
    use crate::window_spec::WindowSpec;
    use std::time::Duration;

    /// The durable frontier is the 5th pane of the 8th minute of the 3rd hour of the 5th day.
    const DURABLE: Pane = 4 * 8640 + 2 * 360 + 7 * 6 + 4;

    fn sliding(seconds: u64, slide: u64) -> WindowSpec {
        WindowSpec::sliding("w", Duration::from_secs(seconds), Duration::from_secs(slide))
    }

    fn kept(engine: Engine, windows: Vec<WindowSpec>) -> impl Fn(usize, Pane) -> usize {
        let board = BoardSpec { name: "b".into(), engine, windows, ..BoardSpec::default() };
        let kept = KeptRows::new(&JobSpec { boards: vec![board], ..JobSpec::default() }, DURABLE);
        move |level, start| kept.of("b", Block { level, start })
    }

    #[test]
    fn a_board_takes_the_rows_of_the_shortest_of_its_windows_at_a_level() {
        let windows = vec![sliding(3600, 10), sliding(86_400, 10), sliding(86_400, 60)];
        let of = kept(Engine::Sketch, windows);
        assert_eq!((of(0, DURABLE - 6), of(1, DURABLE / 60 * 60 - 60), of(2, 0)), (4166, 1041, 0));
    }

    #[test]
    fn what_is_part_of_an_incomplete_rollup_is_read_whole() {
        let of = kept(Engine::Sketch, vec![sliding(86_400, 60)]);
        let (minute, ten) = (DURABLE / 6 * 6, DURABLE / 60 * 60);
        assert_eq!((of(0, minute - 1), of(0, minute)), (0, usize::MAX));
        assert_eq!((of(1, ten - 6), of(1, ten)), (1041, usize::MAX));
        let (hour, day) = (DURABLE / 360 * 360, 4 * 8640);
        assert_eq!((of(2, hour - 60), of(2, hour)), (0, usize::MAX));
        assert_eq!((of(3, day - 360), of(3, day)), (0, usize::MAX));
        assert_eq!(of(4, day), 0);
    }

    #[test]
    fn what_is_never_cut_is_read_whole() {
        assert_eq!(kept(Engine::Exact, vec![sliding(60, 10)])(0, 0), usize::MAX);
        let whole = kept(Engine::Sketch, vec![WindowSpec::whole("all")]);
        assert_eq!((whole(0, 0), whole(1, 0)), (usize::MAX, 0));
    }
}

//! The boards of a job, and how they change from one life to the next.

use crest_state::spec::{BoardSpec, Constant, Count, Engine, Filter, WindowSpec};
use rand::RngExt;
use rand::rngs::StdRng;
use std::time::Duration;

/// Sizes and slides of windows, in panes. The last one is long enough to be made of rollups, where panes are long enough for
/// these.
const SHAPES: [(u32, u32); 7] = [(3, 1), (6, 6), (24, 6), (1, 1), (8, 4), (12, 3), (192, 6)];
/// The names of windows that may come in; at first there are those of the first shapes.
const WINDOWS: [&str; 4] = ["short", "tumbling", "long", "other"];
/// The weights of the events that take away, where a job's boards retract.
pub const REMOVALS: [u32; 2] = [2, 3];
/// The names of boards.
const BOARDS: [&str; 3] = ["default", "second", "third"];

/// What all boards of a job have in common.
#[derive(Clone, Copy)]
pub struct Common {
    /// The width of a pane.
    pub pane: Duration,
    /// Whether a pane may have more items than are kept, which exact boards do not allow.
    pub overflows: bool,
}

/// The boards of one life of a job.
#[derive(Clone, Debug)]
pub struct Boards {
    /// Themselves.
    pub specs: Vec<BoardSpec>,
    /// Those that count anew where the state has another board of their name.
    pub reset: Vec<String>,
}

impl Boards {
    /// Those of the first life.
    pub fn first(random: &mut StdRng, common: Common) -> Boards {
        let mut windows: Vec<_> =
            WINDOWS.iter().zip(SHAPES).map(|(name, shape)| common.window(name, shape)).take(3).collect();
        windows.truncate(random.random_range(1..4));
        let mut first = BoardSpec { k: 5, windows, ..BoardSpec::default() };
        if random.random_bool(0.4) {
            first.by = vec!["region".into()];
        }
        let mut specs = vec![first];
        if random.random_bool(0.4) {
            let mut second = specs[0].clone();
            (second.name, second.by) = (BOARDS[1].into(), vec![]);
            second.filter.insert("region".into(), Filter::AnyOf(vec!["IN".into()]));
            specs.push(second);
        }
        if !common.overflows && random.random_bool(0.3) {
            specs.iter_mut().for_each(|board| board.engine = Engine::Exact);
        }
        Boards { specs, reset: Vec::new() }
    }

    /// Those of so many lives, of which some have others than the one before.
    pub fn of_lives(self, random: &mut StdRng, common: Common, lives: usize) -> Vec<Boards> {
        let mut all = vec![self];
        while all.len() < lives {
            let mut next = all[all.len() - 1].clone();
            if random.random_bool(0.7) {
                (0..random.random_range(1..4)).for_each(|_| next.change(random, common));
            }
            // An earlier life may be the one that the state knows.
            let differs = |board: &&BoardSpec| {
                let before = all.iter().flat_map(|boards| &boards.specs);
                before.into_iter().any(|other| other.name == board.name && !counts_alike(other, board))
            };
            next.reset = next.specs.iter().filter(differs).map(|board| board.name.to_string()).collect();
            all.push(next);
        }
        all
    }

    /// Lets all boards count different values: those of the weights.
    pub fn count_values(&mut self) {
        self.specs.iter_mut().for_each(|board| board.count = Count::Distinct("weight".into()));
    }

    /// Lets events of some weights take away what others have counted.
    pub fn retract(&mut self) {
        let removed = Filter::AnyOf(REMOVALS.map(|weight| Constant::Integer(weight.into())).to_vec());
        self.specs.iter_mut().for_each(|board| drop(board.retract.insert("weight".into(), removed.clone())));
    }

    /// Whether there is a board of this name.
    pub fn has(&self, name: &str) -> bool {
        self.specs.iter().any(|board| &*board.name == name)
    }

    /// Takes the board of this name out.
    pub fn remove(&mut self, name: &str) {
        self.specs.retain(|board| &*board.name != name);
        self.reset.retain(|board| board != name);
    }

    fn change(&mut self, random: &mut StdRng, common: Common) {
        let boards = self.specs.len();
        let place = random.random_range(0..boards);
        let board = &mut self.specs[place];
        let window = random.random_range(0..board.windows.len());
        let shape = SHAPES[random.random_range(0..SHAPES.len())];
        match random.random_range(0..10) {
            0 if board.windows.len() > 1 => drop(board.windows.remove(window)),
            0..2 => {
                let is_there = |name: &&&str| board.windows.iter().all(|window| &*window.name != **name);
                let new = WINDOWS.iter().find(is_there).map(|name| common.window(name, shape));
                board.windows.extend(new);
            }
            2..4 => board.windows[window] = common.window(&board.windows[window].name.clone(), shape),
            4 => board.k = random.random_range(2..9),
            5 if boards > 1 => drop(self.specs.remove(place)),
            5..7 => {
                let is_there = |name: &&&str| self.specs.iter().all(|board| &*board.name != **name);
                let Some(name) = BOARDS.iter().find(is_there) else { return };
                let mut new = self.specs[place].clone();
                new.name = (*name).into();
                common.make_another(random, &mut new);
                let place = random.random_range(0..=self.specs.len());
                self.specs.insert(place, new);
            }
            7 => self.specs.reverse(),
            _ => common.make_another(random, board),
        }
    }
}

impl Common {
    fn window(self, name: &str, (size, slide): (u32, u32)) -> WindowSpec {
        WindowSpec::sliding(name, size * self.pane, slide * self.pane)
    }

    /// Lets a board count something else, as a rule.
    fn make_another(self, random: &mut StdRng, board: &mut BoardSpec) {
        board.filter.clear();
        if random.random_bool(0.6) {
            let region = ["IN", "US"][random.random_range(0..2)];
            board.filter.insert("region".into(), Filter::AnyOf(vec![region.into()]));
        }
        board.by = if random.random_bool(0.4) { vec!["region".into()] } else { Vec::new() };
        if !self.overflows {
            board.engine = if random.random_bool(0.3) { Engine::Exact } else { Engine::Sketch };
        }
    }
}

/// Whether two boards count the same, so that one goes on as the other.
pub fn counts_alike(one: &BoardSpec, other: &BoardSpec) -> bool {
    let of = |board: &BoardSpec| (board.filter.clone(), board.by.clone(), board.engine, board.count.clone());
    of(one) == of(other)
}

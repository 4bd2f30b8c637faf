//! Any bytes as a program of operations on sketches, each checked against twins and a recount as soon as it is done.
//!
//! The tests run it on random bytes; a fuzzer looks for better ones. Bytes mean something whatever they are, and what
//! is missing at the end is 0.

use super::laws::{Hash, Truth, absorb, check_digest, check_ranking, naive_ranking};
use super::shapes::{SEED, shapes};
use super::twin::{NaivePane, check_sketch, check_union};
use crest_sketches::{Digest, Events, KeySpan, Merged, PaneSketch, Shape, WindowSum, item_hash};
use std::collections::VecDeque;

const PARTITIONS: usize = 3;
/// The most unions, digests and nodes of the window that there are at a time: without a bound, time is all that is tested.
const MOST: usize = 8;
/// What an event may weigh.
const WEIGHTS: [u32; 12] = [1, 0, 2, 3, 10, 60, 1000, 1 << 16, 1 << 26, 1 << 31, u32::MAX - 1, u32::MAX];

/// The two items that share a hash, where any do.
const SHARED: (u8, u8) = (254, 255);

fn key(item: u8) -> Vec<u8> {
    // One key is empty, which is a key like any other.
    if item == 0 { Vec::new() } else { format!("item-{item}").into_bytes() }
}

fn apart(key: &[u8]) -> u64 {
    item_hash(key, SEED)
}

fn shared(name: &[u8]) -> u64 {
    if name == key(SHARED.1) { apart(&key(SHARED.0)) } else { apart(name) }
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let (byte, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *byte
    }

    fn below(&mut self, most: usize) -> usize {
        usize::from(self.byte()) % most
    }

    fn weight(&mut self) -> u32 {
        WEIGHTS[self.below(WEIGHTS.len())]
    }
}

/// A pane of a partition that is still counting.
#[derive(Clone)]
struct Open {
    sketch: PaneSketch,
    twin: NaivePane,
    truth: Truth,
}

struct Union {
    merged: Merged,
    /// What it is of.
    panes: Vec<Open>,
    truth: Truth,
    unseen: u64,
}

#[derive(Clone, Default)]
struct Cut {
    digest: Digest,
    truth: Truth,
    unseen: u64,
}

impl Cut {
    fn of<'a>(cuts: impl IntoIterator<Item = &'a Cut>) -> Cut {
        let mut all = Cut::default();
        for cut in cuts {
            absorb(&mut all.truth, &cut.truth);
            all.unseen += cut.unseen;
        }
        all
    }
}

struct Model {
    shape: Shape,
    hash: Hash,
    open: Vec<Open>,
    unions: Vec<Union>,
    cuts: Vec<Cut>,
    window: WindowSum,
    nodes: VecDeque<(u64, Cut)>,
    next_node: u64,
}

/// Does what the bytes say.
///
/// # Panics
/// If anything is not what it should be.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut model = Model::new(&mut input);
    while !input.0.is_empty() {
        model.step(&mut input);
    }
    model.finish();
}

impl Model {
    fn new(input: &mut Input) -> Model {
        let shape = shapes()[input.below(4)].clone();
        let hash = if input.below(2) == 0 { apart } else { shared };
        let open = vec![Open::new(&shape); PARTITIONS];
        let (window, nodes) = (WindowSum::new(), VecDeque::new());
        Model { shape, hash, open, unions: Vec::new(), cuts: Vec::new(), window, nodes, next_node: 0 }
    }

    fn step(&mut self, input: &mut Input) {
        match input.below(13) {
            0 => self.add(input),
            1 | 2 => self.batch(input),
            3 => self.edge(input),
            4 => self.seal(input.below(PARTITIONS)),
            5 => self.merge_unions(input),
            6 => self.add_unseen(input),
            7 => self.cut_union(input),
            8 => self.merge_digests(input),
            9 => self.cut_digest(input),
            10 => self.push(input),
            11 => self.expire(input),
            _ => self.rank(input),
        }
    }

    /// One event.
    fn add(&mut self, input: &mut Input) {
        let partition = input.below(PARTITIONS);
        let (item, weight) = (input.byte(), input.weight());
        let open = &mut self.open[partition];
        if item == SHARED.1 {
            open.count(&[(item, weight)], self.hash);
        } else {
            open.sketch.add(&key(item), weight);
            open.note(item, weight, self.hash);
        }
        open.check(self.hash);
    }

    /// Events of items at equal distances, of equal or rising weights.
    fn batch(&mut self, input: &mut Input) {
        let partition = input.below(PARTITIONS);
        let (len, first, stride) = (input.byte(), input.byte(), input.byte());
        let (weight, rise) = (input.weight(), input.below(3) as u32);
        let event =
            |n: u8| (first.wrapping_add(n.wrapping_mul(stride)), weight.saturating_add(rise * u32::from(n)));
        let events: Vec<_> = (0..len).map(event).collect();
        self.open[partition].count(&events, self.hash);
        self.open[partition].check(self.hash);
    }

    /// An event that takes an item to just under the floor, to it, or over it.
    fn edge(&mut self, input: &mut Input) {
        let partition = input.below(PARTITIONS);
        let (item, over) = (input.byte(), input.below(3) as u64);
        let open = &mut self.open[partition];
        let known = open.sketch.bounds((self.hash)(&key(item))).upper();
        let weight = (open.twin.floor() + over).saturating_sub(known);
        open.count(&[(item, weight.min(u32::MAX.into()) as u32)], self.hash);
        open.check(self.hash);
    }

    /// Makes a union of a pane, and opens a new one.
    fn seal(&mut self, partition: usize) {
        if self.unions.len() == MOST {
            return;
        }
        let open = std::mem::replace(&mut self.open[partition], Open::new(&self.shape));
        let mut merged = Merged::new(&self.shape);
        merged.add(&open.sketch);
        let union = Union { merged, truth: open.truth.clone(), panes: vec![open], unseen: 0 };
        self.check_union(&union);
        self.unions.push(union);
    }

    fn merge_unions(&mut self, input: &mut Input) {
        let (from, into) = (input.byte(), input.byte());
        let Some(from) = take(&mut self.unions, from) else { return };
        let Some(mut into) = take(&mut self.unions, into) else { return self.unions.push(from) };
        into.merged.merge(&from.merged).unwrap();
        into.panes.extend(from.panes);
        into.unseen += from.unseen;
        absorb(&mut into.truth, &from.truth);
        self.check_union(&into);
        self.unions.push(into);
    }

    fn add_unseen(&mut self, input: &mut Input) {
        let (at, weight) = (input.byte(), input.weight().into());
        if let Some(union) = pick(&mut self.unions, at) {
            union.merged.add_unseen(weight);
            union.unseen += weight;
        }
    }

    fn cut_union(&mut self, input: &mut Input) {
        let (at, rows) = (input.byte(), input.byte());
        let Some(Union { merged, truth, unseen, .. }) = pick(&mut self.unions, at) else { return };
        let (digest, truth, unseen) = (merged.cut(rows.into()), truth.clone(), *unseen);
        assert!(digest.rows().len() <= rows.into());
        self.keep(Cut { digest, truth, unseen });
    }

    /// Replaces the latest digests by their union.
    fn merge_digests(&mut self, input: &mut Input) {
        let parts = self.cuts.split_off(self.cuts.len() - input.below(self.cuts.len() + 1));
        let digests: Vec<_> = parts.iter().map(|part| &part.digest).collect();
        let digest = Digest::merge(digests.iter().copied());
        assert_eq!(digest.rank(usize::MAX), naive_ranking(&digests, usize::MAX));
        assert_eq!(Digest::merge(digests.into_iter().rev()), digest);
        self.keep(Cut { digest, ..Cut::of(&parts) });
    }

    fn cut_digest(&mut self, input: &mut Input) {
        let (at, rows) = (input.byte(), input.byte());
        let Some(cut) = take(&mut self.cuts, at) else { return };
        let digest = cut.digest.cut(rows.into());
        assert!(digest.rows().len() <= rows.into());
        self.keep(Cut { digest, ..cut });
    }

    /// Adds a digest to the window.
    fn push(&mut self, input: &mut Input) {
        let at = input.byte();
        self.next_node += 1 + input.below(2) as u64;
        if self.nodes.len() == MOST {
            self.expire_before(self.nodes[1].0);
        }
        let Some(cut) = pick(&mut self.cuts, at) else { return };
        self.window.push(self.next_node, &cut.digest);
        self.nodes.push_back((self.next_node, cut.clone()));
        self.check_window(usize::MAX);
    }

    fn expire(&mut self, input: &mut Input) {
        self.expire_before((self.next_node + 1).saturating_sub(input.below(8) as u64));
        self.check_window(usize::MAX);
    }

    fn expire_before(&mut self, before: u64) {
        self.window.expire(before);
        self.nodes.retain(|&(node, _)| node >= before);
    }

    /// The top of the window, and what it would be without its oldest nodes and with the digests that are not in it.
    fn rank(&mut self, input: &mut Input) {
        let (k, before) = (input.byte().into(), self.next_node.saturating_sub(input.below(8) as u64));
        self.check_window(k);
        let kept = self.nodes.iter().filter(|&&(node, _)| node >= before).map(|(_, cut)| cut);
        let all: Vec<_> = kept.chain(&self.cuts).collect();
        let open: Vec<_> = self.cuts.iter().map(|cut| &cut.digest).collect();
        let ranking = self.window.rank_provisional(before, &open, k);
        assert_eq!(ranking, naive_ranking(&all.iter().map(|cut| &cut.digest).collect::<Vec<_>>(), k));
        let Cut { truth, unseen, .. } = Cut::of(all);
        check_ranking(&ranking, k, &truth, unseen, self.hash);
    }

    /// Whatever is left, in one union: the same as all panes in the other order.
    fn finish(mut self) {
        (0..PARTITIONS).for_each(|partition| self.seal(partition));
        let unions = std::mem::take(&mut self.unions);
        let (mut merged, mut truth, mut unseen) = (Merged::new(&self.shape), Truth::new(), 0);
        for union in &unions {
            merged.merge(&union.merged).unwrap();
            absorb(&mut truth, &union.truth);
            unseen += union.unseen;
        }
        let panes: Vec<_> = unions.into_iter().flat_map(|union| union.panes).collect();
        let mut reverse = Merged::new(&self.shape);
        reverse.add_unseen(unseen);
        panes.iter().rev().for_each(|pane| reverse.add(&pane.sketch));
        assert_eq!(merged, reverse);
        self.check_union(&Union { merged, panes, truth, unseen });
    }

    fn check_union(&self, union: &Union) {
        let twins: Vec<_> = union.panes.iter().map(|pane| &pane.twin).collect();
        let Union { merged, truth, unseen, .. } = union;
        check_union(merged, &twins, truth, *unseen, &self.shape, self.hash);
        check_digest(&merged.cut(usize::MAX), truth, *unseen, self.hash);
        assert_eq!(Merged::from_parts(&self.shape, merged.to_parts()).as_ref(), Ok(merged));
        assert_eq!(Merged::decode(&merged.encode(), &self.shape).as_ref(), Ok(merged));
    }

    /// Checks a digest and keeps it.
    fn keep(&mut self, cut: Cut) {
        check_digest(&cut.digest, &cut.truth, cut.unseen, self.hash);
        assert_eq!(Digest::from_parts(cut.digest.to_parts()).as_ref(), Ok(&cut.digest));
        assert_eq!(Digest::decode(&cut.digest.encode(SEED), SEED).as_ref(), Ok(&cut.digest));
        if self.cuts.len() == MOST {
            self.cuts.remove(0);
        }
        self.cuts.push(cut);
    }

    fn check_window(&self, k: usize) {
        let ranking = self.window.rank(k);
        let digests: Vec<_> = self.nodes.iter().map(|(_, cut)| &cut.digest).collect();
        assert_eq!(ranking, naive_ranking(&digests, k));
        assert_eq!((self.window.total(), self.window.floor()), (ranking.total, ranking.floor));
        assert_eq!(self.window.is_empty(), self.nodes.is_empty());
        let Cut { truth, unseen, .. } = Cut::of(self.nodes.iter().map(|(_, cut)| cut));
        check_ranking(&ranking, k, &truth, unseen, self.hash);
    }
}

impl Open {
    fn new(shape: &Shape) -> Open {
        Open { sketch: PaneSketch::new(shape), twin: NaivePane::new(shape), truth: Truth::new() }
    }

    /// Counts a batch.
    fn count(&mut self, events: &[(u8, u32)], hash: Hash) {
        let (mut hashes, mut weights, mut keys, mut arena) = (vec![], vec![], vec![], vec![]);
        for &(item, weight) in events {
            let key = key(item);
            hashes.push(hash(&key));
            weights.push(weight);
            keys.push(KeySpan { offset: arena.len() as u32, len: key.len() as u32 });
            arena.extend(key);
            self.note(item, weight, hash);
        }
        self.sketch.update(Events {
            hashes: &hashes,
            weights: &weights,
            keys: &keys,
            arena: &arena,
            values: &[],
        });
    }

    /// What the sketch has counted, its twin counts.
    fn note(&mut self, item: u8, weight: u32, hash: Hash) {
        if weight > 0 {
            let key = key(item);
            self.twin.count(hash(&key), weight.into());
            *self.truth.entry(key).or_default() += u64::from(weight);
        }
    }

    fn check(&self, hash: Hash) {
        check_sketch(&self.sketch, &self.twin, &self.truth, hash);
    }
}

/// Any of them.
fn pick<T>(of: &mut [T], at: u8) -> Option<&mut T> {
    let len = of.len();
    of.get_mut(usize::from(at).checked_rem(len)?)
}

/// Takes any of them out.
fn take<T>(from: &mut Vec<T>, at: u8) -> Option<T> {
    let at = usize::from(at).checked_rem(from.len())?;
    Some(from.remove(at))
}

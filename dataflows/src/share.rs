//! A worker's share of one pane, which it ships to the worker that aggregates the board; or a region's, which was cut
//! where it was counted.
//!
//! A closed pane's share is the uncut merge of the sketches of the worker's partitions, so that nothing is cut
//! before all partitions are together. An open pane's share is an extract whose rows are cut; it has the groups in which
//! something changed, and replaces what the one before had of them. Between processes a share is flattened into columns and framed (see [`crate::frame`]).

use crate::frame::{Body, FrameError, Framed};
use crate::late_pane::PaneSpan;
use crest_connectors::group_key::GroupKey;
use crest_sketches::{Digest, Merged, Parts, Shape};
use crest_state::pane::Pane;

/// A worker's share of one pane of one board.
#[derive(Clone, Debug)]
pub struct PaneShare {
    /// The worker that ships it; of a region's, the region's place in the configuration.
    pub worker: u32,
    /// The board's place in the spec.
    pub board: u32,
    /// The pane.
    pub pane: Pane,
    /// Whether the pane is closed.
    pub kind: Kind,
    /// Weight that the worker's partitions counted in no group, since their pane had too many groups. It may belong
    /// to any group that this share lacks.
    pub refused: u64,
    /// For the late pane, the panes of its events; for a region that is missing, from which panes.
    pub span: Option<PaneSpan>,
    /// The whole board, and then the groups in their order. An extract has those in which
    /// something changed since the one before.
    pub groups: Vec<GroupShare>,
}

/// What a share says of its pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The pane is closed, and the share is all that the worker has of it.
    Closed,
    /// The pane is open, and the share is what the worker has so far.
    Extract,
    /// The worker was stopped, and its open panes stay incomplete.
    Halt,
    /// The worker's partitions have ended, and this is the last pane in which they have an event, of any board or of none.
    End,
    /// A region is missing from these panes.
    Missing,
}

/// One group's share.
#[derive(Clone, Debug)]
pub struct GroupShare {
    /// The group, or the whole board.
    pub group: GroupKey,
    /// Its sketch.
    pub sketch: Sketch,
}

/// The sketch of one group in a share.
#[derive(Clone, Debug)]
pub enum Sketch {
    /// The uncut sketch of a closed pane.
    Merged(Box<Merged>),
    /// The same where it has few items: all of them, exact.
    Few(Digest),
    /// What a region has of a closed pane. It was cut there.
    Cut(Digest),
    /// The extract of an open pane.
    Digest(Digest),
    /// Any of them, as it came from another process and before it is checked.
    Parts(Parts, Columns),
}

/// What the columns of a group are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// Those of a union.
    Merged,
    /// Those of a digest.
    Digest,
    /// Those of a digest that was cut elsewhere.
    Cut,
}

/// One group of a closed pane, not cut here yet.
#[derive(Clone, Debug)]
pub enum Uncut {
    /// The union of its sketches.
    Merged(Box<Merged>),
    /// All its items, exact, where they are few.
    Few(Digest),
    /// The union of what regions have, which was cut there.
    Cut(Digest),
}

impl Uncut {
    /// The weight counted.
    pub fn total(&self) -> u64 {
        match self {
            Uncut::Merged(merged) => merged.total(),
            Uncut::Few(digest) | Uncut::Cut(digest) => digest.total(),
        }
    }

    /// The union with what another worker, or another region, has of the group. `shape` is the board's.
    ///
    /// # Errors
    /// They do not fit together.
    pub fn and(self, other: Uncut, shape: &Shape) -> Result<Uncut, FrameError> {
        Ok(match (self, other) {
            (Uncut::Few(ours), Uncut::Few(theirs)) => Uncut::Few(Digest::merge_exact([&ours, &theirs])),
            (Uncut::Few(ours) | Uncut::Cut(ours), Uncut::Few(theirs) | Uncut::Cut(theirs)) => {
                Uncut::Cut(Digest::merge([&ours, &theirs]))
            }
            (ours, theirs) => {
                let mut union = ours.into_union(shape)?;
                match theirs {
                    Uncut::Merged(theirs) => union.merge(&theirs).map_err(message)?,
                    Uncut::Few(theirs) => union.add_exact(&theirs),
                    Uncut::Cut(_) => return Err(mixed()),
                }
                Uncut::Merged(union)
            }
        })
    }

    /// Cuts it to `rows` rows, where each item may have `unseen` weight besides.
    pub fn cut(self, rows: usize, unseen: u64, shape: &Shape) -> Digest {
        match self {
            Uncut::Few(digest) | Uncut::Cut(digest) if unseen == 0 => digest.cut(rows),
            Uncut::Cut(digest) => Digest::merge([&digest, &Digest::unseen(unseen)]).cut(rows),
            Uncut::Few(digest) => union_of(&digest, unseen, shape).cut(rows),
            Uncut::Merged(mut union) => {
                union.add_unseen(unseen);
                union.cut(rows)
            }
        }
    }

    fn into_union(self, shape: &Shape) -> Result<Box<Merged>, FrameError> {
        match self {
            Uncut::Merged(merged) => Ok(merged),
            Uncut::Few(digest) => Ok(Box::new(union_of(&digest, 0, shape))),
            Uncut::Cut(_) => Err(mixed()),
        }
    }
}

/// The union of one exact digest, where each item may have `unseen` weight besides.
fn union_of(digest: &Digest, unseen: u64, shape: &Shape) -> Merged {
    let mut union = Merged::new(shape);
    union.add_exact(digest);
    union.add_unseen(unseen);
    union
}

/// What was cut cannot become part of a union that is not.
fn mixed() -> FrameError {
    FrameError::Message("a pane has shares of workers and of regions".into())
}

impl Sketch {
    /// The uncut sketch of a closed pane.
    ///
    /// # Errors
    /// The columns that came from another process are no sketch of this shape, or this is an extract.
    pub fn into_uncut(self, shape: &Shape) -> Result<Uncut, FrameError> {
        match self {
            Sketch::Merged(merged) => Ok(Uncut::Merged(merged)),
            Sketch::Few(digest) => Ok(Uncut::Few(digest)),
            Sketch::Cut(digest) => Ok(of_region(digest)),
            Sketch::Parts(parts, Columns::Cut) => Digest::from_parts(parts).map(of_region).map_err(message),
            Sketch::Parts(parts, Columns::Merged) => Merged::from_parts(shape, parts)
                .map(|merged| Uncut::Merged(Box::new(merged)))
                .map_err(message),
            Sketch::Parts(parts, Columns::Digest) => {
                let digest = Digest::from_parts(parts).map_err(message)?;
                if digest.is_whole() {
                    Ok(Uncut::Few(digest))
                } else {
                    Err(FrameError::Message("a group's few items are not all of it".into()))
                }
            }
            Sketch::Digest(_) => Err(FrameError::Message("an extract stands for a closed pane".into())),
        }
    }

    /// The extract of an open pane.
    ///
    /// # Errors
    /// The columns that came from another process are no extract, or this is the sketch of a closed pane.
    pub fn into_digest(self) -> Result<Digest, FrameError> {
        match self {
            Sketch::Digest(digest) => Ok(digest),
            Sketch::Parts(parts, Columns::Digest) => Digest::from_parts(parts).map_err(message),
            _ => Err(FrameError::Message("a closed pane stands for an extract".into())),
        }
    }

    fn to_parts(&self) -> (Parts, Columns) {
        match self {
            Sketch::Merged(merged) => (merged.to_parts(), Columns::Merged),
            Sketch::Few(digest) | Sketch::Digest(digest) => (digest.to_parts(), Columns::Digest),
            Sketch::Cut(digest) => (digest.to_parts(), Columns::Cut),
            Sketch::Parts(parts, columns) => (parts.clone(), *columns),
        }
    }
}

/// What a region has of a group: exact, where nothing was cut.
fn of_region(digest: Digest) -> Uncut {
    if digest.is_whole() { Uncut::Few(digest) } else { Uncut::Cut(digest) }
}

fn message(error: impl std::fmt::Display) -> FrameError {
    FrameError::Message(error.to_string())
}

/// The number of words before the groups' directory.
const HEADER: usize = 8;
/// What the header has where there is no span: one that ends before it begins.
const NO_SPAN: PaneSpan = PaneSpan { first: 1, last: 0 };
/// The number of words of a group in the directory: what its columns are, and the lengths of its text and of these three.
const ENTRY: usize = 5;

impl Framed for PaneShare {
    fn to_body(&self) -> Body {
        let kind = match self.kind {
            Kind::Closed => 0,
            Kind::Extract => 1,
            Kind::Halt => 2,
            Kind::End => 3,
            Kind::Missing => 4,
        };
        let groups = self.groups.len() as u64;
        let PaneSpan { first, last } = self.span.unwrap_or(NO_SPAN);
        let mut words =
            vec![kind, self.worker.into(), self.board.into(), self.pane, self.refused, groups, first, last];
        let (mut columns, mut halves, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        for group in &self.groups {
            let (parts, kind) = group.sketch.to_parts();
            words.push(match kind {
                Columns::Merged => 0,
                Columns::Digest => 1,
                Columns::Cut => 2,
            });
            let text = group.group.as_str().as_bytes();
            let lengths = [text.len(), parts.words.len(), parts.halves.len(), parts.bytes.len()];
            words.extend(lengths.map(|length| length as u64));
            columns.extend(parts.words);
            halves.extend(parts.halves);
            bytes.extend_from_slice(text);
            bytes.extend(parts.bytes);
        }
        words.extend(columns);
        Body { words, halves, bytes }
    }

    fn from_body(body: Body) -> Result<Self, FrameError> {
        let Body { words, halves, bytes } = body;
        let wrong = || FrameError::Message("a pane's share has wrong lengths".into());
        let (header, rest) = words.split_at_checked(HEADER).ok_or_else(wrong)?;
        let kind = match header[0] {
            0 => Kind::Closed,
            1 => Kind::Extract,
            2 => Kind::Halt,
            3 => Kind::End,
            4 => Kind::Missing,
            _ => return Err(wrong()),
        };
        let number = |word: u64| u32::try_from(word).map_err(|_| wrong());
        let count = usize::try_from(header[5]).ok().and_then(|n| n.checked_mul(ENTRY)).ok_or_else(wrong)?;
        let (directory, columns) = rest.split_at_checked(count).ok_or_else(wrong)?;
        let (mut columns, mut halves, mut bytes) = (columns, halves.as_slice(), bytes.as_slice());
        let mut groups = Vec::with_capacity(count / ENTRY);
        for entry in directory.chunks_exact(ENTRY) {
            let columns_of = match entry[0] {
                0 => Columns::Merged,
                1 => Columns::Digest,
                2 => Columns::Cut,
                _ => return Err(wrong()),
            };
            let text = cut(&mut bytes, entry[1]).ok_or_else(wrong)?;
            let group: GroupKey = std::str::from_utf8(text).map_err(message)?.parse().map_err(message)?;
            let parts = Parts {
                words: cut(&mut columns, entry[2]).ok_or_else(wrong)?.to_vec(),
                halves: cut(&mut halves, entry[3]).ok_or_else(wrong)?.to_vec(),
                bytes: cut(&mut bytes, entry[4]).ok_or_else(wrong)?.to_vec(),
            };
            groups.push(GroupShare { group, sketch: Sketch::Parts(parts, columns_of) });
        }
        if !(columns.is_empty() && halves.is_empty() && bytes.is_empty()) {
            return Err(wrong());
        }
        let (worker, board) = (number(header[1])?, number(header[2])?);
        let span =
            Some(PaneSpan { first: header[6], last: header[7] }).filter(|span| span.first <= span.last);
        Ok(PaneShare { worker, board, pane: header[3], kind, refused: header[4], span, groups })
    }
}

/// Takes `length` elements off the front of a column, if it has that many.
fn cut<'a, T>(column: &mut &'a [T], length: u64) -> Option<&'a [T]> {
    let (front, rest) = column.split_at_checked(usize::try_from(length).ok()?)?;
    *column = rest;
    Some(front)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crest_sketches::PaneSketch;
    use crest_state::spec::SketchSpec;
    use proptest::prelude::*;

    fn share(items: &[&str], kind: Kind) -> PaneShare {
        let shape = SketchSpec::default().shape().unwrap();
        let mut sketch = PaneSketch::new(&shape);
        items.iter().for_each(|item| sketch.add(item.as_bytes(), 3));
        let mut merged = Merged::new(&shape);
        merged.add(&sketch);
        let (sketch, few) = match kind {
            Kind::Extract => (Sketch::Digest(merged.cut(10)), Sketch::Digest(merged.cut(10))),
            _ => (Sketch::Merged(Box::new(merged.clone())), Sketch::Few(merged.cut(usize::MAX))),
        };
        let groups = vec![
            GroupShare { group: GroupKey::WHOLE, sketch },
            GroupShare { group: GroupKey::from_values([("region", "IN")]), sketch: few },
        ];
        PaneShare { worker: 3, board: 1, pane: 171_167_040, kind, refused: 9, span: None, groups }
    }

    #[test]
    fn a_share_travels_unchanged() {
        let shape = SketchSpec::default().shape().unwrap();
        for kind in [Kind::Closed, Kind::Extract] {
            let span = (kind == Kind::Closed).then_some(PaneSpan { first: 3, last: 7 });
            let sent = PaneShare { span, ..share(&["a", "b", "a", "c"], kind) };
            let came = PaneShare::from_body(sent.to_body()).unwrap();
            assert_eq!(
                (came.worker, came.board, came.pane, came.kind, came.refused),
                (3, 1, 171_167_040, kind, 9)
            );
            assert_eq!(came.span, span);
            assert_eq!(came.groups[1].group.as_str(), "region=IN");
            let digest = |share: PaneShare| {
                let sketch = share.groups.into_iter().next_back().unwrap().sketch;
                match kind {
                    Kind::Extract => sketch.into_digest().unwrap(),
                    _ => sketch.into_uncut(&shape).unwrap().cut(10, 0, &shape),
                }
            };
            assert_eq!(digest(came).to_parts(), digest(sent).to_parts());
        }
    }

    proptest! {
        #[test]
        fn lengths_that_do_not_fit_are_an_error(word in 0usize..16, value in prop_oneof![0u64..20, Just(u64::MAX), any::<u64>()]) {
            let mut body = share(&["a", "b"], Kind::Closed).to_body();
            let before = body.words[word];
            body.words[word] = value;
            if (word == 0 || word >= 5) && value != before && !(word == 0 && value < 5) {
                let _ = PaneShare::from_body(body).map(|share| {
                    let shape = SketchSpec::default().shape().unwrap();
                    for group in share.groups {
                        let _ = group.sketch.into_uncut(&shape);
                    }
                });
            }
        }
    }
}

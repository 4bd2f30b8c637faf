//! A worker's share of one pane, which it ships to the worker that aggregates the board.
//!
//! A closed pane's share is the uncut merge of the sketches of the worker's partitions, so that nothing is cut
//! before all partitions are together. An open pane's share is an extract whose rows are cut, and replaces the one
//! before. Between processes a share is flattened into columns and framed (see [`crate::frame`]).

use crate::frame::{Body, FrameError, Framed};
use crate::late_pane::PaneSpan;
use crest_sketches::{Digest, Merged, Parts, Shape};
use crest_state::pane::Pane;

/// A worker's share of one pane of one board.
#[derive(Clone, Debug)]
pub struct PaneShare {
    /// The worker that ships it.
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
    /// For the late pane, the panes of its events.
    pub late: Option<PaneSpan>,
    /// The whole board, under the empty text, and then the groups.
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
}

/// One group's share.
#[derive(Clone, Debug)]
pub struct GroupShare {
    /// The group's text; empty for the whole board.
    pub group: String,
    /// Its sketch.
    pub sketch: Sketch,
}

/// The sketch of one group in a share.
#[derive(Clone, Debug)]
pub enum Sketch {
    /// The uncut sketch of a closed pane.
    Merged(Box<Merged>),
    /// The extract of an open pane.
    Digest(Digest),
    /// Either of them, as it came from another process and before it is checked.
    Parts(Parts),
}

impl Sketch {
    /// The uncut sketch of a closed pane.
    ///
    /// # Errors
    /// The columns that came from another process are no sketch of this shape, or this is an extract.
    pub fn into_merged(self, shape: &Shape) -> Result<Merged, FrameError> {
        match self {
            Sketch::Merged(merged) => Ok(*merged),
            Sketch::Parts(parts) => Merged::from_parts(shape, parts).map_err(message),
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
            Sketch::Parts(parts) => Digest::from_parts(parts).map_err(message),
            Sketch::Merged(_) => Err(FrameError::Message("a closed pane stands for an extract".into())),
        }
    }

    fn to_parts(&self) -> Parts {
        match self {
            Sketch::Merged(merged) => merged.to_parts(),
            Sketch::Digest(digest) => digest.to_parts(),
            Sketch::Parts(parts) => parts.clone(),
        }
    }
}

fn message(error: impl std::fmt::Display) -> FrameError {
    FrameError::Message(error.to_string())
}

/// The number of words before the groups' directory.
const HEADER: usize = 8;
/// What the header has for a pane that is not the late one: a span that ends before it begins.
const NOT_LATE: PaneSpan = PaneSpan { first: 1, last: 0 };
/// The number of words of a group in the directory: the lengths of its text and of its three columns.
const ENTRY: usize = 4;

impl Framed for PaneShare {
    fn to_body(&self) -> Body {
        let kind = match self.kind {
            Kind::Closed => 0,
            Kind::Extract => 1,
            Kind::Halt => 2,
            Kind::End => 3,
        };
        let groups = self.groups.len() as u64;
        let PaneSpan { first, last } = self.late.unwrap_or(NOT_LATE);
        let mut words =
            vec![kind, self.worker.into(), self.board.into(), self.pane, self.refused, groups, first, last];
        let (mut columns, mut halves, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        for group in &self.groups {
            let parts = group.sketch.to_parts();
            let lengths = [group.group.len(), parts.words.len(), parts.halves.len(), parts.bytes.len()];
            words.extend(lengths.map(|length| length as u64));
            columns.extend(parts.words);
            halves.extend(parts.halves);
            bytes.extend_from_slice(group.group.as_bytes());
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
            _ => return Err(wrong()),
        };
        let number = |word: u64| u32::try_from(word).map_err(|_| wrong());
        let count = usize::try_from(header[5]).ok().and_then(|n| n.checked_mul(ENTRY)).ok_or_else(wrong)?;
        let (directory, columns) = rest.split_at_checked(count).ok_or_else(wrong)?;
        let (mut columns, mut halves, mut bytes) = (columns, halves.as_slice(), bytes.as_slice());
        let mut groups = Vec::with_capacity(count / ENTRY);
        for entry in directory.chunks_exact(ENTRY) {
            let text = cut(&mut bytes, entry[0]).ok_or_else(wrong)?;
            let group = String::from_utf8(text.to_vec()).map_err(message)?;
            let parts = Parts {
                words: cut(&mut columns, entry[1]).ok_or_else(wrong)?.to_vec(),
                halves: cut(&mut halves, entry[2]).ok_or_else(wrong)?.to_vec(),
                bytes: cut(&mut bytes, entry[3]).ok_or_else(wrong)?.to_vec(),
            };
            groups.push(GroupShare { group, sketch: Sketch::Parts(parts) });
        }
        if !(columns.is_empty() && halves.is_empty() && bytes.is_empty()) {
            return Err(wrong());
        }
        let (worker, board) = (number(header[1])?, number(header[2])?);
        let late =
            Some(PaneSpan { first: header[6], last: header[7] }).filter(|span| span.first <= span.last);
        Ok(PaneShare { worker, board, pane: header[3], kind, refused: header[4], late, groups })
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
        let sketch = match kind {
            Kind::Extract => Sketch::Digest(merged.cut(10)),
            _ => Sketch::Merged(Box::new(merged)),
        };
        let groups = vec![
            GroupShare { group: String::new(), sketch: sketch.clone() },
            GroupShare { group: "region=IN".into(), sketch },
        ];
        PaneShare { worker: 3, board: 1, pane: 171_167_040, kind, refused: 9, late: None, groups }
    }

    #[test]
    fn a_share_travels_unchanged() {
        let shape = SketchSpec::default().shape().unwrap();
        for kind in [Kind::Closed, Kind::Extract] {
            let late = (kind == Kind::Closed).then_some(PaneSpan { first: 3, last: 7 });
            let sent = PaneShare { late, ..share(&["a", "b", "a", "c"], kind) };
            let came = PaneShare::from_body(sent.to_body()).unwrap();
            assert_eq!(
                (came.worker, came.board, came.pane, came.kind, came.refused),
                (3, 1, 171_167_040, kind, 9)
            );
            assert_eq!(came.late, late);
            assert_eq!(came.groups[1].group, "region=IN");
            let digest = |share: PaneShare| {
                let sketch = share.groups.into_iter().next_back().unwrap().sketch;
                match kind {
                    Kind::Extract => sketch.into_digest().unwrap(),
                    _ => sketch.into_merged(&shape).unwrap().cut(10),
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
            if (word == 0 || word >= 5) && value != before && !(word == 0 && value < 4) {
                let _ = PaneShare::from_body(body).map(|share| {
                    let shape = SketchSpec::default().shape().unwrap();
                    for group in share.groups {
                        let _ = group.sketch.into_merged(&shape);
                    }
                });
            }
        }
    }
}

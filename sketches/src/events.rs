//! A batch of events as a source hands it over: columns, and the bytes of all keys in one place.
//!
//! The hash of a key is computed once, by whoever makes the batch, for however many boards, groups and panes count the
//! event.
//!
//! ```
//! use crest_sketches::{Bounds, Events, KeySpan, PaneSketch, Shape, item_hash};
//! let shape = Shape::new(64, 0.001, 0.00005, 7)?;
//! let mut pane = PaneSketch::new(&shape);
//! pane.update(Events {
//!     hashes: &[item_hash(b"tea", 7), item_hash(b"milk", 7), item_hash(b"tea", 7)],
//!     weights: &[1, 1, 4],
//!     keys: &[KeySpan { offset: 0, len: 3 }, KeySpan { offset: 3, len: 4 }, KeySpan { offset: 0, len: 3 }],
//!     arena: b"teamilk",
//!     values: &[],
//! });
//! assert_eq!(pane.bounds(item_hash(b"tea", 7)), Bounds::exactly(5));
//! # Ok::<(), crest_sketches::ShapeError>(())
//! ```

/// Where an event's key is in [`Events::arena`], in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpan {
    /// Of its first byte.
    pub offset: u32,
    /// Its length.
    pub len: u32,
}

/// A batch of events, as columns of equal length.
#[derive(Clone, Copy, Debug)]
pub struct Events<'a> {
    /// [`item_hash`](crate::item_hash) of each event's key: computed once, for however many groups count it.
    pub hashes: &'a [u64],
    /// What each counts; 0 counts nothing.
    pub weights: &'a [u32],
    /// Where each key is in the arena.
    pub keys: &'a [KeySpan],
    /// The bytes of all keys.
    pub arena: &'a [u8],
    /// [`item_hash`](crate::item_hash) of the value of each event, where different values are counted; otherwise empty.
    pub values: &'a [u64],
}

/// One of them.
#[derive(Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) hash: u64,
    pub(crate) weight: u64,
    /// 0 where none is counted.
    pub(crate) value: u64,
    span: &'a KeySpan,
    arena: &'a [u8],
}

impl Events<'_> {
    /// A batch without events.
    pub const NONE: Events<'static> =
        Events { hashes: &[], weights: &[], keys: &[], arena: &[], values: &[] };
}

impl<'a> Events<'a> {
    /// # Panics
    /// If the columns differ in length, or there are values.
    #[inline]
    pub(crate) fn iter(self) -> impl Iterator<Item = Event<'a>> {
        let Events { hashes, weights, keys, arena, values } = self;
        assert!(hashes.len() == weights.len() && hashes.len() == keys.len(), "columns of unequal length");
        assert!(values.is_empty(), "values where weights are counted");
        hashes.iter().zip(weights).zip(keys).map(move |((&hash, &weight), span)| {
            // 0 marks an empty slot.
            Event { hash: hash.max(1), weight: weight.into(), value: 0, span, arena }
        })
    }

    /// Those of which the value counts.
    ///
    /// # Panics
    /// If the columns differ in length.
    pub(crate) fn with_values(self) -> impl Iterator<Item = Event<'a>> {
        let weights = Events { values: &[], ..self };
        assert!(self.values.len() == self.hashes.len(), "a value for each event, where values are counted");
        let events = weights.iter().zip(self.values);
        events.map(|(event, &value)| Event { value: value.max(1), ..event }).filter(|event| event.weight > 0)
    }
}

impl<'a> Event<'a> {
    /// # Panics
    /// If it is not within the arena.
    pub(crate) fn key(&self) -> &'a [u8] {
        &self.arena[self.span.offset as usize..][..self.span.len as usize]
    }
}

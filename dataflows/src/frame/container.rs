//! The timely container of framed messages: typed within a process, frames between processes.
#![deny(unsafe_code)]

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::io::Write;

use timely::Accountable;
use timely::bytes::arc::Bytes;
use timely::container::{CapacityContainerBuilder, DrainContainer, PushInto, SizableContainer};
use timely::dataflow::channels::ContainerBytes;
use timely::dataflow::channels::pact::ExchangeCore;

use super::body::Body;
use super::codec::{FrameError, decode, encode};

/// The bytes sent for a container whose message is damaged already. They are too short to be a frame.
const DAMAGED: [u64; 1] = [0];

/// A message that can be framed.
pub trait Framed: Sized {
    /// Writes the message as flat columns.
    fn to_body(&self) -> Body;

    /// Reads the message from these columns. The columns are whole, but this must check their geometry: nothing in
    /// them may be trusted as a length, a count or an index before it was compared with what there is.
    ///
    /// # Errors
    /// [`FrameError::Message`] where the columns are no message.
    fn from_body(body: Body) -> Result<Self, FrameError>;
}

/// A container of at most one message, since a message is large (a pane's sketches).
///
/// It drains to `Result<M, FrameError>`: a frame that arrives damaged, or whose message is refused, does not
/// panic in timely's receive path, but reaches the operator as an error in place of its message. Its record is
/// counted all the same (no bytes are no record, any bytes are one), so progress tracking stays correct.
#[derive(Clone, Debug)]
pub struct Frames<M> {
    slot: Option<Result<M, FrameError>>,
    /// The slot as a frame, made when timely asks for its length and used when it asks for its bytes.
    frame: OnceCell<Vec<u64>>,
}

/// An exchange of framed messages by a function of the message; made by [`Frames::exchange`].
pub type ByMessage<M, F> = ExchangeCore<CapacityContainerBuilder<Frames<M>>, F>;

impl<M: Framed + 'static> Frames<M> {
    /// The pact that sends each message to the worker `route(message) % workers`.
    pub fn exchange<R>(mut route: R) -> ByMessage<M, impl FnMut(&Result<M, FrameError>) -> u64 + 'static>
    where
        R: FnMut(&M) -> u64 + 'static,
    {
        // A damaged message has no destination, so any worker may report it.
        ExchangeCore::new(move |item: &Result<M, FrameError>| item.as_ref().map_or(0, &mut route))
    }
}

impl<M: Framed> Frames<M> {
    /// The bytes to send: none for an empty container.
    fn wire(&self) -> &[u8] {
        bytemuck::cast_slice(self.frame.get_or_init(|| match &self.slot {
            None => Vec::new(),
            Some(Ok(message)) => encode(&message.to_body()),
            Some(Err(_)) => DAMAGED.to_vec(),
        }))
    }
}

impl<M> Default for Frames<M> {
    fn default() -> Self {
        Self { slot: None, frame: OnceCell::new() }
    }
}

impl<M> Accountable for Frames<M> {
    fn record_count(&self) -> i64 {
        i64::from(self.slot.is_some())
    }
}

impl<M> DrainContainer for Frames<M> {
    type Item<'a>
        = Result<M, FrameError>
    where
        M: 'a;
    type DrainIter<'a>
        = std::option::IntoIter<Result<M, FrameError>>
    where
        M: 'a;

    fn drain(&mut self) -> Self::DrainIter<'_> {
        std::mem::take(self).slot.into_iter()
    }
}

impl<M> SizableContainer for Frames<M> {
    fn at_capacity(&self) -> bool {
        self.slot.is_some()
    }

    fn ensure_capacity(&mut self, stash: &mut Option<Self>) {
        *stash = None; // what was sent is of no use: free it
    }
}

impl<M> PushInto<Result<M, FrameError>> for Frames<M> {
    /// # Panics
    /// If the container has a message already. Timely's builders ship a container that is [at
    /// capacity](SizableContainer::at_capacity), so this does not happen, and to lose a message would be worse.
    fn push_into(&mut self, item: Result<M, FrameError>) {
        assert!(self.slot.is_none(), "a second message pushed into a container of one");
        *self = Self { slot: Some(item), frame: OnceCell::new() };
    }
}

impl<M: Framed> PushInto<M> for Frames<M> {
    fn push_into(&mut self, message: M) {
        self.push_into(Ok::<M, FrameError>(message));
    }
}

impl<M: Framed> ContainerBytes for Frames<M> {
    fn from_bytes(bytes: Bytes) -> Self {
        let slot = (!bytes.is_empty()).then(|| decode(&bytes).and_then(M::from_body));
        Self { slot, frame: OnceCell::new() }
    }

    fn length_in_bytes(&self) -> usize {
        self.wire().len()
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        let sent = writer.write_all(self.wire());
        assert!(sent.is_ok(), "timely gave less room than length_in_bytes: {sent:?}");
    }
}

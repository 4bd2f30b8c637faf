//! The connection to another process, over which first the handshake goes and then what timely sends: as it is, or inside
//! TLS.

use super::secured::Secured;
use super::timed::{Patient, Timed};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Instant;
use timely_communication::allocator::zero_copy::stream::Stream;

/// The connection to another process.
pub struct Link {
    stream: TcpStream,
    /// Shared by the handles of timely's two threads.
    secured: Option<Arc<Secured>>,
}

impl Link {
    /// One that encrypts nothing.
    pub fn plain(stream: TcpStream) -> Self {
        Link { stream, secured: None }
    }

    /// One of a session whose handshake went over `stream`.
    pub fn secured(stream: TcpStream, secured: Secured) -> Self {
        Link { stream, secured: Some(Arc::new(secured)) }
    }

    /// The session, where there is one.
    pub fn session(&self) -> Option<&Secured> {
        self.secured.as_deref()
    }

    /// Makes it ready for a job, which waits for as long as it takes.
    ///
    /// # Errors
    /// The operating system's.
    pub fn settle(&self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        self.stream.set_read_timeout(None)?;
        self.stream.set_write_timeout(None)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.stream).finish()
    }
}

impl Patient for Link {
    fn read_until(&self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        match &self.secured {
            Some(secured) => secured.read(&mut Timed::until(&self.stream, deadline), buffer),
            None => self.stream.read_until(buffer, deadline),
        }
    }

    fn write_until(&self, bytes: &[u8], deadline: Instant) -> io::Result<usize> {
        match &self.secured {
            Some(secured) => secured.write(&mut Timed::until(&self.stream, deadline), bytes),
            None => self.stream.write_until(bytes, deadline),
        }
    }

    fn peek_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(secured) = &self.secured else { return self.stream.peek_now(buffer) };
        self.stream.set_nonblocking(true)?;
        let bytes = secured.peek(&mut &self.stream, buffer);
        self.stream.set_nonblocking(false)?;
        bytes
    }
}

impl Read for &Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.secured {
            Some(secured) => secured.read(&mut &self.stream, buffer),
            None => (&self.stream).read(buffer),
        }
    }
}

impl Write for &Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.secured {
            Some(secured) => secured.write(&mut &self.stream, bytes),
            None => (&self.stream).write(bytes),
        }
    }

    /// Whatever was written has left already.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

impl Stream for Link {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Link { stream: self.stream.try_clone()?, secured: self.secured.clone() })
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.stream.set_nonblocking(nonblocking)
    }

    /// The other end is told of it inside TLS, too, so that it knows that nothing was cut off.
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if let (Some(secured), Shutdown::Write | Shutdown::Both) = (&self.secured, how) {
            secured.finish(&mut &self.stream)?;
        }
        self.stream.shutdown(how)
    }
}

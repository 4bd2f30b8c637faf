//! A connection with one deadline for all that is read and written: who sends or takes a byte now and then gains nothing.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A connection that waits until a moment at most.
pub trait Patient {
    /// Reads what there is, or waits for it until `deadline`.
    ///
    /// # Errors
    /// The connection's, of the kind `TimedOut` where nothing came.
    fn read_until(&self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize>;

    /// Writes some of `bytes`, and waits until `deadline` at most for room.
    ///
    /// # Errors
    /// The connection's, of the kind `TimedOut` where there was no room.
    fn write_until(&self, bytes: &[u8], deadline: Instant) -> io::Result<usize>;

    /// Looks at what there is, without waiting and without taking it.
    ///
    /// # Errors
    /// The connection's, of the kind `WouldBlock` where there is nothing.
    fn peek_now(&self, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Patient for TcpStream {
    fn read_until(&self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        self.set_read_timeout(left(deadline)?)?;
        let mut stream = self;
        stream.read(buffer).map_err(in_other_words)
    }

    fn write_until(&self, bytes: &[u8], deadline: Instant) -> io::Result<usize> {
        self.set_write_timeout(left(deadline)?)?;
        let mut stream = self;
        stream.write(bytes).map_err(in_other_words)
    }

    fn peek_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.set_nonblocking(true)?;
        let bytes = self.peek(buffer);
        self.set_nonblocking(false)?;
        bytes
    }
}

/// A connection until a deadline.
pub struct Timed<'a, C> {
    connection: &'a C,
    deadline: Instant,
}

impl<'a, C: Patient> Timed<'a, C> {
    /// What is done with `connection` must be done within `patience`.
    pub fn new(connection: &'a C, patience: Duration) -> Self {
        Timed::until(connection, Instant::now() + patience)
    }

    /// What is done with `connection` must be done by `deadline`.
    pub fn until(connection: &'a C, deadline: Instant) -> Self {
        Timed { connection, deadline }
    }
}

impl<C: Patient> Read for Timed<'_, C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.connection.read_until(buffer, self.deadline)
    }
}

impl<C: Patient> Write for Timed<'_, C> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.connection.write_until(bytes, self.deadline)
    }

    /// Whatever was written has left already.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn left(deadline: Instant) -> io::Result<Option<Duration>> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(late()),
        left => Ok(Some(left)),
    }
}

/// The system's own words for a timeout are those of any call that would block.
fn in_other_words(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { late() } else { error }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_byte_now_and_then_gains_no_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut dripping = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let stream = listener.accept().unwrap().0;
        let drip = std::thread::spawn(move || {
            while dripping.write_all(&[0]).is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let error = Timed::new(&stream, Duration::from_millis(200)).read_exact(&mut [0; 1000]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(stream);
        drip.join().unwrap();
    }
}

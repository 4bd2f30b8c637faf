//! A TLS session over a connection, which one thread reads while another one writes: neither holds the session while it
//! waits for the network. What is kept of either direction is bounded.

use parking_lot::Mutex;
use rustls::Connection;
use rustls::pki_types::CertificateDer;
use std::io::{self, Read, Write};

/// What is read of the network at one time: a few records.
const SEALED_BYTES: usize = 64 << 10;

/// A session whose handshake is over.
pub struct Secured {
    session: Mutex<Connection>,
    /// Held by who reads, also while it waits. Locked before the session.
    incoming: Mutex<Incoming>,
    /// Held by who writes, also while it waits, so that records leave in their order. Locked before the session.
    outgoing: Mutex<Vec<u8>>,
}

struct Incoming {
    /// What came from the network; of it, that from `next` to `end` was not given to the session yet.
    sealed: Box<[u8]>,
    next: usize,
    end: usize,
    /// What was opened to look at, and is still to be read.
    ahead: Vec<u8>,
}

impl Secured {
    /// A session that goes on over the connection of its handshake.
    pub fn new(session: Connection) -> Self {
        let sealed = vec![0; SEALED_BYTES].into();
        Secured {
            session: Mutex::new(session),
            incoming: Mutex::new(Incoming { sealed, next: 0, end: 0, ahead: Vec::new() }),
            outgoing: Mutex::default(),
        }
    }

    /// The certificate of the other end.
    pub fn certificate(&self) -> Option<CertificateDer<'static>> {
        let session = self.session.lock();
        session.peer_certificates()?.first().map(|certificate| certificate.clone().into_owned())
    }

    /// Reads what the other end said; 0 once it has said that no more comes.
    ///
    /// # Errors
    /// Those of `from`; a record that is damaged; an end that the other end has not announced.
    pub fn read(&self, from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        let mut incoming = self.incoming.lock();
        match incoming.ahead.len().min(buffer.len()) {
            0 => self.open(&mut incoming, from, buffer),
            bytes => {
                buffer[..bytes].copy_from_slice(&incoming.ahead[..bytes]);
                incoming.ahead.drain(..bytes);
                Ok(bytes)
            }
        }
    }

    /// As [`read`](Self::read), but what is seen is still to be read. It is less than fits only where no more comes now.
    ///
    /// # Errors
    /// As those of `read`, where there is nothing to see.
    pub fn peek(&self, from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        let mut incoming = self.incoming.lock();
        while incoming.ahead.len() < buffer.len() {
            let missing = buffer.len() - incoming.ahead.len();
            match self.open(&mut incoming, from, &mut buffer[..missing]) {
                Ok(0) => break,
                Ok(bytes) => incoming.ahead.extend_from_slice(&buffer[..bytes]),
                Err(_) if !incoming.ahead.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        let bytes = incoming.ahead.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&incoming.ahead[..bytes]);
        Ok(bytes)
    }

    fn open(&self, incoming: &mut Incoming, from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(bytes) = self.open_what_came(incoming, buffer)? {
                return Ok(bytes);
            }
            (incoming.next, incoming.end) = (0, from.read(&mut incoming.sealed)?);
            if incoming.end == 0 {
                // The session says then whether the end was announced.
                self.session.lock().read_tls(&mut io::empty())?;
            }
        }
    }

    /// `None` where more must come first.
    fn open_what_came(&self, incoming: &mut Incoming, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut session = self.session.lock();
        loop {
            match session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read.map(Some),
            }
            if incoming.next == incoming.end {
                return Ok(None);
            }
            let mut sealed = &incoming.sealed[incoming.next..incoming.end];
            incoming.next += session.read_tls(&mut sealed)?;
            session
                .process_new_packets()
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }

    /// Writes some of `bytes`, as many as the session takes at one time. After an error nothing more can be written.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write(&self, to: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
        self.seal(to, |session| session.writer().write(bytes))
    }

    /// Says that nothing more will be written.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn finish(&self, to: &mut impl Write) -> io::Result<()> {
        self.seal(to, |session| {
            session.send_close_notify();
            Ok(())
        })
    }

    fn seal<T>(
        &self,
        to: &mut impl Write,
        say: impl FnOnce(&mut Connection) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut outgoing = self.outgoing.lock();
        let said = {
            let mut session = self.session.lock();
            let said = say(&mut session)?;
            while session.wants_write() {
                session.write_tls(&mut *outgoing)?;
            }
            said
        };
        let sent = to.write_all(&outgoing);
        outgoing.clear();
        sent.map(|()| said)
    }
}

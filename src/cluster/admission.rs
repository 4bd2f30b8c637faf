//! How many callers may be in a handshake at one time. When there is no room, one of those that hold the most of it has to
//! leave, so that neither silent callers nor a flood of them keep a process of the cluster out: it calls again, and they
//! are put out at random.

use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::Arc;

/// The callers in a handshake.
pub struct Admission {
    most: usize,
    callers: Mutex<Callers>,
    /// Somebody has left.
    left: Condvar,
}

#[derive(Default)]
struct Callers {
    admitted: u64,
    inside: HashMap<u64, Caller>,
}

struct Caller {
    from: IpAddr,
    stream: TcpStream,
    put_out: bool,
}

/// A caller's place, until it is dropped.
pub struct Place {
    admission: Arc<Admission>,
    number: u64,
}

impl Admission {
    /// Room for so many.
    pub fn new(most: usize) -> Self {
        Admission { most, callers: Mutex::default(), left: Condvar::new() }
    }

    /// Gives a caller a place, for which another one may have to leave.
    ///
    /// # Errors
    /// The operating system's.
    pub fn admit(self: &Arc<Self>, stream: &TcpStream) -> io::Result<Place> {
        let (from, stream) = (stream.peer_addr()?.ip(), stream.try_clone()?);
        let mut callers = self.callers.lock();
        while callers.inside.len() >= self.most {
            // Who was put out is about to leave: nobody else has to for the same place.
            let leaving = callers.inside.values().filter(|caller| caller.put_out).count();
            if callers.inside.len() - leaving >= self.most {
                callers.put_one_out();
            }
            // Who is put out notices it at once.
            self.left.wait(&mut callers);
        }
        callers.admitted += 1;
        let number = callers.admitted;
        callers.inside.insert(number, Caller { from, stream, put_out: false });
        Ok(Place { admission: self.clone(), number })
    }

    /// Puts everybody out.
    pub fn close(&self) {
        self.callers.lock().inside.values_mut().for_each(Caller::put_out);
    }
}

impl Callers {
    /// One of the address with the most callers: a stranger at one address puts out only itself. Any of them, since in a
    /// flood the oldest would be the one that takes its time because it belongs.
    fn put_one_out(&mut self) {
        let staying = || self.inside.iter().filter(|(_, caller)| !caller.put_out);
        let Some((crowd, many)) = largest_crowd(staying().map(|(_, caller)| caller.from)) else { return };
        let any = getrandom::u64().unwrap_or_default() % many as u64;
        let of_crowd = staying().filter(|(_, caller)| caller.from == crowd);
        let chosen = of_crowd.map(|(number, _)| *number).nth(any as usize);
        if let Some(caller) = chosen.and_then(|number| self.inside.get_mut(&number)) {
            caller.put_out();
        }
    }
}

/// The address with the most callers, and how many they are.
fn largest_crowd(addresses: impl Iterator<Item = IpAddr>) -> Option<(IpAddr, usize)> {
    let mut count: HashMap<IpAddr, usize> = HashMap::new();
    addresses.for_each(|address| *count.entry(address).or_default() += 1);
    count.into_iter().max_by_key(|(_, many)| *many)
}

impl Caller {
    fn put_out(&mut self) {
        self.put_out = true;
        // One that is gone already needs no putting out.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Place {
    /// Gives the place up. Whether the caller was put out before; otherwise it never is.
    pub fn leave(self) -> bool {
        self.remove().is_some_and(|caller| caller.put_out)
    }

    fn remove(&self) -> Option<Caller> {
        let caller = self.admission.callers.lock().inside.remove(&self.number);
        self.admission.left.notify_all();
        caller
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    /// A connection, by its two ends.
    fn connection(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let caller = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (caller, listener.accept().unwrap().0)
    }

    #[test]
    fn there_is_always_room_for_one_more_and_never_for_more_than_that() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let admission = Arc::new(Admission::new(3));
        let (told, gone) = std::sync::mpsc::channel();
        let mut callers = Vec::new();
        for _ in 0..20 {
            let (caller, mut answerer) = connection(&listener);
            let place = admission.admit(&answerer).unwrap();
            assert!(admission.callers.lock().inside.len() <= 3);
            let told = told.clone();
            // As a handshake with one that says nothing.
            std::thread::spawn(move || {
                let _ = answerer.read(&mut [0]);
                told.send(place.leave()).unwrap();
            });
            callers.push(caller);
        }
        drop(told);
        assert!(gone.iter().take(17).all(|put_out| put_out), "those that had to leave know it");
        assert_eq!(admission.callers.lock().inside.len(), 3);
        admission.close();
        assert_eq!(gone.iter().count(), 3);
    }

    #[test]
    fn a_crowd_puts_out_only_itself() {
        let [stranger, member] = ["10.0.0.9", "10.0.0.1"].map(|address| address.parse::<IpAddr>().unwrap());
        let inside = [stranger, member, stranger];
        assert_eq!(largest_crowd(inside.into_iter()), Some((stranger, 2)));
        assert_eq!(largest_crowd(std::iter::empty()), None);
    }
}

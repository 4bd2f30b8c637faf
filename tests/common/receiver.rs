//! The receiver of a webhook: a server of its own on this machine, which fails in all the ways that a receiver may.

use super::http_receiver::{Request, listen};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

/// What was posted once.
#[derive(Clone, Debug)]
pub struct Posted {
    /// By their names in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: String,
    /// Whether the receiver said that it has taken it, as far as it knows.
    pub taken: bool,
}

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// As it should.
    Well,
    /// As it should, or too late, with an error, or not at all, by a seed; the first message is never taken.
    Badly(u64),
    /// With this status and these headers.
    With(u16, &'static str),
}

/// A receiver, for as long as the test's process lives.
pub struct Receiver {
    port: u16,
    posted: Arc<Mutex<Vec<Posted>>>,
    manner: Arc<Mutex<Manner>>,
}

/// How it answers, and what its luck depends on.
struct Manner {
    answers: Answers,
    random: StdRng,
    first: bool,
}

impl Manner {
    fn new(answers: Answers) -> Manner {
        let seed = if let Answers::Badly(seed) = answers { seed } else { 0 };
        Manner { answers, random: StdRng::seed_from_u64(seed), first: true }
    }
}

/// How many of the ten things that it may do badly do not take the message.
const FAILING: u32 = 3;

/// What it does with one message.
enum Deed {
    Answer(u16, &'static str),
    /// It breaks the connection off before it answers, whether it has kept the message or not.
    BreakOff,
}

impl Receiver {
    /// Listens on a port of its own.
    pub fn start(answers: Answers) -> Receiver {
        let (posted, manner) =
            (Arc::<Mutex<Vec<Posted>>>::default(), Arc::new(Mutex::new(Manner::new(answers))));
        let (theirs, told) = (posted.clone(), manner.clone());
        let port = listen(move |request| take(request, &theirs, &told));
        Receiver { port, posted, manner }
    }

    /// Where it is posted to.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook?token=hidden", self.port)
    }

    /// Answers differently from now on.
    pub fn answers(&self, answers: Answers) {
        *self.manner.lock().unwrap() = Manner::new(answers);
    }

    /// All that was posted so far, in order.
    pub fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }
}

fn deed(manner: &Mutex<Manner>) -> Deed {
    let Manner { answers, random, first } = &mut *manner.lock().unwrap();
    // By luck alone, one run in seventy would try no failure.
    let deeds = if std::mem::take(first) { FAILING } else { 10 };
    match *answers {
        Answers::Well => Deed::Answer(200, ""),
        Answers::With(status, headers) => Deed::Answer(status, headers),
        Answers::Badly(_) => match random.random_range(0..deeds) {
            0 => Deed::Answer(500, ""),
            1 => Deed::Answer(429, "Retry-After: 0\r\n"),
            2 => Deed::BreakOff,
            3 => {
                sleep(Duration::from_millis(300));
                Deed::Answer(204, "")
            }
            _ => Deed::Answer(200, ""),
        },
    }
}

/// Keeps a message, whatever it answers.
fn take(request: Request, posted: &Mutex<Vec<Posted>>, manner: &Mutex<Manner>) -> Option<String> {
    let Request { target, headers, body } = request;
    assert_eq!(target, "/hook?token=hidden");
    let deed = deed(manner);
    let taken = matches!(deed, Deed::Answer(200..=299, _));
    posted.lock().unwrap().push(Posted { headers, body: String::from_utf8(body).unwrap(), taken });
    let Deed::Answer(status, more) = deed else { return None };
    Some(match status {
        204 => "HTTP/1.1 204 so\r\n\r\n".to_owned(),
        _ => format!("HTTP/1.1 {status} so\r\n{more}Content-Length: 2\r\n\r\nok"),
    })
}

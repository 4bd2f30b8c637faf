//! The receiver of a webhook: a server of its own on this machine, which fails in all the ways that a receiver may.

use super::free_port;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
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
    /// As it should, or too late, with an error, or not at all, by a seed.
    Badly(u64),
    /// With this status and these headers.
    With(u16, &'static str),
}

/// A receiver, for as long as the test's process lives.
pub struct Receiver {
    port: u16,
    posted: Arc<Mutex<Vec<Posted>>>,
    answers: Arc<Mutex<(Answers, StdRng)>>,
}

/// What it does with one message.
enum Deed {
    Answer(u16, &'static str),
    /// It breaks the connection off before it answers, whether it has kept the message or not.
    BreakOff,
}

impl Receiver {
    /// Listens on a port of its own.
    pub fn start(answers: Answers) -> Receiver {
        let receiver = Receiver {
            port: free_port(),
            posted: Arc::default(),
            answers: Arc::new(Mutex::new((answers, random(answers)))),
        };
        let listener = TcpListener::bind(("127.0.0.1", receiver.port)).unwrap();
        let (posted, answers) = (receiver.posted.clone(), receiver.answers.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (posted, answers) = (posted.clone(), answers.clone());
                std::thread::spawn(move || while serve(&stream, &posted, &answers).is_some() {});
            }
        });
        receiver
    }

    /// Where it is posted to.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook?token=hidden", self.port)
    }

    /// Answers differently from now on.
    pub fn answers(&self, answers: Answers) {
        *self.answers.lock().unwrap() = (answers, random(answers));
    }

    /// All that was posted so far, in order.
    pub fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }
}

fn random(answers: Answers) -> StdRng {
    StdRng::seed_from_u64(if let Answers::Badly(seed) = answers { seed } else { 0 })
}

fn deed(answers: &Mutex<(Answers, StdRng)>) -> Deed {
    let (answers, random) = &mut *answers.lock().unwrap();
    match *answers {
        Answers::Well => Deed::Answer(200, ""),
        Answers::With(status, headers) => Deed::Answer(status, headers),
        Answers::Badly(_) => match random.random_range(0..10) {
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

/// Takes one message, and keeps it whatever it answers. `None` once the connection is over.
fn serve(stream: &TcpStream, posted: &Mutex<Vec<Posted>>, answers: &Mutex<(Answers, StdRng)>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    assert!(line.is_empty() || line.starts_with("POST /hook?token=hidden HTTP/1.1"), "{line}");
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let deed = deed(answers);
    let taken = matches!(deed, Deed::Answer(200..=299, _));
    posted.lock().unwrap().push(Posted { headers, body: String::from_utf8(body).unwrap(), taken });
    let Deed::Answer(status, more) = deed else { return None };
    let answer = format!("HTTP/1.1 {status} so\r\n{more}Content-Length: 2\r\n\r\nok");
    let answer = if status == 204 { "HTTP/1.1 204 so\r\n\r\n" } else { &answer };
    let mut stream = stream;
    stream.write_all(answer.as_bytes()).ok()
}

//! Servers of the tests that others post to.

use super::free_port;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// A request.
pub struct Request {
    /// The path, and the query.
    pub target: String,
    /// By their names in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// Listens on a port of its own, for as long as the test's process lives, and gives each request its answer; `None` breaks the
/// connection off.
pub fn listen(answer: impl Fn(Request) -> Option<String> + Send + Sync + 'static) -> u16 {
    let (port, answer) = (free_port(), Arc::new(answer));
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || while serve(&stream, &*answer).is_some() {});
        }
    });
    port
}

/// Takes one request. `None` once the connection is over.
fn serve(mut stream: &TcpStream, answer: &impl Fn(Request) -> Option<String>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let target = line.strip_prefix("POST ")?.split(' ').next()?.to_owned();
    stream.write_all(answer(Request { target, headers, body })?.as_bytes()).ok()
}

//! The servers that are measured, and the CPU time that they took.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The clock ticks of Linux's /proc, a second.
const TICKS: f64 = 100.0;

/// A server that is killed when it is dropped.
pub struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    /// Runs it with nothing on its standard output.
    pub fn start(command: &mut Command) -> Server {
        Server(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the server starts"))
    }

    /// The program, and the address at which it answers.
    pub fn crest(arguments: &[&str]) -> (Server, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crest"));
        let mut child = command
            .args(arguments)
            .args(["--http", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map(|line| line.unwrap())
            .find_map(|line| line.split_once("http://").map(|(_, address)| address.trim().to_owned()))
            .expect("it says where it answers");
        std::thread::spawn(move || lines.for_each(drop));
        (Server(child), address)
    }

    /// CPU time so far, in seconds, of the threads whose names `counts` takes.
    pub fn cpu(&self, counts: impl Fn(&str) -> bool) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).unwrap();
        let ticks = tasks.filter_map(|task| {
            let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).ok()?;
            let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
            let fields: Vec<&str> = rest.split_whitespace().collect();
            let ticks: f64 = fields[11].parse::<f64>().ok()? + fields[12].parse::<f64>().ok()?;
            counts(name).then_some(ticks)
        });
        ticks.sum::<f64>() / TICKS
    }
}

/// A port of this machine that nobody listens on.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits for what soon holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("still waiting: {what}");
}

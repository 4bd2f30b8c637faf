//! The job of a chaos run: a cluster of the real program under `scripts/cluster`, its processes, and what it publishes.

use super::common::free_port;
use super::common::program::path;
use super::common::root;
use super::common::web::Web;
use super::net::Net;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// The most processes that a cluster has here.
pub const MOST_PROCESSES: usize = 3;
/// With what every line of standard output begins.
const BEGINNING: &str = r#"{"board":""#;
/// A supervisor waits 10 s for its processes before it kills them; the rest is for a busy machine.
const STOP_PATIENCE: Duration = Duration::from_secs(600);

/// Workers in each process, and processes.
pub type Place = (usize, usize);

/// The job, which runs from its start to its drop, whatever happens to its processes.
pub struct Job {
    program: PathBuf,
    dir: PathBuf,
    arguments: Vec<String>,
    addresses: Vec<String>,
    http: String,
    lines: Sender<String>,
    supervisor: Option<Child>,
}

impl Job {
    /// One that is to run with these arguments, to log into `dir`, and to publish into `lines`.
    pub fn new(dir: &Path, net: &Net, arguments: Vec<String>, lines: Sender<String>) -> Job {
        let program = std::env::var_os("CREST_BIN").map_or(env!("CARGO_BIN_EXE_crest").into(), PathBuf::from);
        let port = |process| format!("{}:{}", net.address(process), free_port());
        let job = Job {
            program: program.canonicalize().expect("the program"),
            dir: dir.to_owned(),
            arguments,
            addresses: (0..MOST_PROCESSES).map(port).collect(),
            http: port(0),
            lines,
            supervisor: None,
        };
        job.write_wrapper(net);
        std::fs::write(dir.join("secret"), "the secret of a cluster in chaos\n").unwrap();
        job
    }

    /// A program that puts process `$4` in its place: into its namespace, and where it has a file for its clock, under
    /// that clock.
    fn write_wrapper(&self, net: &Net) {
        let (dir, prefix, crest) = (self.dir.display(), net.prefix(), self.program.display());
        let library = faketime().unwrap_or_default();
        let clock = format!(
            "env LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE=$clock FAKETIME_CACHE_DURATION=1 \
             FAKETIME_DONT_FAKE_MONOTONIC=1 "
        );
        let text = format!(
            "#!/bin/sh\nclock={dir}/clock-$4\n\
             [ ! -e $clock ] || exec {prefix}{clock}{crest} \"$@\"\nexec {prefix}{crest} \"$@\"\n"
        );
        std::fs::write(self.wrapper(), text).unwrap();
        std::fs::set_permissions(self.wrapper(), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn wrapper(&self) -> PathBuf {
        self.dir.join("crest")
    }

    /// The file with the offset of a process's clock, which that process has from its start on if the file is there.
    pub fn clock(&self, process: usize) -> PathBuf {
        self.dir.join(format!("clock-{process}"))
    }

    /// What the processes have logged.
    pub fn log(&self) -> PathBuf {
        self.dir.join("cluster.log")
    }

    /// Starts the supervisor of a cluster of this size.
    pub fn start(&mut self, (workers, processes): Place) {
        let hosts = self.dir.join(format!("hosts-{processes}"));
        std::fs::write(&hosts, self.addresses[..processes].join("\n") + "\n").unwrap();
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = Command::new(root().join("scripts/cluster"));
        command.args([&processes.to_string(), "-w", &workers.to_string(), "--hostfile", path(&hosts)]);
        command.args(["--cluster-secret-file", path(&self.dir.join("secret")), "--http", &self.http]);
        command.args(&self.arguments).env("CREST_BIN", self.wrapper()).env("TMPDIR", &self.dir);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let (stdout, lines) = (child.stdout.take().unwrap(), self.lines.clone());
        std::thread::spawn(move || collect(stdout, &lines));
        self.supervisor = Some(child);
    }

    /// Fails where the supervisor has given up.
    pub fn assert_supervised(&mut self) {
        let status = self.supervisor.as_mut().unwrap().try_wait().unwrap();
        assert_eq!(status, None, "the supervisor gave up");
    }

    /// SIGTERM to the supervisor, which stops all.
    pub fn stop(&mut self) {
        let mut supervisor = self.supervisor.take().unwrap();
        signal("TERM", supervisor.id());
        let deadline = Instant::now() + STOP_PATIENCE;
        while supervisor.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "STALLED: the cluster does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The processes that run, each with its number.
    pub fn processes(&self) -> Vec<(usize, u32)> {
        let ids = std::fs::read_dir("/proc").unwrap();
        let ids = ids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let mut found: Vec<(usize, u32)> = ids.filter_map(|id| Some((self.number(id)?, id))).collect();
        found.sort_unstable();
        found
    }

    /// SIGKILL to all processes. How many there were.
    pub fn kill(&self) -> usize {
        self.processes().into_iter().filter(|(_, id)| signal("KILL", *id)).count()
    }

    /// Which process of this job it is.
    fn number(&self, id: u32) -> Option<usize> {
        let program = std::fs::read_link(format!("/proc/{id}/exe")).ok()?;
        if program != self.program {
            return None;
        }
        let line = std::fs::read_to_string(format!("/proc/{id}/cmdline")).ok()?;
        let mut words = line.split('\0');
        let number = words.by_ref().find(|word| *word == "-p").and_then(|_| words.next())?.parse().ok()?;
        words.any(|word| word.starts_with(path(&self.dir))).then_some(number)
    }

    /// Whether process 0 says that the job does its work.
    pub fn ready(&self) -> bool {
        self.web().try_send("GET", "/readyz", &[], b"").is_ok_and(|answer| answer.status == 200)
    }

    /// What process 0 says of the job, or why it does not.
    pub fn status(&self) -> String {
        self.web()
            .try_send("GET", "/status", &[], b"")
            .map_or_else(|error| error.to_string(), |answer| answer.body)
    }

    fn web(&self) -> Web {
        Web::at(&format!("http://{}", self.http))
    }

    /// Where process 0 answers.
    pub fn http(&self) -> &str {
        &self.http
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(mut supervisor) = self.supervisor.take() {
            // Those that are stopped could not end.
            self.processes().into_iter().for_each(|(_, id)| {
                signal("CONT", id);
            });
            signal("TERM", supervisor.id());
            let _ = supervisor.wait();
        }
    }
}

/// Sends each line that is whole. What a killed run has cut off is before the first line of the next.
fn collect(stdout: impl Read, lines: &Sender<String>) {
    for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8(line).unwrap();
        let mut starts: Vec<usize> = line.match_indices(BEGINNING).map(|(at, _)| at).collect();
        starts.push(line.len());
        for part in starts.windows(2).map(|pair| &line[pair[0]..pair[1]]) {
            if part.ends_with("]}") {
                let _ = lines.send(part.to_owned());
            }
        }
    }
}

/// Where this machine has the library that changes the clock of a process.
pub fn faketime() -> Option<String> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    files.find(|file| file.exists()).map(|file| path(&file).to_owned())
}

/// Whether the process was there to take the signal.
pub fn signal(name: &str, process: u32) -> bool {
    let command = format!("kill -{name} {process}");
    Command::new("sh").args(["-c", &command]).stderr(Stdio::null()).status().unwrap().success()
}

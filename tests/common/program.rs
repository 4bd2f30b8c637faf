//! The program under test, as a child process that never outlives the test.

use super::{free_port, new_folder};
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longer than any run of a test takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running (or ended) `crest`. Dropping it kills it.
pub struct Crest {
    child: Child,
    arguments: String,
    stdout: Lines,
    stderr: Lines,
}

impl Crest {
    /// Starts the program with nothing on its standard input. It is killed when the calling thread ends.
    pub fn spawn<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Crest {
        Crest::spawn_reading(b"", arguments)
    }

    /// Starts the program with this on its standard input.
    pub fn spawn_reading<A: AsRef<OsStr>>(
        input: &'static [u8],
        arguments: impl IntoIterator<Item = A>,
    ) -> Crest {
        let (crest, mut stdin) = Crest::spawn_open(arguments);
        // A program that ends before it has read all is no failure of the harness.
        std::thread::spawn(move || drop(stdin.write_all(input)));
        crest
    }

    /// Starts the program with its standard input open, until that is dropped.
    pub fn spawn_open<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> (Crest, ChildStdin) {
        let mut command = leashed(env!("CARGO_BIN_EXE_crest"));
        command.args(arguments);
        Crest::start(command)
    }

    /// Starts the program under limits of the system, as the shell sets them: `ulimit -n 256`.
    pub fn spawn_under<A: AsRef<OsStr>>(limits: &str, arguments: impl IntoIterator<Item = A>) -> Crest {
        let mut command = leashed("sh");
        let script = format!("{limits} && exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_crest")]).args(arguments);
        Crest::start(command).0
    }

    /// Starts the program by another one, which takes these words before it and puts it in its own place.
    pub fn spawn_by<A: AsRef<OsStr>>(by: &[String], arguments: impl IntoIterator<Item = A>) -> Crest {
        let mut command = leashed(&by[0]);
        command.args(&by[1..]).arg(env!("CARGO_BIN_EXE_crest")).args(arguments);
        Crest::start(command).0
    }

    fn start(mut command: Command) -> (Crest, ChildStdin) {
        // What the developer's shell sets is no part of a test.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CREST_")) {
            command.env_remove(name);
        }
        let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
        if !says_where_state_is(&arguments) {
            command.env("CREST_STATE", "off");
        }
        let arguments = arguments.join(" ");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdout = Lines::collect(child.stdout.take().unwrap());
        let stderr = Lines::collect(child.stderr.take().unwrap());
        let stdin = child.stdin.take().unwrap();
        (Crest { child, arguments, stdout, stderr }, stdin)
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The lines on standard output so far; after [`wait`](Self::wait), all of them.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.so_far()
    }

    /// The lines on standard error so far; after [`wait`](Self::wait), all of them.
    pub fn stderr(&self) -> Vec<String> {
        self.stderr.so_far()
    }

    /// Waits for the program to end. A program that does not is killed, and the test fails.
    pub fn wait(&mut self, timeout: Duration) -> ExitStatus {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.stdout.finish();
                self.stderr.finish();
                return status;
            }
            if Instant::now() > deadline {
                self.kill();
                panic!("still running after {timeout:?}: {}", self.describe());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it has not ended yet.
    pub fn running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until `look` finds what it looks for in the program's output.
    pub fn until<T>(&mut self, what: &str, mut look: impl FnMut(&Crest) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = !self.running();
            if ended {
                self.stdout.finish();
                self.stderr.finish();
            }
            if let Some(found) = look(self) {
                return found;
            }
            assert!(!ended, "ended without {what}: {}", self.describe());
            assert!(Instant::now() < deadline, "waited in vain for {what}: {}", self.describe());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for a line on standard error that holds `text`.
    pub fn until_logged(&mut self, text: &str) -> String {
        self.until(text, |crest| crest.stderr().into_iter().find(|line| line.contains(text)))
    }

    /// Waits for the end of a run that must succeed; the final snapshots on its standard output.
    pub fn finals(mut self) -> Vec<Value> {
        let status = self.wait(PATIENCE);
        assert!(status.success(), "{status}: {}", self.describe());
        parse_finals(&self.stdout())
    }

    /// Waits for the end of a run that must succeed; its standard output without the times of computing.
    pub fn final_text(mut self) -> String {
        let status = self.wait(PATIENCE);
        assert!(status.success(), "{status}: {}", self.describe());
        self.stdout().iter().map(|line| without_computed_at(line) + "\n").collect()
    }

    /// Waits for the end of a run that must succeed; the lines on its standard output.
    pub fn lines(mut self) -> Vec<String> {
        let status = self.wait(PATIENCE);
        assert!(status.success(), "{status}: {}", self.describe());
        self.stdout()
    }

    /// Waits for the end of a run that must fail; its standard error.
    pub fn failure(mut self) -> String {
        let status = self.wait(PATIENCE);
        assert!(!status.success(), "it succeeded: {}", self.describe());
        self.stderr().join("\n")
    }

    /// Asks it to end.
    pub fn sigterm(&self) {
        self.signal("TERM");
    }

    /// As Ctrl-C does.
    pub fn sigint(&self) {
        self.signal("INT");
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// SIGKILL, and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.stdout.finish();
        self.stderr.finish();
    }

    /// What was run and what it said.
    pub fn describe(&self) -> String {
        let stdout = self.stdout();
        let tail = stdout[stdout.len().saturating_sub(3)..].join("\n");
        format!(
            "crest {}\n{} lines on standard output, the last:\n{tail}\nstandard error:\n{}",
            self.arguments,
            stdout.len(),
            self.stderr().join("\n")
        )
    }
}

impl Drop for Crest {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether the arguments, or the configuration that they name, say where the state is: by default it would be in the
/// folder that the tests run in, all of them.
fn says_where_state_is(arguments: &[String]) -> bool {
    let in_file = |pair: &[String]| {
        pair[0] == "--config" && std::fs::read_to_string(&pair[1]).is_ok_and(|text| text.contains("[state]"))
    };
    arguments.iter().any(|argument| argument == "--state") || arguments.windows(2).any(in_file)
}

/// Processes of one cluster on this machine.
pub struct Cluster {
    pub processes: Vec<Crest>,
    dir: PathBuf,
}

impl Cluster {
    /// Starts `crest -n N -p I ARGUMENTS` for each I, with free ports between them.
    pub fn spawn(processes: usize, arguments: &[&str]) -> Cluster {
        Cluster::spawn_each(processes, |_| arguments.to_vec())
    }

    /// The same, where not all processes are given the same.
    pub fn spawn_each<'a>(processes: usize, arguments: impl Fn(usize) -> Vec<&'a str>) -> Cluster {
        let dir = new_folder("cluster");
        let hosts = dir.join("hosts.txt");
        let addresses: String = (0..processes).map(|_| format!("127.0.0.1:{}\n", free_port())).collect();
        std::fs::write(&hosts, addresses).unwrap();
        let count = processes.to_string();
        let spawn = |process: usize| {
            let index = process.to_string();
            let place = ["-n", &count, "-p", &index, "--hostfile", path(&hosts)];
            Crest::spawn(place.iter().chain(&arguments(process)))
        };
        Cluster { processes: (0..processes).map(spawn).collect(), dir }
    }

    /// Waits for the end of all, which must succeed; what process 0 wrote, as [`Crest::final_text`].
    pub fn final_text(mut self) -> String {
        let rest = self.processes.split_off(1);
        let text = self.processes.remove(0).final_text();
        for crest in rest {
            assert_eq!(crest.final_text(), "", "only process 0 publishes");
        }
        text
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A path as an argument.
pub fn path(path: &Path) -> &str {
    path.to_str().expect("paths of the tests are UTF-8")
}

/// Snapshots on standard output, without the times of computing; each must be final.
pub fn parse_finals<L: AsRef<str>>(lines: &[L]) -> Vec<Value> {
    let parse = |line: &L| {
        let mut snapshot: Value = serde_json::from_str(line.as_ref()).expect("a line of JSON");
        let object = snapshot.as_object_mut().expect("a snapshot is an object");
        assert!(object.remove("computed_at").is_some_and(|time| time.is_i64()), "{}", line.as_ref());
        assert_eq!(object["final"], true, "{}", line.as_ref());
        snapshot
    };
    lines.iter().map(parse).collect()
}

/// A snapshot's text without the one field that differs from run to run.
pub fn without_computed_at(line: &str) -> String {
    let (before, rest) = line.split_once(r#""computed_at":"#).expect("a snapshot says when it was computed");
    let (_, after) = rest.split_once(',').expect("more fields follow");
    format!("{before}{after}")
}

/// A command that, where the system can do that, is killed when the thread that started it ends.
pub fn leashed(program: &str) -> Command {
    let found = Command::new("setpriv").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

/// The lines of a stream, collected by a thread.
struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Lines {
    fn collect(stream: impl Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let shared = lines.clone();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                shared.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Lines { lines, reader: Some(reader) }
    }

    fn so_far(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }
}

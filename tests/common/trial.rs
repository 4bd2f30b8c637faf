//! A job that is run again and again over one state and the same topics, and what all its runs together published. Each
//! final snapshot must be there, and have one content only, however often it was published.

use super::events::Event;
use super::new_folder;
use super::program::{Cluster, Crest, parse_finals, path, without_computed_at};
use super::recount::{Recount, assert_same};
use super::rules::Rules;
use super::servers::Kafka;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

/// The last event of each partition is so far after all others, in ms, that it closes all their windows.
const CLOSING: i64 = 20_000;
/// Far more than a stop takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a job runs that is killed again and again.
const KILLED: [Place; 6] = [(1, 1), (3, 1), (1, 2), (2, 2), (2, 1), (1, 2)];

/// Workers in each process, and processes.
pub type Place = (usize, usize);

/// What a final snapshot is of: its end, board, window and group.
type Name = (i64, String, String, String);

/// One job: its rules, its topics, its state.
pub struct Trial {
    /// The topics, as a source's URL names them.
    pub topic: &'static str,
    /// What the job is told to read; the topics, where nothing else is said.
    reads: &'static str,
    pub dir: PathBuf,
    rules: Rules,
    config: PathBuf,
    state: String,
    /// All that is ever sent, by partition, the closing events included.
    logs: Vec<Vec<Event>>,
    /// By partition, how many events were sent.
    sent: Vec<usize>,
    pub published: Published,
}

/// Final snapshots of several runs, without the times of computing.
#[derive(Default)]
pub struct Published {
    texts: BTreeMap<Name, String>,
    /// How many were published again.
    pub again: usize,
}

impl Published {
    /// Takes what a run wrote on standard output. The last line of one that was killed may be cut off.
    pub fn take(&mut self, lines: &[String]) {
        let whole = match lines.split_last() {
            Some((last, before)) if serde_json::from_str::<Value>(last).is_err() => before,
            _ => lines,
        };
        for (line, snapshot) in whole.iter().zip(parse_finals(whole)) {
            let text = without_computed_at(line);
            match self.texts.get(&name(&snapshot)) {
                Some(before) => {
                    assert_eq!(&text, before, "published with two contents");
                    self.again += 1;
                }
                None => drop(self.texts.insert(name(&snapshot), text)),
            }
        }
    }

    /// All of them, each once, in the order of standard output where boards and windows are in that of their names.
    pub fn finals(&self) -> Vec<Value> {
        self.texts.values().map(|text| serde_json::from_str(text).unwrap()).collect()
    }

    /// Fails where these are not what one run published that was never interrupted.
    pub fn assert_same(&self, whole: &[String]) {
        for line in whole {
            let name = name(&serde_json::from_str(line).unwrap());
            assert_eq!(self.texts.get(&name), Some(&without_computed_at(line)), "{name:?}");
        }
        assert_eq!(self.texts.len(), whole.len(), "nothing else was published");
    }
}

impl Trial {
    /// Over a new topic, or several by commas with equal numbers of partitions, to which nothing is sent yet. `more` is
    /// appended to the configuration.
    pub fn new(topic: &'static str, rules: &Rules, more: &str, mut logs: Vec<Vec<Event>>) -> Trial {
        let close = logs.iter().flatten().map(|event| event.time).max().unwrap() + CLOSING;
        // Every board must take it, or else its windows end before it in the recount.
        let closing = Event::new("closing", close).with("region", "IN").with("user", "closing");
        let closing = Event { event_type: Some("view".into()), ..closing };
        logs.iter_mut().for_each(|log| log.push(closing.clone()));
        parts(topic, &logs).for_each(|(topic, logs)| Kafka::shared().create_topic(topic, logs.len() as u32));
        let dir = new_folder(topic);
        let config = rules.write(&dir);
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text + more).unwrap();
        let (state, sent) = (path(&dir.join("state")).to_owned(), vec![0; logs.len()]);
        let (rules, published) = (rules.clone(), Published::default());
        Trial { topic, reads: topic, dir, rules, config, state, logs, sent, published }
    }

    /// Reading the topics by this name.
    pub fn reading(mut self, topics: &'static str) -> Trial {
        self.reads = topics;
        self
    }

    /// With its state in this folder.
    pub fn with_state(mut self, folder: &Path) -> Trial {
        self.state = path(folder).to_owned();
        self
    }

    /// The partitions as `--start` names them.
    pub fn partitions(&self) -> Vec<String> {
        let several = self.topic.contains(',');
        let name = |topic, number| if several { format!("{topic}:{number}") } else { format!("{number}") };
        let of = |(topic, logs): (_, &[Vec<Event>])| (0..logs.len()).map(move |number| name(topic, number));
        parts(self.topic, &self.logs).flat_map(of).collect()
    }

    /// Starts a run.
    pub fn start(&self, place: Place, more: &[&str]) -> Cluster {
        let state = ["--state", &self.state];
        self.spawn(place, &[&state, more].concat())
    }

    fn spawn(&self, (workers, processes): Place, more: &[&str]) -> Cluster {
        let (workers, source) = (workers.to_string(), Kafka::shared().url(self.reads));
        let job = ["-w", &workers, "--config", path(&self.config), "--source", &source];
        // No partition is ever idle, so that the answer depends on nothing but the log.
        let ends = ["--idle-timeout", "10m", "--snapshots", "-"];
        let http = if more.contains(&"--http") { &[][..] } else { &["--http", "off"] };
        Cluster::spawn(processes, &[job.as_slice(), &ends, http, more].concat())
    }

    /// Starts another verb over the same topic and state.
    pub fn command(&self, verb: &str, more: &[&str]) -> Crest {
        let source = Kafka::shared().url(self.reads);
        let what = [verb, "--config", path(&self.config), "--source", &source, "--state", &self.state];
        Crest::spawn([&what, more].concat())
    }

    /// Starts another verb over the same state, and a source that `more` says.
    pub fn command_over(&self, verb: &str, more: &[&str]) -> Crest {
        Crest::spawn([&[verb, "--config", path(&self.config), "--state", &self.state], more].concat())
    }

    /// All that is ever sent, by partition.
    pub fn logs(&self) -> &[Vec<Event>] {
        &self.logs
    }

    /// The recount of all that is ever sent.
    pub fn recount(&self) -> Recount {
        Recount::new(&self.rules, &self.logs)
    }

    /// Sends the next `part` (of 1) of each partition's events, without the closing ones, while others go on.
    pub fn send(&mut self, part: f64) -> JoinHandle<()> {
        let mut next = Vec::new();
        for (log, sent) in self.logs.iter().zip(&mut self.sent) {
            let all = log.len() - 1;
            let until = (*sent + (all as f64 * part).ceil() as usize).min(all);
            next.push(log[*sent..until].to_vec());
            *sent = until;
        }
        let topic = self.topic;
        std::thread::spawn(move || load(topic, &next))
    }

    /// Sends all that was not sent yet, and what closes the windows.
    pub fn send_rest(&mut self) {
        self.send(1.0).join().unwrap();
        let closing: Vec<_> = self.logs.iter().map(|log| log[log.len() - 1..].to_vec()).collect();
        load(self.topic, &closing);
    }

    /// What the program must publish, up to where the closing events let time pass.
    pub fn expected(&self) -> Vec<Value> {
        let recount = Recount::new(&self.rules, &self.logs);
        assert!(recount.late > 0, "the case has late events");
        self.closed(&recount)
    }

    /// The same where only those events are left, by partition and offset, that `is_left` says.
    pub fn expected_of(&self, is_left: impl Fn(usize, usize, &Event) -> bool) -> Vec<Value> {
        let left = |(partition, log): (usize, &Vec<Event>)| {
            let events = log.iter().enumerate().filter(|(offset, event)| is_left(partition, *offset, event));
            events.map(|(_, event)| event.clone()).collect()
        };
        let logs: Vec<Vec<Event>> = self.logs.iter().enumerate().map(left).collect();
        self.closed(&Recount::new(&self.rules, &logs))
    }

    fn closed(&self, recount: &Recount) -> Vec<Value> {
        let close =
            self.logs[0].last().unwrap().time - self.rules.out_of_orderness - self.rules.allowed_lateness;
        let passed = close.div_euclid(self.rules.pane) * self.rules.pane;
        let mut finals = recount.finals();
        finals.retain(|snapshot| snapshot["window_end"].as_i64().unwrap() <= passed);
        finals
    }

    /// Waits until this run has published the last window of all, stops it, and takes what it wrote.
    pub fn finish(&mut self, job: &mut Cluster) {
        self.finish_with(job, &self.expected());
    }

    /// The same where this is what must be published.
    pub fn finish_with(&mut self, job: &mut Cluster, expected: &[Value]) {
        self.wait_for_last(job, expected);
        self.stop(job);
    }

    /// SIGTERM to one process, upon which all must end well; takes what the run wrote.
    pub fn stop(&mut self, job: &mut Cluster) {
        job.processes[0].sigterm();
        for crest in &mut job.processes {
            let status = crest.wait(PATIENCE);
            assert!(status.success(), "{status}: {}", crest.describe());
        }
        self.published.take(&job.processes[0].stdout());
    }

    /// SIGTERM to a run whose output says nothing here.
    pub fn stop_only(&self, job: &mut Cluster) {
        job.processes[0].sigterm();
        assert!(job.processes[0].wait(PATIENCE).success(), "{}", job.processes[0].describe());
    }

    fn wait_for_last(&self, job: &mut Cluster, expected: &[Value]) {
        let last = expected.last().expect("a window that ends");
        let of = |field: &str| format!("{field:?}:{}", last[field]);
        let mark = ["board", "window", "group", "window_start", "window_end"].map(of).join(",");
        let published = |crest: &Crest| crest.stdout().iter().any(|line| line.contains(&mark)).then_some(());
        job.processes[0].until("the last window", published);
    }

    /// Sends all events while the job runs again and again, with other numbers of workers and processes, and is killed at any
    /// instant; then lets it come to the end.
    pub fn run_through_kills(&mut self, random: &mut StdRng) {
        for place in KILLED {
            let sending = self.send(1.0 / KILLED.len() as f64);
            let mut job = self.start(place, &[]);
            let (lines, enough) = (random.random_range(1..60), random.random_range(100..700));
            // Until it has published a bit, or for a moment.
            for _ in (0..enough).take_while(|_| job.processes[0].stdout().len() < lines) {
                std::thread::sleep(Duration::from_millis(5));
            }
            // Of all, before any is killed: the others end as soon as they miss it.
            for process in &mut job.processes {
                assert!(process.running(), "it ended by itself: {}", process.describe());
            }
            job.processes.iter_mut().for_each(Crest::kill);
            self.published.take(&job.processes[0].stdout());
            sending.join().unwrap();
        }
        self.send_rest();
        let mut job = self.start((2, 1), &[]);
        self.finish(&mut job);
    }

    /// Holds all that was published against one uninterrupted run without any state, and that against the recount:
    /// against all of it where all panes are exact, and else against which snapshots there are.
    pub fn assert_exactly_once(&self, exact: bool) {
        let expected = self.expected();
        let mut whole = self.spawn((2, 1), &[]);
        self.wait_for_last(&mut whole, &expected);
        whole.processes[0].sigterm();
        assert!(whole.processes[0].wait(PATIENCE).success(), "{}", whole.processes[0].describe());
        let lines = whole.processes[0].stdout();
        let finals = parse_finals(&lines);
        if exact {
            assert_same(&finals, &expected);
        } else {
            let sketched = finals.iter().filter(|snapshot| snapshot["error_floor"] != 0).count();
            assert!(
                sketched > finals.len() / 2,
                "only {sketched} of {} snapshots are sketched",
                finals.len()
            );
        }
        let names: Vec<Name> = expected.iter().map(name).collect();
        assert_eq!(finals.iter().map(name).collect::<Vec<_>>(), names, "which snapshots there are");
        self.published.assert_same(&lines);
    }
}

/// The topics, each with the logs of its partitions.
fn parts<'a>(topics: &'a str, logs: &'a [Vec<Event>]) -> impl Iterator<Item = (&'a str, &'a [Vec<Event>])> {
    let each = logs.len() / topics.split(',').count();
    topics.split(',').zip(logs.chunks(each))
}

fn load(topics: &str, logs: &[Vec<Event>]) {
    parts(topics, logs).for_each(|(topic, logs)| Kafka::shared().load(topic, logs));
}

impl Drop for Trial {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

fn name(snapshot: &Value) -> Name {
    let text = |field: &str| snapshot[field].to_string();
    (snapshot["window_end"].as_i64().unwrap(), text("board"), text("window"), text("group"))
}

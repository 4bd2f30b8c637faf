//! What may be typed: the flags, their environment variables and the subcommands. A value whose meaning
//! depends on others, or that a file can give too, stays text here; [`crate::settings`] resolves it.

mod archive;
mod cluster;
mod doctor;
mod generate;
mod log;
mod past;
mod reader;
mod run;
mod serve;
mod telemetry;
mod trial;

pub use archive::{ArchiveArgs, ArchiveOptions};
pub use cluster::ClusterArgs;
pub use doctor::DoctorArgs;
pub use generate::{CompletionsArgs, ManArgs};
pub use log::{LogCommand, SalvageArgs, VerifyArgs};
pub use past::{AuditArgs, BackfillArgs};
pub use reader::{ItemArgs, RankedBy, ReaderArgs, TopArgs};
pub use run::RunArgs;
use run::from_environment;
pub use serve::ServeArgs;
pub use telemetry::TelemetryArgs;
pub use trial::TryArgs;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "crest",
    version = env!("CREST_VERSION"),
    about = "What is popular right now: the top K of event streams over sliding windows, with its error stated",
    after_help = "Every option has its variable: --idle-timeout is CREST_IDLE_TIMEOUT. Options override variables, \
                  which override the --config file, which overrides defaults. Logs go to standard error; \
                  CREST_LOG (or RUST_LOG) sets their level: CREST_LOG=debug; CREST_LOG_FORMAT=json makes each line an object.",
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
pub struct Typed {
    /// Without one, the job runs.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The options of the job.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The other verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what an archive holds
    ///
    /// Of each partition the offsets and times, blocks and bytes, and the offsets that it lacks. It only lists, and may run
    /// beside the job. The status is 1 when there is no archive, or its store cannot be read.
    Archive(ArchiveArgs),
    /// Count a range exactly, and judge by that what sketches say of it
    ///
    /// Takes the job's own options: --source, --state, --config and what it counts. What is judged are the stored panes of
    /// the job's state, as its windows are ranked over them; with --rankings what was published; and where there is
    /// neither, what the sketch engine says of the same range. Windows that lie wholly in the range are compared. The
    /// status is 1 when anything that is claimed is false: a bound, a total, a certain rank, or that nothing was missed.
    Audit(Box<AuditArgs>),
    /// Count a range of the past into the state of a job, which may run meanwhile
    ///
    /// Takes the job's own options: --source, --state, --config and what it counts. Panes that were never counted are;
    /// with --replace all of the range are, anew. They take their place when the range is complete, with the rollups over
    /// them; tumbling windows in it go to --snapshots as buckets, and nothing live is touched. One that was stopped or
    /// killed goes on when the same is asked for again.
    Backfill(Box<BackfillArgs>),
    /// Check a configuration against the real world before it runs
    ///
    /// Takes the job's own options. Looks at what the job would meet: its state, its source and a sample of it, the receivers of
    /// its rankings, clocks, open files and memory, ports. Each line says ok, or what to fix. Nothing is consumed or committed,
    /// and nothing that is written to find out whether it can be stays. The status is 1 when anything is to be fixed.
    Doctor(Box<DoctorArgs>),
    /// Show one item: its count, the ranks that it can have, and its history
    ///
    /// Asks a running `crest` by its HTTP API, whether a ranking lists the item or not. The history is from the state that the
    /// server has: what the item had in each step of the window, full up to what is certain, dotted up to what may be.
    Item(ItemArgs),
    /// Check an embedded log, or save what is whole of a damaged one
    #[command(subcommand)]
    Log(LogCommand),
    /// Load files into a Kafka topic, keyed by item
    ///
    /// Takes what a job takes: lines, arrays and documents of JSON, also compressed, and CSV and text as --config says. A
    /// record that is not of the format, is longer than 1 MiB, or has no item id of 1 to 1024 bytes where a board wants one
    /// is refused by itself and counted. The rest is sent as it is. The status is 0 once the broker has acknowledged all
    /// that was sent, and 1 when a record was lost or every record was refused.
    Produce(ProduceArgs),
    /// Serve the API and the page without a job, from the Redis in which a job publishes, or from its state
    ///
    /// From Redis, the rankings as the job finds them; from the state, each window as it was last final, and any past
    /// interval: ?from=…&to=…, ?window=3h. Events that are sent here go to --ingest. It keeps nothing itself, and any
    /// number may run beside the job or after it.
    Serve(ServeArgs),
    /// Show what a job's state holds, or check that it is whole
    ///
    /// It only reads, and may run beside the job. The status is 1 when there is no state, or when an object that its
    /// manifest names is damaged or missing; each is named.
    State(StateArgs),
    /// Show a ranking in the terminal, once or live
    ///
    /// Asks a running `crest` by its HTTP API. With --watch in a terminal it is a live view with its own keys (? shows
    /// them); where there is none, every ranking that is new is printed, as a table or, with --json, as one line.
    Top(TopArgs),
    /// Look at a topic, file or standard input, and print a configuration that ranks it
    ///
    /// Reads the first records, says what they are and what is in them, and guesses what could be the item and the event
    /// time. Prints a configuration that works with its reasons, and the ranking that it gives of these records. Nothing is
    /// written but --write, and nothing is committed. The status is 1 where the guess is not complete.
    Try(TryArgs),
    /// Print the effective configuration as TOML, secrets masked
    Config(Box<RunArgs>),
    /// Print what completes this command line in a shell
    ///
    /// As in `crest completions bash > ~/.local/share/bash-completion/completions/crest`.
    Completions(CompletionsArgs),
    /// Write the manual pages of all commands into a folder
    Man(ManArgs),
}

/// The options of `crest produce`.
#[derive(Debug, Args)]
pub struct ProduceArgs {
    /// The topic, made where it is missing: kafka://host:port/topic
    #[arg(long, value_name = "URL", env = "CREST_TO")]
    pub to: String,
    /// Partitions of a topic that is made [default: 4]
    #[arg(long, value_name = "N", env = "CREST_PARTITIONS", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub partitions: Option<u32>,
    /// The configuration of the job: what the files are, where its boards find their items, and the [source] kafka properties
    #[arg(long, value_name = "FILE", env = "CREST_CONFIG")]
    pub config: Option<PathBuf>,
    /// What to load; none, or -, is standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// The options of `crest state`.
#[derive(Debug, Default, Args)]
pub struct StateArgs {
    /// Where the state is: a folder, s3://bucket/prefix, gs:// or az:// [default: ./crest-data]
    #[arg(long, value_name = "URL", env = "CREST_STATE")]
    pub state: Option<String>,
    /// The configuration: its [state] is used
    #[arg(long, value_name = "FILE", env = "CREST_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print one JSON object; times in milliseconds since 1970
    #[arg(long)]
    pub json: bool,
    /// Read and check every object that the manifest names
    #[arg(long)]
    pub verify: bool,
    /// Remove at once what is stored of a board that the job has no more; a job that runs must be stopped
    #[arg(long, value_name = "NAME", conflicts_with_all = ["json", "verify"])]
    pub drop_board: Option<String>,
    /// The options that came from the environment, by their field's name.
    #[arg(skip)]
    pub from_environment: BTreeSet<String>,
}

impl Typed {
    /// Parses a command line and the environment.
    ///
    /// # Errors
    /// As clap says; also help and the version, which are to be printed.
    pub fn parse_from_args(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let matches = definition().try_get_matches_from(line)?;
        let mut typed = Typed::from_arg_matches(&matches)?;
        typed.run.settle(&matches);
        match (&mut typed.command, matches.subcommand()) {
            (Some(Command::Config(run)), Some((_, matches))) => run.settle(matches),
            (Some(Command::Audit(audit)), Some((_, matches))) => audit.run.settle(matches),
            (Some(Command::Backfill(backfill)), Some((_, matches))) => backfill.run.settle(matches),
            (Some(Command::Doctor(doctor)), Some((_, matches))) => doctor.run.settle(matches),
            (Some(Command::State(state)), Some((_, matches))) => {
                state.from_environment = from_environment(matches);
            }
            (Some(Command::Serve(serve)), Some((_, matches))) => {
                serve.from_environment = from_environment(matches);
            }
            _ => {}
        }
        Ok(typed)
    }
}

/// The help says once how the variables are called, rather than at each option.
pub fn definition() -> clap::Command {
    let quiet = |command: clap::Command| command.mut_args(|arg| arg.hide_env(true));
    quiet(Typed::command()).mut_subcommands(|command| quiet(command).mut_subcommands(quiet))
}

/// Clap's complaint as one line, without the usage.
pub fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let kept = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
    let line = kept.collect::<Vec<_>>().join(" ");
    format!("{} (see --help)", line.strip_prefix("error: ").unwrap_or(&line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Typed, clap::Error> {
        Typed::parse_from_args(std::iter::once("crest").chain(line.split_whitespace()).map(Into::into))
    }

    fn complaint(line: &str) -> String {
        let text = one_line(&parse(line).unwrap_err());
        assert!(!text.contains('\n'), "{text}");
        text
    }

    #[test]
    fn the_definition_holds_together() {
        definition().debug_assert();
    }

    #[test]
    fn the_short_flags_are_those_of_timely_and_h_is_help() {
        let run = parse("-w 8 -n 4 -p 3 -k 10 --hostfile hosts.txt").unwrap().run;
        let ClusterArgs { workers, processes, process, hostfile, .. } = run.cluster;
        assert_eq!((workers, processes, process, run.k), (Some(8), Some(4), Some(3), Some(10)));
        assert_eq!(hostfile, Some("hosts.txt".into()));
        assert_eq!(parse("-h").unwrap_err().kind(), clap::error::ErrorKind::DisplayHelp);
    }

    #[test]
    fn windows_and_snapshots_may_be_given_again() {
        let run = parse("--window a=1m/10s --window b=1h/1m --snapshots - --snapshots memory").unwrap().run;
        assert_eq!(run.window, ["a=1m/10s", "b=1h/1m"]);
        assert_eq!(run.snapshots, ["-", "memory"]);
    }

    #[test]
    fn subcommands_have_their_own_options() {
        let typed = parse("config --pane 5s").unwrap();
        let Some(Command::Config(run)) = typed.command else { panic!("it shows the configuration") };
        assert_eq!(run.pane.as_deref(), Some("5s"));
        let typed = parse("produce --to kafka://h:1/t --partitions 8 a.ndjson b.ndjson").unwrap();
        let Some(Command::Produce(produce)) = typed.command else { panic!("it is a load") };
        assert_eq!((produce.partitions, produce.files.len()), (Some(8), 2));
        let typed = parse("top --group region=IN --group kind=a=b --watch").unwrap();
        let Some(Command::Top(top)) = typed.command else { panic!("it is a ranking") };
        assert_eq!(top.reader.group, [("region".into(), "IN".into()), ("kind".into(), "a=b".into())]);
        assert!(
            top.watch
                && top.reader.url == "http://127.0.0.1:8080"
                && complaint("top --group x").contains("NAME=VALUE")
        );
        let typed = parse("log salvage ./l --to ./m --state ./s").unwrap();
        let Some(Command::Log(LogCommand::Salvage(salvage))) = typed.command else {
            panic!("it is a rescue")
        };
        assert_eq!((salvage.folder.as_str(), salvage.state.as_deref()), ("./l", Some("./s")));
        let typed = parse("state --state ./s --verify").unwrap();
        let Some(Command::State(state)) = typed.command else { panic!("it is a look") };
        assert_eq!((state.state.as_deref(), state.verify, state.json), (Some("./s"), true, false));
    }

    /// Looks at the environment, so it runs again in a process that has one of its own.
    #[test]
    fn the_environment_says_what_is_not_typed() {
        const TEST: &str = "args::tests::the_environment_says_what_is_not_typed";
        if std::env::var_os("CREST_K").is_none() {
            let mut command = std::process::Command::new(std::env::current_exe().unwrap());
            command
                .args([TEST, "--exact"])
                .env("CREST_K", "5")
                .env("CREST_CLUSTER_SECRET", "told to all processes")
                .env("CREST_PANE", "5s")
                .env("CREST_DEMO", "1");
            assert!(command.env("CREST_SNAPSHOTS", "- memory").output().unwrap().status.success());
            return;
        }
        let run = parse("--pane 1s").unwrap().run;
        assert_eq!((run.k, run.pane.as_deref(), run.demo), (Some(5), Some("1s"), true));
        assert_eq!(run.snapshots, ["-", "memory"]);
        let from: Vec<_> = run.from_environment.iter().collect();
        assert_eq!(from, ["cluster_secret", "demo", "k", "snapshots"]);
        assert_eq!(run.cluster.cluster_secret.as_deref(), Some("told to all processes"));
        let run = parse("--source -").unwrap().run;
        assert_eq!((run.demo, run.source.as_deref()), (false, Some("-")), "what was typed goes first");
        assert!(parse("produce --to kafka://h:1/t").is_ok(), "it is for the job, and in nobody's way");
    }

    #[test]
    fn a_complaint_is_one_line_that_names_what_was_typed() {
        for (line, expected) in [
            (
                "--windows a",
                "unexpected argument '--windows' found tip: a similar argument exists: '--window' (see --help)",
            ),
            ("-w 0", "invalid value '0' for '--workers <N>': 0 is not in 1..=256 (see --help)"),
            ("-w x", "invalid value 'x' for '--workers <N>': invalid digit found in string (see --help)"),
            ("sell", "unrecognized subcommand 'sell' (see --help)"),
            ("produce", "the following required arguments were not provided: --to <URL> (see --help)"),
        ] {
            assert_eq!(complaint(line), expected);
        }
    }
}

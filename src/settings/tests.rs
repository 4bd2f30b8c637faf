//! Precedence, defaults, and the one line of every refusal.

mod cluster;
mod refusals;
mod telemetry;

use super::http::DEFAULT_HTTP;
use super::resolved::DEMO_URL;
use super::*;
use crate::args::{Command, StateArgs, Typed};
use crest_connectors::endpoint::SinkUrl;
use crest_connectors::{OnGap, Start};
use crest_state::spec::{BoardSpec, SketchKind, WindowSpec};
use refusals::REFUSALS;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

fn typed(line: &str) -> RunArgs {
    let words = std::iter::once("crest").chain(line.split_whitespace()).map(Into::into);
    match Typed::parse_from_args(words).unwrap() {
        Typed { command: Some(Command::Config(run)), .. } => *run,
        Typed { run, .. } => run,
    }
}

fn settings(line: &str, file: &str) -> Result<Settings, SettingsError> {
    let mut run = typed(line);
    run.config = (!file.is_empty()).then(|| "crest.toml".into());
    Settings::resolve(&run, File::parse(Path::new("crest.toml"), file)?)
}

fn refusal(line: &str, file: &str) -> String {
    let text = settings(line, file).unwrap_err().to_string();
    assert!(!text.contains('\n'), "one line: {text}");
    text
}

#[test]
fn a_bare_run_reads_its_own_log_and_serves_on_loopback() {
    let settings = settings("", "").unwrap();
    assert_eq!(settings.source.url.to_string(), "log:./crest-data/log");
    assert_eq!(settings.state.as_ref().unwrap().url, "./crest-data");
    assert!(settings.source.by_default);
    assert_eq!(settings.http.listen.as_deref(), Some(DEFAULT_HTTP));
    assert_eq!(settings.snapshots.urls, [SinkUrl::Memory]);
    assert_eq!((settings.shape.workers, settings.shape.processes), (1, 1));
    assert_eq!(settings.spec.boards, [BoardSpec::default()]);
}

#[test]
fn the_log_is_kept_beside_the_state_and_by_one_process() {
    let log = |flags: &str, file: &str| settings(flags, file).unwrap().source.url.to_string();
    assert_eq!(log("--state /data/crest", ""), "log:/data/crest/log");
    assert_eq!(log("", "[state]\nurl = \"here\"\n"), "log:here/log");
    assert_eq!(log("--state off", ""), "log:./crest-data/log");
    assert_eq!(log("--state s3://b/p", ""), "log:./crest-data/log");
    assert_eq!(log("-n 4 -p 0", ""), DEMO_URL, "a cluster has no log of its own");
    let text = refusal("-n 2 -p 0 --source log:x", "");
    assert!(text.starts_with("--source = \"log:x\": must be kafka://"), "{text}");
}

#[test]
fn a_bounded_source_prints_finals_and_serves_nothing() {
    for source in ["file:a.ndjson", "-"] {
        let settings = settings(&format!("--source {source}"), "").unwrap();
        assert_eq!((settings.http.listen, settings.snapshots.urls), (None, vec![SinkUrl::Stdout]));
    }
    let served = settings("--source - --http localhost:9000", "").unwrap();
    assert_eq!(served.http.listen.as_deref(), Some("localhost:9000"));
}

#[test]
fn only_process_0_serves_by_default_and_by_the_file() {
    let kafka = "--source kafka://h:9092/t -n 2";
    assert_eq!(settings(&format!("{kafka} -p 0"), "").unwrap().http.listen.as_deref(), Some(DEFAULT_HTTP));
    assert_eq!(settings(&format!("{kafka} -p 1"), "").unwrap().http.listen, None);
    let file = "[http]\nlisten = \"0.0.0.0:80\"\n";
    assert_eq!(settings(&format!("{kafka} -p 0"), file).unwrap().http.listen.as_deref(), Some("0.0.0.0:80"));
    assert_eq!(settings(&format!("{kafka} -p 1"), file).unwrap().http.listen, None);
    let own = settings(&format!("{kafka} -p 1 --http 127.0.0.1:8081"), file).unwrap();
    assert_eq!(own.http.listen.as_deref(), Some("127.0.0.1:8081"));
}

#[test]
fn flags_override_the_file_which_overrides_defaults() {
    let file = "[source]\nurl = \"kafka://h:1/t\"\nstart = \"latest\"\n[time]\npane = \"5s\"\nrefresh = \"2s\"\n\
                [[board]]\nname = \"a\"\nk = 7\n[[board]]\nname = \"b\"\n";
    let filed = settings("", file).unwrap();
    assert_eq!(filed.spec.time.pane, Duration::from_secs(5));
    assert_eq!(filed.spec.boards.iter().map(|b| b.k).collect::<Vec<_>>(), [7, 100]);
    assert_eq!(filed.source.start, Some(Start::Latest));
    assert_eq!(
        filed.spec.boards[0].windows[0].size_and_slide().unwrap().1,
        Duration::from_secs(5),
        "default windows slide by a pane"
    );

    let flags = "--pane 20s -k 3 --window w=1m/20s --start 0=5,2=7 --source kafka://x:1/u --idle-timeout 3s";
    let over = settings(flags, file).unwrap();
    assert_eq!(
        (over.spec.time.pane, over.spec.time.refresh),
        (Duration::from_secs(20), Duration::from_secs(2))
    );
    assert_eq!(over.spec.time.idle_timeout, Duration::from_secs(3));
    assert_eq!(over.source.url.to_string(), "kafka://x:1/u");
    assert_eq!(over.source.start, Some(Start::Offsets([(0, 5), (2, 7)].into())));
    for board in &over.spec.boards {
        assert_eq!((board.k, board.windows.len(), &*board.windows[0].name), (3, 1, "w"));
    }
}

#[test]
fn demo_overrides_the_source_of_the_file() {
    let file = "[source]\nurl = \"kafka://h:1/t\"\nstart = \"latest\"\n";
    let demo = settings("--demo", file).unwrap();
    assert_eq!((demo.source.url.to_string().as_str(), demo.source.by_default), (DEMO_URL, false));
    assert_eq!(refusal("--demo --source -", ""), "--demo = true: cannot be given together with --source");
}

#[test]
fn more_rows_are_kept_for_a_longer_ranking() {
    assert_eq!(settings("-k 100", "").unwrap().spec.sketch.rows_kept, 1024);
    assert_eq!(settings("-k 500", "").unwrap().spec.sketch.rows_kept, 5000);
    let text = refusal("-k 500", "[sketch]\nrows_kept = 2000\n");
    assert!(text.starts_with("crest.toml: sketch.rows_kept = 2000: must be from 5000"), "{text}");
}

#[test]
fn counters_are_kept_of_every_item_unless_it_is_said_otherwise() {
    let board = |counters: bool| {
        format!(
            "[[board]]\nname = \"videos\"\nengine = \"exact\"\ncounters = {counters}\n\
             windows = [{{ name = \"quarter\", size = \"15m\", slide = \"15m\" }}]\n"
        )
    };
    let k = |flags: &str, counters| settings(flags, &board(counters)).unwrap().spec.boards[0].k;
    assert_eq!((k("", true), k("-k 7", true), k("", false)), (100_000, 7, 100));
    let kept = settings("", &board(true)).unwrap();
    assert_eq!(kept.spec.sketch.rows_kept, settings("", "").unwrap().spec.sketch.rows_kept);
    assert!(kept.to_toml().unwrap().contains("counters = true"));
    assert_eq!(
        refusal("--engine sketch", &board(true)),
        "crest.toml: board.videos.counters = true: needs engine = \"exact\" of its board"
    );
    assert_eq!(
        refusal("--window last_1m=1m/10s", &board(true)),
        "crest.toml: board.videos.counters = true: needs a window of its board whose slide is its size"
    );
}

#[test]
fn each_kind_of_sketch_has_its_usual_size() {
    let sketch = |file: &str| settings("", file).unwrap().spec.sketch;
    assert_eq!(sketch("[sketch]\nkind = \"ledger\"\n"), sketch(""));
    assert_eq!((sketch("").kind, sketch("").rows), (SketchKind::Ledger, 4096));
    let classic = sketch("[sketch]\nkind = \"classic\"\n");
    assert_eq!(
        (classic.kind, classic.rows, classic.shape().unwrap().width()),
        (SketchKind::Classic, 1024, 2719)
    );
}

#[test]
fn start_is_a_word_a_time_or_offsets() {
    let start = |text: &str| {
        settings(&format!("--source kafka://h:1/t --start {text}"), "").map(|s| s.source.start.unwrap())
    };
    assert_eq!(start("2026-03-10T10:15:00Z").unwrap(), Start::Time(1_773_137_700_000));
    for text in ["2026-03-10", "0=-1", "0=1,0=2", "x=1", "0=", "newest"] {
        let refused = start(text).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("--start = \"{text}\": must be earliest")), "{refused}");
    }
}

#[test]
fn a_gap_fails_the_job_unless_it_is_to_be_skipped() {
    let on_gap = |line: &str, file: &str| settings(line, file).unwrap().source.on_gap;
    let file = "[source]\nurl = \"kafka://h:1/t\"\non_gap = \"skip\"\n";
    assert_eq!(on_gap("--source kafka://h:1/t", ""), OnGap::Fail);
    assert_eq!((on_gap("", file), on_gap("--on-gap fail", file)), (OnGap::Skip, OnGap::Fail));
    assert_eq!(on_gap("--demo", file), OnGap::Fail, "what the file says of Kafka is for Kafka");
}

#[test]
fn a_cluster_has_loopback_addresses_or_those_of_its_hostfile() {
    let shape = settings("-w 8 -n 3 -p 2", "").unwrap().shape;
    assert_eq!((shape.workers, shape.processes, shape.process), (8, 3, 2));
    assert_eq!(shape.addresses, ["127.0.0.1:2101", "127.0.0.1:2102", "127.0.0.1:2103"]);

    let mut hosts = tempfile::NamedTempFile::new().unwrap();
    hosts.write_all(b"# the cluster\na:2101 # first\n\n  b:2101\nc:2101\n").unwrap();
    let line = format!("-n 2 -p 1 --cluster-insecure --hostfile {}", hosts.path().display());
    assert_eq!(settings(&line, "").unwrap().shape.addresses, ["a:2101", "b:2101"]);
    let line = format!("-n 4 --hostfile {}", hosts.path().display());
    assert!(refusal(&line, "").ends_with("has 3 addresses, and 4 processes need as many"));
}

#[test]
fn the_rejects_of_processes_on_one_machine_do_not_share_a_file() {
    assert_eq!(settings("--rejects r", "").unwrap().rejects, Some("r".into()));
    assert_eq!(settings("--rejects r -n 2 -p 1", "").unwrap().rejects, Some("r.1".into()));
}

#[test]
fn every_refusal_names_key_value_and_what_is_allowed() {
    let hosts = |text: &str| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    };
    for (line, file, expected) in REFUSALS {
        assert_eq!(refusal(line, file), *expected, "{line} {file}");
    }
    for (text, expected) in [
        ("a:1\na:1\n", ": line = \"a:1\": is there twice"),
        ("a\nb:1\n", ": line = \"a\": must be host:port"),
    ] {
        let file = hosts(text);
        let refused = refusal(&format!("-n 2 --hostfile {}", file.path().display()), "");
        assert!(refused.ends_with(expected), "{refused}");
    }
}

#[test]
fn what_config_prints_gives_the_same_job_again() {
    let file = "[source]\nurl = \"kafka://h:1/t\"\nstart = \"2026-03-10T10:15:00.5Z\"\non_gap = \"skip\"\nkafka = { \"linger.ms\" = 5 }\n\
                [snapshots]\nurl = [\"redis://h/0\", \"memory\"]\nttl = \"2h\"\n[sketch]\nkind = \"classic\"\nepsilon = 0.01\n\
                [schema]\nitem = [\"id\", \"item\"]\nweight = \"n\"\nweight_default = 3\n[state]\nurl = \"s3://b/p\"\noptions = { allow_http = true }\n\
                [[board]]\nname = \"a\"\nfilter = { region = [\"IN\", \"US\"], event_type = \"v\" }\nby = [\"region\"]\n\
                weights = { purchase = 5 }\nwindows = [{ name = \"w\", size = \"1h\", slide = \"1h\" }]\n\
                [[changes]]\nboard = \"a\"\nwindow = \"w\"\nk = 3\ngroups = { region = [\"IN\", \"US\"] }\nwhole = false\ncertain = true\n\
                to = \"kafka://h:1/told\"\n";
    let plain = "[source]\nurl = \"kafka://h:1/t\"\n";
    assert!(settings("", plain).unwrap().to_toml().unwrap().contains("on_gap = \"fail\""));
    for file in ["", file] {
        let first = settings("-k 5 --pane 20s --window w=1h/20s", file).unwrap();
        let text = first.to_toml().unwrap();
        let second = settings("", &text).unwrap();
        let by_default = first.source.by_default;
        assert_eq!(
            Settings { source: SourceSettings { by_default, ..second.source.clone() }, ..second },
            first,
            "{text}"
        );
    }
}

#[test]
fn config_masks_secrets() {
    let file = "[source]\nurl = \"kafka://h:1/t\"\nkafka = { \"sasl.password\" = \"hunter2\", \"linger.ms\" = 5 }\n\
                [snapshots]\nurl = \"redis://:hunter2@h/0\"\n[state]\nurl = \"s3://b/p\"\n\
                options = { access_key_id = \"hunter2\", secret_access_key = \"hunter2\", region = \"eu\" }\n\
                [[board]]\nname = \"a\"\n[[changes]]\nboard = \"a\"\nwindow = \"last_1h\"\nto = \"https://h/hunter2\"\n\
                secret = \"hunter2, hunter2, hunter2\"\n";
    let text = settings("", file).unwrap().to_toml().unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("redis://:***@h/0") && text.contains("\"sasl.password\" = \"***\""), "{text}");
    assert!(text.contains("secret_access_key = \"***\"") && text.contains("region = \"eu\""), "{text}");
}

#[test]
fn a_look_at_the_state_takes_its_place_as_the_job_does() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "[state]\nurl = \"s3://b/p\"\noptions = { region = \"eu\" }\n").unwrap();
    let look = |state: Option<&str>| {
        let state = state.map(str::to_owned);
        let config = Some(file.path().to_owned());
        StateSettings::load(&StateArgs { state, config, ..StateArgs::default() })
    };
    let filed = look(None).unwrap().unwrap();
    assert_eq!((filed.url.as_str(), filed.options["region"].as_str()), ("s3://b/p", "eu"));
    assert_eq!(look(Some("./s")).unwrap().unwrap().url, "./s");
    assert_eq!(look(Some("off")).unwrap(), None);
    assert!(look(Some("")).unwrap_err().to_string().starts_with("--state = \"\": must be"));
}

#[test]
fn state_is_off_unless_it_is_asked_for() {
    let state = |line: &str, file: &str| settings(line, file).unwrap().state;
    assert_eq!(state("--source file:a", ""), None);
    let file =
        "[source]\nurl = \"kafka://h:1/t\"\n[state]\nurl = \"s3://b/p\"\noptions = { region = \"eu\" }\n";
    let filed = state("", file).unwrap();
    assert_eq!((filed.url.as_str(), filed.options["region"].as_str()), ("s3://b/p", "eu"));
    assert_eq!(state("--state ./s", file).unwrap().url, "./s");
    assert_eq!(state("--state off", file), None);
    assert_eq!(state("--state off --demo", file), None);
}

#[test]
fn what_can_be_read_again_for_ever_is_kept_here_unless_it_is_said_otherwise() {
    let state = |flags: &str, file: &str| settings(flags, file).unwrap().state;
    let kept =
        state("--source kafka://h:1/t", "[state.retention]\npane = \"2h\"\n10m = \"forever\"\n").unwrap();
    assert_eq!(kept.url, "./crest-data");
    let day = Duration::from_secs(24 * 3600);
    let ages = ["pane", "1m", "10m", "1d"].map(|level| kept.retention.of(level));
    assert_eq!(ages, [Some(day / 12), Some(7 * day), None, None]);
    assert_eq!(state("--source kafka://h:1/t", "[state]\nurl = \"s3://b/p\"\n").unwrap().url, "s3://b/p");
    for without in ["--source kafka://h:1/t --state off", "--source file:a", "--source -", "--demo"] {
        assert_eq!(state(without, ""), None, "{without}");
    }
}

#[test]
fn a_seed_is_taken_and_told_to_nobody() {
    let named = settings("", "[sketch]\nseed = 8765432187654321\n").unwrap();
    assert_eq!(named.spec.sketch.named_seed(), Some(8_765_432_187_654_321));
    assert_eq!(settings("", "").unwrap().spec.sketch.named_seed(), None);
    let told = format!("{named:?}{}", named.to_toml().unwrap());
    assert!(told.contains("seed = \"***\"") && !told.contains("8765432187654321"), "{told}");
    for (given, allowed) in [
        ("-5", "must be a whole number from 0 to 9223372036854775807"),
        ("\"open\"", "must be a whole number from 0 to 9223372036854775807"),
        ("109342979486753", "must be another one: this one is known to everybody"),
    ] {
        let text = refusal("", &format!("[sketch]\nseed = {given}\n"));
        assert_eq!(text, format!("crest.toml: sketch.seed = ***: {allowed}"));
    }
}

#[test]
fn what_is_for_files_holds_for_files() {
    let spec = |line: &str, file: &str| settings(line, file).unwrap().spec;
    let (skew, empty) = ("[time]\nmax_future_skew = \"2m\"\n", "[snapshots]\nempty = true\n");
    assert!(!spec("--source -", "").time.guards_files && !spec("", skew).time.guards_files);
    assert!(spec("--source -", skew).time.guards_files);
    assert!(spec("--source - --max-future-skew 5s", "").time.guards_files);
    assert!(spec("--source -", empty).empty && spec("--source - --empty", "").empty);
    assert!(!spec("", empty).empty, "the file may serve another source as well");
    let text = refusal("--demo --empty", "");
    assert_eq!(
        text,
        "--empty = true: only a run over file: or standard input leaves out windows without an event"
    );
    let again = settings("--source - --empty --max-future-skew 5s", "").unwrap().to_toml().unwrap();
    assert!(again.contains("empty = true") && again.contains("max_future_skew = \"5s\""), "{again}");
    assert!(!settings("--source -", "").unwrap().to_toml().unwrap().contains("max_future_skew"));
}

#[test]
fn a_state_knows_files_by_what_was_said_of_their_framing() {
    let identity =
        |file: &str| settings("--source file:a", &format!("[source]\n{file}")).unwrap().source.identity();
    assert_eq!(identity(""), "file:a");
    assert_eq!(identity("framing = \"documents\""), "file:a (documents)");
    assert_eq!(identity("format = \"csv\""), "file:a (csv, delimiter ,, quote \", header true)");
    assert_eq!(settings("--source kafka://h:1/t", "").unwrap().source.identity(), "kafka:t");
}

#[test]
fn a_window_of_a_name_alone_is_of_an_input_that_ends() {
    let file = "[[board]]\nname = \"b\"\nwindows = [ { name = \"all\" }, { name = \"w\", size = \"1m\", slide = \"10s\" } ]\n";
    let filed = settings("--source -", file).unwrap();
    let windows = &filed.spec.boards[0].windows;
    assert!(windows[0].is_whole() && !windows[1].is_whole());
    let again = settings("--source -", &filed.to_toml().unwrap()).unwrap();
    assert_eq!(again.spec, filed.spec, "crest config gives it again");
    assert_eq!(
        settings("--source - --window all", "").unwrap().spec.boards[0].windows,
        [WindowSpec::whole("all")]
    );
    let live = refusal("--demo", file);
    let allowed = "a window of a name alone is the whole of an input that ends, which demo: does not";
    assert!(live.starts_with(&format!("crest.toml: board.b.windows = \"all\": {allowed}")), "{live}");
    let typed = refusal("--demo --window all", "");
    assert!(typed.starts_with(&format!("--window (board.default.windows) = \"all\": {allowed}")), "{typed}");
    let half = refusal("--source -", &file.replace(", slide = \"10s\"", ""));
    assert_eq!(
        half,
        "crest.toml: board.b.window.w.slide = none: must be given too; a window with neither size nor slide is the whole input"
    );
}

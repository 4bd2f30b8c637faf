//! What `deploy/` has is right: its rules, units, manifests and dashboards name what the program has, and the tools that know
//! their formats take them, where these are installed.

#![allow(clippy::unwrap_used)] // a failed step is a failed test

mod common;

use common::program::{Cluster, Crest, path};
use common::servers::{Kafka, Redis};
use common::web::Web;
use common::{eventually, free_port, new_folder, root, skip};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn deploy(file: &str) -> PathBuf {
    root().join("deploy").join(file)
}

fn read(file: &str) -> String {
    std::fs::read_to_string(deploy(file)).unwrap()
}

fn installed(program: &str, argument: &str) -> bool {
    let status = Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs a command that must succeed.
fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{command:?}: {said}");
}

/// The names of metrics in a text.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':')));
    words.filter(|word| word.starts_with("crest_") && *word != "crest_").map(str::to_owned).collect()
}

/// All metrics that a job, a standby for it and an API node have, as they say it.
fn real_metrics() -> BTreeSet<String> {
    let (kafka, redis, dir) = (Kafka::start(1), Redis::start(), new_folder("metrics"));
    kafka.create_topic("events", 1);
    kafka.create_topic("rankings", 1);
    let source = format!("kafka://{}/events", kafka.address());
    let (rankings, url) = (format!("kafka://{}/rankings", kafka.address()), redis.url());
    let (state, archive) = (dir.join("state"), dir.join("archive"));
    let mut arguments = vec!["--source", &source, "--snapshots", &url, "--snapshots", &rankings];
    arguments.extend(["--state", path(&state), "--archive", path(&archive), "--http", "127.0.0.1:0"]);
    // Of a collector that is not there.
    arguments.extend(["--otlp", "http://127.0.0.1:9"]);
    let mut job = Crest::spawn(&arguments);
    let job_web = Web::of(&mut job);
    eventually("the job is ready", || job_web.get("/readyz").0 == 200);
    let mut node = Crest::spawn(["serve", "--snapshots", &url, "--http", "127.0.0.1:0"]);
    let node_web = Web::of(&mut node);
    let found = [job_web, node_web].into_iter().flat_map(|web| {
        let text = web.get("/metrics").1;
        let families = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned));
        families.collect::<Vec<_>>()
    });
    let found = found.collect();
    job.kill();
    node.kill();
    std::fs::remove_dir_all(dir).unwrap();
    found
}

#[test]
fn rules_and_dashboards_ask_for_metrics_that_there_are() {
    let real = real_metrics();
    for file in
        ["grafana.json", "prometheus/alerts.yaml", "prometheus/recording.yaml", "prometheus/alerts_test.yaml"]
    {
        let asked = metrics(&read(file));
        assert!(asked.len() > 10, "{file} asks only for {asked:?}");
        let unknown: Vec<_> = asked.difference(&real).collect();
        assert!(unknown.is_empty(), "{file} asks for {unknown:?}, which there is not");
    }
}

/// The recorded names in a text: `crest:events:rate5m`.
fn recorded(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':')));
    words.filter(|word| word.starts_with("crest:")).map(str::to_owned).collect()
}

#[test]
fn each_alert_says_what_to_do_and_has_a_test() {
    let (alerts, tests, recording) = (
        read("prometheus/alerts.yaml"),
        read("prometheus/alerts_test.yaml"),
        read("prometheus/recording.yaml"),
    );
    let rules: Vec<&str> = alerts.split("- alert: ").skip(1).collect();
    assert!(rules.len() > 25, "{}", rules.len());
    for rule in rules {
        let name = rule.lines().next().unwrap();
        for needed in ["expr: ", "severity: ", "summary: ", "runbook: "] {
            assert_eq!(rule.matches(needed).count(), 1, "{name}: {needed}");
        }
        assert!(tests.contains(&format!("alertname=\"{name}\"")), "{name} has no test");
    }
    let known: BTreeSet<String> = recording
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- record: ").map(str::to_owned))
        .collect();
    assert!(recorded(&alerts).is_subset(&known), "{:?}", recorded(&alerts));
}

#[test]
fn the_rules_are_rules_and_each_alert_fires_for_what_it_is_about() {
    if !installed("promtool", "--version") {
        return skip(
            "the_rules_are_rules_and_each_alert_fires_for_what_it_is_about",
            "promtool is not installed",
        );
    }
    let folder = deploy("prometheus");
    succeeds(Command::new("promtool").current_dir(&folder).args([
        "check",
        "rules",
        "recording.yaml",
        "alerts.yaml",
    ]));
    succeeds(Command::new("promtool").current_dir(&folder).args(["test", "rules", "alerts_test.yaml"]));
    // The rules that it names are mounted where they are read in a container alone.
    let compose = deploy("compose");
    let command = &mut Command::new("promtool");
    succeeds(command.current_dir(&compose).args(["check", "config", "--syntax-only", "prometheus.yaml"]));
}

/// Where a panel is: x, y, width, height.
fn place(panel: &Value) -> [i64; 4] {
    ["x", "y", "w", "h"].map(|name| panel["gridPos"][name].as_i64().unwrap())
}

#[test]
fn no_panel_of_a_dashboard_lies_upon_another() {
    for file in ["grafana.json", "grafana-series.json"] {
        let dashboard: Value = serde_json::from_str(&read(file)).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        for (at, panel) in panels.iter().enumerate() {
            let [x, y, w, h] = place(panel);
            assert!(x >= 0 && x + w <= 24, "{file}: {}", panel["title"]);
            for other in &panels[..at] {
                let [ox, oy, ow, oh] = place(other);
                let apart = x + w <= ox || ox + ow <= x || y + h <= oy || oy + oh <= y;
                assert!(apart, "{file}: {} lies upon {}", panel["title"], other["title"]);
            }
        }
    }
}

#[test]
fn the_program_takes_the_configuration_of_the_compose_file() {
    let config = deploy("compose/crest.toml");
    for command in
        [&["config", "--config", path(&config)][..], &["config", "--config", path(&config), "--workers", "2"]]
    {
        succeeds(Command::new(env!("CARGO_BIN_EXE_crest")).args(command).env("CREST_HTTP", "0.0.0.0:8080"));
    }
}

/// Variables of the environment that the files set, but for Kubernetes' own.
fn variables(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    words.filter(|word| word.starts_with("CREST_") && word.len() > 6).map(str::to_owned).collect()
}

#[test]
fn what_is_set_for_the_program_is_known_to_it() {
    let sources = ["args.rs", "args/cluster.rs", "args/run.rs", "args/serve.rs"];
    let code: String =
        sources.iter().map(|file| std::fs::read_to_string(root().join("src").join(file)).unwrap()).collect();
    let mut seen = 0;
    for file in [
        "image/Dockerfile",
        "image/crest-together",
        "image/crest-health",
        "systemd/crest.service",
        "systemd/crest-serve.service",
        "kubernetes/one.yaml",
        "kubernetes/cluster.yaml",
        "helm/crest/values.yaml",
        "helm/crest/templates/job.yaml",
        "helm/crest/templates/_helpers.tpl",
    ] {
        for name in variables(&read(file)) {
            assert!(code.contains(&format!("env = \"{name}\"")), "{file}: there is no {name}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn the_units_are_understood_by_systemd() {
    if !installed("systemd-analyze", "--version") {
        return skip("the_units_are_understood_by_systemd", "systemd is not installed");
    }
    let dir = new_folder("units");
    for unit in ["crest.service", "crest-serve.service"] {
        // The program is somewhere else here.
        let text =
            read(&format!("systemd/{unit}")).replace("/usr/local/bin/crest", env!("CARGO_BIN_EXE_crest"));
        std::fs::write(dir.join(unit), text).unwrap();
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(dir.join(unit))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let ours: Vec<&str> = said.lines().filter(|line| line.contains(unit)).collect();
        assert!(ours.is_empty(), "{said}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn the_manifests_are_what_the_chart_renders() {
    if !installed("helm", "version") {
        return skip("the_manifests_are_what_the_chart_renders", "helm is not installed");
    }
    succeeds(Command::new("helm").args(["lint", "--strict"]).arg(deploy("helm/crest")));
    let dir = new_folder("manifests");
    succeeds(Command::new(deploy("kubernetes/render")).arg(&dir));
    for file in ["one.yaml", "cluster.yaml"] {
        let rendered = std::fs::read_to_string(dir.join(file)).unwrap();
        assert_eq!(rendered, read(&format!("kubernetes/{file}")), "run deploy/kubernetes/render");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

/// Two containers of a cluster, each with the script of the image: the program that it finds is ours.
fn container(dir: &Path, process: &str, hosts: &Path, more: &[&str]) -> Crest {
    let bin = dir.join("bin");
    if !bin.exists() {
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_crest"), bin.join("crest")).unwrap();
    }
    let found = format!("PATH={}:{}", path(&bin), std::env::var("PATH").unwrap());
    let script = deploy("image/crest-together");
    // The harness puts the program after these words; the script has no use for it.
    let drop_first = "script=$1; shift 2; exec \"$script\" \"$@\"";
    let by = ["env", &found, "bash", "-c", drop_first, "-", path(&script)].map(str::to_owned);
    let arguments = [&["-n", "2", "-p", process, "--hostfile", path(hosts), "--demo"], more].concat();
    Crest::spawn_by(&by, arguments)
}

/// The process of the program that a script has started.
fn child(script: &Crest) -> Option<u32> {
    let children = format!("/proc/{0}/task/{0}/children", script.id());
    let children = std::fs::read_to_string(children).ok()?;
    let mut ids = children.split_whitespace().filter_map(|id| id.parse::<u32>().ok());
    ids.find(|id| {
        let line = std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        line.starts_with("crest\0")
    })
}

/// Kubernetes stops one pod of a cluster, or one of its processes dies: all are started again, and meet. (Each script keeps
/// one process, as in a container of its own.)
#[test]
#[cfg(target_os = "linux")]
fn processes_in_containers_of_their_own_come_back_together() {
    let dir = new_folder("together");
    let hosts = dir.join("hosts.txt");
    std::fs::write(&hosts, format!("127.0.0.1:{}\n127.0.0.1:{}\n", free_port(), free_port())).unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let mut first = container(&dir, "0", &hosts, &["--http", &address]);
    let mut second = container(&dir, "1", &hosts, &["--http", "off"]);
    let web = Web::at(&format!("http://{address}"));
    let ready = || web.try_send("GET", "/readyz", &[], b"").is_ok_and(|answer| answer.status == 200);
    eventually("the cluster is ready", ready);

    let (before, victim) = (child(&first).unwrap(), child(&second).unwrap());
    assert!(Command::new("kill").args(["-KILL", &victim.to_string()]).status().unwrap().success());
    eventually("another one is ready", || ready() && child(&first).is_some_and(|id| id != before));

    // A pod is taken away: the other process ends without a failure, and waits for it to come back.
    let before = child(&first).unwrap();
    second.sigterm();
    assert!(second.wait(std::time::Duration::from_secs(30)).success());
    eventually("the first was started again", || child(&first).is_some_and(|id| id != before));
    let mut second = container(&dir, "1", &hosts, &["--http", "off"]);
    eventually("it has come back", ready);
    for script in [&mut first, &mut second] {
        script.sigterm();
    }
    for script in [&mut first, &mut second] {
        assert!(script.wait(std::time::Duration::from_secs(30)).success(), "{}", script.describe());
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_first_start_that_is_refused_is_left_to_kubernetes() {
    let dir = new_folder("together-refused");
    let hosts = dir.join("hosts.txt");
    std::fs::write(&hosts, "127.0.0.1:1\n").unwrap();
    let mut script = container(&dir, "0", &hosts, &[]);
    assert_eq!(script.wait(std::time::Duration::from_secs(30)).code(), Some(2));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn the_healthcheck_of_the_image_asks_the_program() {
    let address = format!("127.0.0.1:{}", free_port());
    let health = |path: &str| {
        let mut command = Command::new(deploy("image/crest-health"));
        command.arg(path).env("CREST_HTTP", &address).stderr(Stdio::null()).status().unwrap().success()
    };
    assert!(!health("/healthz"), "nobody is there");
    let mut crest = Crest::spawn(["--demo", "--http", &address]);
    eventually("it is well", || health("/healthz"));
    eventually("it is ready", || health("/readyz"));
    assert!(!health("/nowhere"));
    crest.kill();
    assert!(!health("/healthz"));
}

/// Each process of a cluster tells of all workers, so that a sum over several would count them several times.
#[test]
fn one_process_of_a_cluster_tells_of_all_workers() {
    let mut cluster = Cluster::spawn(2, &["--demo", "-w", "2", "--http", "127.0.0.1:0"]);
    for crest in &mut cluster.processes {
        let web = Web::of(crest);
        let workers =
            |text: &str| text.lines().filter(|line| line.starts_with("crest_records_total{")).count();
        eventually("all four are there", || workers(&web.get("/metrics").1) == 4);
    }
}

//! Namespaces of the system, in which a test runs again: network, mounts and processes of its own, so that its links
//! can be cut, its disk be full, and nothing of it outlives it.

use super::common::program::leashed;
use super::common::{eventually, skip};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Set in the test that runs inside.
const INSIDE: &str = "CREST_CHAOS_INSIDE";

/// Whether this process is the one inside.
pub fn inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// `unshare`, as root or as a user who becomes root in a namespace of users. The first process inside is a shell, which
/// reaps what is left to it. It ends with the thread that starts it.
fn unshared(script: &str) -> Command {
    let mut command = leashed("unshare");
    // A user's path may lack what root has.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", path + ":/usr/sbin:/sbin");
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if !root {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    command.args(["bash", "-c", script, "bash"]).stdin(Stdio::null());
    command
}

/// What this machine lacks for namespaces with links; `None` where it has all.
pub fn lacking() -> Option<String> {
    let script =
        "set -e; mount -t tmpfs none /run; iptables=$(command -v iptables-legacy || command -v iptables)
        ip link add probe type bridge; ip netns add probe; ip link add one type veth peer name two netns probe
        tc qdisc add dev one root handle 1: htb default 1
        $iptables -A INPUT -p tcp -m statistic --mode random --probability 0.5 -j DROP";
    match unshared(script).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("unshare: {error}")),
    }
}

#[test]
fn what_runs_inside_ends_with_who_started_it() {
    if let Some(why) = lacking() {
        return skip("the end of namespaces", &why);
    }
    let starter = std::thread::spawn(|| {
        let begun = "echo begun; exec sleep 600 >/dev/null 2>&1";
        let mut child = unshared(begun).stdout(Stdio::piped()).spawn().unwrap();
        // It asks to end with this thread only once it runs.
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "begun\n");
        child
    });
    let mut child = starter.join().unwrap();
    eventually("it has ended", || child.try_wait().unwrap().is_some());
}

/// Runs the test of this name inside, with what it says shown.
pub fn run_inside(test: &str) {
    let program = std::env::current_exe().unwrap();
    let status = unshared("\"$@\"; exit $?")
        .arg(program)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        // A machine may be busy with other things.
        .env("CREST_START_SECONDS", "1200")
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{test}: {status}, see above");
}

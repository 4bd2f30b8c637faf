//! The network of a chaos run: a namespace for each process of the cluster, linked to the one of the test, where Kafka
//! and Redis are. A link can be cut, lossy or slow, each way by itself.

use super::namespaces;
use std::process::Command;

/// Where Kafka and Redis are.
const HUB: &str = "10.77.0.1";
const LOOPBACK: &str = "127.0.0.1";

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// A process of the cluster.
    Process(usize),
    /// A server of this name at a port of the hub.
    Server(&'static str, u16),
}

impl End {
    fn address(self) -> String {
        match self {
            End::Process(number) => format!("10.77.0.{}", 10 + number),
            End::Server(..) => HUB.into(),
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Process(number) => write!(f, "process {number}"),
            End::Server(name, _) => f.write_str(name),
        }
    }
}

/// The links. Without namespaces there are none, and all is on loopback.
pub struct Net {
    processes: usize,
    linked: bool,
    iptables: &'static str,
    /// The last class of traffic that was made slow.
    classes: usize,
}

impl Net {
    /// Makes the namespaces of so many processes, where this test runs in one of its own.
    pub fn new(processes: usize) -> Net {
        let found = Command::new("iptables-legacy").arg("--version").output().is_ok();
        let iptables = if found { "iptables-legacy" } else { "iptables" };
        let net = Net { processes, linked: namespaces::inside(), iptables, classes: 1 };
        if net.linked {
            // The names of namespaces, and the lock of iptables.
            run("mount -t tmpfs none /run");
            run("ip link set lo up");
            run("ip link add hub type bridge");
            run(&format!("ip addr add {HUB}/24 dev hub"));
            run("ip link set hub up");
            (0..processes).for_each(link);
        }
        net
    }

    /// Where the servers listen.
    pub fn hub(&self) -> &'static str {
        if self.linked { HUB } else { LOOPBACK }
    }

    /// The address of a process.
    pub fn address(&self, process: usize) -> String {
        if self.linked { End::Process(process).address() } else { LOOPBACK.into() }
    }

    /// What is put before the command of process `$4`, for a shell.
    pub fn prefix(&self) -> &'static str {
        if self.linked { "ip netns exec \"crest-$4\" " } else { "" }
    }

    /// Loses packets one way, with this probability.
    pub fn lose(&self, from: End, to: End, probability: f64) {
        let port = match (from, to) {
            (End::Server(_, port), _) => format!("--sport {port}"),
            (_, End::Server(_, port)) => format!("--dport {port}"),
            _ => String::new(),
        };
        let chance = match probability {
            1.0 => String::new(),
            part => format!("-m statistic --mode random --probability {part:.2}"),
        };
        let (at, iptables, source) = (at(to), self.iptables, from.address());
        run(&format!("{at}{iptables} -A INPUT -s {source} -p tcp {port} {chance} -j DROP"));
    }

    /// Lets so many kbit a second through, one way. What does not fit waits in a long queue.
    pub fn slow(&mut self, from: End, to: End, kbit: u32) {
        self.classes += 1;
        let (class, target) = (self.classes, to.address());
        let (device, port) = match (from, to) {
            (End::Server(_, port), End::Process(number)) => {
                (format!("to{number}"), format!("match ip sport {port} 0xffff"))
            }
            (_, End::Server(_, port)) => ("eth0".into(), format!("match ip dport {port} 0xffff")),
            _ => ("eth0".into(), String::new()),
        };
        let at = at(from);
        // The first rule of a device brings its queue.
        if attempt(&format!("{at}tc qdisc add dev {device} root handle 1: htb default 1")) {
            run(&format!(
                "{at}tc class add dev {device} parent 1: classid 1:1 htb rate 10gbit quantum 60000"
            ));
        }
        run(&format!("{at}tc class add dev {device} parent 1: classid 1:{class} htb rate {kbit}kbit"));
        run(&format!(
            "{at}tc filter add dev {device} parent 1: protocol ip u32 match ip dst {target} {port} flowid 1:{class}"
        ));
    }

    /// Makes all links good again.
    pub fn heal(&mut self) {
        if !self.linked {
            return;
        }
        let iptables = self.iptables;
        run(&format!("{iptables} -F INPUT"));
        for number in 0..self.processes {
            let at = at(End::Process(number));
            run(&format!("{at}{iptables} -F INPUT"));
            attempt(&format!("{at}tc qdisc del dev eth0 root"));
            attempt(&format!("tc qdisc del dev to{number} root"));
        }
        self.classes = 1;
    }
}

/// Links a new namespace to the hub.
fn link(number: usize) {
    let address = End::Process(number).address();
    run(&format!("ip netns add crest-{number}"));
    run(&format!("ip link add to{number} type veth peer name eth0 netns crest-{number}"));
    run(&format!("ip link set to{number} master hub up"));
    run(&format!("ip -n crest-{number} addr add {address}/24 dev eth0"));
    run(&format!("ip -n crest-{number} link set eth0 up"));
    run(&format!("ip -n crest-{number} link set lo up"));
}

/// What is put before a command that is for one end.
fn at(end: End) -> String {
    match end {
        End::Process(number) => format!("ip netns exec crest-{number} "),
        End::Server(..) => String::new(),
    }
}

fn attempt(command: &str) -> bool {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output();
    output.is_ok_and(|output| output.status.success())
}

fn run(command: &str) {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

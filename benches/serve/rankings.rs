//! `GET /top-k` of ten rows against `ZREVRANGE` of the same ten from a bare Redis.

use crate::client::{self, Client, get};
use crate::figures::note;
use crate::server::{Server, free_port, until};
use std::process::{Command, Stdio};
use std::time::Duration;

const PATH: &str = "/top-k?window=last_1m&k=10";
const CONNECTIONS: u32 = 16;

pub fn measure(length: Duration) {
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let redis = Server::start(
        Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--bind", "127.0.0.1"])
            .current_dir(folder.path()),
    );
    until("redis-server", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let url = format!("redis://127.0.0.1:{port}/0");
    let (crest, address) = Server::crest(&["--demo", "--snapshots", &url]);
    until("a ranking", || Client::connect(&address).ask(&get(PATH)) == 200);
    println!("GET {PATH} ({CONNECTIONS} connections, while the demo's job runs)");
    for rate in [1000, 10_000] {
        let times = client::on_schedule(&address, PATH, rate, CONNECTIONS, length);
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e6;
        println!(
            "  {rate:>6} requests/s: p50 {:.0} us, p99 {:.0} us, p99.9 {:.0} us, {} answered (goal: p99 under 1000 us)",
            at(0.5),
            at(0.99),
            at(0.999),
            times.len()
        );
        note(&format!("GET of ten rows at {rate}/s, p99"), at(0.99) / 1e3, "ms", "1 ms");
    }
    let web = |name: &str| name == "http";
    let before = crest.cpu(web);
    let asked = client::in_rounds(&address, CONNECTIONS, length, &get(PATH));
    let a_core = asked as f64 / (crest.cpu(web) - before);
    println!("  flat out: {:.0} requests/s, {a_core:.0} a core", asked as f64 / length.as_secs_f64());
    let (rate, redis_core) = zrevrange(&redis, port, asked);
    println!(
        "ZREVRANGE topk:last_1m 0 9 WITHSCORES (redis-benchmark, {CONNECTIONS} connections, no pipeline)"
    );
    println!("  flat out: {rate:.0} requests/s, {redis_core:.0} a core");
    println!("  Crest to Redis, requests/s a core: {:.2} (goal: over 1)", a_core / redis_core);
    note("GET of ten rows", a_core / 1e3, "thousand requests/s a core", "");
    note("GET of ten rows against ZREVRANGE", a_core / redis_core, "times Redis' requests/s a core", "1");
}

/// Requests a second, and those a second of Redis' own CPU time.
fn zrevrange(redis: &Server, port: u16, requests: u64) -> (f64, f64) {
    let before = redis.cpu(|_| true);
    let output = Command::new("redis-benchmark")
        .args(["-p", &port.to_string(), "-n", &requests.to_string(), "-c", &CONNECTIONS.to_string(), "--csv"])
        .args(["ZREVRANGE", "topk:last_1m", "0", "9", "WITHSCORES"])
        .stderr(Stdio::inherit())
        .output()
        .expect("redis-benchmark is installed");
    let cpu = redis.cpu(|_| true) - before;
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().last().expect("a line of figures");
    let rate =
        line.rsplit("\",\"").nth(6).or_else(|| line.split(',').nth(1)).unwrap().trim_matches('"').parse();
    (rate.expect("requests a second"), requests as f64 / cpu)
}

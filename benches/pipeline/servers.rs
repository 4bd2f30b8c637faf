//! A local Kafka and a local Redis.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A broker and a Redis, stopped when dropped.
pub struct Servers {
    dir: PathBuf,
    pub kafka_port: u16,
    pub redis_port: u16,
}

fn script(name: &str) -> Command {
    Command::new(format!("{}/scripts/{name}", env!("CARGO_MANIFEST_DIR")))
}

/// A port of this machine that nobody listens on.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Servers {
    pub fn start(dir: &Path) -> Self {
        let servers = Servers { dir: dir.join("servers"), kafka_port: free_port(), redis_port: free_port() };
        for (name, port) in [("kafka", servers.kafka_port), ("redis", servers.redis_port)] {
            let dir = servers.dir.join(name);
            let status =
                script(name).args(["start", "--port", &port.to_string(), "--dir"]).arg(&dir).status();
            assert!(status.unwrap().success(), "{name} does not start");
        }
        servers
    }

    pub fn url(&self, topic: &str) -> String {
        format!("kafka://127.0.0.1:{}/{topic}", self.kafka_port)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for name in ["kafka", "redis"] {
            let _ = script(name).args(["kill", "--dir"]).arg(self.dir.join(name)).status();
        }
    }
}

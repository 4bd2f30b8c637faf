//! Clusters whose processes speak TLS to each other.

use super::*;
use crate::common::authority::Authority;
use std::net::{Shutdown, TcpListener};
use std::sync::mpsc::{Receiver, channel};

/// The options that name these files.
fn options([certificate, key, authority]: &[PathBuf; 3]) -> [&str; 6] {
    let [certificate, key, authority] = [certificate, key, authority].map(|file| path(file));
    ["--cluster-tls-certificate", certificate, "--cluster-tls-key", key, "--cluster-tls-authority", authority]
}

/// Passes on what is said between those who call `from` and the one who listens at `to`; all that was said, by either end,
/// of each connection once it is over.
fn overhear(from: &str, to: String) -> Receiver<Vec<u8>> {
    let (listener, (tell, heard)) = (TcpListener::bind(from).unwrap(), channel());
    std::thread::spawn(move || {
        for caller in listener.incoming().map_while(Result::ok) {
            // One that calls too early calls again.
            let Ok(answerer) = TcpStream::connect(&to) else { continue };
            let ends = [(&caller, &answerer), (&answerer, &caller)];
            let ways = ends.map(|(from, to)| (from.try_clone().unwrap(), to.try_clone().unwrap()));
            let ways = ways.map(|(mut from, mut to)| {
                std::thread::spawn(move || {
                    let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
                    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
                        said.extend_from_slice(&buffer[..bytes]);
                        let _ = to.write_all(&buffer[..bytes]);
                    }
                    let _ = to.shutdown(Shutdown::Write);
                    said
                })
            });
            let tell = tell.clone();
            std::thread::spawn(move || tell.send(ways.map(|way| way.join().unwrap()).concat()));
        }
    });
    heard
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_cluster_with_tls_counts_the_same_and_says_nothing_that_others_can_read() {
    let (dir, authority) = (new_folder("tls"), Authority::new());
    let logs = Traffic { events: 4000, ..Traffic::default() }.logs(2);
    let (source, item) = (write_files(&dir, &logs), logs[0][0].item.clone());
    let files = authority.sign(&dir, "127.0.0.1");
    for tls in [false, true] {
        let (ours, theirs) = (hostfile(2), hostfile(2));
        // Process 1 reaches process 0 through the ear.
        let own = std::fs::read_to_string(&ours).unwrap().lines().nth(1).unwrap().to_owned();
        let ear = address(&theirs, 0);
        std::fs::write(&theirs, format!("{ear}\n{own}\n")).unwrap();
        let heard = overhear(&ear, address(&ours, 0));
        let mut job = vec!["--source", &source];
        job.extend(options(&files).iter().filter(|_| tls));
        let (first, second) = (process(&ours, 2, 0, &job), process(&theirs, 2, 1, &job));
        assert_same(&first.finals(), &Recount::new(&Rules::default(), &logs).finals());
        assert_eq!(second.final_text(), "");
        let said: Vec<u8> = heard.recv_timeout(PATIENCE).unwrap();
        // What is heard where there is no TLS shows that there is something to hear.
        assert!(said.len() > 4000, "{}", said.len());
        for text in ["crest-hs", "board", &item] {
            assert_eq!(holds(&said, text), !tls, "{text:?}, with TLS: {tls}");
        }
    }
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn a_process_with_a_certificate_of_another_authority_is_named_and_the_right_one_is_still_waited_for() {
    let (dir, hosts) = (new_folder("authorities"), hostfile(2));
    let logs = Traffic { events: 2000, ..Traffic::default() }.logs(2);
    let source = write_files(&dir, &logs);
    let ours = Authority::new();
    let [first, right] = ["first", "right"].map(|name| ours.sign(&dir.join(name), "127.0.0.1"));
    let mut wrong = Authority::new().sign(&dir.join("wrong"), "127.0.0.1");
    // It trusts process 0, which does not trust it.
    wrong[2] = first[2].clone();
    let job = |files| [&["--source", source.as_str()][..], &options(files)].concat();
    let mut waiting = process(&hosts, 2, 0, &job(&first));
    let mut other = process(&hosts, 2, 1, &job(&wrong));
    let line = waiting.until_logged("dropped a caller at 127.0.0.1:");
    assert!(line.contains("which has a certificate of another authority"), "{line}");
    let line = other.until_logged("was to be process 0");
    assert!(line.contains("does not accept this process's certificate"), "{line}");
    other.sigterm();
    assert!(other.wait(PATIENCE).success() && waiting.running(), "{}", other.describe());
    let second = process(&hosts, 2, 1, &job(&right));
    assert_same(&waiting.finals(), &Recount::new(&Rules::default(), &logs).finals());
    assert_eq!(second.final_text(), "");
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn a_process_that_is_killed_is_noticed_through_tls() {
    let dir = new_folder("killed");
    let files = Authority::new().sign(&dir, "127.0.0.1");
    let mut cluster = demo(2, &options(&files));
    cluster.processes[1].kill();
    let message = cluster.processes.remove(0).failure();
    assert!(message.contains("crest: lost the connection to"), "{message}");
    let _ = std::fs::remove_dir_all(dir);
}

//! Strangers at the cluster's door: whatever they send, however many they are and wherever they sit, those who belong meet,
//! and nobody else is told anything.

use super::*;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const SECRET: &str = "known to all processes of this cluster";
/// A frame of the proof: magic, version, kind, index, value.
const FRAME_BYTES: usize = 49;

fn start_secret(addresses: &[String], process: usize) -> Joining {
    let shape = secret_shape(addresses, process, SECRET);
    let hello = hello(&shape);
    start(shape, hello)
}

/// The frame with which a caller begins.
fn opening(index: u32) -> Vec<u8> {
    [b"crest-hs\0\0\0\x04\x01", &index.to_be_bytes()[..], &[7; 32]].concat()
}

fn proof_of_nothing(index: u32) -> Vec<u8> {
    [b"crest-hs\0\0\0\x04\x02", &index.to_be_bytes()[..], &[9; 32]].concat()
}

/// All that is said to one who says `bytes` and no more.
fn answer_to(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connected(address);
    // Who is dropped meanwhile need not hear the rest.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn strangers_end_nothing_and_learn_nothing() {
    let addresses = addresses(2);
    let first = start_secret(&addresses, 0);
    let silent: Vec<TcpStream> = (0..3).map(|_| connected(&addresses[0])).collect();
    let begun = silent[0].try_clone().unwrap();
    (&begun).write_all(b"crest-hs").unwrap();
    for bytes in [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        vec![0xff; 1 << 16],
        // These sixteen bytes ended a start once, and those of any other version did.
        b"crest-hs\0\0\0\x09\0\0\0\0".to_vec(),
        b"crest-hs\0\0\0\x03\xff\xff\xff\xff".to_vec(),
        // A message before the proof.
        b"crest-hs\0\0\0\x04\0\0\0\x02{}".to_vec(),
        proof_of_nothing(1),
        Vec::new(),
    ] {
        assert_eq!(answer_to(&addresses[0], &bytes), b"", "{bytes:?}");
    }
    let answer = answer_to(&addresses[0], &opening(1));
    assert_eq!(answer.len(), FRAME_BYTES, "a nonce and nothing else");
    let answer = answer_to(&addresses[0], &[opening(1), proof_of_nothing(1)].concat());
    assert_eq!(answer.len(), 2 * FRAME_BYTES);
    assert_eq!(answer[FRAME_BYTES..][12..], [&[3, 0, 0, 0, 0][..], &[0; 32]].concat(), "a refusal");
    complete(vec![first, start_secret(&addresses, 1)]);
    drop(silent);
}

/// Passes what is said between the one who calls `at` and the one who listens at `to` on, and notes what the caller said.
fn eavesdrop(at: &str, to: &str) -> JoinHandle<Vec<u8>> {
    let (listener, to) = (TcpListener::bind(at).unwrap(), to.to_owned());
    std::thread::spawn(move || {
        let (mut caller, answerer) = (listener.accept().unwrap().0, connected(&to));
        let (mut back, mut from) = (caller.try_clone().unwrap(), answerer.try_clone().unwrap());
        let returning = std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut back);
            let _ = back.shutdown(Shutdown::Both);
        });
        let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(bytes @ 1..) = caller.read(&mut buffer) {
            heard.extend_from_slice(&buffer[..bytes]);
            if (&answerer).write_all(&buffer[..bytes]).is_err() {
                break;
            }
        }
        let _ = answerer.shutdown(Shutdown::Both);
        returning.join().unwrap();
        heard
    })
}

#[test]
fn what_was_heard_at_one_meeting_opens_no_other() {
    let mut addresses = addresses(3);
    let ear = addresses.pop().unwrap();
    let passing = eavesdrop(&ear, &addresses[0]);
    let overheard = [ear, addresses[1].clone()];
    complete(vec![start_secret(&addresses, 0), start_secret(&overheard, 1)]);
    let heard = passing.join().unwrap();
    assert!(heard.len() > 2 * FRAME_BYTES, "all that the caller said");

    let first = start_secret(&addresses, 0);
    let answer = answer_to(&addresses[0], &heard);
    assert_eq!(answer.len(), 2 * FRAME_BYTES, "a nonce, and that the proof is not one for it");
    complete(vec![first, start_secret(&addresses, 1)]);
}

#[test]
fn another_secret_is_named_at_the_deadline_and_ends_nothing_before() {
    let of = |index, secret: &str, addresses: &[String]| match secret {
        "" => shape(addresses, index),
        secret => secret_shape(addresses, index, secret),
    };
    let wait = |shape: ClusterShape| {
        std::thread::spawn(move || join(&shape, hello(&shape), Duration::from_secs(2), || false))
    };
    let cases = [(SECRET, "of another cluster, maybe"), (SECRET, ""), ("", SECRET)];
    let waiting = cases.map(|(ours, theirs)| {
        let [first, second] = <[String; 2]>::try_from(addresses(2)).unwrap();
        let addresses = [first.clone(), second.clone()];
        [(wait(of(0, ours, &addresses)), second), (wait(of(1, theirs, &addresses)), first)]
    });
    for (joining, address) in waiting.into_iter().flatten() {
        let error = joining.join().unwrap().unwrap_err();
        assert_eq!(error.cause(), Cause::Failure, "it may be a stranger who brings it about");
        let text = error.to_string();
        assert!(text.contains(&address), "{text}");
        assert!(text.ends_with("(what was met in its place has another secret than this process)"), "{text}");
        assert!(!text.contains(SECRET) && !text.contains("of another"), "{text}");
    }
}

#[test]
fn one_that_calls_itself_a_process_and_does_not_know_the_secret_takes_no_place() {
    let addresses = addresses(2);
    let first = start_secret(&addresses, 0);
    for secret in ["", "not the secret of this cluster"] {
        let stream = connected(&addresses[0]);
        let proved = proof::call(&stream, secret.as_bytes(), 1, proof::nonce().unwrap());
        assert!(matches!(proved, Err(proof::ProofError::Refused)), "{proved:?}");
    }
    complete(vec![first, start_secret(&addresses, 1)]);
}

#[test]
fn a_stranger_that_sits_on_a_port_of_the_cluster_ends_nothing() {
    let addresses = addresses(2);
    let sitting = TcpListener::bind(&addresses[0]).unwrap();
    let second = start_secret(&addresses, 1);
    let nonce = opening(0);
    for answer in [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        b"crest-hs\0\0\0\x09\0\0\0\0".to_vec(),
        [&nonce[..], &proof_of_nothing(0)].concat(),
        [&nonce[..], b"crest-hs\0\0\0\x04\x03\0\0\0\0", &[0; 32]].concat(),
        Vec::new(),
    ] {
        let mut caller = sitting.accept().unwrap().0;
        caller.write_all(&answer).unwrap();
        let _ = caller.shutdown(Shutdown::Write);
        let mut told = Vec::new();
        let _ = caller.read_to_end(&mut told);
        // A nonce, and a proof that is good for the stranger's nonce alone.
        assert!(told.len() <= 2 * FRAME_BYTES, "{told:?}");
    }
    drop(sitting);
    complete(vec![start_secret(&addresses, 0), second]);
}

#[test]
fn a_crowd_that_never_leaves_keeps_nobody_out() {
    let addresses = addresses(3);
    let (first, over) = (start_secret(&addresses, 0), Arc::new(AtomicBool::new(false)));
    let (at, done) = (addresses[0].clone(), over.clone());
    let (tell, there) = channel();
    let crowd = std::thread::spawn(move || {
        let mut crowd: Vec<TcpStream> = Vec::new();
        // On a busy machine it may be a while before anybody listens.
        while TcpStream::connect(&at).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
        while !done.load(Ordering::Acquire) {
            crowd.retain(|stream| wire::pulse(stream) != wire::Pulse::Gone);
            while crowd.len() < 200 {
                // When all have met, nobody listens any more.
                let Ok(stream) = TcpStream::connect(&at) else { return };
                crowd.push(stream);
            }
            let _ = tell.send(());
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    there.recv().unwrap();
    complete(vec![first, start_secret(&addresses, 1), start_secret(&addresses, 2)]);
    over.store(true, Ordering::Release);
    crowd.join().unwrap();
}

//! What an outbox does with a receiver that fails, refuses and is slow.

use super::*;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Does with each message what it is told to, and tells of those that it delivered.
struct Scripted {
    fates: Receiver<Fate>,
    delivered: Sender<String>,
}

enum Fate {
    Taken,
    Refused,
    Failed,
}

impl Courier for Scripted {
    fn deliver(&mut self, messages: &[Arc<Message>], _: &Link<'_>) -> Delivery {
        let mut delivery = Delivery::default();
        match self.fates.recv() {
            Ok(Fate::Taken) => self.delivered.send(messages[0].id.clone()).unwrap(),
            Ok(Fate::Refused) => delivery.refused = 1,
            Ok(Fate::Failed) => {
                let trouble = Trouble { reason: "it fails".into(), pause: Some(Duration::ZERO) };
                return Delivery { trouble: Some(trouble), ..delivery };
            }
            Err(_) => return delivery,
        }
        Delivery { done: 1, ..delivery }
    }
}

fn outbox() -> (Arc<Outbox>, Sender<Fate>, Receiver<String>) {
    let ((tell, fates), (delivered, hear)) = (channel(), channel());
    let outbox = Outbox::start("test:", &["a".into()], Scripted { fates, delivered }).unwrap();
    (outbox, tell, hear)
}

fn message(id: &str, bytes: usize) -> Message {
    Message { id: id.into(), key: "key".into(), body: vec![b'x'; bytes] }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

#[test]
fn messages_are_delivered_in_order_whatever_fails_in_between() {
    let (outbox, tell, hear) = outbox();
    for (end, id) in [(10, "1"), (20, "2"), (30, "3"), (40, "4")] {
        outbox.push(message(id, 10));
        outbox.complete("a", end);
    }
    for fate in [Fate::Failed, Fate::Taken, Fate::Failed, Fate::Failed] {
        tell.send(fate).unwrap();
    }
    assert_eq!(hear.recv().unwrap(), "1");
    assert!(outbox.flush(Instant::now()).is_err());
    for fate in [Fate::Taken, Fate::Refused, Fate::Taken] {
        tell.send(fate).unwrap();
    }
    outbox.flush(soon()).unwrap();
    assert_eq!(hear.try_iter().collect::<Vec<_>>(), ["2", "4"]);
    assert_eq!(outbox.delivered(), 40);
    let stats = outbox.stats();
    assert_eq!((stats.delivered, stats.refused, stats.failures), (3, 1, 3));
    assert_eq!((stats.pending, stats.pending_bytes), (0, 0));
    outbox.close(soon());
}

#[test]
fn a_receiver_that_refuses_all_is_in_trouble_until_it_takes_something() {
    let (outbox, tell, _hear) = outbox();
    for (id, fate) in [("1", Fate::Failed), ("1", Fate::Refused), ("2", Fate::Refused)] {
        if !matches!(fate, Fate::Failed) {
            outbox.push(message(id, 10));
        }
        tell.send(fate).unwrap();
    }
    outbox.flush(soon()).unwrap();
    assert!(outbox.trouble().unwrap().contains("of which 2 are lost"), "{:?}", outbox.trouble());
    outbox.push(message("3", 10));
    tell.send(Fate::Taken).unwrap();
    outbox.flush(soon()).unwrap();
    assert_eq!(outbox.trouble(), None);
    outbox.close(soon());
}

#[test]
fn what_is_not_delivered_is_not_told_as_delivered_and_why_is_said() {
    let (outbox, tell, hear) = outbox();
    outbox.push(message("1", 10));
    outbox.complete("a", 10);
    outbox.push(message("2", 10));
    outbox.complete("a", 20);
    tell.send(Fate::Taken).unwrap();
    assert_eq!(hear.recv().unwrap(), "1");
    tell.send(Fate::Failed).unwrap();
    while outbox.trouble().is_none() {
        std::thread::yield_now();
    }
    assert_eq!(outbox.delivered(), 10);
    assert!(outbox.trouble().unwrap().contains("test:: 1 messages wait: it fails"));
    let error = outbox.flush(Instant::now()).unwrap_err().to_string();
    assert!(error.contains("1 messages could not be delivered: it fails"), "{error}");
    tell.send(Fate::Taken).unwrap();
    outbox.flush(soon()).unwrap();
    assert_eq!(outbox.delivered(), 20);
    assert!(!outbox.stats().disconnected);
}

#[test]
fn too_much_that_waits_is_no_longer_asked_for() {
    let (outbox, tell, _hear) = outbox();
    let mut pushed = 0;
    while outbox.is_ready() {
        outbox.push(message("x", 1 << 20));
        pushed += 1;
        assert!(pushed <= MAX_WAITING_BYTES >> 20, "more waits than may");
    }
    (0..pushed).for_each(|_| tell.send(Fate::Taken).unwrap());
    outbox.flush(soon()).unwrap();
    assert!(outbox.is_ready());
}

//! What the container promises: a message comes out as it went in, damage comes out as an error, and neither
//! costs timely a record. Through real exchanges, serialising ones included.

use std::sync::{Arc, Mutex};

use timely::CommunicationConfig;
use timely::bytes::arc::BytesMut;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::vec::ToStream;
use timely::dataflow::operators::{Inspect, Operator};

use super::*;

/// As many bytes as its number says. One number is refused by whoever has to read it.
#[derive(Clone, Debug, PartialEq)]
struct Parcel {
    number: u64,
    label: Vec<u8>,
}

const REFUSED: u64 = 13;

impl Framed for Parcel {
    fn to_body(&self) -> Body {
        Body { words: vec![self.number], halves: Vec::new(), bytes: self.label.clone() }
    }

    fn from_body(body: Body) -> Result<Self, FrameError> {
        match body.words[..] {
            [number] if number != REFUSED => Ok(Self { number, label: body.bytes }),
            _ => Err(refusal(&body.words)),
        }
    }
}

fn refusal(words: &[u64]) -> FrameError {
    FrameError::Message(format!("a parcel of {words:?}"))
}

fn parcel(number: u64) -> Parcel {
    Parcel { number, label: vec![b'p'; number as usize] }
}

fn sent(frames: &Frames<Parcel>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames.into_bytes(&mut bytes);
    assert_eq!(bytes.len(), frames.length_in_bytes());
    assert_eq!(bytes.len() % 8, 0, "the next message would be misaligned");
    bytes
}

fn received(bytes: Vec<u8>) -> Frames<Parcel> {
    Frames::from_bytes(BytesMut::from(bytes).freeze())
}

#[test]
fn a_container_keeps_its_record_whatever_happens_to_its_bytes() {
    let mut frames = Frames::default();
    assert_eq!((frames.record_count(), sent(&frames).len()), (0, 0));
    assert_eq!(received(Vec::new()).record_count(), 0);

    frames.push_into(parcel(3));
    let good = sent(&frames);
    let mut arrived = received(good.clone());
    assert_eq!(arrived.record_count(), 1);
    assert_eq!(arrived.drain().collect::<Vec<_>>(), [Ok(parcel(3))]);
    assert_eq!(arrived.record_count(), 0);

    let mut bad = good;
    bad[70] ^= 1;
    let mut damaged = received(bad);
    assert_eq!(damaged.record_count(), 1);
    // Sent on, damage stays damage, and stays one record.
    let mut again = received(sent(&damaged));
    assert_eq!(again.record_count(), 1);
    assert!(matches!(damaged.drain().next(), Some(Err(FrameError::Checksum { .. }))));
    assert!(matches!(again.drain().next(), Some(Err(FrameError::Short { .. }))));
}

#[test]
fn a_container_frames_what_is_in_it_now() {
    let mut frames = Frames::default();
    for number in [1, 2] {
        frames.push_into(parcel(number));
        assert_eq!(received(sent(&frames)).drain().next(), Some(Ok(parcel(number))));
        assert_eq!(frames.drain().next(), Some(Ok(parcel(number))));
    }
}

/// Every worker sends the parcels 0 to 39 to the workers that their numbers name; what each worker's operator
/// got, in order of number. The dataflow must end by itself: it does only if every record was accounted for.
fn exchanged(
    communication: CommunicationConfig,
    workers: usize,
) -> Vec<Vec<(u64, Result<Parcel, FrameError>)>> {
    let got = Arc::new(Mutex::new(vec![Vec::new(); workers]));
    let into = Arc::clone(&got);
    let config = timely::Config { communication, worker: timely::WorkerConfig::default() };
    let guards = timely::execute(config, move |worker| {
        let (index, into) = (worker.index(), Arc::clone(&into));
        worker.dataflow::<u64, _, _>(|scope| {
            (0..40u64)
                .to_stream(scope)
                .unary::<CapacityContainerBuilder<Frames<Parcel>>, _, _, _>(Pipeline, "Wrap", |_, _| {
                    |input, output| {
                        input.for_each(|cap, numbers| {
                            let mut session = output.session(&cap);
                            numbers.drain(..).for_each(|number| session.give(parcel(number)));
                        });
                    }
                })
                .unary::<CapacityContainerBuilder<Vec<_>>, _, _, _>(
                    Frames::exchange(|parcel: &Parcel| parcel.number),
                    "Unwrap",
                    |_, _| {
                        |input, output| {
                            input.for_each(|cap, frames| {
                                output.session(&cap).give_iterator(frames.drain());
                            });
                        }
                    },
                )
                .inspect(move |item| {
                    let number = item.as_ref().map_or(REFUSED, |parcel| parcel.number);
                    into.lock().unwrap()[index].push((number, item.clone()));
                });
        });
    });
    guards.unwrap().join().into_iter().for_each(|worker| worker.unwrap());
    let mut got = Arc::try_unwrap(got).unwrap().into_inner().unwrap();
    got.iter_mut().for_each(|worker| worker.sort_by_key(|(number, _)| *number));
    got
}

/// What `worker` of `workers` should have got, one of each from each worker; `framed` where it had to decode.
fn expected(worker: u64, workers: u64, framed: bool) -> Vec<(u64, Result<Parcel, FrameError>)> {
    (0..40)
        .filter(|number| number % workers == worker)
        .flat_map(|number| (0..workers).map(move |_| number))
        .map(|number| match number {
            REFUSED if framed => (number, Err(refusal(&[number]))),
            _ => (number, Ok(parcel(number))),
        })
        .collect()
}

fn check(communication: CommunicationConfig, workers: usize, framed: bool) {
    for (worker, got) in exchanged(communication, workers).into_iter().enumerate() {
        assert_eq!(got, expected(worker as u64, workers as u64, framed), "worker {worker} of {workers}");
    }
}

#[test]
fn serialising_workers_get_every_message_once_and_the_refused_as_errors() {
    check(CommunicationConfig::ProcessBinary(2), 2, true);
    check(CommunicationConfig::ProcessBinary(3), 3, true);
}

#[test]
fn threads_hand_over_the_messages_themselves() {
    check(CommunicationConfig::Process(2), 2, false);
    check(CommunicationConfig::Thread, 1, false);
}

//! What every kind of store must do.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crest_connectors::state::{Fault, StateError, StateStore};

use crate::s3_server::S3Server;

/// Runs a test over each kind of place. It is given what opens its place, as another process would.
fn everywhere(test: impl Fn(&(dyn Fn() -> StateStore + Sync))) {
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().join("deep/crest-data").display().to_string();
    test(&|| StateStore::open(&url, &BTreeMap::new()).unwrap());

    let server = S3Server::start();
    test(&|| StateStore::open(&server.url("some/prefix"), &server.options()).unwrap());
    // Without a prefix, too.
    let server = S3Server::start();
    test(&|| StateStore::open(&server.url(""), &server.options()).unwrap());
}

fn names(numbers: Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("panes/{:02}/{number:04}", number % 7)).collect()
}

fn listed(store: &StateStore, prefix: &str) -> Vec<String> {
    store.list(prefix).unwrap().into_iter().map(|object| object.name).collect()
}

#[test]
fn objects_come_back_as_they_were_put() {
    everywhere(|open| {
        let store = open();
        assert_eq!(store.get("panes/1").unwrap(), None);
        let large: Vec<u8> = (0..3_000_000_u32).map(|byte| (byte % 251) as u8).collect();
        for (name, bytes) in [("panes/1", b"one".to_vec()), ("empty", Vec::new()), ("large", large)] {
            store.put(name, bytes.clone()).unwrap();
            assert_eq!(open().get(name).unwrap(), Some(bytes), "{name}");
        }
        store.put("panes/1", b"again".to_vec()).unwrap();
        assert_eq!(store.get("panes/1").unwrap().as_deref(), Some(b"again".as_slice()));
    });
}

#[test]
fn many_objects_come_in_the_order_of_their_names() {
    everywhere(|open| {
        let store = open();
        let names = names(0..200);
        let objects = names.iter().map(|name| (name.clone(), name.repeat(50).into_bytes()));
        store.put_all(objects.collect()).unwrap();
        store.put_all(Vec::new()).unwrap();

        let mut wanted: Vec<String> = names.iter().rev().cloned().collect();
        wanted.insert(40, "panes/none".into());
        let mut found = Vec::new();
        let mut take = |name: &str, bytes: Option<Vec<u8>>| {
            let expected = (name != "panes/none").then(|| name.repeat(50).into_bytes());
            assert_eq!(bytes, expected, "{name}");
            found.push(name.to_owned());
            Ok::<(), StateError>(())
        };
        store.get_all(&wanted, &mut take).unwrap();
        store.get_all(&[], &mut take).unwrap();
        assert_eq!(found, wanted);
    });
}

#[test]
fn reading_stops_at_the_first_error_of_the_reader() {
    #[derive(Debug)]
    struct Stop(String);
    impl From<StateError> for Stop {
        fn from(error: StateError) -> Self {
            panic!("{error}");
        }
    }
    everywhere(|open| {
        let store = open();
        store.put_all(names(0..100).into_iter().map(|name| (name, vec![1])).collect()).unwrap();
        let mut seen = 0;
        let stopped = store.get_all(&names(0..100), |name, _| {
            seen += 1;
            if seen == 30 { Err(Stop(name.to_owned())) } else { Ok(()) }
        });
        assert_eq!(stopped.unwrap_err().0, names(0..100)[29]);
        assert_eq!(seen, 30);
    });
}

#[test]
fn a_list_holds_what_was_put_and_nothing_else() {
    everywhere(|open| {
        let store = open();
        assert_eq!(listed(&store, ""), [""; 0]);
        assert_eq!(listed(&store, "panes/"), [""; 0]);
        for name in ["panes/2", "panes/10", "panes-old/1", "rollups/1m/1", "pan"] {
            store.put(name, name.as_bytes().to_vec()).unwrap();
        }
        store.replace_manifest(b"a manifest".to_vec(), None).unwrap();
        assert_eq!(listed(&store, ""), ["pan", "panes-old/1", "panes/10", "panes/2", "rollups/1m/1"]);
        assert_eq!(listed(&store, "panes/"), ["panes/10", "panes/2"]);
        assert_eq!(listed(&store, "panes"), ["panes-old/1", "panes/10", "panes/2"]);
        assert_eq!(listed(&store, "panes/1"), ["panes/10"]);
        assert_eq!(listed(&store, "rollups/1m/"), ["rollups/1m/1"]);
        assert_eq!(listed(&store, "none/"), [""; 0]);
        assert_eq!(listed(&store, "../"), [""; 0]);

        let [object] = store.list("panes/2").unwrap().try_into().unwrap();
        assert_eq!(object.bytes, 7);
        // Later than this test was written, and no clock is years ahead.
        assert!((1_750_000_000_000..10_000_000_000_000).contains(&object.modified_ms), "{object:?}");
    });
}

#[test]
fn deleted_is_gone_and_what_is_missing_is_no_error() {
    everywhere(|open| {
        let store = open();
        store.put_all(names(0..30).into_iter().map(|name| (name, vec![1])).collect()).unwrap();
        let mut doomed = names(0..20);
        doomed.push("panes/none".into());
        doomed.push("no-such-folder/1".into());
        store.delete(&doomed).unwrap();
        store.delete(&doomed).unwrap();
        store.delete(&[]).unwrap();
        let mut left = names(20..30);
        left.sort();
        assert_eq!(listed(&store, ""), left);
        assert_eq!(store.get(&doomed[3]).unwrap(), None);
    });
}

#[test]
fn names_that_leave_the_store_are_refused() {
    everywhere(|open| {
        let store = open();
        for name in ["../a", "/etc/passwd", "a/../../b", "manifest.json", ""] {
            let owned = name.to_owned();
            let refusals = [
                store.put(name, vec![1]).err(),
                store.put_all(vec![("fine".into(), vec![1]), (owned.clone(), vec![1])]).err(),
                store.get(name).err(),
                store.get_all(std::slice::from_ref(&owned), |_, _| Ok::<(), StateError>(())).err(),
                store.delete(std::slice::from_ref(&owned)).err(),
            ];
            for refusal in refusals {
                assert!(
                    matches!(&refusal, Some(StateError::Name { name, .. }) if *name == owned),
                    "{refusal:?}"
                );
            }
        }
        assert_eq!(listed(&store, ""), [""; 0], "nothing was written");
    });
}

fn superseded(result: Result<crest_connectors::state::Version, StateError>) -> bool {
    matches!(result, Err(StateError::Superseded { .. }))
}

#[test]
fn the_manifest_is_replaced_by_who_knows_it() {
    everywhere(|open| {
        let (store, other) = (open(), open());
        assert_eq!(store.manifest().unwrap(), None);
        let first = store.replace_manifest(b"first".to_vec(), None).unwrap();
        assert!(superseded(other.replace_manifest(b"another first".to_vec(), None)));

        let seen = other.manifest().unwrap().unwrap();
        assert_eq!((seen.bytes.as_slice(), &seen.version), (b"first".as_slice(), &first));
        let second = other.replace_manifest(b"second".to_vec(), Some(&seen.version)).unwrap();
        assert_ne!(first, second);
        assert!(superseded(store.replace_manifest(b"late".to_vec(), Some(&first))));
        assert!(superseded(store.replace_manifest(b"late".to_vec(), None)));
        assert_eq!(store.manifest().unwrap().unwrap().bytes, b"second");

        let third = other.replace_manifest(b"third".to_vec(), Some(&second)).unwrap();
        let again = other.replace_manifest(b"third".to_vec(), Some(&second)).unwrap();
        assert_eq!(third, again, "the same once more is the same");
        assert_eq!(store.manifest().unwrap().unwrap().version, third);
    });
}

#[test]
fn of_racing_writers_one_wins_each_round() {
    const WRITERS: usize = 4;
    const ROUNDS: usize = 12;
    everywhere(|open| {
        let wins: usize = thread::scope(|scope| {
            let race = |writer: usize| {
                let store = open();
                let mut wins = 0;
                for _ in 0..ROUNDS {
                    let found = store.manifest().unwrap();
                    let count = found.as_ref().map_or(0, |found| counter(&found.bytes));
                    let bytes = format!("{} by {writer}", count + 1).into_bytes();
                    match store.replace_manifest(bytes, found.as_ref().map(|found| &found.version)) {
                        Ok(_) => wins += 1,
                        Err(StateError::Superseded { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                wins
            };
            let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || race(writer))).collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).sum()
        });
        let count = counter(&open().manifest().unwrap().unwrap().bytes);
        assert_eq!(wins, count, "each success raised the counter by one");
        assert!(count >= ROUNDS, "in each round of the slowest somebody won: {count}");
    });
}

fn counter(manifest: &[u8]) -> usize {
    std::str::from_utf8(manifest).unwrap().split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_lost_answer_is_asked_for_again() {
    everywhere(|open| {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let store = open().with_faults(Arc::new(move |operation, _| match operation {
            "replace_manifest" if counted.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) => {
                Fault::FailAfterDoing
            }
            _ => Fault::Pass,
        }));
        let mut version = None;
        for round in 0..5 {
            let bytes = format!("round {round}").into_bytes();
            let lost = store.replace_manifest(bytes.clone(), version.as_ref()).unwrap_err();
            assert!(lost.is_transient(), "{lost}");
            version = Some(store.replace_manifest(bytes.clone(), version.as_ref()).unwrap());
            let found = open().manifest().unwrap().unwrap();
            assert_eq!((found.bytes, Some(&found.version)), (bytes, version.as_ref()));
        }
        assert_eq!(calls.load(Ordering::Relaxed), 10);
    });
}

#[test]
fn faults_do_as_they_are_told() {
    everywhere(|open| {
        let store = open().with_faults(Arc::new(|operation, name| match (operation, name) {
            ("put", "fails") | ("get", "unreadable") => Fault::Fail,
            ("put", "answer-lost") => Fault::FailAfterDoing,
            ("delete", _) => Fault::Stall(Duration::from_millis(1)),
            _ => Fault::Pass,
        }));
        let objects =
            |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), vec![1])).collect::<Vec<_>>();
        let failed = store.put_all(objects(&["passes", "fails", "never"])).unwrap_err();
        assert!(failed.is_transient() && failed.to_string().contains("/fails"), "{failed}");
        store.put("answer-lost", vec![1]).unwrap_err();
        store.put("unreadable", vec![1]).unwrap();
        store.get("unreadable").unwrap_err();
        assert_eq!(listed(&open(), ""), ["answer-lost", "passes", "unreadable"]);
        store.delete(&["passes".to_owned()]).unwrap();
        assert_eq!(listed(&store, ""), ["answer-lost", "unreadable"]);
    });
}

#[test]
fn it_may_be_called_and_dropped_inside_an_async_runtime() {
    everywhere(|open| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime
            .block_on(async {
                let store = open();
                store.put("a", vec![1]).unwrap();
                store.get_all(&["a".to_owned()], |_, bytes| {
                    assert_eq!(bytes, Some(vec![1]));
                    Ok::<(), StateError>(())
                })
            })
            .unwrap();
    });
}

#[test]
fn folders_are_those_right_below_one() {
    everywhere(|open| {
        let store = open();
        assert_eq!(store.folders("blocks/").unwrap(), [""; 0]);
        for name in ["blocks/a/1", "blocks/a/2", "blocks/c.d/e/3", "blocks/4", "blocks-of-others/f/5"] {
            store.put(name, b"x".to_vec()).unwrap();
        }
        assert_eq!(store.folders("blocks/").unwrap(), ["a", "c.d"]);
        assert_eq!(store.folders("blocks/c.d/").unwrap(), ["e"]);
        assert_eq!(store.folders("blocks/a/").unwrap(), [""; 0]);
    });
}

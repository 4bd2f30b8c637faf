//! Files that are no logs, or are damaged: errors that name them, and never a panic or a wrong record.

use super::super::block::Key;
use super::*;
use redb::{ReadableTable, TableDefinition};

const BLOCKS: TableDefinition<Key, &[u8]> = TableDefinition::new("blocks");

#[test]
fn a_damaged_block_is_an_error_that_names_the_file_and_the_place() {
    let disk = Arc::new(Disk::default());
    let log = open(&disk, "log:disk?partitions=1").unwrap();
    for number in 0..3 {
        assert_eq!(append_and_wait(&log, batch(number)), Ok(()));
    }
    drop(log);
    let database = disk.opener()().unwrap();
    let write = database.begin_write().unwrap();
    {
        let mut blocks = write.open_table(BLOCKS).unwrap();
        let mut block = blocks.get((0, 20)).unwrap().unwrap().value().to_vec();
        *block.last_mut().unwrap() ^= 1;
        blocks.insert((0, 20), block.as_slice()).unwrap();
        blocks.remove((0, 40)).unwrap();
    }
    write.commit().unwrap();
    drop(database);
    let log = open(&disk, "log:disk").unwrap();
    let factory = |from| {
        let start = Start::Offsets(BTreeMap::from([(0, from)]));
        log.source(Some(start), BTreeMap::new(), None, OnGap::Fail).unwrap()
    };
    let mut source = factory(0).open(0, 1).unwrap();
    assert_eq!(source.read(0, 100, &mut |_| ()).unwrap(), Progress::Read(20), "what is whole is read");
    let error = source.read(0, 100, &mut |_| ()).unwrap_err().to_string();
    assert_eq!(
        error,
        "log/0 at offset 20: disk/events.redb: the block is damaged: its checksum is another one; `crest log salvage` \
         keeps what is whole of it"
    );
    let error = factory(40).open(0, 1).unwrap().read(0, 100, &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("disk/events.redb is damaged: it lacks the block"), "{error}");
}

#[test]
fn what_is_no_log_is_refused_by_name() {
    let refusal = |disk: Disk| open(&Arc::new(disk), "log:disk").err().unwrap().to_string();
    let text = refusal(Disk::of(b"This is a letter to a friend.".repeat(1000)));
    assert!(text.starts_with("disk/events.redb: it is no event log, or is damaged"), "{text}");
    let disk = Arc::new(Disk::default());
    let database = disk.opener()().unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(TableDefinition::<u32, u32>::new("mine")).unwrap().insert(1, 2).unwrap();
    write.commit().unwrap();
    drop(database);
    let foreign = open(&disk, "log:disk").err().unwrap().to_string();
    assert_eq!(foreign, "disk/events.redb: it is a database, but no event log");
    let disk = Arc::new(Disk::default());
    drop(open(&disk, "log:disk?partitions=3").unwrap());
    let other = open(&disk, "log:disk?partitions=4").err().unwrap().to_string();
    assert!(other.contains("partitions=4: the log was made with 3"), "{other}");
    assert_eq!(open(&disk, "log:disk").unwrap().partitions(), 3);
}

proptest! {
    #[test]
    fn damage_anywhere_in_the_file_is_an_error_or_does_not_matter(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let disk = Arc::new(Disk::default());
        let log = open(&disk, "log:disk").unwrap();
        for number in 0..4 {
            prop_assert_eq!(append_and_wait(&log, batch(number)), Ok(()));
        }
        drop(log);
        let mut bytes = disk.bytes();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
        for (place, value) in places {
            bytes[place.index(used)] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let damaged = Arc::new(Disk::of(bytes));
        match open(&damaged, "log:disk") {
            Err(error) => prop_assert!(error.to_string().starts_with("disk/events.redb"), "{}", error),
            Ok(log) => {
                let factory = log.source(None, BTreeMap::new(), Some(Until::Now), OnGap::Fail);
                let Ok(mut source) = factory.and_then(|factory| factory.open(0, 1)) else { return Ok(()) };
                for slot in 0..source.partitions().len() {
                    let mut right = true;
                    let mut each = |record: crate::source::Record<'_>| {
                        let text = String::from_utf8_lossy(record.payload.bytes().unwrap()).into_owned();
                        right &= text.split_once(':').is_some_and(|(number, _)| number.parse().is_ok_and(|n: u8| n < 4));
                    };
                    while let Ok(Progress::Read(_)) = source.read(slot, 100, &mut each) {}
                    prop_assert!(right, "nothing is handed out that was not written");
                }
                drop(source);
                let _ = append_and_wait(&log, batch(4));
            }
        }
    }
}

//! What is deleted, by age and by room, and what its readers meet.

use super::*;

/// Waits for the writer's look at what is over.
fn wait_for(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn firsts(log: &Log) -> Vec<i64> {
    log.probe(&BTreeMap::new()).unwrap().values().map(|probed| probed.low).collect()
}

#[test]
fn what_is_older_than_it_is_kept_is_deleted_in_whole_blocks_and_leaves_a_gap() {
    let disk = Arc::new(Disk::default());
    let clock = Arc::new(AtomicI64::new(0));
    let url = "log:disk?keep=10s&partitions=1";
    let log = open_at(&disk, url, clock.clone()).unwrap();
    for (number, time) in [5_000, 3_000, 9_000, 12_000].into_iter().enumerate() {
        clock.store(time, Ordering::SeqCst);
        assert_eq!(append_and_wait(&log, batch(number)), Ok(()));
    }
    let times = |offsets: &[i64]| -> Vec<Option<i64>> {
        let time = |offset: &i64| log.probe(&BTreeMap::from([(0, *offset)])).unwrap()[&0].time;
        offsets.iter().map(time).collect()
    };
    assert_eq!(
        times(&[0, 19, 20, 40, 79, 80, 99]),
        [5000, 5000, 5000, 9000, 12000, 0, 0].map(|t| (t > 0).then_some(t))
    );
    for (time, expected) in [(0, 0), (5000, 0), (5001, 40), (9000, 40), (12_000, 60), (12_001, 80)] {
        let factory = log.source(Some(Start::Time(time)), BTreeMap::new(), Some(Until::Now), OnGap::Fail);
        assert_eq!(factory.unwrap().ranges()[&0], expected..80, "{time}");
    }
    let factory = log.source(None, BTreeMap::new(), None, OnGap::Fail).unwrap();
    let mut strict = factory.open(0, 1).unwrap();
    assert_eq!(strict.read(0, 5, &mut |_| ()).unwrap(), Progress::Read(5));
    let mut far = factory.open(0, 1).unwrap();
    let mut lenient = log.source(None, BTreeMap::new(), None, OnGap::Skip).unwrap().open(0, 1).unwrap();
    drop(factory);

    // The look that comes at once after opening finds it.
    let reopened = |time, low| {
        clock.store(time, Ordering::SeqCst);
        log.shared.retention.step(&log.shared.store, &log.shared.store.extents().unwrap(), time).unwrap();
        assert_eq!(firsts(&log), [low]);
    };
    reopened(15_000, 0);
    reopened(15_001, 40);
    assert_eq!(strict.read(0, 100, &mut |_| ()).unwrap(), Progress::Read(15), "a block in hand is read on");
    assert!(matches!(strict.read(0, 100, &mut |_| ()), Err(SourceError::Lost { offset: 20, .. })));
    let error = far.read(0, 100, &mut |_| ()).unwrap_err().to_string();
    assert!(error.starts_with("log/0 at offset 0: it is kept no more: offsets 40 to 80"), "{error}");
    let mut offsets = Vec::new();
    assert_eq!(lenient.read(0, 100, &mut |record| offsets.push(record.offset)).unwrap(), Progress::Read(40));
    assert_eq!((offsets.first(), lenient.stats().gap_records), (Some(&40), 40));
    let start = Start::Offsets(BTreeMap::from([(0, 10)]));
    let error = log.source(Some(start.clone()), BTreeMap::new(), None, OnGap::Fail).err().unwrap();
    assert!(matches!(error, SourceError::Lost { offset: 10, .. }), "{error}");
    let skipping = log.source(Some(start), BTreeMap::new(), Some(Until::Now), OnGap::Skip).unwrap();
    assert_eq!(skipping.open(0, 1).unwrap().stats().gap_records, 30);
    assert_eq!(skipping.ranges()[&0], 40..80);
    reopened(100_000, 80);
    assert_eq!(append_and_wait(&log, batch(9)), Ok(()));
}

#[test]
fn the_writer_itself_deletes_what_is_over_and_offsets_go_on() {
    let disk = Arc::new(Disk::default());
    let clock = Arc::new(AtomicI64::new(1000));
    let log = open_at(&disk, "log:disk?keep=10s", clock.clone()).unwrap();
    assert_eq!(append_and_wait(&log, batch(0)), Ok(()));
    let nexts = |log: &Log| -> Vec<i64> {
        log.probe(&BTreeMap::new()).unwrap().values().map(|probed| probed.high).collect()
    };
    let before = nexts(&log);
    drop(log);
    clock.store(20_000, Ordering::SeqCst);
    let log = open_at(&disk, "log:disk?keep=10s", clock).unwrap();
    wait_for("all is deleted", || firsts(&log) == before);
    assert_eq!(append_and_wait(&log, batch(1)), Ok(()));
    assert_eq!(nexts(&log), before.iter().map(|next| 2 * next).collect::<Vec<_>>());
    assert_eq!(read(&log, Start::Earliest, OnGap::Fail).values().map(Vec::len).sum::<usize>(), EVENTS);
}

#[test]
fn the_oldest_go_where_all_take_too_much_and_their_space_is_used_again() {
    let disk = Arc::new(Disk::default());
    let log = open(&disk, "log:disk?keep_bytes=8MiB").unwrap();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
    let mut noise = vec![0; 500_000];
    let mut largest = 0;
    for number in 0_u32..200 {
        random.fill_bytes(&mut noise);
        let mut large = Batch::default();
        large.push(&number.to_le_bytes(), &noise);
        assert_eq!(append_and_wait(&log, large), Ok(()));
        if number % 8 == 0 {
            // The writer may be at it too: one of both finds nothing left to do.
            let extents = log.shared.store.extents().unwrap();
            log.shared.retention.step(&log.shared.store, &extents, 1).unwrap();
        }
        largest = largest.max(disk.len());
    }
    assert!(largest < 64 << 20, "100 MB went through a file of {largest}");
}

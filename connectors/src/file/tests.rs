//! Files of lines: partitions, resuming, limits and refusals.

use super::*;
use crate::source::MAX_RECORD_BYTES;
use std::fs;

type Lines = Vec<(i64, Option<String>)>;

/// Reads all partitions in turns of `limit`, and gives the lines of each by name.
fn read_all(source: &mut dyn Source, limit: usize) -> Vec<(String, Lines)> {
    let slots = source.partitions().len();
    let mut all: Vec<(String, Lines)> = (0..slots).map(|slot| (source.name(slot), Vec::new())).collect();
    let mut ended = 0;
    while ended < slots {
        ended = 0;
        for (slot, (_, lines)) in all.iter_mut().enumerate() {
            let before = lines.len();
            let progress = source.read(slot, limit, &mut |record| {
                let text = record.payload.bytes().map(|line| String::from_utf8(line.to_vec()).unwrap());
                lines.push((record.offset, text));
            });
            match progress.unwrap() {
                Progress::Read(count) => assert_eq!(count, lines.len() - before),
                Progress::Ended => ended += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    all
}

#[test]
fn a_file_begins_at_its_line_and_must_be_as_long_as_before() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "1\n\n3\n4\n").unwrap();
    fs::write(folder.path().join("b"), "1\n2").unwrap();
    let begin_at = |starts: &[(Partition, i64)], reached: &[(Partition, i64)]| {
        let factory = FileFactory::new(&folder.path().join("*").display().to_string()).unwrap();
        factory.begin_at(starts.iter().copied().collect(), reached.iter().copied().collect())
    };
    let numbers = |starts: &[(Partition, i64)]| {
        let mut source = begin_at(starts, &[(0, 5), (1, 3)]).unwrap().open(0, 1).unwrap();
        let files = read_all(&mut *source, 2).into_iter();
        files.map(|(_, lines)| lines.into_iter().map(|(n, _)| n).collect()).collect::<Vec<Vec<i64>>>()
    };
    assert_eq!(numbers(&[]), [vec![1, 3, 4], vec![1, 2]]);
    assert_eq!(numbers(&[(0, 2), (1, 2)]), [vec![3, 4], vec![2]]);
    assert_eq!(numbers(&[(0, 5), (1, 3)]).concat(), [] as [i64; 0], "all was read");

    let mut source = begin_at(&[(1, 2)], &[(1, 9)]).unwrap().open(1, 2).unwrap();
    let mut end = || source.read(0, 10, &mut |_| ());
    let error = loop {
        match end() {
            Ok(progress) => assert_ne!(progress, Progress::Ended),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("b at offset 9") && error.contains("ends before it, with record 2"), "{error}");
    assert!(begin_at(&[(2, 1)], &[]).err().unwrap().to_string().contains("no file for partition 2"));
}

#[test]
fn each_file_is_a_partition_in_the_order_of_paths() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("b.ndjson"), "b1\nb2").unwrap();
    fs::write(path("a.ndjson"), "a1\r\n\na3\n").unwrap();
    fs::write(path("c.ndjson"), "").unwrap();
    fs::write(path("other.txt"), "x").unwrap();
    let factory = FileFactory::new(&path("*.ndjson")).unwrap();
    let line = |number, text: &str| (number, Some(text.to_owned()));
    let expected = [
        (path("a.ndjson"), vec![line(1, "a1"), line(3, "a3")]),
        (path("b.ndjson"), vec![line(1, "b1"), line(2, "b2")]),
        (path("c.ndjson"), vec![]),
    ];
    assert_eq!(read_all(&mut *factory.open(0, 1).unwrap(), 1), expected);
    let mut shares = read_all(&mut *factory.open(0, 2).unwrap(), 7);
    assert_eq!(factory.open(1, 2).unwrap().partitions(), [1]);
    shares.extend(read_all(&mut *factory.open(1, 2).unwrap(), 7));
    shares.sort();
    assert_eq!(shares, expected);
    assert!(factory.open(3, 4).unwrap().partitions().is_empty());
}

#[test]
fn many_files_read_in_turns_are_closed_and_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let count = MAX_OPEN_FILES * 2 + 3;
    let lines = |file: usize| (0..50).map(|line| format!("{file}-{line}")).collect::<Vec<_>>();
    for file in 0..count {
        fs::write(folder.path().join(format!("{file:04}")), lines(file).join("\n")).unwrap();
    }
    let factory = FileFactory::new(&folder.path().join("*").display().to_string()).unwrap();
    let all = read_all(&mut *factory.open(0, 1).unwrap(), 7);
    assert_eq!(all.len(), count);
    for (file, (_, found)) in all.into_iter().enumerate() {
        let expected: Lines = (1..).zip(lines(file).into_iter().map(Some)).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_line_over_the_limit_is_delivered_without_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long");
    let longest = "x".repeat(MAX_RECORD_BYTES);
    let endless = "y".repeat(3 * MAX_BYTES_PER_READ);
    fs::write(&path, format!("{longest}\r\n{longest}z\nafter\n{endless}\nlast\n{endless}")).unwrap();
    let mut source = FileFactory::new(&path.display().to_string()).unwrap().open(0, 1).unwrap();
    let (_, lines) = read_all(&mut *source, 10).remove(0);
    let text = |text: &str| Some(text.to_owned());
    let expected =
        [(1, Some(longest)), (2, None), (3, text("after")), (4, None), (5, text("last")), (6, None)];
    assert!(
        lines == expected,
        "{:?}",
        lines.iter().map(|(n, l)| (n, l.as_ref().map(String::len))).collect::<Vec<_>>()
    );
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let error = |pattern: &str| FileFactory::new(pattern).err().unwrap().to_string();
    assert!(error(&path("none*")).contains("no file matches"));
    assert!(error(&path("none")).contains("no file matches"));
    assert!(error("a[").contains("a["));
    assert!(error(&folder.path().display().to_string()).contains("not a regular file"));
}

#[test]
fn a_file_that_is_replaced_while_it_is_closed_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    fs::write(&path, "1\n2\n").unwrap();
    let mut reader = FileReader::new(path.clone(), Compression::Auto);
    reader.open().unwrap();
    reader.close();
    fs::write(folder.path().join("b"), "other\n").unwrap();
    fs::rename(folder.path().join("b"), &path).unwrap();
    assert!(reader.open().unwrap_err().to_string().contains("replaced"));
}

/// Writes files of `count` lines each, every second one by zstd and the others by gzip, and gives the source of all.
fn packed_files(folder: &Path, files: usize, count: usize, max_held: usize) -> FileSource {
    for file in 0..files {
        let bytes: String = (0..count).map(|line| packed_line(file, line) + "\n").collect();
        let packed = if file % 2 == 0 {
            zstd::encode_all(bytes.as_bytes(), 1).unwrap()
        } else {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            io::Write::write_all(&mut encoder, bytes.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        fs::write(folder.join(format!("{file:04}")), packed).unwrap();
    }
    let factory = FileFactory::new(&folder.join("*").display().to_string()).unwrap();
    FileFactory { max_held, ..factory }.of_worker(0, 1)
}

/// A line of 1,000 digits that do not compress well.
fn packed_line(file: usize, line: usize) -> String {
    let seed = (file * 1_000_003 + line) as u64;
    let words = (0..125u64).map(|word| xxhash_rust::xxh3::xxh3_64_with_seed(&word.to_le_bytes(), seed));
    words.map(|word| format!("{:08x}", word as u32)).collect()
}

#[test]
fn compressed_files_that_need_too_much_memory_are_unpacked_a_few_times_only() {
    let folder = tempfile::tempdir().unwrap();
    let (count, lines, max_held) = (20, 1500, 2 << 20);
    let mut source = packed_files(folder.path(), count, lines, max_held);
    let paths = source.files.iter().map(|state| state.reader.path());
    let packed: u64 = paths.map(|path| fs::metadata(path).unwrap().len()).sum();
    let (mut found, mut unpacked) = (vec![0; count], 0);
    while source.files.iter().any(|state| !state.ended) {
        for (slot, found) in found.iter_mut().enumerate() {
            let before = source.files[slot].reader.place();
            let mut each = |record: Record<'_>| {
                assert_eq!(record.offset, *found as i64 + 1);
                assert_eq!(record.payload.bytes(), Some(packed_line(slot, *found).as_bytes()));
                *found += 1;
            };
            source.read(slot, 10, &mut each).unwrap();
            unpacked += source.files[slot].reader.place().saturating_sub(before);
            assert!(source.held <= max_held, "{} bytes are held", source.held);
            assert!(unpacked <= 4 * packed, "{unpacked} bytes were read of {packed}");
        }
    }
    assert_eq!(found, vec![lines; count]);
}

#[test]
fn what_was_read_before_is_passed_over_in_short_reads() {
    let folder = tempfile::tempdir().unwrap();
    let lines = 10 * MAX_BYTES_PER_READ / 1001;
    let mut source = packed_files(folder.path(), 1, lines, usize::MAX);
    let mut found = 0;
    while found < lines * 17 / 20 {
        source.read(0, 100, &mut |_| found += 1).unwrap();
    }
    source.forget(0);
    let mut empty_reads = 0;
    let read = |source: &mut FileSource| {
        let mut next = None;
        assert!(matches!(source.read(0, 1, &mut |record| next = Some(record.offset)), Ok(Progress::Read(_))));
        next
    };
    let next = loop {
        match read(&mut source) {
            Some(next) => break next,
            None => empty_reads += 1,
        }
    };
    assert_eq!((next, empty_reads), (found as i64 + 1, 9));
}

#[test]
fn a_file_waits_for_memory_only_while_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut source = packed_files(folder.path(), 2, 100, 1);
    let mut read = |slot| source.read(slot, 10, &mut |_| ()).unwrap();
    assert_eq!([read(0), read(1)], [Progress::Read(10); 2]);
    assert_eq!(
        [read(0), read(0)],
        [Progress::Read(0), Progress::Read(10)],
        "it was let go of, and owes nothing more"
    );
    assert_eq!([read(1), read(0), read(0)], [Progress::Read(0), Progress::Waiting, Progress::Read(0)]);
    assert_eq!([read(1), read(0), read(1)], [Progress::Waiting, Progress::Read(10), Progress::Waiting]);
    assert_eq!([read(1), read(1)], [Progress::Read(0), Progress::Read(10)]);
}

//! The same records, however a file or a pipe holds them: compact or pretty, in lines, documents or an array, compressed or
//! not, read in turns of any size.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

use crest_connectors::file::FileFactory;
use crest_connectors::source::{Origin, Partition, Progress, Record, Source, SourceError, SourceFactory};
use crest_connectors::stdin::ReaderFactory;
use crest_connectors::{Compression, Framing};
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;

/// Offsets and payloads.
type Found = Vec<(i64, Vec<u8>)>;

/// Gives at most so many bytes at once.
struct Slow(io::Cursor<Vec<u8>>, usize);

impl Read for Slow {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = into.len().min(self.1);
        self.0.read(&mut into[..count])
    }
}

/// Reads one partition to its end in turns of `limit`.
fn read_all(source: &mut dyn Source, slot: usize, limit: usize) -> Result<Found, SourceError> {
    let mut found = Found::new();
    loop {
        let mut each = |record: Record<'_>| {
            let Some(bytes) = record.payload.bytes() else { panic!("{record:?}") };
            found.push((record.offset, bytes.to_vec()));
        };
        match source.read(slot, limit, &mut each)? {
            Progress::Ended => return Ok(found),
            Progress::Waiting => std::thread::yield_now(),
            Progress::Read(count) => assert!(count <= limit),
            other => panic!("{other:?}"),
        }
    }
}

fn files(pattern: &Path) -> FileFactory {
    FileFactory::new(pattern.to_str().unwrap()).unwrap()
}

fn read_file(bytes: &[u8], limit: usize) -> Result<Found, SourceError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    read_all(&mut *files(file.path()).open(0, 1).unwrap(), 0, limit)
}

fn read_pipe(bytes: &[u8], step: usize, limit: usize) -> Result<Found, SourceError> {
    let factory = ReaderFactory::new(Slow(io::Cursor::new(bytes.to_vec()), step));
    read_all(&mut *factory.open(0, 1).unwrap(), 0, limit)
}

fn gzip(part: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(part).unwrap();
    encoder.finish().unwrap()
}

fn zstd(part: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(part).unwrap();
    encoder.finish().unwrap()
}

/// The bytes as they are, and packed in two parts.
fn packings(bytes: &[u8], cut: &prop::sample::Index) -> [Vec<u8>; 4] {
    let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
    let two = |pack: fn(&[u8]) -> Vec<u8>| [pack(first), pack(second)].concat();
    [bytes.to_vec(), gzip(bytes), two(gzip), two(zstd)]
}

fn objects() -> impl Strategy<Value = Vec<Value>> {
    let member = prop_oneof![
        "[a-c{}\\[\\],\"\\\\\n\u{e9}]{0,12}".prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..3).prop_map(Value::from),
    ];
    let object = prop::collection::btree_map("[a-c{}\\[\"]{0,3}", member, 1..4);
    prop::collection::vec(object.prop_map(|members| json!(members)), 2..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_writing_and_packing_gives_the_same_records(
        objects in objects(), mark in any::<bool>(), cut in any::<prop::sample::Index>(), limit in 1usize..8, step in 1usize..99,
    ) {
        let compact: Vec<String> = objects.iter().map(Value::to_string).collect();
        let pretty: Vec<String> = objects.iter().map(|object| serde_json::to_string_pretty(object).unwrap()).collect();
        let array = Value::from(objects.clone());
        let writings = [
            compact.join("\n"), compact.join("\r\n") + "\r\n", pretty.join("\n"), array.to_string(),
            serde_json::to_string_pretty(&array).unwrap(),
        ];
        let expected: Vec<(i64, Value)> = (1..).zip(objects).collect();
        for writing in writings {
            let bytes = if mark { format!("\u{feff}{writing}") } else { writing }.into_bytes();
            for packed in packings(&bytes, &cut) {
                for found in [read_file(&packed, limit), read_pipe(&packed, step, limit)] {
                    let found = found.unwrap().into_iter();
                    let values: Vec<(i64, Value)> =
                        found.map(|(offset, bytes)| (offset, serde_json::from_slice(&bytes).unwrap())).collect();
                    prop_assert_eq!(&values, &expected);
                }
            }
        }
    }
}

fn many(count: usize) -> String {
    (0..count).map(|n| format!("{{\"n\":{n}}}\n")).collect()
}

#[test]
fn a_damaged_or_cut_off_file_is_an_error_that_names_it_and_the_place() {
    let text = many(20_000);
    for (name, pack) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("zstd", zstd)] {
        let packed = pack(text.as_bytes());
        let cut = &packed[..packed.len() - 1];
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), cut).unwrap();
        let error = read_all(&mut *files(file.path()).open(0, 1).unwrap(), 0, 100).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{} at offset ", file.path().display())), "{error}");
        let reason =
            format!("{name}: the stream is cut off, within the first {} bytes of the file", cut.len());
        assert!(error.ends_with(&reason), "{error}");
        let error = read_pipe(cut, 1000, 100).unwrap_err().to_string();
        assert!(error.starts_with("standard input at offset ") && error.contains("cut off"), "{error}");

        let mut damaged = packed.clone();
        let middle = packed.len() / 2;
        damaged[middle..middle + 50].fill(0);
        assert!(read_file(&damaged, 100).unwrap_err().to_string().contains(name));
    }
    let open = read_file(b"[{},\n{}", 100).unwrap_err().to_string();
    assert!(open.ends_with("at offset 3: the JSON array that it is in does not end"), "{open}");
}

#[test]
fn a_compressed_file_begins_at_its_record_and_must_be_as_long_as_before() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), gzip(b"[{},[2],3]")).unwrap();
    let begin = |start: i64, reached: i64| {
        let at = |offset| BTreeMap::from([(0 as Partition, offset)]);
        let factory = files(file.path()).begin_at(at(start), at(reached)).unwrap();
        read_all(&mut *factory.open(0, 1).unwrap(), 0, 1)
    };
    assert_eq!(begin(2, 4).unwrap(), [(2, b"[2]".to_vec()), (3, b"3".to_vec())]);
    let error = begin(2, 9).unwrap_err().to_string();
    assert!(error.contains("at offset 9: the file ends before it, with record 3"), "{error}");
}

#[test]
fn many_compressed_files_are_read_in_turns() {
    let folder = tempfile::tempdir().unwrap();
    let count = 150;
    let line = |file: usize, n: usize| format!("{{\"file\":{file},\"n\":{n}}}");
    for file in 0..count {
        let text: String = (0..40).map(|n| line(file, n) + "\n").collect();
        let packed = if file % 2 == 0 { gzip(text.as_bytes()) } else { zstd(text.as_bytes()) };
        std::fs::write(folder.path().join(format!("{file:03}")), packed).unwrap();
    }
    let mut source = files(&folder.path().join("*")).open(0, 1).unwrap();
    let (mut found, mut ended) = (vec![Vec::new(); count], 0);
    while ended < count {
        ended = 0;
        for (slot, found) in found.iter_mut().enumerate() {
            let mut each = |record: Record<'_>| {
                found.push(String::from_utf8(record.payload.bytes().unwrap().to_vec()).unwrap())
            };
            ended += usize::from(source.read(slot, 7, &mut each).unwrap() == Progress::Ended);
        }
    }
    for (file, found) in found.iter().enumerate() {
        assert_eq!(*found, (0..40).map(|n| line(file, n)).collect::<Vec<_>>());
    }
}

#[test]
fn framing_and_compression_can_be_said() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let read = |bytes: &[u8], framing, compression| {
        std::fs::write(file.path(), bytes).unwrap();
        let factory = files(file.path()).with(framing, compression);
        read_all(&mut *factory.open(0, 1).unwrap(), 0, 10)
    };
    let lines = read(b"[1,2]", Framing::Lines, Compression::Auto).unwrap();
    assert_eq!(lines, [(1, b"[1,2]".to_vec())]);
    let plain = read(&[0x1f, 0x8b, b'\n'], Framing::Lines, Compression::None).unwrap();
    assert_eq!(plain, [(1, vec![0x1f, 0x8b])]);
    assert!(read(b"{}", Framing::Auto, Compression::Gzip).unwrap_err().to_string().contains("gzip: "));
    assert!(read(b"{}", Framing::Auto, Compression::Zstd).unwrap_err().to_string().contains("zstd: "));
}

#[test]
fn the_header_of_each_csv_file_is_told_before_its_first_record() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.csv"), "\u{feff}id,name\r\n1,\"two\nlines\"\r\n2,b\r\n").unwrap();
    std::fs::write(folder.path().join("b.csv.gz"), gzip(b"name;id\n")).unwrap();
    std::fs::write(folder.path().join("c.csv"), "").unwrap();
    let csv = Framing::Csv { delimiter: b',', quote: Some(b'"'), header: true };
    for start in [1, 3] {
        let starts = BTreeMap::from([(0, start)]);
        let factory = files(&folder.path().join("*")).with(csv, Compression::Auto);
        let mut source = factory.begin_at(starts, BTreeMap::new()).unwrap().open(0, 1).unwrap();
        assert_eq!(source.header(0), None);
        let first =
            source.read(0, 10, &mut |record| panic!("{record:?} before the header was told")).unwrap();
        assert_eq!((first, source.header(0)), (Progress::Read(0), Some(&b"id,name"[..])));
        let records = [(2, b"1,\"two\nlines\"".to_vec()), (3, b"2,b".to_vec())];
        let expected: Found = records.into_iter().filter(|(offset, _)| *offset >= start).collect();
        assert_eq!(read_all(&mut *source, 0, 1).unwrap(), expected);
        for (slot, header) in [(1, Some(&b"name;id"[..])), (2, None)] {
            assert_eq!(read_all(&mut *source, slot, 10).unwrap(), []);
            assert_eq!(source.header(slot), header);
        }
    }
    let factory = ReaderFactory::new(io::Cursor::new("id\n1\n")).with(csv, Compression::Auto);
    let mut source = factory.open(0, 1).unwrap();
    assert_eq!(read_all(&mut *source, 0, 10).unwrap(), [(2, b"1".to_vec())]);
    assert_eq!(source.header(0), Some(&b"id"[..]));
}

#[test]
fn a_file_is_the_origin_of_its_records() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display().to_string();
    let origin = files(file.path()).open(0, 1).unwrap().origin(0);
    assert_eq!(origin, Origin { file: Some(path), ..Origin::default() });
    let stdin = ReaderFactory::new(io::Cursor::new("")).open(0, 1).unwrap().origin(0);
    assert_eq!(stdin, Origin::default());
}

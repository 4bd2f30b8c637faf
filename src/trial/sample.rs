//! The first records of each partition of a source, kept in memory: at most so many, and at most [`MAX_BYTES`].

use crest_connectors::source::{Origin, Progress, Record, Source, SourceError, SourceFactory};
use crest_connectors::stdin::ReaderFactory;
use crest_connectors::{Compression, Framing, OwnedRecord};
use std::io::Cursor;
use std::time::{Duration, Instant};

/// Bytes that a sample holds at most, one record aside.
pub const MAX_BYTES: usize = 64 << 20;
/// How long a source may be silent before its first record …
const FIRST_PATIENCE: Duration = Duration::from_secs(30);
/// … and after it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a source is read that has sent anything at all, be it empty lines.
const LONGEST: Duration = Duration::from_secs(30);
/// Between two looks at a source that has nothing at hand.
const PAUSE: Duration = Duration::from_millis(5);

/// What is asked of a sample.
pub struct Asked<'a> {
    /// Records at most.
    pub records: usize,
    /// The headers of records that are kept.
    pub headers: &'a [String],
    /// Whether a source that has sent nothing yet is waited for without end, as a person who types is.
    pub waits: bool,
}

/// The first records of a source.
#[derive(Debug, Default)]
pub struct Sample {
    /// In the order of the source.
    pub partitions: Vec<Partition>,
    /// Records in all partitions together.
    pub records: usize,
    /// Bytes of these, with their keys and headers.
    pub bytes: usize,
    /// Whether the source has been read to its end.
    pub ended: bool,
}

/// The first records of a partition.
#[derive(Debug, Default)]
pub struct Partition {
    /// Its name for people.
    pub name: String,
    /// What all its records have in common.
    pub origin: Origin,
    /// How it is cut into records and compressed, where it is a file or the like.
    pub form: Option<(Framing, Compression)>,
    /// The header of a CSV file.
    pub header: Option<Vec<u8>>,
    /// In their order.
    pub records: Vec<OwnedRecord>,
}

impl Sample {
    /// Reads the first records of each partition, in turn.
    ///
    /// # Errors
    /// The source cannot be read.
    pub fn read(source: &mut dyn Source, asked: &Asked<'_>) -> Result<Self, SourceError> {
        let (mut sample, mut ended) = (Sample::default(), Vec::new());
        let (mut share, mut last_read, mut begun) = (0_usize, Instant::now(), None);
        loop {
            let slots = source.partitions().len();
            sample.partitions.resize_with(slots, Partition::default);
            ended.resize(slots, false);
            // Each partition has its share before any has more.
            if (0..slots).all(|slot| ended[slot] || sample.partitions[slot].records.len() >= share) {
                share = share.saturating_add(asked.records.div_ceil(slots.max(1)));
            }
            let mut any = false;
            for (slot, ended) in ended.iter_mut().enumerate() {
                let left = share.saturating_sub(sample.partitions[slot].records.len());
                let limit = left.min(asked.records - sample.records);
                if *ended || limit == 0 || sample.bytes >= MAX_BYTES {
                    continue;
                }
                match sample.take(source, slot, limit, asked.headers)? {
                    Progress::Read(_) => any = true,
                    // What does not end may go on at any moment.
                    Progress::Waiting | Progress::AtEnd(_) => {}
                    Progress::Ended => *ended = true,
                }
            }
            sample.ended = ended.iter().all(|ended| *ended);
            if sample.ended || sample.records >= asked.records || sample.bytes >= MAX_BYTES {
                break;
            }
            if begun.is_some_and(|begun: Instant| begun.elapsed() > LONGEST) {
                break;
            }
            if any {
                last_read = Instant::now();
                begun.get_or_insert(last_read);
                continue;
            }
            let patience = if sample.records > 0 { PATIENCE } else { FIRST_PATIENCE };
            if last_read.elapsed() > patience && (sample.records > 0 || !asked.waits) {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        for (slot, partition) in sample.partitions.iter_mut().enumerate() {
            (partition.name, partition.origin) = (source.name(slot), source.origin(slot));
            (partition.form, partition.header) = (source.form(slot), source.header(slot).map(<[u8]>::to_vec));
        }
        Ok(sample)
    }

    /// Takes records of one partition, up to `limit` and up to the bytes that may be held.
    fn take(
        &mut self,
        source: &mut dyn Source,
        slot: usize,
        limit: usize,
        headers: &[String],
    ) -> Result<Progress, SourceError> {
        let (partition, bytes, records) = (&mut self.partitions[slot], &mut self.bytes, &mut self.records);
        source.read(slot, limit, &mut |record| {
            if *bytes < MAX_BYTES {
                let kept = OwnedRecord::new(&record, headers);
                *bytes += kept.bytes();
                *records += 1;
                partition.records.push(kept);
            }
        })
    }

    /// All records, in the order of the partitions.
    pub fn all(&self) -> impl Iterator<Item = Record<'_>> {
        self.partitions.iter().flat_map(|partition| partition.records.iter().map(OwnedRecord::record))
    }

    /// The same lines, cut into the records of a CSV file, which may go over several lines. Where there is more of the source,
    /// the last record may not be whole, and is left out.
    ///
    /// # Errors
    /// The header is too long.
    pub fn cut_again(self, framing: Framing) -> Result<Self, SourceError> {
        let mut again = Sample { ended: self.ended, ..Sample::default() };
        for partition in self.partitions {
            let lines: Vec<&[u8]> =
                partition.records.iter().filter_map(|kept| kept.record().payload.bytes()).collect();
            let mut cut = cut(lines.join(&b'\n'), framing)?;
            if !self.ended {
                cut.records.pop();
            }
            again.records += cut.records.len();
            again.bytes += cut.records.iter().map(OwnedRecord::bytes).sum::<usize>();
            let form = partition.form.map(|(_, compression)| (framing, compression));
            let Partition { name, origin, .. } = partition;
            again.partitions.push(Partition { name, origin, form, ..cut });
        }
        Ok(again)
    }
}

/// The records of a text.
///
/// # Errors
/// The header of CSV is too long.
pub fn cut(text: Vec<u8>, framing: Framing) -> Result<Partition, SourceError> {
    let factory = ReaderFactory::new(Cursor::new(text)).with(framing, Compression::None);
    let mut source = factory.open(0, 1)?;
    let asked = Asked { records: usize::MAX, headers: &[], waits: true };
    let Sample { mut partitions, .. } = Sample::read(&mut *source, &asked)?;
    Ok(partitions.pop().unwrap_or_default())
}

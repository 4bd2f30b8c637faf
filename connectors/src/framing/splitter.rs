//! A stream of bytes, from its byte order mark on, cut as its framing says.

use super::csv::Csv;
use super::detect::Detector;
use super::json::Json;
use super::kind::{Framing, FramingError};
use super::lines::Lines;
use super::records::{Records, Taken};
use crate::source::Record;

/// Bytes of a CSV file's header at most. It is kept as long as its file is known.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// UTF-8's byte order mark.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Where a reader is in its stream.
#[derive(Debug)]
pub(crate) struct Splitter {
    stage: Stage,
    /// The first record that is delivered.
    first: i64,
    header: Option<Box<[u8]>>,
}

#[derive(Debug)]
enum Stage {
    /// Before the byte order mark, if there is one.
    Begin(Framing),
    Detect(Detector),
    Lines(Records<Lines>),
    Json(Records<Json>),
    /// With a header that is still to come, or none (any more).
    Csv {
        records: Records<Csv>,
        header_next: bool,
        framing: Framing,
    },
}

impl Splitter {
    /// At the beginning of a stream, to deliver the records from this number on.
    pub(crate) fn new(framing: Framing, first: i64) -> Self {
        Splitter { stage: Stage::Begin(framing), first, header: None }
    }

    /// The number of the record that ends next.
    pub(crate) fn next(&self) -> i64 {
        match &self.stage {
            Stage::Begin(_) | Stage::Detect(_) => 1,
            Stage::Lines(records) => records.next(),
            Stage::Json(records) => records.next(),
            Stage::Csv { records, .. } => records.next(),
        }
    }

    /// The framing, once it is settled or found out.
    pub(crate) fn framing(&self) -> Option<Framing> {
        match &self.stage {
            Stage::Begin(_) | Stage::Detect(_) => None,
            Stage::Lines(_) => Some(Framing::Lines),
            Stage::Json(records) if records.cut().are_elements() => Some(Framing::Array),
            Stage::Json(_) => Some(Framing::Documents),
            Stage::Csv { framing, .. } => Some(*framing),
        }
    }

    /// The header of CSV that has one, once it was found.
    pub(crate) fn header(&self) -> Option<&[u8]> {
        self.header.as_deref()
    }

    /// Delivers at most `limit` records of `bytes`, which go on where the last call stopped; `end` says that nothing
    /// follows them. Where it takes nothing, it needs more bytes, up to
    /// [`LONGEST_LINE_BYTES`](super::records::LONGEST_LINE_BYTES).
    ///
    /// # Errors
    /// The stream cannot be cut any further.
    #[inline]
    pub(crate) fn split(
        &mut self,
        bytes: &[u8],
        end: bool,
        limit: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<Taken, FramingError> {
        match &mut self.stage {
            Stage::Lines(records) => records.split(bytes, end, limit, each),
            Stage::Json(records) => records.split(bytes, end, limit, each),
            Stage::Csv { records, header_next: false, .. } => records.split(bytes, end, limit, each),
            Stage::Csv { header_next: true, .. } => self.take_header(bytes, end),
            Stage::Begin(_) | Stage::Detect(_) => self.begin(bytes, end, limit, each),
        }
    }

    fn begin(
        &mut self,
        bytes: &[u8],
        end: bool,
        limit: usize,
        each: &mut dyn FnMut(Record<'_>),
    ) -> Result<Taken, FramingError> {
        let framing = match &mut self.stage {
            Stage::Begin(framing) if bytes.starts_with(BYTE_ORDER_MARK) => {
                let framing = *framing;
                self.stage = self.stage_of(framing);
                return Ok(Taken { bytes: BYTE_ORDER_MARK.len(), ..Taken::default() });
            }
            Stage::Begin(_) if !end && BYTE_ORDER_MARK.starts_with(bytes) => return Ok(Taken::default()),
            Stage::Begin(framing) => *framing,
            Stage::Detect(detector) => match detector.decide(bytes, end) {
                Some(framing) => framing,
                None => return Ok(Taken::default()),
            },
            _ => return Ok(Taken::default()),
        };
        self.stage = self.stage_of(framing);
        self.split(bytes, end, limit, each)
    }

    fn stage_of(&self, framing: Framing) -> Stage {
        match framing {
            Framing::Auto => Stage::Detect(Detector::default()),
            Framing::Lines => Stage::Lines(Records::new(Lines, self.first)),
            Framing::Array => Stage::Json(Records::new(Json::elements(), self.first)),
            Framing::Documents => Stage::Json(Records::new(Json::documents(), self.first)),
            Framing::Csv { delimiter, quote, header } => {
                let first = if header { 1 } else { self.first };
                let records = Records::new(Csv::new(delimiter, quote), first);
                Stage::Csv { records, header_next: header, framing }
            }
        }
    }

    /// Takes the first line that is not empty for the header.
    fn take_header(&mut self, bytes: &[u8], end: bool) -> Result<Taken, FramingError> {
        let Stage::Csv { records, header_next, .. } = &mut self.stage else { return Ok(Taken::default()) };
        let (mut header, mut too_long) = (None, false);
        let taken = records.split(bytes, end, 1, &mut |record| match record.payload.bytes() {
            Some(line) if line.len() <= MAX_HEADER_BYTES => header = Some(line.into()),
            _ => too_long = true,
        })?;
        if too_long {
            return Err(FramingError::LongHeader { limit: MAX_HEADER_BYTES });
        }
        let found = header.is_some();
        if found {
            (self.header, *header_next) = (header, false);
            records.begin_at(self.first);
        }
        Ok(Taken { records: 0, header: found, ..taken })
    }
}

//! What every decoder does.

use crate::refusal::Refusal;

/// Turns the records of another format into JSON text.
pub trait Decode: Send {
    /// Appends the record as one JSON value in UTF-8 to `json`, which is as before where there is an error.
    ///
    /// # Errors
    /// The record is refused, or its schema is not at hand yet.
    fn decode(&mut self, payload: &[u8], json: &mut Vec<u8>) -> Result<(), Undecoded>;

    /// Whether the first record of each file names the columns. It goes to [`header`](Self::header), and every file has a
    /// decoder of its own.
    fn has_header(&self) -> bool {
        false
    }

    /// Takes the first record of a file.
    ///
    /// # Errors
    /// It is no row, or not in UTF-8. All other records of the file are then refused as malformed.
    fn header(&mut self, _record: &[u8]) -> Result<(), Refusal> {
        Ok(())
    }

    /// Has only the fields of these names written, since nothing else will be read. Other formats than CSV and text may
    /// write all fields.
    fn only(&mut self, _names: &[String]) {}

    /// The names of the fields that its records have, where it knows them without a record, in their order.
    fn names(&self) -> Vec<&str> {
        Vec::new()
    }

    /// What is wrong with the schema of the record that was refused last as [`Refusal::Schema`].
    fn why(&self) -> Option<&str> {
        None
    }
}

/// Why there is no JSON of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecoded {
    /// The record is not counted.
    Refused(Refusal),
    /// Its schema is not at hand yet: the same record is to be given again a little later.
    Waiting,
}

impl From<Refusal> for Undecoded {
    fn from(refusal: Refusal) -> Self {
        Undecoded::Refused(refusal)
    }
}

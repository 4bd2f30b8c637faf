//! What a kind of store does: a folder, or a bucket of a cloud.

use super::error::StateError;
use std::ops::ControlFlow;
use std::sync::Arc;

/// An object, as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// As it was put.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// When it was last put, by the clock of the store: milliseconds since 1970.
    pub modified_ms: i64,
}

/// The manifest, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// What [`StateStore::replace_manifest`](super::StateStore::replace_manifest) was given.
    pub bytes: Vec<u8>,
    /// Which one it is, for replacing it.
    pub version: Version,
}

/// Which manifest it is. Only versions of the same store can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(pub(super) VersionKind);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VersionKind {
    /// The bytes themselves: in a folder nothing shorter is as certain.
    Content(Arc<[u8]>),
    /// What the cloud calls it.
    Tag { e_tag: Option<String>, version: Option<String> },
}

/// Is given objects, one by one, until it breaks.
pub(super) type Taker<'a> = &'a mut dyn FnMut(&str, Option<Vec<u8>>) -> ControlFlow<()>;

/// What a kind of store does. The names are checked before.
pub(super) trait Place: Send + Sync {
    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StateError>;
    /// One after the other, where nothing is gained by more at a time.
    fn put_all(&self, objects: Vec<(String, Vec<u8>)>) -> Result<(), StateError> {
        objects.into_iter().try_for_each(|(name, bytes)| self.put(&name, bytes))
    }
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StateError>;
    /// One after the other, as above.
    fn get_all(&self, names: &[String], each: Taker<'_>) -> Result<(), StateError> {
        for name in names {
            if each(name, self.get(name)?).is_break() {
                break;
            }
        }
        Ok(())
    }
    /// In any order, with what is not an object too, and with more than the prefix where that is cheaper.
    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StateError>;
    /// The names of the folders right below one, whose name ends with a `/`; in any order.
    fn folders(&self, folder: &str) -> Result<Vec<String>, StateError>;
    fn delete(&self, names: &[String]) -> Result<(), StateError>;
    fn manifest(&self) -> Result<Option<Manifest>, StateError>;
    fn replace_manifest(&self, bytes: Vec<u8>, expected: Option<&Version>) -> Result<Version, StateError>;
}

/// What the store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    ReadAndWrite,
    ReadOnly,
    /// To read only, and whether it can be read is found out later.
    Untried,
}

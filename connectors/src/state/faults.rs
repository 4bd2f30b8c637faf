//! A store that fails or stalls when it is told to, for the tests of what is built on it.

use std::sync::Arc;
use std::time::Duration;

use super::error::StateError;
use super::place::{Manifest, ObjectInfo, Place, Version};

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is carried out.
    Pass,
    /// It is not carried out, and fails.
    Fail,
    /// It is carried out after a while, during which the caller waits.
    Stall(Duration),
    /// It is carried out, and fails all the same: the answer was lost.
    FailAfterDoing,
}

/// Decides on each call, by its operation (`put`, `get`, `list`, `delete`, `manifest`, `replace_manifest`) and
/// the object's name, which is the prefix for `list` and empty for the last two. Calls on many objects ask for
/// one after the other, in their order.
pub type Faults = Arc<dyn Fn(&str, &str) -> Fault + Send + Sync>;

/// A place with faults before it.
pub(super) struct Faulty {
    pub(super) url: String,
    pub(super) inner: Arc<dyn Place>,
    pub(super) faults: Faults,
}

impl Faulty {
    fn call<T>(
        &self,
        operation: &str,
        name: &str,
        call: impl FnOnce() -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let failure = |reason: &str| {
            let url = format!("{}/{name}", self.url);
            Err(StateError::Unreachable { url, reason: format!("{operation}: {reason}") })
        };
        match (self.faults)(operation, name) {
            Fault::Pass => call(),
            Fault::Fail => failure("a fault was asked for"),
            Fault::Stall(time) => {
                crest_host::thread::sleep(time);
                call()
            }
            Fault::FailAfterDoing => {
                call()?;
                failure("a lost answer was asked for")
            }
        }
    }
}

impl Place for Faulty {
    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StateError> {
        self.call("put", name, || self.inner.put(name, bytes))
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.call("get", name, || self.inner.get(name))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StateError> {
        self.call("list", prefix, || self.inner.list(prefix))
    }

    fn folders(&self, folder: &str) -> Result<Vec<String>, StateError> {
        self.call("folders", folder, || self.inner.folders(folder))
    }

    fn delete(&self, names: &[String]) -> Result<(), StateError> {
        let one = |name: &String| self.inner.delete(std::slice::from_ref(name));
        names.iter().try_for_each(|name| self.call("delete", name, || one(name)))
    }

    fn manifest(&self) -> Result<Option<Manifest>, StateError> {
        self.call("manifest", "", || self.inner.manifest())
    }

    fn replace_manifest(&self, bytes: Vec<u8>, expected: Option<&Version>) -> Result<Version, StateError> {
        self.call("replace_manifest", "", || self.inner.replace_manifest(bytes, expected))
    }
}

//! The state store: bytes by name, each written once, and one manifest that is replaced atomically.
//!
//! It is a local folder, or a bucket of S3 (of any vendor), Google Cloud or Azure, by URL. It knows names and
//! bytes and nothing of what they mean. What must hold so that a job can be killed at any instant:
//!
//! - What [`put`](StateStore::put) and its like have returned from is durable: in a folder the file and the
//!   folders above it are synced, in a cloud the service has confirmed it.
//! - A name holds all of the bytes of one put or nothing, whenever the writer was killed. Whether an object
//!   counts is for the manifest to say, so one that was left by a killed run may be put again.
//! - Of all jobs that replace the same manifest one succeeds, and the others are told that they were
//!   superseded. A reader finds the old manifest or the new one.
//!
//! Calls block. They may come from any thread, also one of an async runtime (which they would hold up).
//!
//! ```
//! # use std::collections::BTreeMap;
//! # use crest_connectors::state::{StateError, StateStore};
//! # fn main() -> Result<(), StateError> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let url = folder.path().join("crest-data").display().to_string();
//! let store = StateStore::open(&url, &BTreeMap::new())?;
//! store.put("panes/1", b"a pane".to_vec())?;
//! let version = store.replace_manifest(b"job 1: panes/1".to_vec(), None)?;
//!
//! let other = StateStore::open(&url, &BTreeMap::new())?;
//! let found = other.manifest()?.expect("the manifest");
//! assert_eq!((found.bytes.as_slice(), &found.version), (b"job 1: panes/1".as_slice(), &version));
//! other.replace_manifest(b"job 2: panes/1".to_vec(), Some(&version))?;
//!
//! let fenced = store.replace_manifest(b"job 1: panes/1, panes/2".to_vec(), Some(&version));
//! assert!(matches!(fenced, Err(StateError::Superseded { .. })));
//! # Ok(())
//! # }
//! ```

mod cloud;
mod error;
mod faults;
mod folder;
mod memory;
mod name;
mod place;
mod target;
mod trial;

use crate::endpoint::without_secrets;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

pub use self::error::StateError;
#[doc(hidden)]
pub use self::faults::{Fault, Faults};
pub use self::place::{Manifest, ObjectInfo, Version};
pub use self::trial::{Tried, try_out};

use self::cloud::Cloud;
use self::faults::Faulty;
use self::folder::Folder;
use self::memory::Memory;
use self::place::{Place, Purpose};
use self::target::Target;

/// Where the state is kept. Cheap to clone; clones share what they hold open.
#[derive(Clone)]
pub struct StateStore {
    url: String,
    place: Arc<dyn Place>,
}

impl StateStore {
    /// Opens the store at `url` to read and write it: a path (`./crest-data`) or `file:///path`, which is made
    /// if it is missing, or `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`.
    ///
    /// `options` are the keys of the [`object_store`] crate for that cloud (`endpoint`, `region`,
    /// `access_key_id`, `secret_access_key`, `allow_http`, `timeout`, …); they go before the cloud's usual
    /// environment variables, which are read too. A folder has none.
    ///
    /// What a killed writer has left half-done in a folder is removed.
    ///
    /// # Errors
    /// The URL or an option is not understood ([`StateError::Invalid`]), or the place cannot be reached, read
    /// and written, which is tried at once: any of the others but [`StateError::Superseded`].
    pub fn open(url: &str, options: &BTreeMap<String, String>) -> Result<Self, StateError> {
        Self::open_for(Purpose::ReadAndWrite, url, options)
    }

    /// Opens the store to read only: makes no folder, writes nothing, and needs no right to.
    ///
    /// # Errors
    /// Those of [`StateStore::open`]; a folder that is missing is refused.
    pub fn open_to_read(url: &str, options: &BTreeMap<String, String>) -> Result<Self, StateError> {
        Self::open_for(Purpose::ReadOnly, url, options)
    }

    /// A store to read only, which need not be in reach yet.
    ///
    /// # Errors
    /// The URL or an option is not understood.
    pub fn untried(url: &str, options: &BTreeMap<String, String>) -> Result<Self, StateError> {
        Self::open_for(Purpose::Untried, url, options)
    }

    fn open_for(purpose: Purpose, url: &str, options: &BTreeMap<String, String>) -> Result<Self, StateError> {
        let shown = without_secrets(url);
        let place: Arc<dyn Place> = match Target::parse(url, options)? {
            Target::Folder(root) => Arc::new(Folder::open(shown.clone(), root, purpose)?),
            Target::Cloud { store, prefix } => Arc::new(Cloud::open(shown.clone(), store, prefix, purpose)?),
        };
        Ok(StateStore { url: shown, place })
    }

    /// A store in memory, for simulations. Clones share what it holds.
    #[doc(hidden)]
    pub fn in_memory() -> Self {
        StateStore { url: memory::URL.into(), place: Arc::new(Memory::default()) }
    }

    /// Where it is, without secrets.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Writes an object, which is durable when this returns. One of the same name is replaced, atomically.
    ///
    /// # Errors
    /// Nothing of the object is there then, or all of it, where the answer was lost.
    pub fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StateError> {
        name::check(name)?;
        self.place.put(name, bytes)
    }

    /// Accepts a name that an object may have in any store.
    ///
    /// # Errors
    /// [`StateError::Name`].
    pub fn check_name(name: &str) -> Result<(), StateError> {
        name::check(name)
    }

    /// Writes many objects, 16 at a time; all are durable when this returns. Names must differ.
    ///
    /// # Errors
    /// The first that occurred. Some of the objects may have been written.
    pub fn put_all(&self, objects: Vec<(String, Vec<u8>)>) -> Result<(), StateError> {
        objects.iter().try_for_each(|(name, _)| name::check(name))?;
        self.place.put_all(objects)
    }

    /// Reads an object. `None` where there is none of that name.
    ///
    /// # Errors
    /// The place cannot be reached or refuses to be read.
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        name::check(name)?;
        self.place.get(name)
    }

    /// Reads many objects, 32 at a time, and hands them to `each` in the order of `names`: at most about that
    /// many are in memory. `None` where there is no object of that name.
    ///
    /// # Errors
    /// Those of [`StateStore::get`] and of `each`; nothing is handed over after one.
    pub fn get_all<E: From<StateError>>(
        &self,
        names: &[String],
        mut each: impl FnMut(&str, Option<Vec<u8>>) -> Result<(), E>,
    ) -> Result<(), E> {
        names.iter().try_for_each(|name| name::check(name))?;
        let mut refusal = None;
        self.place.get_all(names, &mut |name, bytes| match each(name, bytes) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                refusal = Some(error);
                ControlFlow::Break(())
            }
        })?;
        refusal.map_or(Ok(()), Err)
    }

    /// The objects whose names begin with `prefix`, by name; the manifest is none. A prefix that ends with a
    /// `/` costs no more than what it finds.
    ///
    /// # Errors
    /// The place cannot be reached or refuses to be listed.
    pub fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StateError> {
        let mut found = self.place.list(prefix)?;
        found.retain(|object| object.name.starts_with(prefix) && name::check(&object.name).is_ok());
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The folders right below a folder, whose name ends with a `/`, by name: of `a/b/1`, `a/c/d/2` and `a/3` those below
    /// `a/` are `b` and `c`. It costs no more than what it finds. A folder may be empty by now.
    ///
    /// # Errors
    /// The place cannot be reached or refuses to be listed.
    pub fn folders(&self, folder: &str) -> Result<Vec<String>, StateError> {
        let mut found = self.place.folders(folder)?;
        found.retain(|name| name::check(name).is_ok());
        found.sort_unstable();
        Ok(found)
    }

    /// Removes objects; those that are not there are no error.
    ///
    /// # Errors
    /// The place cannot be reached or refuses; some of them may be gone.
    pub fn delete(&self, names: &[String]) -> Result<(), StateError> {
        names.iter().try_for_each(|name| name::check(name))?;
        self.place.delete(names)
    }

    /// The manifest, if there is one yet.
    ///
    /// # Errors
    /// The place cannot be reached or refuses to be read.
    pub fn manifest(&self) -> Result<Option<Manifest>, StateError> {
        self.place.manifest()
    }

    /// Replaces the manifest if it is still the one of `expected` (`None`: if there is none yet), durably.
    ///
    /// `bytes` must differ from what any other writer writes, for example by an id that each draws when it
    /// starts: a manifest that holds exactly `bytes` is taken for written by this call, whose answer was lost.
    ///
    /// # Errors
    /// [`StateError::Superseded`] if it is another one; nothing has changed then. After a
    /// [transient](StateError::is_transient) error it may have been replaced or not: call again with the same
    /// bytes and version, which is safe, or read whose manifest it is.
    pub fn replace_manifest(
        &self,
        bytes: Vec<u8>,
        expected: Option<&Version>,
    ) -> Result<Version, StateError> {
        self.place.replace_manifest(bytes, expected)
    }

    /// The same store with faults, for tests of the layers above it: `faults` is asked before every call.
    #[doc(hidden)]
    pub fn with_faults(self, faults: Faults) -> Self {
        let place = Faulty { url: self.url.clone(), inner: self.place, faults };
        StateStore { url: self.url, place: Arc::new(place) }
    }
}

impl std::fmt::Debug for StateStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateStore").field("url", &self.url).finish_non_exhaustive()
    }
}

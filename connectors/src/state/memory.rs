//! A store in memory, for simulations: what is put stays for as long as a clone of the store does.

use super::error::StateError;
use super::place::{Manifest, ObjectInfo, Place, Version, VersionKind};
use crest_host::clock::wall_clock_ms;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The objects by name, with the time of each put, and the manifest.
#[derive(Default)]
pub(super) struct Memory(Mutex<Held>);

#[derive(Default)]
struct Held {
    objects: BTreeMap<String, (Vec<u8>, i64)>,
    manifest: Option<Arc<[u8]>>,
}

/// As errors name it.
pub(super) const URL: &str = "memory";

impl Place for Memory {
    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StateError> {
        self.0.lock().objects.insert(name.to_owned(), (bytes, wall_clock_ms()));
        Ok(())
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.lock().objects.get(name).map(|(bytes, _)| bytes.clone()))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StateError> {
        let held = self.0.lock();
        let found = held.objects.iter().filter(|(name, _)| name.starts_with(prefix));
        let info = |(name, (bytes, modified_ms)): (&String, &(Vec<u8>, i64))| ObjectInfo {
            name: name.clone(),
            bytes: bytes.len() as u64,
            modified_ms: *modified_ms,
        };
        Ok(found.map(info).collect())
    }

    fn folders(&self, folder: &str) -> Result<Vec<String>, StateError> {
        let held = self.0.lock();
        let below = held.objects.keys().filter_map(|name| name.strip_prefix(folder)?.split_once('/'));
        Ok(below.map(|(name, _)| name.to_owned()).collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn delete(&self, names: &[String]) -> Result<(), StateError> {
        let mut held = self.0.lock();
        names.iter().for_each(|name| drop(held.objects.remove(name)));
        Ok(())
    }

    fn manifest(&self) -> Result<Option<Manifest>, StateError> {
        let found = self.0.lock().manifest.clone();
        Ok(found
            .map(|bytes| Manifest { bytes: bytes.to_vec(), version: Version(VersionKind::Content(bytes)) }))
    }

    fn replace_manifest(&self, bytes: Vec<u8>, expected: Option<&Version>) -> Result<Version, StateError> {
        let (mut held, bytes) = (self.0.lock(), Arc::<[u8]>::from(bytes));
        let version = |bytes: &Arc<[u8]>| Version(VersionKind::Content(bytes.clone()));
        let found = held.manifest.as_ref().map(version);
        if found.as_ref() != expected && held.manifest.as_ref() != Some(&bytes) {
            return Err(StateError::Superseded { url: URL.into() });
        }
        held.manifest = Some(bytes.clone());
        Ok(version(&bytes))
    }
}

//! A bucket as a store: S3, Google Cloud and Azure, through the `object_store` crate.

mod errors;

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutResult,
    UpdateVersion,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use self::errors::Failure;
use super::error::StateError;
use super::name::MANIFEST;
use super::place::{Manifest, ObjectInfo, Place, Purpose, Taker, Version, VersionKind};

/// Requests under way at once.
const PUTS: usize = 16;
const GETS: usize = 32;

/// The requests wait; TLS and checksums of 16 of them need little.
const THREADS: usize = 2;

/// Put and deleted again when the store is opened, to know that it can be written. No object's name begins
/// with a dot.
const TRIAL: &str = ".trial";

/// Clouds refuse conditional puts now and then because another one was under way, which may itself have failed.
const COLLISIONS: usize = 8;

/// The bucket, and the runtime that its requests run on.
pub(super) struct Cloud {
    url: String,
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Taken when this is dropped, since a runtime may not be ended by waiting inside of another.
    runtime: Option<Runtime>,
}

impl Cloud {
    /// Opens it, and tries it out.
    pub(super) fn open(
        url: String,
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        purpose: Purpose,
    ) -> Result<Self, StateError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("crest-state")
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| StateError::of_file(url.clone(), &error))?;
        let url = url.trim_end_matches('/').to_owned();
        let cloud = Cloud { url, store, prefix, runtime: Some(runtime) };
        if purpose != Purpose::Untried {
            cloud.try_out(purpose).map_err(|failure| failure.about(cloud.url.clone()))?;
        }
        Ok(cloud)
    }

    fn try_out(&self, purpose: Purpose) -> Result<(), Failure> {
        let mut listing = self.store.list(Some(&self.prefix));
        self.run(async move { listing.try_next().await.map(drop) })?;
        if purpose == Purpose::ReadOnly {
            return Ok(());
        }
        let (store, trial) = (self.store.clone(), self.path(TRIAL));
        self.run(async move {
            store.put(&trial, PutPayload::from_static(b"crest")).await?;
            store.delete(&trial).await.or_else(fine_if_missing)
        })
    }

    /// Runs a request to its end. The runtime is another than the caller's, if that has one.
    fn run<T: Send + 'static>(
        &self,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T, Failure> {
        let Some(runtime) = &self.runtime else { return Err(Failure::ended()) };
        match futures_executor::block_on(runtime.spawn(request)) {
            Ok(answer) => answer.map_err(Failure::from),
            Err(_) => Err(Failure::ended()),
        }
    }

    fn path(&self, name: &str) -> Path {
        self.prefix.parts().chain(name.split('/').map(Into::into)).collect()
    }

    fn object_url(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    fn put_manifest(&self, bytes: &[u8], expected: Option<&Version>) -> Result<Version, Failure> {
        let mode = match expected.map(|version| &version.0) {
            None => PutMode::Create,
            Some(VersionKind::Tag { e_tag, version }) => {
                PutMode::Update(UpdateVersion { e_tag: e_tag.clone(), version: version.clone() })
            }
            // A folder's: none that this store can have.
            Some(VersionKind::Content(_)) => return Err(Failure::Conflict("of another store".into())),
        };
        let (store, path, payload) =
            (self.store.clone(), self.path(MANIFEST), PutPayload::from(bytes.to_vec()));
        let put = self.run(async move { store.put_opts(&path, payload, PutOptions::from(mode)).await })?;
        Ok(put.into())
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Place for Cloud {
    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StateError> {
        self.put_all(vec![(name.to_owned(), bytes)])
    }

    fn put_all(&self, objects: Vec<(String, Vec<u8>)>) -> Result<(), StateError> {
        let store = self.store.clone();
        let objects: Vec<_> =
            objects.into_iter().map(|(name, bytes)| (self.path(&name), name, bytes)).collect();
        let puts = async move {
            let put = |(path, name, bytes): (Path, String, Vec<u8>)| {
                let store = store.clone();
                async move { store.put(&path, bytes.into()).await.map_err(|error| (name, error)) }
            };
            let mut puts = stream::iter(objects).map(put).buffer_unordered(PUTS);
            while let Some(done) = puts.next().await {
                if let Err(failed) = done {
                    return Ok(Some(failed));
                }
            }
            Ok(None)
        };
        match self.run(puts).map_err(|failure| failure.about(self.url.clone()))? {
            Some((name, error)) => Err(Failure::from(error).about(self.object_url(&name))),
            None => Ok(()),
        }
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        let (store, path) = (self.store.clone(), self.path(name));
        self.run(async move { read(&*store, &path).await })
            .map(|found| found.map(|(bytes, _)| bytes))
            .map_err(|failure| failure.about(self.object_url(name)))
    }

    fn get_all(&self, names: &[String], each: Taker<'_>) -> Result<(), StateError> {
        let Some(runtime) = &self.runtime else { return Err(Failure::ended().about(self.url.clone())) };
        let paths: Vec<Path> = names.iter().map(|name| self.path(name)).collect();
        let store = self.store.clone();
        let (answers, mut received) = mpsc::channel(1);
        runtime.spawn(async move {
            let get = |path: Path| {
                let store = store.clone();
                async move { read(&*store, &path).await }
            };
            let mut found = stream::iter(paths).map(get).buffered(GETS);
            while let Some(answer) = found.next().await {
                if answers.send(answer).await.is_err() {
                    return; // told to stop
                }
            }
        });
        for name in names {
            let answer = match futures_executor::block_on(received.recv()) {
                Some(answer) => answer.map_err(Failure::from),
                None => Err(Failure::ended()),
            };
            let found = answer.map_err(|failure| failure.about(self.object_url(name)))?;
            if each(name, found.map(|(bytes, _)| bytes)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StateError> {
        // Clouds list whole folders.
        let within = prefix.rfind('/').map_or("", |end| &prefix[..end]);
        let within = if within.is_empty() { self.prefix.clone() } else { self.path(within) };
        let listing = self.store.list(Some(&within));
        let found: Vec<ObjectMeta> = self
            .run(async move { listing.try_collect().await })
            .map_err(|failure| failure.about(self.object_url(prefix)))?;
        let info = |meta: ObjectMeta| {
            let mut name = meta.location.prefix_match(&self.prefix)?.map(|part| part.as_ref().to_owned());
            let name = name.by_ref().collect::<Vec<_>>().join("/");
            Some(ObjectInfo { name, bytes: meta.size, modified_ms: meta.last_modified.timestamp_millis() })
        };
        Ok(found.into_iter().filter_map(info).collect())
    }

    fn folders(&self, folder: &str) -> Result<Vec<String>, StateError> {
        let (store, within) = (self.store.clone(), self.path(folder.trim_end_matches('/')));
        let found = self
            .run(async move { store.list_with_delimiter(Some(&within)).await })
            .map_err(|failure| failure.about(self.object_url(folder)))?;
        Ok(found
            .common_prefixes
            .iter()
            .filter_map(|path| Some(path.parts().next_back()?.as_ref().to_owned()))
            .collect())
    }

    fn delete(&self, names: &[String]) -> Result<(), StateError> {
        let paths: Vec<_> = names.iter().map(|name| Ok(self.path(name))).collect();
        let mut deletions = self.store.delete_stream(stream::iter(paths).boxed());
        self.run(async move {
            while let Some(deleted) = deletions.next().await {
                deleted.map(drop).or_else(fine_if_missing)?;
            }
            Ok(())
        })
        .map_err(|failure| failure.about(self.url.clone()))
    }

    fn manifest(&self) -> Result<Option<Manifest>, StateError> {
        let (store, path) = (self.store.clone(), self.path(MANIFEST));
        let found = self
            .run(async move { read(&*store, &path).await })
            .map_err(|failure| failure.about(self.object_url(MANIFEST)))?;
        Ok(found.map(|(bytes, version)| Manifest { bytes, version }))
    }

    fn replace_manifest(&self, bytes: Vec<u8>, expected: Option<&Version>) -> Result<Version, StateError> {
        let mut put = self.put_manifest(&bytes, expected);
        for _ in 0..COLLISIONS {
            let failure = match put {
                Ok(version) => return Ok(version),
                Err(failure @ Failure::Refused(_)) => {
                    return Err(failure.about(self.object_url(MANIFEST)));
                }
                Err(failure) => failure,
            };
            // The put, or one before it whose answer was lost and that was sent again, may have succeeded.
            let found = self.manifest()?;
            match found {
                Some(found) if found.bytes == bytes => return Ok(found.version),
                found if found.as_ref().map(|found| &found.version) != expected => {
                    return Err(StateError::Superseded { url: self.url.clone() });
                }
                _ if matches!(failure, Failure::Unreachable(_)) => {
                    return Err(failure.about(self.object_url(MANIFEST)));
                }
                _ => put = self.put_manifest(&bytes, expected),
            }
        }
        put.map_err(|failure| failure.about(self.object_url(MANIFEST)))
    }
}

/// An object's bytes and version; `None` where there is none.
async fn read(store: &dyn ObjectStore, path: &Path) -> object_store::Result<Option<(Vec<u8>, Version)>> {
    let found: GetResult = match store.get(path).await {
        Err(object_store::Error::NotFound { source, path }) if errors::is_of_the_bucket(&*source) => {
            return Err(object_store::Error::NotFound { source, path });
        }
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        other => other?,
    };
    let version = VersionKind::Tag { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
    Ok(Some((found.bytes().await?.into(), Version(version))))
}

fn fine_if_missing(error: object_store::Error) -> object_store::Result<()> {
    match error {
        object_store::Error::NotFound { .. } => Ok(()),
        error => Err(error),
    }
}

impl From<PutResult> for Version {
    fn from(put: PutResult) -> Self {
        Version(VersionKind::Tag { e_tag: put.e_tag, version: put.version })
    }
}

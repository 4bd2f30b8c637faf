//! Panes and rollups without a manifest, as a backup that was brought back in part leaves them. A run writes its manifest
//! before its first object, so that none was ever left so by a kill: what is there is somebody's past, and a new state in
//! the same place would fork it.

use crate::error::StateRefusal;
use crate::object::{folders, is_of_a_block};
use crest_connectors::state::{StateError, StateStore};

/// The refusal of a store that has no manifest, if it holds blocks all the same. Other files are nobody's business: an
/// embedded log may be in the same folder.
pub(super) fn find(store: &StateStore) -> Result<Option<StateRefusal>, StateError> {
    let (mut objects, mut first) = (0, None);
    for folder in folders() {
        let mut found = store.list(&format!("{folder}/"))?;
        found.retain(|object| is_of_a_block(&object.name));
        objects += found.len();
        first = first.or(found.into_iter().next().map(|object| object.name));
    }
    let url = store.url().to_owned();
    Ok(first.map(|name| StateRefusal::Orphaned { url, objects, name }))
}

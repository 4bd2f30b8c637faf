//! Finds panes and rollups without a manifest, as a partly restored backup leaves them. A run writes its manifest
//! before its first object, so a kill never leaves them so. They belong to an older state, and a new state must not
//! begin among them.

use crate::error::StateRefusal;
use crate::object::{folders, is_of_a_block};
use crest_connectors::state::{StateError, StateStore};

/// The refusal of a store that has blocks but no manifest; `None` if it has no blocks. Other files do not matter: an
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

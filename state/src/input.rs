//! What a job counts: the records of a source, or the closed panes of regions.

use crate::region_feed::Regions;
use crest_connectors::source::SourceFactory;
use std::sync::Arc;

/// What a job counts.
#[derive(Clone)]
pub enum Input {
    /// The records of a source.
    Records(Arc<dyn SourceFactory>),
    /// The closed panes of regions.
    Regions(Arc<Regions>),
}

impl Input {
    /// Whether it has an end.
    pub fn bounded(&self) -> bool {
        match self {
            Input::Records(source) => source.bounded(),
            Input::Regions(regions) => regions.bounded(),
        }
    }

    /// What tells it from something else of the same name, where that is known.
    pub fn identity(&self) -> Option<String> {
        match self {
            Input::Records(source) => source.identity(),
            Input::Regions(regions) => regions.identity(),
        }
    }

    /// The regions, where it is of these.
    pub fn regions(&self) -> Option<&Arc<Regions>> {
        if let Input::Regions(regions) = self { Some(regions) } else { None }
    }
}

impl From<Arc<dyn SourceFactory>> for Input {
    fn from(source: Arc<dyn SourceFactory>) -> Self {
        Input::Records(source)
    }
}

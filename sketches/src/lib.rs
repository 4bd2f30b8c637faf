//! Mergeable top-K summaries that state their error.

//! What `/metrics` shows of a process, for who asks otherwise than by HTTP.

use super::api::{Api, Shown};
use super::metrics::figures;
use super::policy::Policy;
use super::routes;
use crate::figures::Figures;
use std::sync::Arc;

/// The figures of a process, whether its API is served or not.
pub struct Measured(pub(super) Arc<Api>);

impl Measured {
    /// Those of a process that serves no API.
    pub fn of(shown: Shown, policy: &Policy) -> Self {
        Measured(Arc::new(Api::new(shown, policy, routes::counted(), true)))
    }

    /// As they are now.
    pub fn figures(&self) -> Figures {
        figures(&self.0)
    }
}

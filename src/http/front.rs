//! What stands before the routes: a question that was answered with a ranking is answered again without asking what it
//! means. It is the same answer, from the same memory, in half the time.

use super::rendered::{Current, Rendered};
use super::tally::Tally;
use super::{Api, Rankings, guard, rankings, router};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response};
use futures_util::future::{Either, Ready, ready};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Questions that are known at most; beyond it all are forgotten, and those still asked are soon known again.
const MOST: usize = 4096;
/// A longer one is seldom asked twice.
const LONGEST: usize = 256;

/// The questions that were answered with a ranking, as they were asked.
#[derive(Debug, Default)]
pub struct Questions(Mutex<HashMap<Box<str>, Arc<Question>>>);

/// What a question means, and how it was answered last.
#[derive(Debug)]
struct Question {
    current: Current,
    /// With the version of all rankings at that time.
    last: Mutex<Option<(u64, Arc<Rendered>)>>,
}

impl Questions {
    /// Remembers what a question means.
    pub fn note(&self, asked: &str, current: &Current) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() > LONGEST || known.contains_key(asked) {
            return;
        }
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(asked.into(), Arc::new(Question { current: current.clone(), last: Mutex::default() }));
    }

    fn find(&self, asked: &str) -> Option<Arc<Question>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(asked).cloned()
    }
}

impl Question {
    /// The answer as it was, where no ranking has changed since; otherwise as it is now, if its ranking is at hand.
    fn answer(&self, api: &Api) -> Option<Arc<Rendered>> {
        let version = api.store.version();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, rendered)) = last.as_ref().filter(|(known, _)| *known == version) {
            return Some(rendered.clone());
        }
        let held = rankings::at_hand(api, &self.current)?;
        let rendered = api.answers.of(&self.current, &held).ok()?;
        *last = Some((version, rendered.clone()));
        Some(rendered)
    }
}

/// Answers a connection's requests.
#[derive(Clone)]
pub struct Front {
    api: Arc<Api>,
    routes: TowerToHyperService<Router>,
}

impl Front {
    /// Of an API.
    pub fn new(api: Arc<Api>) -> Self {
        Front { routes: TowerToHyperService::new(router(api.clone())), api }
    }

    /// The answer to a question that is known, if its ranking is at hand. Whatever needs more thought (tokens, other
    /// origins, groups that Redis is to be asked for) is left to the routes.
    fn known(&self, request: &Request<Incoming>) -> Option<Response<Body>> {
        let api = &*self.api;
        let simple = *request.method() == Method::GET && api.access.read.is_empty() && api.cors.is_empty();
        let asked = request.uri().path_and_query().filter(|_| simple)?.as_str();
        let began = Instant::now();
        let question = api.questions.find(asked)?;
        if matches!(api.rankings, Rankings::Mirror(_)) && !question.current.group.is_empty() {
            return None;
        }
        let _place = api.reads.try_acquire().ok()?;
        let rendered = question.answer(api)?;
        let response = rankings::present(api, &question.current, &rendered, request.headers());
        api.tally.count(Tally::of_board(request.uri().path()), response.status().as_u16(), began.elapsed());
        Some(guard::secured(response))
    }
}

type Routed = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

impl Service<Request<Incoming>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<Body>, Infallible>>, Routed>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        match self.known(&request) {
            Some(response) => Either::Left(ready(Ok(response))),
            None => Either::Right(self.routes.call(request)),
        }
    }
}

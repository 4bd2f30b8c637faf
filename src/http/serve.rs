//! The port and its threads: HTTP/1.1 with limits, so that no client can hold or fill up the process.

use super::api::{Api, Shown};
use super::connection::{configured, connection};
use super::door::{self, Arrived};
use super::measured::Measured;
use super::policy::Policy;
use super::routes;
use super::stream;
use crate::failure::Failure;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// A port that is ours, before anything is served on it.
#[derive(Debug)]
pub struct Bound(TcpListener);

/// Takes the port of `--http`.
///
/// # Errors
/// It is taken, or the address is not of this machine.
pub fn take_port(address: &str) -> Result<Bound, Failure> {
    bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Failure::Failed(format!(
            "--http {address}: the port is in use; give another, port 0 for any, or off"
        )),
        _ => Failure::Failed(format!("--http {address}: {error}")),
    })
}

fn bind(address: &str) -> io::Result<Bound> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(Bound(listener))
}

impl Bound {
    /// Where it is: with the port that the system chose, where it was to choose.
    ///
    /// # Errors
    /// The operating system's.
    pub fn address(&self) -> Result<SocketAddr, Failure> {
        self.0.local_addr().map_err(|error| Failure::Failed(format!("the port of the API: {error}")))
    }

    /// Serves on two threads until the process ends: one keeps the door, and answers probes; the one that is handed back
    /// answers all else. The figures are those that it shows.
    ///
    /// # Errors
    /// A thread or its runtime cannot be started.
    pub fn serve(self, shown: Shown, policy: &Policy) -> Result<(JoinHandle<()>, Measured), Failure> {
        let loopback = self.address()?.ip().to_canonical().is_loopback();
        let api = Arc::new(Api::new(shown, policy, routes::counted(), loopback));
        let measured = Measured(api.clone());
        let inside = self.start(api, std::future::pending());
        let inside = inside.map_err(|error| Failure::Failed(format!("the API cannot be served: {error}")))?;
        Ok((inside, measured))
    }

    /// Serves as [`serve`](Self::serve) does, until that is closed. The port stays taken.
    ///
    /// # Errors
    /// A thread or its runtime cannot be started.
    pub fn serve_until_closed(&self, shown: Shown, policy: &Policy) -> Result<Served, Failure> {
        let loopback = self.address()?.ip().to_canonical().is_loopback();
        let api = Arc::new(Api::new(shown, policy, routes::counted(), loopback));
        let (open, closed) = oneshot::channel::<()>();
        let until = async {
            let _ = closed.await;
        };
        let started = self.0.try_clone().and_then(|listener| Bound(listener).start(api, until));
        let inside =
            started.map_err(|error| Failure::Failed(format!("the API cannot be served: {error}")))?;
        Ok(Served { open, inside })
    }

    fn start(
        self,
        api: Arc<Api>,
        closed: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let (at_door, inside) = (runtime()?, runtime()?);
        let listener = {
            let _context = at_door.enter();
            tokio::net::TcpListener::from_std(self.0)?
        };
        let (hand_on, handed) = mpsc::unbounded_channel();
        let theirs = api.clone();
        let thread = |name: &str| std::thread::Builder::new().name(name.into());
        thread("http-door").spawn(move || {
            at_door.block_on(async {
                tokio::select! {
                    () = door::keep(listener, theirs, hand_on) => {}
                    () = closed => {}
                }
            });
        })?;
        thread("http").spawn(move || {
            inside.spawn(stream::beat(Arc::downgrade(&api)));
            inside.block_on(serve(handed, api));
        })
    }
}

/// What is served until it is closed.
pub struct Served {
    open: oneshot::Sender<()>,
    inside: JoinHandle<()>,
}

impl Served {
    /// Ends it, and cuts its connections off: whoever was answered asks again.
    pub fn close(self) {
        drop(self.open);
        if self.inside.join().is_err() {
            tracing::debug!("the API of the standby has ended with a panic");
        }
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()
}

async fn serve(mut handed: mpsc::UnboundedReceiver<Arrived>, api: Arc<Api>) {
    let time = api.limits.time;
    let service = routes::service(api);
    let http = configured(time);
    while let Some((stream, place)) = handed.recv().await {
        let stream = match tokio::net::TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "an HTTP connection cannot be served");
                continue;
            }
        };
        let served = connection(&http, stream, time, service.clone());
        tokio::spawn(async move {
            served.await;
            drop(place);
        });
    }
}

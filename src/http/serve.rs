//! The listener and its thread: HTTP/1.1 with limits, so that no client can hold or fill up the process.

use super::api::{Api, Shown};
use super::policy::{Limits, Policy};
use super::routes;
use super::stream;
use crate::failure::Failure;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

/// The bytes of a request's line and headers together, at most.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// After the system has refused to accept, for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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

    /// Serves on a thread of its own, which is handed back, until the process ends.
    ///
    /// # Errors
    /// The thread or its runtime cannot be started.
    pub fn serve(self, shown: Shown, policy: &Policy) -> Result<JoinHandle<()>, Failure> {
        let api = Arc::new(Api::new(shown, policy, routes::counted()));
        self.start(api).map_err(|error| Failure::Failed(format!("the API cannot be served: {error}")))
    }

    fn start(self, api: Arc<Api>) -> io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(self.0)?
        };
        let thread = std::thread::Builder::new().name("http".into());
        thread.spawn(move || {
            runtime.spawn(stream::beat(Arc::downgrade(&api)));
            runtime.block_on(accept(listener, api));
        })
    }
}

async fn accept(listener: tokio::net::TcpListener, api: Arc<Api>) {
    let Limits { connections, time, .. } = api.limits;
    let service = TowerToHyperService::new(routes::service(api));
    let free = Arc::new(Semaphore::new(connections));
    let mut http = hyper::server::conn::http1::Builder::new();
    // An answer is one buffer: it is sent by one plain call.
    http.writev(false).timer(TokioTimer::new()).header_read_timeout(time).max_buf_size(MAX_HEAD_BYTES);
    while let Ok(permit) = free.clone().acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Answers are small and whole: there is nothing to wait for.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        // A client that does not take what it is sent is cut off; one that is sent nothing may wait.
        stream.set_write_timeout(Some(time));
        let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), service.clone());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an HTTP connection ended early");
            }
            drop(permit);
        });
    }
}

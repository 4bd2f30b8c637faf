//! One connection: HTTP/1.1 with limits.

use super::routes::Answers;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;

/// The bytes of a request's line and headers together, at most.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// HTTP/1.1 with limits; `time` is for a request's head to come.
pub fn configured(time: Duration) -> Builder {
    let mut http = Builder::new();
    // An answer is one buffer: it is sent by one plain call.
    http.writev(false).timer(TokioTimer::new()).header_read_timeout(time).max_buf_size(MAX_HEAD_BYTES);
    http
}

/// Serves one connection to its end. A client that does not take what it is sent within `time` is cut off; one that is
/// sent nothing may wait.
pub fn connection<S: Answers>(
    http: &Builder,
    stream: TcpStream,
    time: Duration,
    service: S,
) -> impl Future<Output = ()> + Send + use<S> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(time));
    let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(service));
    async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "an HTTP connection ended early");
        }
    }
}

//! A real S3 server over a temporary folder, in this process, that can be told to fail as networks and
//! services do.

// Each test takes what it needs, and a failed step of the harness is a failed test.
#![allow(dead_code, clippy::expect_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::RwLock;

const BUCKET: &str = "crest-test";
const ACCESS_KEY: &str = "an-access-key";
const SECRET_KEY: &str = "a-secret-key";

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// What the server says.
    Right,
    /// It is not carried out, and answered with this status.
    Status(u16),
    /// It is carried out, and the connection is cut instead of an answer.
    Lost,
}

type Disturbance = Box<dyn FnMut(&Method, &str) -> Answer + Send>;

/// The server. It ends when its value is dropped.
pub struct S3Server {
    address: SocketAddr,
    folder: tempfile::TempDir,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

struct Shared {
    service: S3Service,
    disturbance: Mutex<Disturbance>,
    /// This server looks at a condition first and writes then, and writes an object's tag apart from its bytes.
    /// A bucket does each at once, so writes are kept from everything else.
    order: RwLock<()>,
}

impl S3Server {
    /// Starts a server with one empty bucket.
    pub fn start() -> Self {
        S3Server::start_at("127.0.0.1")
    }

    /// The same at another address.
    pub fn start_at(host: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for S3");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        let mut service =
            S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).expect("S3 on a folder"));
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let shared = Arc::new(Shared {
            service: service.build(),
            disturbance: Mutex::new(Box::new(|_, _| Answer::Right)),
            order: RwLock::new(()),
        });
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind((host, 0))).expect("a port");
        let address = listener.local_addr().expect("an address");
        runtime.spawn(accept(listener, shared.clone()));
        S3Server { address, folder, shared, runtime: Some(runtime) }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// A store in the bucket.
    pub fn url(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// What the URL needs beside it.
    pub fn options(&self) -> BTreeMap<String, String> {
        options_for(&format!("http://{}", self.address))
    }

    /// Where an object is.
    pub fn path(&self, key: &str) -> std::path::PathBuf {
        self.folder.path().join(BUCKET).join(key)
    }

    /// From now on every request is answered as `disturbance` says for its method and path.
    pub fn disturb(&self, disturbance: impl FnMut(&Method, &str) -> Answer + Send + 'static) {
        *self.shared.disturbance.lock().expect("no panic before") = Box::new(disturbance);
    }
}

/// The options for an S3 server at this URL.
pub fn options_for(endpoint: &str) -> BTreeMap<String, String> {
    [
        ("endpoint", endpoint),
        ("region", "us-east-1"),
        ("access_key_id", ACCESS_KEY),
        ("secret_access_key", SECRET_KEY),
        ("allow_http", "true"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((connection, _)) = listener.accept().await {
        tokio::spawn(serve(connection, shared.clone()));
    }
}

async fn serve(connection: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| answer(request, shared.clone()));
    // A connection that the client ends, or that is cut on purpose, is no error.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<s3s::Body>, String> {
    let chosen = {
        let mut disturbance = shared.disturbance.lock().expect("no panic before");
        disturbance(request.method(), request.uri().path())
    };
    if let Answer::Status(status) = chosen {
        let status = StatusCode::from_u16(status).expect("a status");
        return Response::builder()
            .status(status)
            .body(s3s::Body::empty())
            .map_err(|error| error.to_string());
    }
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let request = request.map(s3s::Body::from);
    let response = if reads {
        let _order = shared.order.read().await;
        shared.service.call(request).await
    } else {
        let _order = shared.order.write().await;
        shared.service.call(request).await
    };
    match chosen {
        Answer::Lost => Err("the answer is lost".into()),
        _ => response.map_err(|error| format!("{error:?}")),
    }
}

//! The state store against a folder and a real S3 server.

#[path = "../support/s3_server.rs"]
mod s3_server;

mod contract;
mod folder;
mod s3;

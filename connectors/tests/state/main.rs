//! The state store against a folder and a real S3 server.

#![allow(clippy::unwrap_used)] // a failed step of the harness is a failed test

#[path = "../support/s3_server.rs"]
mod s3_server;

mod contract;
mod folder;
mod s3;

//! Bytes in and bytes out.

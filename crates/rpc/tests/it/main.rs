//! The API over real sockets, with a fake daemon behind it.

#![expect(unreachable_pub, clippy::unwrap_used, reason = "a test")]

mod api;
mod changes;
mod compatibility;
mod discovery;
mod errors;
mod keys;
mod lists;
mod released;
mod repeats;
mod shares;
mod support;
mod tls;
mod transport;
mod watching;

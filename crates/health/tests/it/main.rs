//! Checks of real sockets, through the crate's door.

mod crowd;
mod grpc;
mod http;
mod support;
mod tcp;

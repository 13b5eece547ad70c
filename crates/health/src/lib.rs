//! Health checks over the network: http, tcp and grpc.
//!
//! [`Checker`] is given a tokio runtime and may share it with whatever else runs there: nothing in here blocks a
//! thread, reads without a bound, or keeps more than a bounded number of connections. Its bounds stand in `lanes` (checks at a
//! time, checks that wait), `wire` (bytes read), `http` (an answer's head), `connect` (addresses tried) and `resolve`
//! (names). Why they are what they are: docs/adr/0015-health-checks.md.
//!
//! Each failure is one sentence for a person that names the address.

mod answer;
mod checker;
mod connect;
mod deadline;
mod failure;
mod grpc;
mod http;
mod lanes;
mod resolve;
mod target;
mod wire;

pub use answer::Done;
pub use checker::Checker;

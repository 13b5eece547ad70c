//! What a spawned program gets, and how a failed spawn is told. Works as root and as a plain user: where the two
//! differ, each asserts its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod failures;
mod inheritance;
mod limits;
mod many;
mod outcome;
mod support;
mod users;

//! The spawner with a system that fails on request, and what it does for a run, looked at from outside.

mod faults;
mod fixture;
mod helpers;

pub(super) use fixture::faulty;

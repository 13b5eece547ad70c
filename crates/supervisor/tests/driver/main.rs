//! The driver with real children, a private supervisor per test. What has to be alone in its process stands in
//! `driver_alone`.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod commands;
mod conditions;
mod environment;
mod execution;
mod failures;
mod helpers;
mod lifecycle;
mod limits;
mod notify;
mod support;

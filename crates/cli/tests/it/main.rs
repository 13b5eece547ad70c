//! pm-cli in this process against a real server with a fake daemon behind it: exit code, stdout and stderr of each
//! verb, happy and sad.

#![expect(unreachable_pub, clippy::unwrap_used, reason = "a test")]

mod binary;
mod edit;
mod explain;
mod fake;
mod hostile;
mod logs;
mod look;
mod operate;
mod snapshots;
mod tables;
mod top;
mod transcript;

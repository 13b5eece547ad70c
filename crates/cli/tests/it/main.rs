//! pm-cli in this process against a real server with a fake daemon behind it: exit code, stdout and stderr of each
//! verb, happy and sad.

#![expect(unreachable_pub, clippy::unwrap_used, reason = "a test")]

mod binary;
mod completion;
mod doctor;
mod edit;
mod explain;
mod fake;
mod fleet;
mod hostile;
mod local;
mod logs;
mod look;
mod migrate;
mod operate;
mod outputs;
mod pages;
mod progress;
mod schema;
mod snapshots;
mod tables;
mod top;
mod transcript;

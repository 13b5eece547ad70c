//! The real daemon, real children, real sockets: few tests, each with a daemon and directories of its own.

mod bad_input;
mod boot_set;
mod control;
mod editing;
mod environment;
mod groups;
mod health;
mod hooks;
mod idle;
mod init;
mod lifecycle;
mod listeners;
mod logs;
mod needs;
mod output;
mod persistence;
mod plan;
mod pty;
mod readiness;
mod reload;
mod scene;
mod stopping;
mod story;
mod support;
mod why;

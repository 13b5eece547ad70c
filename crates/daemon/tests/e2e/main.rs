//! The real daemon, real children, real sockets: few tests, each with a daemon and directories of its own.

mod bad_input;
mod boot_set;
mod control;
mod environment;
mod groups;
mod health;
mod hooks;
mod idle;
mod lifecycle;
mod listeners;
mod needs;
mod output;
mod persistence;
mod pty;
mod plan;
mod readiness;
mod reload;
mod scene;
mod stopping;
mod story;
mod support;

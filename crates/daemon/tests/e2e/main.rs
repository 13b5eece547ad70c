//! The real daemon, real children, real sockets: few tests, each with a daemon and directories of its own.

mod bad_input;
mod control;
mod idle;
mod lifecycle;
mod listeners;
mod output;
mod persistence;
mod reload;
mod support;

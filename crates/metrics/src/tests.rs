//! Tests of the exposition as a whole, on a fixed snapshot and a fixture of /proc.

pub(crate) mod fixture;
mod golden;
mod table;

pub(crate) use fixture::{Fixture, exporter, exporter_on, process};

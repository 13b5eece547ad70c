//! The pure machine: scenarios told as a list of inputs, and properties over random ones. No clock, no process.

#[path = "machine/properties.rs"]
mod properties;
#[path = "machine/scenarios.rs"]
mod scenarios;
#[path = "machine/world.rs"]
mod world;

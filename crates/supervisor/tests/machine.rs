//! The pure machine: scenarios told as a list of inputs, and properties over random ones. No clock, no process.

#[path = "machine/control.rs"]
mod control;
#[path = "machine/health.rs"]
mod health;
#[path = "machine/limits.rs"]
mod limits;
#[path = "machine/needs.rs"]
mod needs;
#[path = "machine/properties.rs"]
mod properties;
#[path = "machine/readiness.rs"]
mod readiness;
#[path = "machine/scenarios.rs"]
mod scenarios;
#[path = "machine/states.rs"]
mod states;
#[path = "machine/unborn.rs"]
mod unborn;
#[path = "machine/world.rs"]
mod world;

//! Runs with real children, without the driver.

mod adoption;
mod helpers;
mod kin;
mod nursery;
mod work;

pub(crate) use nursery::{Kid, Special, World, alone, delegated, is_gone, kill, line, wait_end, wait_for};

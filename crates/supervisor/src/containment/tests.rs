//! Runs with real children, without the driver.

mod adoption;
mod helpers;
mod kin;
mod nursery;
mod work;

pub(crate) use nursery::{Kid, Special, World, is_gone, kill, wait_end};

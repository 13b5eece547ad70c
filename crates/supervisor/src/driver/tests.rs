//! The driver's effects and inputs, with real children and without the machine's decisions.

mod bench;
mod helpers;
mod main_process;
mod notices;
mod probing;

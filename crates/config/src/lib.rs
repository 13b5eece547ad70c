//! Process definitions: YAML text to validated specifications, with errors that name file, line and column.
//!
//! A file's way: `source` reads it, `parse` makes a tree that knows its places, `document` finds the processes in it,
//! `definition` reads each by the table in `keys`, `layers` puts the files on top of each other, `resolve` fills in the
//! defaults, `check` looks at all of them together.
//!
//! Nothing here panics on any input, and no input takes longer than a few seconds.

mod check;
mod definition;
mod docs;
mod document;
mod fault;
mod keys;
mod kinds;
mod layers;
mod parse;
mod problem;
mod render;
mod resolve;
mod secret;
mod source;
mod store;
mod suggest;
mod tree;

pub use check::log_conflict;
pub use docs::markdown;
pub use fault::Fault;
pub use layers::{Layout, LoadError, Loaded, Main, load};
pub use problem::{Place, Problem, Severity};
pub use render::render;
pub use resolve::resolve;
pub use secret::{MASK, is_secret_key, mask_value};
pub use store::{StoreError, remove_runtime, write_runtime};

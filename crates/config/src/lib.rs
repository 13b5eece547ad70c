//! Process definitions: YAML text to validated specifications, with errors that name file, line and column.
//!
//! A file's way: `source` reads it, `parse` makes a tree that knows its places, `document` finds the processes in it,
//! `definition` reads each by the table in `keys` (whose kinds of values stand below `kinds`), `layers` puts the files
//! on top of each other, `resolve` fills in the defaults, `contradictions` looks at the keys of one process together,
//! `check` at all processes together.
//!
//! The other way, from what is in force to the files: `store` and `overrides` write them, `update` changes what the API
//! keeps, `fragments` shows who says what, `whole` writes whole files.
//!
//! For those who have no daemon at hand: `standalone` checks one text alone, `schema` describes the keys to editors, and
//! `foreign` reads YAML and JSON of other programs with the line of each value.
//!
//! Nothing here panics on any input, and no input takes longer than a few seconds.

mod check;
mod contradictions;
mod definition;
mod docs;
mod document;
mod fault;
mod foreign;
mod fragments;
mod keys;
mod kinds;
mod layers;
mod overrides;
mod parse;
mod problem;
mod render;
mod resolve;
mod schema;
mod secret;
mod shell;
mod source;
mod standalone;
mod store;
mod suggest;
mod tree;
mod update;
mod whole;
mod words;

pub use check::{log_conflict, order_cycle};
pub use docs::markdown;
pub use fault::Fault;
pub use foreign::{ForeignEntry, ForeignValue, parse_foreign};
pub use fragments::{Fragment, fragments};
pub use layers::{Layout, LoadError, Loaded, Main, load};
pub use overrides::{check_override, override_path, read_override, write_override};
pub use problem::{Place, Problem, Severity};
pub use render::render;
pub use resolve::resolve;
pub use schema::json_schema;
pub use secret::{MASK, is_secret_key, mask_value};
pub use standalone::{check_file, check_text};
pub use store::{StoreError, remove_runtime, runtime_definition, write_runtime};
pub use update::{is_empty, merge_update};
pub use whole::{FileEntry, render_file, without_defaults};

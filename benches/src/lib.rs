//! Dev only: criterion benches and side-by-side measurements. This library holds what they share.

pub mod fixed;
pub mod machine;
pub mod table;

use std::time::Duration;

use model::{Origin, ProcessId, ProcessName, ProcessSpec, RestartPolicy, RestartSpec};

/// A definition for process number `n` that restarts at once and for ever.
///
/// # Panics
/// Never: the name is always good.
#[must_use]
pub fn spec(n: u32) -> ProcessSpec {
    let [a, b, c, d] = n.to_be_bytes();
    let name = ProcessName::new(&format!("p{n}")).unwrap_or_else(|_| unreachable!("a letter and digits"));
    let id = ProcessId::from_digest([0, 0, a, b, c, d]);
    let restart = RestartSpec {
        policy: RestartPolicy::Always,
        delay: Duration::ZERO,
        limit_burst: 0,
        ..RestartSpec::default()
    };
    ProcessSpec { restart, ..ProcessSpec::new(name, id, Origin::Runtime, "/bin/true") }
}

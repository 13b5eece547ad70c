//! Dev only: criterion benches and side-by-side measurements. This library holds what they share.

use std::time::Duration;

use model::{
    ExecSpec, InheritEnv, KillMode, LogSpec, OnStartLimit, Origin, OutputSpec, ProcessId, ProcessName,
    ProcessSpec, RestartPolicy, RestartSpec, Signal, StopSpec,
};

/// A definition for process number `n` that restarts at once and for ever.
///
/// # Panics
/// Never: the name is always good.
#[must_use]
pub fn spec(n: u32) -> ProcessSpec {
    let [a, b, c, d] = n.to_be_bytes();
    ProcessSpec {
        name: ProcessName::new(&format!("p{n}")).expect("a letter and digits"),
        id: ProcessId::from_digest([0, 0, a, b, c, d]),
        origin: Origin::Runtime,
        description: String::new(),
        exec: ExecSpec {
            program: "/bin/sleep".into(),
            args: vec!["100000".into()],
            working_dir: None,
            env: Default::default(),
            inherit_env: InheritEnv::None,
            user: None,
            group: None,
            supplementary_groups: None,
            umask: None,
        },
        auto_start: true,
        after: Vec::new(),
        before: Vec::new(),
        restart: RestartSpec {
            policy: RestartPolicy::Always,
            delay: Duration::ZERO,
            max_delay: Duration::ZERO,
            jitter: 0.0,
            stable_after: Duration::from_secs(10),
            limit_burst: 0,
            limit_interval: Duration::from_secs(10),
            on_limit: OnStartLimit::Cooldown,
            success: Vec::new(),
            prevent: Vec::new(),
        },
        stop: StopSpec {
            signal: Signal::TERM,
            mode: KillMode::ControlGroup,
            timeout: Duration::from_secs(10),
            send_sighup: false,
        },
        output: OutputSpec {
            stdout: Default::default(),
            stderr: Default::default(),
            log: LogSpec { journald: false, file: false, max_size: 0, max_files: 0, max_line: 256 << 10 },
        },
    }
}

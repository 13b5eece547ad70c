//! The daemon as PID 1, the init of a container.
//!
//! The kernel treats the first process of a pid namespace in its own way, and what starts containers expects more of it
//! than of a daemon on a host:
//!
//! * **Strangers' children.** Whoever loses its parent becomes PID 1's child, whether the daemon started it or somebody
//!   with `docker exec`. The supervisor reaps each one that ends, in cgroup mode as well, so that no zombies pile up; it
//!   never signals one that is not of its processes. When PID 1 ends, the kernel kills what is left.
//! * **Signals.** What PID 1 has no handler for is dropped by the kernel. TERM, INT and QUIT stop everything in order and
//!   the daemon ends with 0. HUP re-reads the definitions, and is then passed on to every critical process that runs, as
//!   its own reload (`exec_reload`, else `reload_signal`, unless that would end it): that is what `docker kill -s HUP` is
//!   for. USR1 reopens log files. SIGKILL needs nobody's consent.
//! * **The exit status.** Once a process with `critical: true` ended for good, everything else is stopped and the daemon
//!   ends with its exit code, or 128 + the signal: the container ends as its main program would have without a
//!   supervisor. (This holds for a daemon that is not PID 1, too.)
//! * **The file system.** There may be no /etc, no machine id, and nothing that can be written but memory. PID 1 belongs
//!   to nobody's session, so that it uses the system's directories whatever its user; those that can't be written are
//!   replaced (see `directories`) with a warning that names the way out, instead of not starting.
//! * **Output.** A container's log is what its PID 1 prints. So `--console auto` shows the children's lines.
//!
//! /proc has to be mounted: containers have it, and nothing else tells who is whose child.
//!
//! Not meant to be the init of a machine: nobody mounts file systems or loads modules here.

use model::State;

use crate::control::Desk;

/// Whether this process is the init of its pid namespace.
pub(crate) fn is_init() -> bool {
    std::process::id() == 1
}

/// The rest of a SIGHUP: every critical process that is up reads its configuration again. One whose new definition
/// needs a new run gets that instead, and is not up at this moment. To be called within the I/O runtime.
pub(crate) fn pass_reload_on(desk: &Desk) {
    let processes = desk.supervisor.snapshot().processes;
    let up = |state| matches!(state, State::Running | State::Reloading);
    for process in processes.iter().filter(|p| p.spec.critical && up(p.state)) {
        let name = process.spec.name.clone();
        let supervisor = desk.supervisor.clone();
        // Side by side: the hooks of one may take their time.
        tokio::spawn(async move {
            match crate::reload::reload(&supervisor, name.clone()).await {
                Ok(_) => tracing::info!("SIGHUP was passed on to {name}"),
                Err(error) => tracing::warn!("SIGHUP could not be passed on to {name}: {error}"),
            }
        });
    }
}

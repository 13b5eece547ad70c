//! Children of the probe: they run the same program.

use std::io;
use std::process::{Child, Command};

/// Starts a child that does these steps and is not waited for; its pid.
pub(crate) fn child(steps: &str) -> io::Result<u32> {
    Ok(spawn(steps.split(','))?.id())
}

/// Starts a grandchild in a session of its own whose parent is gone when this returns. The parent prints its pid.
pub(crate) fn orphan(steps: &str) -> io::Result<()> {
    let child = format!("child={steps}");
    let status = spawn(["session", &child])?.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("the parent in between: {status}"))) }
}

/// Keeps `count` children running: each lives for a moment only, so that the set of pids is never the same.
pub(crate) fn storm(count: usize) -> io::Result<()> {
    let mut children = Vec::with_capacity(count);
    loop {
        while children.len() < count {
            children.push(spawn(["sleep=20ms"])?);
        }
        children.remove(0).wait()?;
    }
}

pub(crate) fn new_session() -> io::Result<()> {
    nix::unistd::setsid()?;
    Ok(())
}

fn spawn<'a>(steps: impl IntoIterator<Item = &'a str>) -> io::Result<Child> {
    Command::new(std::env::current_exe()?).args(steps).spawn()
}

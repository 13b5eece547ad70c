//! What everything is compared with: a loop that does vfork and exec, and waits. Nothing is read, kept or watched.

use std::process::{Child, Command, Stdio};

use anyhow::Result;

use crate::contestants::Round;
use crate::plan::{Session, pid};
use crate::stage::Stage;

/// The children of a bare loop.
#[derive(Debug)]
pub(crate) struct Floor {
    lines: Vec<Vec<String>>,
    children: Vec<Child>,
}

impl Floor {
    pub(crate) fn new(stage: &Stage, count: usize) -> Self {
        let lines = (0..count).map(|n| stage.child(&format!("p{n}"))).collect();
        Self { lines, children: Vec::with_capacity(count) }
    }
}

/// posix_spawn(3), which has the semantics of vfork: it returns when the program was executed.
fn spawn(line: &[String]) -> Result<Child> {
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.spawn()?)
}

impl Round for Floor {
    fn begin(&mut self) -> Result<()> {
        for line in &self.lines {
            self.children.push(spawn(line)?);
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        Ok(())
    }

    /// Waits for so many ends, in the order in which they come, and spawns the same again after each.
    fn react(&mut self, dead: usize) -> Result<()> {
        for _ in 0..dead {
            let ended = nix::sys::wait::wait()?.pid();
            let index = self.children.iter().position(|child| Some(pid(child.id())) == ended);
            if let Some(index) = index {
                self.children[index] = spawn(&self.lines[index])?;
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        for child in &self.children {
            nix::sys::signal::kill(pid(child.id()), nix::sys::signal::Signal::SIGTERM)?;
        }
        for mut child in self.children.drain(..) {
            child.wait()?;
        }
        Ok(())
    }

    fn session(&self) -> Option<&Session> {
        None
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        for child in &mut self.children {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

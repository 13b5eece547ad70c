//! The one seam below the spawner: what makes a process of a request. The system, or in tests one that fails.

use std::io;

use sys::spawn::{Child, Request, SpawnError, Spawner};

/// Makes processes, one at a time. Each spawner thread has its own.
pub(super) trait Launch: Send {
    /// As [`Spawner::spawn`].
    fn launch(&mut self, request: Request<'_>) -> Result<Child, SpawnError>;
}

impl Launch for Spawner {
    fn launch(&mut self, request: Request<'_>) -> Result<Child, SpawnError> {
        self.spawn(request)
    }
}

/// What a new spawner thread works with.
pub(super) fn launcher() -> io::Result<Box<dyn Launch>> {
    let spawner = Box::new(Spawner::new()?);
    #[cfg(test)]
    return Ok(super::tests::faulty(spawner));
    #[cfg(not(test))]
    Ok(spawner)
}

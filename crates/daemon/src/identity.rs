//! PROCESS_ID: the same for the same name on the same host, for ever.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use hmac::{Hmac, KeyInit, Mac};
use model::{ProcessId, ProcessName};
use sha2::Sha256;

/// Where the machine id stands.
const KNOWN: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// What ids are derived from: this host.
#[derive(Clone)]
pub(crate) struct Host(Hmac<Sha256>);

/// The application's part of the hash. Changing it changes every id on every host: never do.
const PURPOSE: &[u8] = b"dd-procmgrd/process-id/v1\0";

impl Host {
    /// Reads the machine id. Where there is none (some containers), one is made and kept in the state directory.
    pub(crate) fn read(state_dir: &Path) -> Result<Self> {
        Self::read_from(&KNOWN, state_dir)
    }

    fn read_from(known: &[&str], state_dir: &Path) -> Result<Self> {
        let own = state_dir.join("machine-id");
        let found = known.iter().map(Path::new).chain([own.as_path()]).find_map(|path| {
            fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| text.len() == 32)
        });
        let id = match found {
            Some(id) => id,
            None => {
                let fresh = format!("{:016x}{:016x}", sys::random_u64(), sys::random_u64());
                if let Err(error) = fs::write(&own, &fresh) {
                    // Wrong history is better than no supervision.
                    tracing::warn!(
                        "there is no /etc/machine-id, and {} can't be written ({error}): every PROCESS_ID changes with \
                         each start; mount one of the two",
                        own.display()
                    );
                }
                fresh
            }
        };
        Self::from_machine_id(&id)
    }

    fn from_machine_id(id: &str) -> Result<Self> {
        let mut mac = Hmac::<Sha256>::new_from_slice(id.as_bytes()).context("keying the process ids")?;
        mac.update(PURPOSE);
        Ok(Self(mac))
    }

    /// The id of a name: the first 48 bits of HMAC-SHA256(machine id, purpose ‖ name). machine-id(5) asks for a
    /// keyed hash: the ids are shown everywhere and must not give the machine id away.
    pub(crate) fn process_id(&self, name: &ProcessName) -> ProcessId {
        let mut mac = self.0.clone();
        mac.update(name.as_str().as_bytes());
        let digest = mac.finalize().into_bytes();
        ProcessId::from_digest([digest[0], digest[1], digest[2], digest[3], digest[4], digest[5]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written down once and for all: log and metric history hang on these.
    #[test]
    fn ids_never_change() {
        let host = Host::from_machine_id("0123456789abcdef0123456789abcdef").unwrap();
        let id = |name| host.process_id(&ProcessName::new(name).unwrap()).to_string();
        assert_eq!(id("web"), "df54eca9894e");
        assert_eq!(id("worker"), "13bbeeaed7eb");
        let other = Host::from_machine_id("fedcba9876543210fedcba9876543210").unwrap();
        assert_ne!(other.process_id(&ProcessName::new("web").unwrap()).to_string(), id("web"));
    }

    #[test]
    fn a_host_without_machine_id_makes_one_and_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let name = ProcessName::new("web").unwrap();
        let first = Host::read_from(&[], dir.path()).unwrap().process_id(&name);
        assert_eq!(Host::read_from(&[], dir.path()).unwrap().process_id(&name), first);
    }

    #[test]
    fn a_host_that_can_keep_nothing_gets_ids_all_the_same() {
        let name = ProcessName::new("web").unwrap();
        let host = || Host::read_from(&[], Path::new("/proc/no/such/place")).unwrap();
        assert_ne!(host().process_id(&name), host().process_id(&name), "new ones at each start");
    }
}

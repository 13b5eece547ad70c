//! The files of a server, for tests.

use std::fs;

use testkit::{Authority, Pair};

use crate::Files;

/// A directory with the files of a server.
pub(crate) struct Place {
    pub(crate) authority: Authority,
    pub(crate) files: Files,
    pub(crate) dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let files = Files { cert: at("cert.pem"), key: at("key.pem"), client_ca: Some(at("ca.pem")) };
        let authority = Authority::new("ca");
        let place = Self { authority, files, dir };
        place.serve(&place.authority.server(&["localhost"]));
        fs::write(place.dir.path().join("ca.pem"), place.authority.pem()).unwrap();
        place
    }

    /// Puts these files in place.
    pub(crate) fn serve(&self, pair: &Pair) {
        pair.write(&self.files.cert, &self.files.key);
    }
}

//! Files of keys for a server with TLS and for its clients.

use std::path::PathBuf;
use std::sync::Arc;

use rpc::{Tls, TlsFiles};
use testkit::{Authority, Pair};
use tls::{ClientAuth, Files, Live, Protocol};

/// An authority, a server's files and clients' files.
pub struct Keys {
    dir: tempfile::TempDir,
    pub authority: Authority,
    pub files: Files,
}

impl Keys {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let files = Files { cert: at("cert"), key: at("key"), client_ca: Some(at("ca")) };
        let keys = Self { authority: Authority::new("ca"), files, dir };
        keys.trust(&keys.authority);
        keys.serve(&keys.authority.server(&["localhost", "127.0.0.1"]));
        keys
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn serve(&self, pair: &Pair) {
        pair.write(&self.files.cert, &self.files.key);
    }

    /// Clients of this authority are let in from the next reload on.
    pub fn trust(&self, authority: &Authority) {
        std::fs::write(self.at("ca"), authority.pem()).unwrap();
    }

    /// What a client uses that has no certificate and trusts the server's authority.
    pub fn stranger(&self) -> TlsFiles {
        std::fs::write(self.at("server-ca"), self.authority.pem()).unwrap();
        TlsFiles { ca: Some(self.at("server-ca")), ..TlsFiles::default() }
    }

    pub fn client(&self, name: &str, pair: &Pair) -> TlsFiles {
        let (cert, key) = (self.at(&format!("{name}.cert")), self.at(&format!("{name}.key")));
        pair.write(&cert, &key);
        TlsFiles { cert: Some(cert), key: Some(key), ..self.stranger() }
    }

    pub fn live(&self, auth: ClientAuth) -> Tls {
        let live = Arc::new(Live::new(Protocol::Http2));
        live.load(&self.files, auth).unwrap();
        Tls { live, auth }
    }
}

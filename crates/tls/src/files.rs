//! Files with keys and certificates: read, checked, and made into a configuration.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::{ClientAuth, Problem};

/// A chain or a bundle of authorities stays far below; beyond it is another kind of file.
const MAX_FILE: u64 = 4 << 20;

/// Where a server's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Its certificate, and those between it and the authority, in PEM.
    pub cert: PathBuf,
    /// The private key of the certificate, in PEM, not encrypted.
    pub key: PathBuf,
    /// The authorities whose certificates clients present, in PEM.
    pub client_ca: Option<PathBuf>,
}

/// What was made of the files.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// For rustls.
    pub config: Arc<ServerConfig>,
    /// What is no error and should be looked at.
    pub warnings: Vec<Problem>,
}

impl Files {
    /// Reads and checks the files. Blocks.
    ///
    /// Sessions are not resumed: a client that was let in by an authority that is gone would come back with its ticket.
    pub(crate) fn load(&self, auth: ClientAuth, alpn: &[u8]) -> Result<Loaded, Problem> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(&self.cert)?;
        check_validity(&self.cert, &chain)?;
        let (key, warnings) = private_key(&self.key)?;
        let verifier = self.verifier(auth, &provider)?;
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| Problem::new(&self.cert, e.to_string(), "this is a fault of the program"))?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| self.mismatch(&error))?;
        config.alpn_protocols = vec![alpn.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Loaded { config: Arc::new(config), warnings })
    }

    fn verifier(
        &self,
        auth: ClientAuth,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, Problem> {
        let Some(path) = self.client_ca.as_deref().filter(|_| auth != ClientAuth::None) else {
            return Ok(None);
        };
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(path)?), Arc::clone(provider));
        let builder = match auth {
            ClientAuth::Required => builder,
            ClientAuth::Optional | ClientAuth::None => builder.allow_unauthenticated(),
        };
        let unusable = |e: rustls::server::VerifierBuilderError| {
            Problem::new(path, e.to_string(), "give the certificates of the authority in PEM")
        };
        Ok(Some(builder.build().map_err(unusable)?))
    }

    fn mismatch(&self, error: &rustls::Error) -> Problem {
        if matches!(error, rustls::Error::InconsistentKeys(_)) {
            let reason = format!("the key is not the one of the certificate in {}", self.cert.display());
            return Problem::new(&self.key, reason, "give the two files that were made together");
        }
        let hint = "RSA of 2048 to 8192 bits, ECDSA on P-256 or P-384, and Ed25519 are supported";
        Problem::new(&self.key, format!("certificate and key can't be used: {error}"), hint)
    }
}

/// The authorities in a file.
pub(crate) fn authorities(path: &Path) -> Result<RootCertStore, Problem> {
    let mut roots = RootCertStore::empty();
    for cert in certificates(path)? {
        roots.add(cert).map_err(|e| {
            Problem::new(
                path,
                format!("a certificate in it can't be used: {e}"),
                "it needs those of authorities",
            )
        })?;
    }
    Ok(roots)
}

/// The certificates in a file, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let text = read(path)?;
    let found: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&text).collect();
    let certs =
        found.map_err(|e| Problem::new(path, format!("it is no PEM file: {e}"), "convert it to PEM"))?;
    if certs.is_empty() {
        return Err(Problem::new(path, "there is no certificate in it", "it has to hold BEGIN CERTIFICATE"));
    }
    Ok(certs)
}

/// The private key in a file, and whether too many can read it.
pub(crate) fn private_key(path: &Path) -> Result<(PrivateKeyDer<'static>, Vec<Problem>), Problem> {
    let text = read(path)?;
    let encrypted = text.windows(9).any(|part| part == b"ENCRYPTED");
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        PemError::NoItemsFound if encrypted => Problem::new(
            path,
            "the key is encrypted, and nobody is there to type its password",
            "decrypt it with openssl pkey -in FILE -out PLAIN, and keep that readable for the daemon's user only",
        ),
        PemError::NoItemsFound => {
            Problem::new(path, "there is no private key in it", "it has to hold BEGIN PRIVATE KEY")
        }
        other => Problem::new(path, format!("it is no PEM file: {other}"), "convert it to PEM"),
    })?;
    let mode = fs::metadata(path).map_or(0, |meta| meta.permissions().mode() & 0o777);
    let open = (mode & 0o007 != 0).then(|| {
        let hint = "chmod o= FILE, and make a new key if others were here";
        Problem::new(path, format!("everybody on this machine can get at the key (mode {mode:04o})"), hint)
    });
    Ok((key, open.into_iter().collect()))
}

/// Whether each certificate of the chain is valid now. Clients would refuse the connection, and say so only to
/// themselves.
fn check_validity(path: &Path, chain: &[CertificateDer<'_>]) -> Result<(), Problem> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    for der in chain {
        let cert = Certificate::from_der(der).map_err(|e| {
            Problem::new(
                path,
                format!("a certificate in it is malformed: {e}"),
                "look at it with openssl x509 -text",
            )
        })?;
        let validity = cert.tbs_certificate.validity;
        if now > validity.not_after.to_unix_duration() {
            return Err(Problem::new(path, format!("it expired on {}", validity.not_after), "renew it"));
        }
        if now < validity.not_before.to_unix_duration() {
            let hint = "look whether the clock of this machine is right (timedatectl)";
            return Err(Problem::new(path, format!("it is not valid before {}", validity.not_before), hint));
        }
    }
    Ok(())
}

/// The whole file. A FIFO or a device would hold up whoever reads it.
fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let failed = |e: std::io::Error| {
        Problem::new(path, format!("it can't be read: {e}"), "the daemon's user has to be able to read it")
    };
    let meta = fs::metadata(path).map_err(failed)?;
    if !meta.is_file() || meta.len() > MAX_FILE {
        let reason = format!("it is no file of at most {} MiB", MAX_FILE >> 20);
        return Err(Problem::new(path, reason, "name a file in PEM"));
    }
    let mut text = Vec::new();
    fs::File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut text)).map_err(failed)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Authority;

    use crate::testing::Place;

    fn load(files: &Files) -> Result<Loaded, Problem> {
        files.load(ClientAuth::Required, b"h2")
    }

    #[test]
    fn good_files_are_taken() {
        let place = Place::new();
        let loaded = load(&place.files).unwrap();
        assert_eq!(loaded.warnings, []);
        assert_eq!(loaded.config.alpn_protocols, [b"h2"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_file_and_the_way_out() {
        let place = Place::new();
        let Files { cert, key, client_ca } = place.files.clone();
        let ca = client_ca.unwrap();
        let (good_cert, good_key) = (fs::read(&cert).unwrap(), fs::read(&key).unwrap());
        let other = Authority::new("other").server(&["localhost"]);
        let expired = place.authority.expired(&["localhost"]);
        let future = place.authority.future(&["localhost"]);
        let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let cut = &good_cert[..good_cert.len() / 2];
        let cases: [(&Path, &[u8], &Path, &str); 12] = [
            (&cert, b"", &cert, "no certificate"),
            (&cert, b"garbage\0\xff", &cert, "no certificate"),
            (&cert, cut, &cert, "no PEM file"),
            (&cert, &good_key, &cert, "no certificate"),
            (&cert, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &cert, "malformed"),
            (&cert, other.cert.as_bytes(), &key, "is not the one of the certificate"),
            (&cert, expired.cert.as_bytes(), &cert, "expired on"),
            (&cert, future.cert.as_bytes(), &cert, "not valid before"),
            (&key, b"", &key, "no private key"),
            (&key, encrypted, &key, "encrypted"),
            (&key, &good_cert, &key, "no private key"),
            (&ca, b"", &ca, "no certificate"),
        ];
        for (path, text, blamed, reason) in cases {
            let before = fs::read(path).unwrap();
            fs::write(path, text).unwrap();
            let problem = load(&place.files).unwrap_err();
            assert_eq!(problem.path, blamed, "{problem}");
            assert!(problem.reason.contains(reason) && !problem.hint.is_empty(), "{problem} for {reason}");
            fs::write(path, before).unwrap();
        }
        load(&place.files).unwrap();
        for path in [&cert, &key, &ca] {
            let away = path.with_extension("away");
            fs::rename(path, &away).unwrap();
            let problem = load(&place.files).unwrap_err();
            assert!(problem.path == *path && problem.reason.contains("can't be read"), "{problem}");
            fs::create_dir(path).unwrap();
            assert!(load(&place.files).unwrap_err().reason.contains("is no file"), "a directory");
            fs::remove_dir(path).unwrap();
            nix_fifo(path);
            assert!(
                load(&place.files).unwrap_err().reason.contains("is no file"),
                "a FIFO must not be waited for"
            );
            fs::remove_file(path).unwrap();
            fs::rename(&away, path).unwrap();
        }
    }

    fn nix_fifo(path: &Path) {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    #[test]
    fn a_key_that_everybody_can_read_is_a_warning() {
        let place = Place::new();
        fs::set_permissions(&place.files.key, fs::Permissions::from_mode(0o644)).unwrap();
        let warnings = load(&place.files).unwrap().warnings;
        assert!(warnings[0].path == place.files.key && warnings[0].reason.contains("0644"), "{warnings:?}");
    }
}

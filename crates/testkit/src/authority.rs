//! An authority that signs certificates, good and bad ones.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};

/// A certificate and its key in PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub cert: String,
    /// Its private key.
    pub key: String,
}

impl Pair {
    /// Writes the two files, the key for its owner only.
    pub fn write(&self, cert: &Path, key: &Path) {
        fs::write(cert, &self.cert).unwrap();
        fs::write(key, &self.key).unwrap();
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// Who signs. Every failure is a panic: nothing of it depends on what is tested.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// A new one.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    fn sign(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        Pair { cert: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }

    fn server_params(names: &[&str]) -> CertificateParams {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params
    }

    /// A server with these names or addresses.
    #[must_use]
    pub fn server(&self, names: &[&str]) -> Pair {
        self.sign(&Self::server_params(names))
    }

    /// A server whose certificate has expired.
    #[must_use]
    pub fn expired(&self, names: &[&str]) -> Pair {
        let mut params = Self::server_params(names);
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        self.sign(&params)
    }

    /// A server whose certificate is not valid yet.
    #[must_use]
    pub fn future(&self, names: &[&str]) -> Pair {
        let mut params = Self::server_params(names);
        (params.not_before, params.not_after) = (date_time_ymd(2999, 1, 1), date_time_ymd(3999, 1, 1));
        self.sign(&params)
    }

    /// A client with this common name (empty = none) and these organizational units.
    #[must_use]
    pub fn client(&self, name: &str, units: &[&str]) -> Pair {
        self.sign(&Self::client_params(name, units))
    }

    fn client_params(name: &str, units: &[&str]) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !name.is_empty() {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        for unit in units {
            params.distinguished_name.push(DnType::OrganizationalUnitName, *unit);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params
    }

    /// A client whose certificate has expired.
    #[must_use]
    pub fn expired_client(&self, name: &str, units: &[&str]) -> Pair {
        let mut params = Self::client_params(name, units);
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        self.sign(&params)
    }
}

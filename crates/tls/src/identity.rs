//! Who a client is, by its certificate.

use x509_cert::Certificate;
use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, TeletexStringRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Any, Decode as _};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");

/// The subject of a certificate, as far as it is used. What an authority signed is not ours: it may hold anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The common name (CN); the last one, which is the most specific. Empty = it has none that is a text.
    pub common_name: String,
    /// The organizational units (OU), in the order of the certificate.
    pub units: Vec<String>,
}

impl Identity {
    /// Of a certificate that was verified already. One whose subject can't be read is nobody in particular.
    pub(crate) fn of(der: &[u8]) -> Self {
        let mut identity = Self::default();
        let Ok(cert) = Certificate::from_der(der) else { return identity };
        for attribute in cert.tbs_certificate.subject.0.iter().flat_map(|rdn| rdn.0.iter()) {
            let Some(text) = text(&attribute.value) else { continue };
            match attribute.oid {
                COMMON_NAME => identity.common_name = text,
                ORGANIZATIONAL_UNIT => identity.units.push(text),
                _ => {}
            }
        }
        identity
    }
}

fn text(value: &Any) -> Option<String> {
    let utf8 = value.decode_as::<Utf8StringRef<'_>>().map(|s| s.as_str().to_owned());
    let printable = || value.decode_as::<PrintableStringRef<'_>>().map(|s| s.as_str().to_owned());
    let ia5 = || value.decode_as::<Ia5StringRef<'_>>().map(|s| s.as_str().to_owned());
    let teletex = || value.decode_as::<TeletexStringRef<'_>>().map(|s| s.as_str().to_owned());
    utf8.or_else(|_| printable()).or_else(|_| ia5()).or_else(|_| teletex()).ok()
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    use testkit::Authority;

    use super::*;

    fn identity(name: &str, units: &[&str]) -> Identity {
        let pair = Authority::new("ca").client(name, units);
        Identity::of(&CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap())
    }

    #[test]
    fn the_subject_is_read() {
        let who = identity("Äda", &["admin"]);
        assert_eq!((who.common_name.as_str(), who.units), ("Äda", vec!["admin".to_owned()]));
        assert_eq!(identity("a\nb", &[]).common_name, "a\nb", "as it is; who shows it has to escape it");
        assert_eq!(identity("", &[]), Identity::default());
    }

    #[test]
    fn what_is_no_certificate_is_nobody() {
        for junk in [&b""[..], b"\x30\x80", &[0xff; 100]] {
            assert_eq!(Identity::of(junk), Identity::default());
        }
    }
}

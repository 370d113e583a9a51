//! The server's certificate against the authorities of key `ca.crt`.
//!
//! The Git library can only be given authorities for the whole process, so that one FleetSync's authority could vouch
//! for another's server. Instead it hands the server's certificate over and this module judges it.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

/// The certificates that a server's certificate may be signed by. An intermediate authority must be among them, since
/// only the server's own certificate is handed over.
pub(super) struct Authorities(Arc<WebPkiServerVerifier>);

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorities")
    }
}

impl Authorities {
    pub(super) fn read(pem: &[u8]) -> Result<Self, String> {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| "ca.crt holds something that is not PEM".to_owned())?;
            roots.add(certificate).map_err(|error| format!("ca.crt holds an unusable certificate: {error}"))?;
        }
        if roots.is_empty() {
            return Err("ca.crt holds no certificate in PEM form".to_owned());
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map(Self)
            .map_err(|error| format!("ca.crt cannot be used: {error}"))
    }

    /// Whether the certificate (DER) is for this host, in time, and signed by one of the authorities.
    pub(super) fn verify(&self, certificate: &[u8], host: &str) -> Result<(), String> {
        let name = ServerName::try_from(host).map_err(|_| format!("{host} is no name a certificate can have"))?;
        let certificate = CertificateDer::from(certificate);
        self.0
            .verify_server_cert(&certificate, &[], &name, &[], UnixTime::now())
            .map(drop)
            .map_err(|error| format!("by the authorities of ca.crt: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::Authorities;

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn trusts_what_its_authorities_signed_for_that_host_only() {
        let (ours, other) = (authority(), authority());
        let leaf = |by: &CertifiedIssuer<'static, KeyPair>, names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            let key = KeyPair::generate().unwrap();
            CertificateParams::new(names).unwrap().signed_by(&key, by).unwrap().der().to_vec()
        };
        let authorities = Authorities::read(ours.pem().as_bytes()).unwrap();
        let good = leaf(&ours, &["git.example.com", "10.0.0.1"]);
        assert_eq!(authorities.verify(&good, "git.example.com"), Ok(()));
        assert_eq!(authorities.verify(&good, "10.0.0.1"), Ok(()));
        assert!(authorities.verify(&good, "evil.example.com").unwrap_err().contains("not valid for name"));
        assert!(authorities.verify(&leaf(&other, &["git.example.com"]), "git.example.com").is_err());
        assert!(authorities.verify(b"garbage", "git.example.com").is_err());

        let mut old = CertificateParams::new(vec!["git.example.com".to_owned()]).unwrap();
        old.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let old = old.signed_by(&KeyPair::generate().unwrap(), &ours).unwrap().der().to_vec();
        assert!(authorities.verify(&old, "git.example.com").unwrap_err().contains("expired"));
    }

    #[test]
    fn says_what_is_wrong_with_the_file() {
        for (pem, reason) in [
            ("", "no certificate"),
            ("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n", "not PEM"),
            ("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n", "unusable"),
        ] {
            let error = Authorities::read(pem.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}

//! Whom the agent trusts, and how it shows who it is.

use std::error::Error as StdError;
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};

use super::super::{GitCredentials, SourceError};
use super::Line;

/// The settings of a connection: the Secret's authorities instead of the system's if there are any, and its client
/// certificate. What is wrong with the Secret's files is said without their content.
pub(super) fn config(credentials: &GitCredentials) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("no TLS: {error}"))?;
    let builder = match &credentials.ca {
        Some(pem) => builder.with_root_certificates(authorities(pem)?),
        None => builder.with_native_roots().map_err(|error| format!("the system's authorities: {error}"))?,
    };
    let Some((certificate, key)) = &credentials.client_certificate else { return Ok(builder.with_no_client_auth()) };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.map_err(|_| "tls.crt holds something that is not PEM".to_owned())?;
    if chain.is_empty() {
        return Err("tls.crt holds no certificate in PEM form".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "tls.key holds no private key in PEM form".to_owned())?;
    builder.with_client_auth_cert(chain, key).map_err(|error| format!("tls.crt and tls.key do not fit: {error}"))
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| "ca.crt holds something that is not PEM".to_owned())?;
        roots.add(certificate).map_err(|error| format!("ca.crt holds an unusable certificate: {error}"))?;
    }
    if roots.is_empty() {
        return Err("ca.crt holds no certificate in PEM form".to_owned());
    }
    Ok(roots)
}

/// What a failed request means.
pub(super) fn explain(line: &Line, error: &(dyn StdError + 'static)) -> SourceError {
    let url = line.url.to_string();
    let Some(tls) = find(error) else { return line.unreachable(deepest(error)) };
    let has_own = line.credentials.client_certificate.is_some();
    match tls {
        rustls::Error::InvalidCertificate(why) => {
            let by = if line.credentials.ca.is_some() { "by the authorities of ca.crt: " } else { "" };
            let why = match why {
                CertificateError::UnknownIssuer => "its issuer is not known".to_owned(),
                other => other.to_string(),
            };
            SourceError::UntrustedCertificate { url, reason: format!("{by}{why}") }
        }
        rustls::Error::AlertReceived(
            alert @ (AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied),
        ) => SourceError::ClientCertificate { url, presented: has_own, reason: format!("{alert:?}") },
        // A certificate by an authority that only has the same name.
        rustls::Error::AlertReceived(alert @ AlertDescription::DecryptError) if has_own => {
            SourceError::ClientCertificate { url, presented: true, reason: format!("{alert:?}") }
        }
        other => line.unreachable(other.to_string()),
    }
}

/// The error of TLS somewhere among the causes.
fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| find(inner as &(dyn StdError + 'static))) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What really happened: the last of the causes.
fn deepest(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::super::GitCredentials;
    use super::config;

    #[test]
    fn says_what_is_wrong_with_the_files_and_not_what_is_in_them() {
        let certificate =
            |content: &str| format!("-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n");
        for (pem, reason) in [
            (String::new(), "no certificate"),
            (certificate("!!c4n4ry!!"), "not PEM"),
            (certificate("aGVsbG8="), "unusable"),
        ] {
            let ca = GitCredentials { ca: Some(pem.clone().into_bytes()), ..GitCredentials::default() };
            let error = config(&ca).unwrap_err();
            assert!(error.contains(reason) && !error.contains("c4n4ry"), "{error}");
        }
        let own = rcgen::generate_simple_self_signed(["agent".to_owned()]).unwrap();
        let (certificate, key) = (own.cert.pem().into_bytes(), own.signing_key.serialize_pem().into_bytes());
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem().into_bytes();
        for (certificate, key, reason) in [
            (b"c4n4ry".to_vec(), key.clone(), Some("tls.crt holds no")),
            (certificate.clone(), b"c4n4ry".to_vec(), Some("tls.key holds no")),
            (certificate.clone(), other, Some("do not fit")),
            (certificate, key, None),
        ] {
            let client_certificate = Some((certificate, key));
            let error = config(&GitCredentials { client_certificate, ..GitCredentials::default() }).err();
            match reason {
                Some(reason) => assert!(error.is_some_and(|e| e.contains(reason) && !e.contains("c4n4ry")), "{reason}"),
                None => assert_eq!(error, None),
            }
        }
    }
}

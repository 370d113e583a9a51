//! Certificates: who is trusted, and what is wrong with one that is not.

use crate::error::CommandError;
use asm_shared::verify::TlsProblem;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Who is trusted: the authorities of the machine, and some more.
#[derive(Debug, Default)]
pub(super) struct Roots {
    more: Vec<CertificateDer<'static>>,
    /// Made once: it reads the machine's certificates.
    verifier: OnceLock<Result<Arc<dyn ServerCertVerifier>, String>>,
}

impl Roots {
    /// With those of a file.
    pub(super) fn load(file: Option<&Path>) -> Result<Self, CommandError> {
        let Some(file) = file else { return Ok(Self::default()) };
        let wrong = |why: String| {
            CommandError::input(format!("cannot read the certificates in {}", file.display())).because(why)
        };
        let found = CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))?;
        let more: Vec<_> = found.collect::<Result<_, _>>().map_err(|error| wrong(error.to_string()))?;
        if more.is_empty() {
            return Err(wrong("it has no certificate".to_owned())
                .hinted("it must be PEM, with lines -----BEGIN CERTIFICATE-----"));
        }
        let mut store = RootCertStore::empty();
        for certificate in &more {
            store.add(certificate.clone()).map_err(|error| wrong(error.to_string()))?;
        }
        Ok(Self { more, verifier: OnceLock::new() })
    }

    /// A client that tells what is wrong with a certificate; what is wrong with this machine otherwise.
    pub(super) fn client(&self) -> Result<(ClientConfig, Seen), String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let made = self.verifier.get_or_init(|| {
            let verifier = Verifier::new_with_extra_roots(self.more.clone(), provider.clone());
            let verifier = verifier.map_err(|error| format!("it is not known whom this machine trusts: {error}"))?;
            Ok(Arc::new(verifier))
        });
        let seen = Seen::default();
        let verifier = Looking { inner: made.clone()?, seen: seen.clone() };
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?.dangerous();
        let mut config = builder.with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok((config, seen))
    }
}

/// The certificate that the other side showed last.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<Mutex<Option<CertificateDer<'static>>>>);

/// Remembers the certificate and leaves the judgement to the machine's verifier.
#[derive(Debug)]
struct Looking {
    inner: Arc<dyn ServerCertVerifier>,
    seen: Seen,
}

impl ServerCertVerifier for Looking {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Ok(mut seen) = self.seen.0.lock() {
            *seen = Some(certificate.clone().into_owned());
        }
        self.inner.verify_server_cert(certificate, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// What an error of TLS means.
pub(super) fn problem(error: &Error, seen: &Seen) -> TlsProblem {
    let shown = seen.0.lock().ok().and_then(|seen| seen.clone());
    let told = shown
        .as_ref()
        .and_then(|der| X509Certificate::from_der(der).ok())
        .map(|(_, certificate)| About::of(&certificate));
    let about = told.unwrap_or_default();
    match error {
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            TlsProblem::Expired(about.ends)
        }
        Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            TlsProblem::NotYetValid(about.begins)
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => TlsProblem::WrongName(about.names),
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => TlsProblem::UnknownIssuer(about.issuer),
        // The certificate of an authority is no server's: what a self-signed one often is.
        Error::InvalidCertificate(CertificateError::Other(other))
            if other.to_string().contains("CaUsedAsEndEntity") =>
        {
            TlsProblem::UnknownIssuer(about.issuer)
        }
        Error::InvalidCertificate(other) => TlsProblem::Other(format!("the certificate is refused: {other}")),
        Error::AlertReceived(alert) => TlsProblem::Alert(format!("{alert:?}")),
        Error::InvalidMessage(_) => TlsProblem::NoTls,
        other => TlsProblem::Other(other.to_string()),
    }
}

/// What a certificate says.
#[derive(Default)]
struct About {
    begins: String,
    ends: String,
    names: Vec<String>,
    issuer: String,
}

impl About {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let day = |time: x509_parser::time::ASN1Time| {
            jiff::Timestamp::from_second(time.timestamp())
                .map(|at| at.strftime("%Y-%m-%d").to_string())
                .unwrap_or_default()
        };
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.iter().flat_map(|extension| &extension.value.general_names).filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress([a, b, c, d]) => Some(format!("{a}.{b}.{c}.{d}")),
            _ => None,
        });
        Self {
            begins: day(certificate.validity().not_before),
            ends: day(certificate.validity().not_after),
            names: names.collect(),
            issuer: certificate.issuer().to_string(),
        }
    }
}

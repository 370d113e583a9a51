//! Secrets of the host cluster turned into clients and Git credentials. Read when needed, never cached, never shown.

mod error;
mod fence;
mod limits;
mod renewal;
mod token;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use asm_io::cluster::ClusterError;
use asm_shared::api::{KeyReference, SecretReference, SourceSpec};
use asm_shared::kubeconfig::{self, SafeKubeconfig};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use kube::client::ClientBuilder;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use limits::Bounds;

pub use error::CredentialsError;
pub use fence::Fence;
pub use limits::Limits;
pub use renewal::changed;

use crate::context::FleetContext;
use crate::log;
use crate::source::{GitCredentials, Keyring, Secrets};

/// What API servers see in their audit log; in a pod followed by its name, so that replicas can be told apart.
const USER_AGENT: &str = concat!("asm-agent/", env!("CARGO_PKG_VERSION"));
const CONNECT: Duration = Duration::from_secs(10);
const WRITE: Duration = Duration::from_secs(60);
/// The last resort, for what is no request of its own ([`Limits`] bound those): longer than a watch is open without a word, as
/// watches end after 290 s by themselves.
const READ: Duration = Duration::from_secs(300);
/// Most that an API server may answer at once. An object has 3 MiB at most and a page 500 of them, of which only metadata is
/// asked for; a watch that has told so much in its five minutes is begun anew.
const LARGEST_ANSWER: usize = 128 << 20;
/// After how long a Secret that is not answered counts as an error.
const GET: Duration = Duration::from_secs(15);
/// A webhook's secret that is shorter is none.
const SHORTEST_TOKEN: usize = 8;

/// How to reach one target.
pub struct TargetAccess {
    /// Client of the target's API server.
    pub client: Client,
    /// `https://…` of the API server, for messages.
    pub server: String,
    /// When the token or the client certificate ends, if it says so.
    pub expires: Option<Timestamp>,
    /// Changes whenever the Secret does: compare with [`secret_version`] to know whether to build the client anew.
    pub version: String,
}

/// Who a target is worked on as: a service account of the FleetSync's own namespace, and nobody else. The groups are those
/// that an API server gives to every service account; none can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    /// `system:serviceaccount:<namespace>:<name>`.
    ///
    /// # Errors
    /// The name is none of a service account, and could mean another user.
    pub fn new(namespace: &str, name: &str) -> Result<Self, String> {
        let part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let inner = |byte: u8| part(byte) || byte == b'-' || byte == b'.';
        let ends = |text: &str| text.bytes().next().is_some_and(part) && text.bytes().last().is_some_and(part);
        if name.len() > 253 || !ends(name) || !name.bytes().all(inner) {
            return Err("it is no name of a service account (a-z, 0-9, - and ., at most 253 characters)".to_owned());
        }
        Ok(Self(format!("system:serviceaccount:{namespace}:{name}")))
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        &self.0
    }
}

/// The Git credentials of a Secret, as [`git`] reads them.
///
/// # Errors
/// See [`git`].
pub async fn git_credentials(context: &FleetContext, secret: &str) -> Result<GitCredentials, CredentialsError> {
    git(&context.client, &context.namespace, &SecretReference { name: secret.to_owned() }).await
}

/// Reads the kubeconfig of a target (`spec.kubeconfig_of(target)`) and makes a client of it.
///
/// # Errors
/// The Secret or key is missing, the kubeconfig is refused, its token has expired, or the host cluster does not answer.
pub async fn target(
    host: &Client,
    namespace: &str,
    reference: &KeyReference,
    actor: Option<&Actor>,
    guards: (Fence, Limits),
) -> Result<TargetAccess, CredentialsError> {
    let place = error::Place::new(namespace, &reference.name);
    let secret = read(host, &place).await?;
    let version = version(&secret);
    let text = text(&place, secret.data.unwrap_or_default(), &reference.key)?;
    let safe = kubeconfig::sanitize(&text).map_err(|problems| CredentialsError::Refused {
        place: place.clone(),
        key: reference.key.clone(),
        problems,
    })?;
    let expires = renewal::end(&safe);
    if let Some(at) = expires.filter(|at| *at <= Timestamp::now()) {
        return Err(CredentialsError::Expired { place, key: reference.key.clone(), at });
    }
    let unusable = |reason| CredentialsError::Unusable { place: place.clone(), key: reference.key.clone(), reason };
    let client = client(&safe, actor, guards).map_err(unusable)?;
    Ok(TargetAccess { client, server: safe.server, expires, version })
}

/// What stands for the present content of a Secret; see [`TargetAccess::version`].
///
/// # Errors
/// The Secret is missing or the host cluster does not answer.
pub async fn secret_version(host: &Client, namespace: &str, name: &str) -> Result<String, CredentialsError> {
    read(host, &error::Place::new(namespace, name)).await.map(|secret| version(&secret))
}

/// Reads the Secret of `source.secretRef` or of a mirror; see [`GitCredentials`] for what it may hold.
///
/// # Errors
/// The Secret or its keys are missing, or the host cluster does not answer.
pub async fn git(
    host: &Client,
    namespace: &str,
    reference: &SecretReference,
) -> Result<GitCredentials, CredentialsError> {
    let place = error::Place::new(namespace, &reference.name);
    let secret = read(host, &place).await?;
    git_from(&place, secret.data.unwrap_or_default())
}

fn git_from(place: &error::Place, mut data: BTreeMap<String, ByteString>) -> Result<GitCredentials, CredentialsError> {
    const USABLE: [&str; 5] = ["password", "bearerToken", "ca.crt", "tls.crt", "identity"];
    if !USABLE.iter().any(|key| data.contains_key(*key)) {
        return Err(CredentialsError::KeyMissing {
            place: place.clone(),
            key: "password (nor bearerToken, ca.crt, tls.crt, identity)".to_owned(),
            keys: data.into_keys().collect(),
        });
    }
    let take = |key: &str| -> Result<Option<String>, CredentialsError> {
        if !data.contains_key(key) {
            return Ok(None);
        }
        // `echo token | base64` brings a line feed along, which no server takes.
        text(place, data.clone(), key).map(|text| Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    };
    let (username, password) = (take("username")?, take("password")?);
    let (bearer_token, known_hosts) = (take("bearerToken")?, take("known_hosts")?);
    // A private key needs its last line feed.
    let identity = take("identity")?.map(|key| key + "\n");
    let mut bytes = |key: &str| data.remove(key).map(|value| value.0);
    let (ca, certificate, key) = (bytes("ca.crt"), bytes("tls.crt"), bytes("tls.key"));
    let client_certificate = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (certificate, _) => {
            let missing = if certificate.is_some() { "tls.key" } else { "tls.crt" };
            let keys = data.into_keys().collect();
            return Err(CredentialsError::KeyMissing { place: place.clone(), key: missing.to_owned(), keys });
        }
    };
    Ok(GitCredentials { username, password, bearer_token, ca, client_certificate, identity, known_hosts })
}

/// Reads the public keys of the Secret of `source.verify.secretRef`.
///
/// # Errors
/// The Secret is missing or holds something else than public keys, or the host cluster does not answer.
pub async fn keyring(host: &Client, namespace: &str, reference: &SecretReference) -> Result<Keyring, CredentialsError> {
    let place = error::Place::new(namespace, &reference.name);
    let data = read(host, &place).await?.data.unwrap_or_default();
    let files = data.iter().map(|(name, content)| (name.as_str(), content.0.as_slice()));
    Keyring::read(&reference.name, files).map_err(|reason| CredentialsError::KeysUnusable { place, reason })
}

/// Reads the secret that a Git server and the agent share, under key `token`.
///
/// # Errors
/// The Secret or key is missing or empty, or the host cluster does not answer.
pub async fn webhook(host: &Client, namespace: &str, reference: &SecretReference) -> Result<String, CredentialsError> {
    let place = error::Place::new(namespace, &reference.name);
    let data = read(host, &place).await?.data.unwrap_or_default();
    let token = text(&place, data, "token")?;
    let token = token.trim_end_matches(['\r', '\n']);
    if token.len() < SHORTEST_TOKEN {
        let reason = format!("it is shorter than {SHORTEST_TOKEN} characters, and could be guessed");
        return Err(CredentialsError::Unusable { place, key: "token".to_owned(), reason });
    }
    Ok(token.to_owned())
}

/// How to reach who is notified. No `Debug`: the address is what lets one write there.
pub struct NotificationSecret {
    /// The address.
    pub url: String,
    /// Key of signatures.
    pub secret: Option<String>,
    /// Authorities instead of the machine's (PEM).
    pub ca: Option<Vec<u8>>,
}

/// Reads the Secret of one of `spec.notifications`.
///
/// # Errors
/// The Secret or its `url` is missing, or the host cluster does not answer.
pub async fn notification(
    host: &Client,
    namespace: &str,
    reference: &SecretReference,
) -> Result<NotificationSecret, CredentialsError> {
    let place = error::Place::new(namespace, &reference.name);
    let mut data = read(host, &place).await?.data.unwrap_or_default();
    let ca = data.remove("ca.crt").map(|value| value.0);
    let trimmed = |text: String| text.trim().to_owned();
    let secret = match data.contains_key("secret") {
        true => Some(text(&place, data.clone(), "secret").map(trimmed)?).filter(|secret| !secret.is_empty()),
        false => None,
    };
    let url = text(&place, data, "url").map(trimmed)?;
    Ok(NotificationSecret { url, secret, ca })
}

/// Everything that a FleetSync's source needs.
///
/// # Errors
/// A Secret of the source itself cannot be used. What is wrong with a mirror's is said when the mirror is needed.
pub async fn source(host: &Client, namespace: &str, spec: &SourceSpec) -> Result<Secrets, CredentialsError> {
    let mut secrets = Secrets::default();
    if let Some(reference) = &spec.secret_ref {
        secrets.source = Some(git(host, namespace, reference).await?);
    }
    if let Some(wanted) = &spec.verify {
        secrets.keyring = Some(Arc::new(keyring(host, namespace, &wanted.secret_ref).await?));
    }
    for mirror in &spec.mirrors {
        secrets.mirrors.push(match &mirror.secret_ref {
            None => Ok(None),
            Some(reference) => git(host, namespace, reference).await.map(Some).map_err(|error| error.to_string()),
        });
    }
    Ok(secrets)
}

/// A client of exactly this server with exactly these credentials: no environment, no proxy, no file, no program. It writes
/// nothing once the claim behind the fence has run out.
///
/// # Errors
/// What cannot be used, in words; never a value.
pub fn client(
    safe: &SafeKubeconfig,
    actor: Option<&Actor>,
    (fence, limits): (Fence, Limits),
) -> Result<Client, String> {
    let server = safe.server.parse().map_err(|_| "the server's URL cannot be parsed".to_owned())?;
    // Not by way of `kube::Kubeconfig`: its loader would look at HTTPS_PROXY.
    let mut config = tuned(Config::new(server));
    if let Some(pem) = &safe.certificate_authority {
        let certificates: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(pem.as_bytes()).map(|found| found.map(|der| der.to_vec())).collect();
        config.root_cert = Some(certificates.map_err(|_| "certificate-authority-data is not PEM".to_owned())?);
    }
    config.tls_server_name.clone_from(&safe.tls_server_name);
    config.disable_compression = safe.disable_compression;
    let encode = |text: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(text)
    };
    let mut user = serde_json::Map::new();
    let mut put = |field: &str, text: String| user.insert(field.to_owned(), text.into());
    if let Some(token) = &safe.token {
        put("token", token.expose().to_owned());
    } else if let Some((name, password)) = &safe.basic {
        put("username", name.clone());
        put("password", password.expose().to_owned());
    }
    if let Some((certificate, key)) = &safe.client_certificate {
        put("client-certificate-data", encode(certificate));
        put("client-key-data", encode(key.expose()));
    }
    config.auth_info =
        serde_json::from_value::<AuthInfo>(user.into()).map_err(|_| "the credentials cannot be used".to_owned())?;
    config.auth_info.impersonate = actor.map(|actor| actor.user().to_owned());
    // kube's TLS errors name what is wrong with a certificate or key, not its content.
    fence::fenced(&config, fence, Bounds { limits, most: LARGEST_ANSWER })
        .map_err(|error| format!("no client can be made of it: {}", ClusterError::from(error).message))
}

/// How to reach the host cluster: in a pod as the service account, elsewhere by a kubeconfig file, which is the user's own and
/// may do what kubectl does with it.
///
/// # Errors
/// What could not be read, and what to do.
pub async fn host(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Config, CredentialsError> {
    let config = match kubeconfig {
        Some(path) => {
            let options = KubeConfigOptions { context: context.map(str::to_owned), ..Default::default() };
            let unusable = |error: kube::config::KubeconfigError| CredentialsError::Host {
                reason: format!("--kubeconfig {}: {}", path.display(), log::chain(&error)),
            };
            let file = Kubeconfig::read_from(path).map_err(unusable)?;
            Config::from_custom_kubeconfig(file, &options).await.map_err(unusable)?
        }
        None => Config::incluster()
            .map_err(|error| CredentialsError::Host { reason: format!("in-cluster access: {}", log::chain(&error)) })?,
    };
    Ok(tuned(config))
}

/// A client of the host cluster for what is not the work itself: Leases, what others ask for.
///
/// # Errors
/// No client can be made of it.
pub fn host_client(config: Config, limits: Limits) -> Result<Client, CredentialsError> {
    let builder = ClientBuilder::try_from(config).map_err(unusable_host)?;
    Ok(builder.with_layer(&Bounds { limits, most: LARGEST_ANSWER }).build())
}

/// A client of the host cluster for the work: inventories and reports of a replica whose claim has run out would be written over
/// those of its successor.
///
/// # Errors
/// No client can be made of it.
pub fn fenced_host_client(config: &Config, fence: Fence, limits: Limits) -> Result<Client, CredentialsError> {
    fence::fenced(config, fence, Bounds { limits, most: LARGEST_ANSWER }).map_err(unusable_host)
}

fn unusable_host(error: kube::Error) -> CredentialsError {
    CredentialsError::Host { reason: ClusterError::from(error).message }
}

fn tuned(mut config: Config) -> Config {
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(READ);
    config.write_timeout = Some(WRITE);
    // The time counts from the request, not from when the connection was used before.
    config.reset_reader_on_write = true;
    config.headers.push((http::header::USER_AGENT, user_agent()));
    config
}

fn user_agent() -> http::HeaderValue {
    let pod = std::env::var("POD_NAME").ok().map(|pod| format!("{USER_AGENT} ({pod})"));
    // The name of a pod fits into a header; anything else is left out.
    pod.and_then(|text| text.parse().ok()).unwrap_or_else(|| http::HeaderValue::from_static(USER_AGENT))
}

async fn read(host: &Client, place: &error::Place) -> Result<Secret, CredentialsError> {
    let secrets: Api<Secret> = Api::namespaced(host.clone(), &place.namespace);
    let failed = |reason| CredentialsError::Api { place: place.clone(), reason };
    match tokio::time::timeout(GET, secrets.get_opt(&place.name)).await {
        Ok(Ok(Some(secret))) => Ok(secret),
        Ok(Ok(None)) => Err(CredentialsError::SecretMissing { place: place.clone() }),
        // Not the error's own text: a Secret that cannot be decoded may be quoted in it (CVE-2025-23216).
        Ok(Err(kube::Error::SerdeError(_))) => Err(failed("the API server's answer is no Secret".to_owned())),
        Ok(Err(error)) => Err(failed(ClusterError::from(error).message)),
        Err(_) => Err(failed(format!("the API server did not answer within {} s", GET.as_secs()))),
    }
}

fn text(place: &error::Place, mut data: BTreeMap<String, ByteString>, key: &str) -> Result<String, CredentialsError> {
    match data.remove(key) {
        Some(bytes) => String::from_utf8(bytes.0).map_err(|_| CredentialsError::Unusable {
            place: place.clone(),
            key: key.to_owned(),
            reason: "it is not UTF-8 text".to_owned(),
        }),
        None => Err(CredentialsError::KeyMissing {
            place: place.clone(),
            key: key.to_owned(),
            keys: data.into_keys().collect(),
        }),
    }
}

fn version(secret: &Secret) -> String {
    version_of(&secret.metadata)
}

fn version_of(metadata: &ObjectMeta) -> String {
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("{}/{}", part(&metadata.uid), part(&metadata.resource_version))
}

#[cfg(test)]
mod tests;

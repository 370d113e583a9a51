//! When a Secret has changed, and when what it holds comes to its end.

use std::time::Duration;

use asm_shared::kubeconfig::{SafeKubeconfig, certificate_end};
use futures::{StreamExt as _, pin_mut};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client};

use super::{secret_version, token, version_of};

/// How often a Secret is looked at that may be read but not watched.
const LOOK: Duration = Duration::from_secs(300);

/// Ends when the Secret is no longer the one of this [`super::TargetAccess::version`]. One that is gone changes nothing: the
/// credentials that it held may still be good, and one that takes its place is another one.
///
/// A watch of the metadata of this one Secret. Where the agent may not watch, the Secret is read now and then.
pub async fn changed(host: Client, namespace: String, name: String, version: String) {
    let secrets: Api<PartialObjectMeta<Secret>> = Api::namespaced(host.clone(), &namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let stream = watcher(secrets, config).default_backoff();
    pin_mut!(stream);
    let differs = |metadata: &ObjectMeta| version_of(metadata) != version;
    while let Some(event) = stream.next().await {
        match event {
            Ok(watcher::Event::InitApply(secret) | watcher::Event::Apply(secret)) if differs(&secret.metadata) => {
                return;
            }
            Err(error) if is_forbidden(&error) => break,
            _ => {}
        }
    }
    tracing::info!(
        secret = name,
        "this Secret may not be watched, so it is read every {} s: give the agent list and watch of secrets in its \
         namespace (manifests/install)",
        LOOK.as_secs()
    );
    loop {
        tokio::time::sleep(LOOK).await;
        if secret_version(&host, &namespace, &name).await.is_ok_and(|now| now != version) {
            return;
        }
    }
}

fn is_forbidden(error: &watcher::Error) -> bool {
    let error = match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => error,
        watcher::Error::WatchError(status) => return status.code == 403,
        _ => return false,
    };
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

/// When the first of the credentials that are used ends.
pub(super) fn end(safe: &SafeKubeconfig) -> Option<Timestamp> {
    let token = safe.token.as_ref().and_then(|token| token::expiry(token.expose()));
    let certificate = safe.client_certificate.as_ref().and_then(|(certificate, _)| certificate_end(certificate));
    [token, certificate].into_iter().flatten().min()
}

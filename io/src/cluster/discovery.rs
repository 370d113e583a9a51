//! Which URL a kind has on one API server.
//!
//! Kinds of [`asm_shared::object::kinds`] need no question to the API server: plural and scope are known, and the version
//! is the one that the manifest names. Other kinds are looked up once per group and version. A kind that the API server
//! does not serve is an error of that kind only.

use super::{ClusterError, ErrorKind};
use asm_shared::object::{GroupKind, kinds, split_api_version};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, PartialObjectMeta};
use kube::core::GroupVersionKind;
use kube::discovery::Scope;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{Mutex, OnceCell};

/// A kind as one API server serves it.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Group, version, kind, plural.
    pub api: ApiResource,
    /// Lives in namespaces.
    pub namespaced: bool,
}

impl Resource {
    /// A kind of the table, in the version of a manifest (`apiVersion`); `None` when the table does not know it.
    pub fn known(group_kind: &GroupKind, api_version: &str) -> Option<Self> {
        let row = kinds::find(group_kind)?;
        let (_, version) = split_api_version(api_version);
        Some(Self {
            api: ApiResource::from_gvk_with_plural(
                &GroupVersionKind::gvk(&group_kind.group, version, &group_kind.kind),
                row.plural,
            ),
            namespaced: row.namespaced,
        })
    }

    /// Group and kind.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind::new(&self.api.group, &self.api.kind)
    }

    /// Access to one namespace, or to the whole cluster when `namespace` is `None` or the kind has no namespaces.
    pub fn objects(&self, client: Client, namespace: Option<&str>) -> Api<DynamicObject> {
        let scope = if self.namespaced { Scope::Namespaced } else { Scope::Cluster };
        let api = Api::dynamic(client, &self.api, &scope);
        namespace.map_or_else(|| api.clone().unconstrain(), |namespace| api.clone().constrain(namespace))
    }

    /// The same, metadata only.
    pub fn metadata(&self, client: Client, namespace: Option<&str>) -> Api<PartialObjectMeta<DynamicObject>> {
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => Api::namespaced_with(client, namespace, &self.api),
            None => Api::all_with(client, &self.api),
        }
    }
}

/// Why a kind has no URL on this API server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KindError {
    /// The API server does not serve it.
    #[error(
        "the API server does not serve {kind} in {api_version}: install its CustomResourceDefinition, or correct apiVersion"
    )]
    NotServed {
        /// Kind.
        kind: Arc<str>,
        /// `apiVersion` asked for.
        api_version: String,
    },
    /// It could not be asked.
    #[error("the API server could not say whether it serves {kind}: {error}")]
    NoAnswer {
        /// Kind.
        kind: Arc<str>,
        /// Why not.
        #[source]
        error: ClusterError,
    },
}

type Kinds = HashMap<Arc<str>, Resource>;

/// Finds the URLs of kinds on one API server. Cheap to clone; clones share what they learned.
#[derive(Clone)]
pub struct Resolver {
    client: Client,
    /// One cell per `apiVersion`, so that two askers wait for one answer and other groups do not wait at all.
    served: Arc<Mutex<HashMap<String, Arc<OnceCell<Kinds>>>>>,
}

impl Resolver {
    /// For one API server.
    pub fn new(client: Client) -> Self {
        Self { client, served: Arc::default() }
    }

    /// The client of this API server.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The URL of a kind in the version that a manifest names.
    pub async fn resolve(&self, group_kind: &GroupKind, api_version: &str) -> Result<Resource, KindError> {
        if let Some(resource) = Resource::known(group_kind, api_version) {
            return Ok(resource);
        }
        let cell = self.served.lock().await.entry(api_version.to_owned()).or_default().clone();
        // A failure is not kept: the next asker asks again.
        let kinds = cell.get_or_try_init(|| self.ask(api_version)).await;
        let kind = group_kind.kind.clone();
        match kinds {
            Ok(kinds) => kinds
                .get(&kind)
                .cloned()
                .ok_or_else(|| KindError::NotServed { kind, api_version: api_version.to_owned() }),
            Err(error) if error.is_not_found() => {
                Err(KindError::NotServed { kind, api_version: api_version.to_owned() })
            }
            Err(error) => Err(KindError::NoAnswer { kind, error }),
        }
    }

    /// Forgets what was learned: after a CustomResourceDefinition was applied, or when a kind was not served.
    pub async fn forget(&self) {
        self.served.lock().await.clear();
    }

    /// One question per group and version: kube's own discovery walks all groups.
    async fn ask(&self, api_version: &str) -> Result<Kinds, ClusterError> {
        let list = match split_api_version(api_version) {
            ("", version) => self.client.list_core_api_resources(version).await,
            (_, _) => self.client.list_api_group_resources(api_version).await,
        }?;
        let (group, version) = split_api_version(api_version);
        if version.is_empty() {
            return Err(ClusterError::new(ErrorKind::NotFound, "apiVersion is empty"));
        }
        let kinds = list.resources.into_iter().filter(|resource| !resource.name.contains('/')).map(|resource| {
            let gvk = GroupVersionKind::gvk(group, version, &resource.kind);
            let api = ApiResource::from_gvk_with_plural(&gvk, &resource.name);
            (Arc::from(resource.kind.as_str()), Resource { api, namespaced: resource.namespaced })
        });
        Ok(kinds.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_kinds_take_the_version_of_the_manifest() {
        let kind = GroupKind::new(kinds::ISTIO_NETWORKING, "VirtualService");
        let resource = Resource::known(&kind, "networking.istio.io/v1alpha3").unwrap();
        assert_eq!(resource.api.api_version, "networking.istio.io/v1alpha3");
        assert_eq!((resource.api.plural.as_str(), resource.namespaced), ("virtualservices", true));
        assert_eq!(Resource::known(&GroupKind::new("", "Namespace"), "v1").map(|r| r.namespaced), Some(false));
        assert_eq!(Resource::known(&GroupKind::new("example.com", "Thing"), "example.com/v1"), None);
    }
}

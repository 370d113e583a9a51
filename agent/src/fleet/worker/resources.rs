//! Where the objects of a kind are on one API server.

use asm_io::cluster::{ClusterError, ErrorKind, KindError, Resolver};
use asm_shared::object::GroupKind;
use kube::api::{Api, DynamicObject, ListParams, ObjectMeta, PartialObjectMeta};
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// Objects per page of a list of metadata.
const PAGE: u32 = 500;
/// Pages that one list may have: a server that always has one more is not believed.
pub(super) const MOST_PAGES: usize = 2_000;

/// The kinds of one API server. Cheap to clone.
#[derive(Clone)]
pub(super) struct Resources(Resolver);

impl Resources {
    pub(super) fn new(client: kube::Client) -> Self {
        Self(Resolver::new(client))
    }

    /// The client of this API server.
    pub(super) fn client(&self) -> kube::Client {
        self.0.client()
    }

    /// Does it serve any kind of this group and version?
    pub(super) async fn serves(&self, api_version: &str) -> Result<bool, ClusterError> {
        match self.0.client().list_api_group_resources(api_version).await.map_err(ClusterError::from) {
            Ok(list) => Ok(!list.resources.is_empty()),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Objects of a kind, in one namespace or in all.
    pub(super) async fn api(
        &self,
        group_kind: &GroupKind,
        api_version: &str,
        namespace: Option<&str>,
    ) -> Result<Api<DynamicObject>, ClusterError> {
        let resource = self.0.resolve(group_kind, api_version).await.map_err(kind_error)?;
        Ok(resource.objects(self.0.client(), namespace))
    }

    /// Metadata of all objects of a kind.
    pub(super) async fn metadata_api(
        &self,
        group_kind: &GroupKind,
        api_version: &str,
    ) -> Result<Api<PartialObjectMeta<DynamicObject>>, ClusterError> {
        let resource = self.0.resolve(group_kind, api_version).await.map_err(kind_error)?;
        Ok(resource.metadata(self.0.client(), None))
    }
}

/// Gives the metadata of every object of a list, page by page: one page is all that is held.
pub(super) async fn each_metadata<K: Clone + DeserializeOwned + Debug>(
    api: &Api<K>,
    params: ListParams,
    kind: &GroupKind,
    mut take: impl FnMut(ObjectMeta),
) -> Result<(), ClusterError> {
    let mut params = params.limit(PAGE);
    for _ in 0..MOST_PAGES {
        let page = api.list_metadata(&params).await.map_err(ClusterError::from)?;
        page.items.into_iter().for_each(|object| take(object.metadata));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(()),
        }
    }
    Err(ClusterError::new(ErrorKind::Server, format!("the API server lists {kind} without end")))
}

fn kind_error(error: KindError) -> ClusterError {
    match error {
        KindError::NoAnswer { error, .. } => error,
        KindError::NotServed { .. } => ClusterError::new(ErrorKind::NotFound, error.to_string()),
    }
}

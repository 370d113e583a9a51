//! Single objects, read fresh.

use super::{LiveTargetName, request_failed};
use crate::context::Context;
use crate::error::CommandError;
use crate::kubeconfig;
use asm_io::cluster::{ClusterError, ErrorKind, KindError, Resolver};
use asm_shared::object::ObjectId;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::Value;

/// Requests to one API server at a time.
const AT_ONCE: usize = 8;

/// Reads objects of one target, each with its `apiVersion`; `None` where there is none.
pub async fn read(
    context: &Context,
    name: &LiveTargetName,
    wanted: &[(ObjectId, String)],
) -> Result<Vec<Option<Value>>, CommandError> {
    let resolver = Resolver::new(kubeconfig::client(context, &name.kube_context).await?);
    let resolver = &resolver;
    stream::iter(wanted)
        .map(|(id, api_version)| async move {
            let failed = |error: &ClusterError| {
                request_failed(&name.kube_context, &format!("read {id} on {}", name.target), error)
            };
            let resource = resolver.resolve(&id.group_kind, api_version).await.map_err(|error| match error {
                KindError::NoAnswer { error, .. } => failed(&error),
                KindError::NotServed { .. } => failed(&ClusterError::new(ErrorKind::NotFound, error.to_string())),
            })?;
            let api = resource.objects(resolver.client(), id.namespace.as_deref());
            let found = api.get_opt(&id.name).await.map_err(|error| failed(&ClusterError::from(error)))?;
            Ok(found.and_then(|object| serde_json::to_value(object).ok()))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

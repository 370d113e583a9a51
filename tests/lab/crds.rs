//! What the ASM control plane serves besides Kubernetes' own kinds.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, api::PostParams};

use crate::wait::wait_for;

/// Our IstioGateway CRD: ASM's own is not public.
const ISTIO_GATEWAY: &str = include_str!("crds/istiogateway.yaml");

/// The CRDs of ASM itself.
pub fn asm_crds() -> Result<Vec<serde_json::Value>> {
    crate::apply::documents(ISTIO_GATEWAY).context("crds/istiogateway.yaml")
}

/// Creates Istio's CRDs and that of IstioGateway, and waits until they are served.
pub(crate) async fn install(client: &Client) -> Result<()> {
    let mut crds = tokio::task::spawn_blocking(crate::controlplane::istio_crds).await??;
    crds.extend(asm_crds()?);
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let names: Vec<String> = stream::iter(crds)
        .map(|crd| create(&api, crd))
        // Each creation makes the API server rebuild its OpenAPI document: all at once is fastest.
        .buffer_unordered(16)
        .try_collect()
        .await?;
    wait_for("the mesh's CRDs are served", Duration::from_secs(60), || async {
        let listed = api.list(&Default::default()).await?;
        let served = |name: &String| {
            listed.iter().any(|crd| {
                crd.metadata.name.as_ref() == Some(name)
                    && crd.status.as_ref().is_some_and(|status| {
                        let conditions = status.conditions.iter().flatten();
                        conditions.into_iter().any(|c| c.type_ == "Established" && c.status == "True")
                    })
            })
        };
        Ok(names.iter().all(served).then_some(()))
    })
    .await
}

async fn create(api: &Api<CustomResourceDefinition>, crd: serde_json::Value) -> Result<String> {
    let crd: CustomResourceDefinition = serde_json::from_value(crd).context("this is no CRD")?;
    let name = crd.metadata.name.clone().context("a CRD has a name")?;
    api.create(&PostParams::default(), &crd).await.with_context(|| format!("cannot create the CRD {name}"))?;
    Ok(name)
}

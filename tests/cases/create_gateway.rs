//! An ingress gateway from its creation to its end, as the vendor's page "Create an ingress gateway" tells it: every
//! parameter of its table is set by a command, and what stands in the mesh and in the clusters says so.
//!
//! One parameter has no documented form in YAML and is therefore none of ours: MultiBuffer.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{PATIENCE, Story, api, holds};
use asm_lab::{Lab, LabOptions, MESH, wait_for};
use serde_json::{Value, json};

const NAMESPACE: &str = "istio-system";
const SERVICE: &str = "istio-ingressgateway";

/// The fleet, by plugin commands only; `EXISTING` stands for a load balancer that somebody made in the console.
const COMMANDS: &[&str] = &[
    "init shop --region cn-hangzhou",
    "cluster add m1c1 --id M1C1",
    "cluster add m1c2 --id M1C2",
    "gateway create ingressgateway --cluster m1c1 --service-type LoadBalancer --load-balancer clb --address-type internet \
     --clb-spec slb.s2.small --port http=80 --port https=443 --limits cpu=2,memory=2G --requests cpu=200m,memory=256Mi \
     --replicas 2 --external-traffic-policy Local --min-replicas 2 --max-replicas 5 --cpu-target 80 --memory-target 75 \
     --max-unavailable 25% --max-surge 100% --spread --node-selector kubernetes.io/os=linux --toleration edge:NoSchedule \
     --graceful-shutdown 30",
    "gateway create door --cluster m1c2 --load-balancer nlb --zone-map cn-hangzhou-h=vsw-1 --zone-map cn-hangzhou-i=vsw-2 \
     --address-type intranet",
    "gateway create guest --cluster m1c2 --reuse-load-balancer EXISTING --override-listeners --port http=8080",
    "gateway create inner --cluster m1c1 --service-type ClusterIP",
];

/// The gateway as the documentation of its kind writes what the page's form says.
fn documented(cluster_id: &str) -> Value {
    json!({
        "metadata": {
            "name": "ingressgateway", "namespace": NAMESPACE,
            "annotations": {"asm.alibabacloud.com/gateway-drain-timeout-seconds": "30"},
        },
        "spec": {
            "gatewayType": "ingress",
            "clusterIds": [cluster_id],
            "serviceType": "LoadBalancer",
            "serviceAnnotations": {
                "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type": "internet",
                "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-instance-charge-type": "PayBySpec",
                "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-spec": "slb.s2.small",
            },
            "ports": [
                {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80},
                {"name": "https", "port": 443, "protocol": "TCP", "targetPort": 443},
            ],
            "resources": {"limits": {"cpu": "2", "memory": "2G"}, "requests": {"cpu": "200m", "memory": "256Mi"}},
            "replicaCount": 2,
            "externalTrafficPolicy": "Local",
            "minReplicas": 2,
            "maxReplicas": 5,
            "cpu": {"targetAverageUtilization": 80},
            "memory": {"targetAverageUtilization": 75},
            "rollingMaxUnavailable": "25%",
            "rollingMaxSurge": "100%",
            "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
                "weight": 100,
                "podAffinityTerm": {
                    "labelSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": [SERVICE]}]},
                    "topologyKey": "kubernetes.io/hostname",
                },
            }]}},
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": "edge", "operator": "Exists", "effect": "NoSchedule"}],
        },
    })
}

async fn object(lab: &Lab, context: &str, kind: (&str, &str, &str), name: &str) -> Result<Option<Value>> {
    let (version, kind, plural) = kind;
    let found = api(lab, context, version, kind, plural, Some(NAMESPACE))?.get_opt(name).await?;
    Ok(found.map(serde_json::to_value).transpose()?)
}

const GATEWAY: (&str, &str, &str) = ("istio.alibabacloud.com/v1beta1", "IstioGateway", "istiogateways");
const IN_CLUSTER: [(&str, &str, &str); 3] = [
    ("v1", "Service", "services"),
    ("apps/v1", "Deployment", "deployments"),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
];

#[tokio::test(flavor = "multi_thread")]
async fn created_viewed_edited_and_deleted() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    let existing = lab.cloud("m1c2").create_load_balancer("internet");
    for command in COMMANDS {
        let words = command.split_whitespace().map(|word| if word == "EXISTING" { &existing.id } else { word });
        story.plugin_ok(&words.collect::<Vec<_>>())?;
    }
    let revision = story.commit_and_push("a gateway of every kind")?;
    story.install(json!({})).await?;
    story.start_agent()?;
    story.wait_ready(&revision).await?;

    // The whole spec: nothing is missing, nothing else is there.
    let wanted = documented(&lab.cluster_id("m1c1"));
    let live = object(&lab, MESH, GATEWAY, "ingressgateway").await?.context("no gateway")?;
    ensure!(live["spec"] == wanted["spec"], "{:#}", live["spec"]);
    ensure!(live["metadata"]["annotations"] == wanted["metadata"]["annotations"], "{}", live["metadata"]);
    ensure!(live["status"]["Status"] == "Running", "{}", live["status"]);
    generated(&lab).await?;
    other_load_balancers(&lab, &existing.id)?;

    // Viewed.
    let cloud = lab.cloud("m1c1");
    let first = cloud.load_balancer_of(NAMESPACE, SERVICE).context("no load balancer")?;
    ensure!(first.address_type() == "internet" && first.attributes["spec"] == "slb.s2.small", "{first:?}");
    let page = story.plugin_ok(&["gateway", "show", "ingressgateway", "--live"])?;
    for told in ["Running", &first.address, SERVICE, "Local", "2-5", "Pods\n"] {
        ensure!(page.contains(told), "{told} is not on the page:\n{page}");
    }

    // Edited: what is not named stays, and so does the address.
    let edit = "gateway edit ingressgateway --replicas 3 --external-traffic-policy Cluster --limits cpu=4";
    story.plugin_ok(&edit.split(' ').collect::<Vec<_>>())?;
    let revision = story.commit_and_push("three replicas")?;
    story.wait_ready(&revision).await?;
    let mut wanted = wanted;
    wanted["spec"]["replicaCount"] = json!(3);
    wanted["spec"]["externalTrafficPolicy"] = json!("Cluster");
    wanted["spec"]["resources"]["limits"]["cpu"] = json!("4");
    let live = object(&lab, MESH, GATEWAY, "ingressgateway").await?.context("no gateway")?;
    ensure!(live["spec"] == wanted["spec"], "{:#}", live["spec"]);
    ensure!(cloud.load_balancer_of(NAMESPACE, SERVICE).is_some_and(|lb| lb.id == first.id), "another load balancer");

    // Deleted: with the consent that the command writes, its address goes, and no other.
    story.plugin_ok(&["gateway", "delete", "ingressgateway", "--live", "--confirm", "ingressgateway"])?;
    let revision = story.commit_and_push("without the gateway")?;
    story.wait_ready(&revision).await?;
    ensure!(object(&lab, MESH, GATEWAY, "ingressgateway").await?.is_none(), "the gateway is still there");
    wait_for("everything of the gateway is gone", PATIENCE, || async {
        for kind in IN_CLUSTER {
            if object(&lab, "m1c1", kind, SERVICE).await?.is_some() {
                return Ok(None);
            }
        }
        Ok(cloud.load_balancer_of(NAMESPACE, SERVICE).is_none().then_some(()))
    })
    .await?;
    let gone: Vec<String> = cloud.deleted().into_iter().map(|deleted| deleted.load_balancer.address).collect();
    ensure!(gone == [first.address], "{gone:?}");
    other_load_balancers(&lab, &existing.id)
}

/// What ASM makes of it in the cluster.
async fn generated(lab: &Lab) -> Result<()> {
    let selector = json!({"app": SERVICE, "istio": "ingressgateway", "asm-system": "true", "provider": "asm"});
    let wanted = [
        json!({"spec": {
            "type": "LoadBalancer", "externalTrafficPolicy": "Local", "selector": selector,
            "ports": [{"name": "http", "port": 80, "targetPort": 80}, {"name": "https", "port": 443, "targetPort": 443}],
        }}),
        json!({"spec": {
            "strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": "25%"}},
            "template": {"spec": {
                "nodeSelector": {"kubernetes.io/os": "linux"},
                "tolerations": [{"key": "edge", "operator": "Exists", "effect": "NoSchedule"}],
                "containers": [{"resources": {"limits": {"cpu": "2", "memory": "2G"}}}],
            }},
        }}),
        json!({"spec": {"minReplicas": 2, "maxReplicas": 5}}),
    ];
    for (kind, wanted) in IN_CLUSTER.into_iter().zip(wanted) {
        let live = object(lab, "m1c1", kind, SERVICE).await?.with_context(|| format!("no {}", kind.1))?;
        ensure!(holds(&wanted, &live), "{}: {:#}", kind.1, live["spec"]);
    }
    Ok(())
}

/// The NLB, the one that is shared, and the gateway without any.
fn other_load_balancers(lab: &Lab, existing: &str) -> Result<()> {
    let cloud = lab.cloud("m1c2");
    let nlb = cloud.load_balancer_of(NAMESPACE, "istio-door").context("no NLB")?;
    ensure!(nlb.id.starts_with("nlb-") && nlb.address_type() == "intranet", "{nlb:?}");
    let shared = cloud.load_balancer_of(NAMESPACE, "istio-guest").context("the existing one is not used")?;
    ensure!(shared.id == existing && !shared.listeners.is_empty(), "{shared:?}");
    ensure!(lab.cloud("m1c1").load_balancer_of(NAMESPACE, "istio-inner").is_none(), "a ClusterIP with a load balancer");
    Ok(())
}

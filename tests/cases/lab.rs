//! The lab itself: its simulated parts keep the rules that other tests rely on.

use std::{collections::BTreeMap, process::Command, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use asm_lab::{
    AgentProcess, ApiProxy, ControlPlane, GitMode, HOST, Lab, LabOptions, MESH, Signal, Verdict, is_alive, users,
    wait_for,
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Event, Namespace, Pod, Service},
};
use kube::{
    Api, ResourceExt as _,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(30);
const ADDRESS_TYPE: &str = "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type";

fn gateways(lab: &Lab) -> Result<Api<DynamicObject>> {
    let gvk = GroupVersionKind::gvk("istio.alibabacloud.com", "v1", "IstioGateway");
    let resource = ApiResource::from_gvk_with_plural(&gvk, "istiogateways");
    Ok(Api::namespaced_with(lab.client(MESH)?, "istio-system", &resource))
}

async fn running(api: &Api<DynamicObject>, name: &str) -> Result<Value> {
    wait_for(format!("gateway {name} is running"), SOON, || async {
        let status = api.get(name).await?.data["status"].clone();
        Ok((status["Status"] == "Running").then_some(status))
    })
    .await
}

fn ip(service: &Service) -> Option<String> {
    service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?.first()?.ip.clone()
}

async fn address(api: &Api<Service>, name: &str) -> Result<String> {
    wait_for(format!("Service {name} has an address"), SOON, || async { Ok(ip(&api.get(name).await?)) }).await
}

async fn events(lab: &Lab, cluster: &str, name: &str, reason: &str) -> Result<Vec<Event>> {
    let api: Api<Event> = Api::namespaced(lab.client(cluster)?, "istio-system");
    let selector = format!("involvedObject.name={name},reason={reason}");
    Ok(api.list(&ListParams::default().fields(&selector)).await?.items)
}

async fn gone(api: &Api<Service>, name: &str) -> Result<()> {
    let what = format!("Service {name} is gone");
    wait_for(what, SOON, || async { Ok(api.get_opt(name).await?.is_none().then_some(())) }).await
}

/// A second CLB for one gateway.
const EXTRA: &str = r#"
apiVersion: v1
kind: Service
metadata:
  name: istio-ingressgateway-2
  namespace: istio-system
  annotations:
    service.beta.kubernetes.io/alibaba-cloud-loadbalancer-spec: slb.s1.small
    service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type: internet
  labels: {app: istio-ingressgateway, asm-system: 'true', istio: ingressgateway}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Cluster
  ports:
  - {name: http-0, port: 80, targetPort: 80, protocol: TCP}
  selector: {app: istio-ingressgateway, asm-system: 'true', istio: ingressgateway, provider: asm}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_lab_keeps_its_rules() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    gateways_and_load_balancers(&lab).await.context("gateways and load balancers")?;
    cloud_rules(&lab).await.context("rules of the cloud")?;
    users_and_audit(&lab).await.context("users and audit")?;
    dead_cluster(&lab).await.context("a dead cluster")?;
    proxy(&lab).await.context("proxy")?;
    git(&lab).context("Git server")?;
    product(&lab).context("the binaries under test")?;

    let (pids, dir) = (lab.pids(), lab.dir().to_owned());
    assert_eq!(pids.len(), 9, "etcd, four API servers, four controller managers");
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    drop(lab);
    assert_eq!(pids.iter().filter(|pid| is_alive(**pid)).count(), 0, "children outlived the lab");
    assert!(!dir.exists(), "the lab's directory outlived it");
    Ok(())
}

async fn gateways_and_load_balancers(lab: &Lab) -> Result<()> {
    let api = gateways(lab)?;
    let ids = [lab.cluster_id("m1c1"), lab.cluster_id("m1c2")];
    let yaml = format!(
        r#"
apiVersion: istio.alibabacloud.com/v1beta1
kind: IstioGateway
metadata: {{name: ingressgateway, namespace: istio-system}}
spec:
  gatewayType: ingress
  clusterIds: [{}, {}]
  replicaCount: 2
  ports:
  - {{name: http-0, port: 80, targetPort: 80, protocol: HTTP2}}
  - {{name: https-1, port: 443}}
  somethingNew: {{kept: true}}
"#,
        ids[0], ids[1]
    );
    lab.apply_yaml(MESH, &yaml).await?;
    let status = running(&api, "ingressgateway").await?;
    assert_eq!(status["GatewayAddress"], json!(["203.0.113.1", "192.0.2.1"]));
    assert_eq!(status["ClusterIdGatewayAddressMap"][1], json!({"clusterId": ids[1], "ipAddress": "192.0.2.1"}));
    assert_eq!(api.get("ingressgateway").await?.data["spec"]["somethingNew"]["kept"], true);

    let client = lab.client("m1c1")?;
    let services: Api<Service> = Api::namespaced(client.clone(), "istio-system");
    let service = services.get("istio-ingressgateway").await?;
    assert_eq!(service.spec.as_ref().and_then(|s| s.selector.as_ref()).map(BTreeMap::len), Some(4));
    assert_eq!(service.finalizers(), ["service.k8s.alibaba/resources"]);
    let lb = lab.cloud("m1c1").load_balancer_of("istio-system", "istio-ingressgateway").context("no CLB")?;
    assert_eq!(service.labels()["service.k8s.alibaba/loadbalancer-id"], lb.id);

    // Deployment → ReplicaSet → pods → kubelet.
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "istio-system");
    wait_for("the gateway's pods are ready", SOON, || async {
        let ready = deployments.get("istio-ingressgateway").await?.status.and_then(|s| s.ready_replicas);
        Ok((ready == Some(2)).then_some(()))
    })
    .await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "istio-system");
    let pods = pods.list(&ListParams::default().labels("app=istio-ingressgateway")).await?;
    let ips: Vec<_> = pods.iter().filter_map(|p| p.status.as_ref()?.pod_ip.clone()).collect();
    assert!(ips.len() == 2 && ips.iter().all(|ip| ip.starts_with("10.244.")), "{ips:?}");

    lab.apply_yaml("m1c1", EXTRA).await?;
    let second = address(&services, "istio-ingressgateway-2").await?;
    assert_ne!(second, lb.address);
    wait_for("an event tells it", SOON, || async {
        Ok((!events(lab, "m1c1", "istio-ingressgateway-2", "EnsuredLoadBalancer").await?.is_empty()).then_some(()))
    })
    .await?;

    // An address type that is fixed: refused, said, and nothing changes.
    let before = lab.cloud("m1c1").load_balancers();
    let change = json!({"metadata": {"annotations": {ADDRESS_TYPE: "intranet"}}});
    services.patch("istio-ingressgateway-2", &PatchParams::default(), &Patch::Merge(change)).await?;
    let message = wait_for("the change is refused", SOON, || async {
        let found = events(lab, "m1c1", "istio-ingressgateway-2", "SyncLoadBalancerFailed").await?;
        Ok(found.into_iter().next().and_then(|e| e.message))
    })
    .await?;
    assert!(message.contains("can not change LoadBalancer AddressType once created"), "{message}");
    assert_eq!(lab.cloud("m1c1").load_balancers(), before);
    assert_eq!(ip(&services.get("istio-ingressgateway-2").await?).as_ref(), Some(&second));

    services.delete("istio-ingressgateway-2", &DeleteParams::default()).await?;
    gone(&services, "istio-ingressgateway-2").await?;
    let deleted = lab.cloud("m1c1").deleted();
    assert_eq!((deleted.len(), &deleted[0].load_balancer.address), (1, &second));
    assert_eq!(lab.cloud("m1c1").load_balancers(), std::slice::from_ref(&lb), "the other one is untouched");

    // Serverless: one address, and nothing in the members.
    lab.apply_yaml(
        MESH,
        "apiVersion: istio.alibabacloud.com/v1beta1\nkind: IstioGateway\n\
         metadata: {name: serverless, namespace: istio-system, annotations: {asm.alibabacloud.com/managed-by-asm: 'true'}}\n\
         spec: {gatewayType: ingress, ports: [{name: http, port: 80}]}\n",
    )
    .await?;
    let status = running(&api, "serverless").await?;
    assert_eq!(status["GatewayAddress"], json!(["198.51.100.1"]));
    assert!(services.get_opt("istio-serverless").await?.is_none());
    api.delete("serverless", &DeleteParams::default()).await?;
    wait_for("the serverless address is gone", SOON, || async {
        Ok((lab.cloud(MESH).deleted().len() == 1).then_some(()))
    })
    .await?;

    // A cluster leaves the gateway: its Service and CLB go, the other's stay.
    let one = json!({"spec": {"clusterIds": [ids[0]]}});
    api.patch("ingressgateway", &PatchParams::default(), &Patch::Merge(one)).await?;
    let other: Api<Service> = Api::namespaced(lab.client("m1c2")?, "istio-system");
    gone(&other, "istio-ingressgateway").await?;
    assert_eq!(lab.cloud("m1c2").deleted().len(), 1);
    assert_eq!(lab.cloud("m1c1").load_balancers(), [lb]);
    wait_for("the status follows", SOON, || async {
        let status = api.get("ingressgateway").await?.data["status"].clone();
        Ok((status["GatewayAddress"] == json!(["203.0.113.1"])).then_some(()))
    })
    .await
}

async fn cloud_rules(lab: &Lab) -> Result<()> {
    let services: Api<Service> = Api::namespaced(lab.client("m1c1")?, "istio-system");
    let cloud = lab.cloud("m1c1");
    let apply = |name: &str, annotations: Value, spec: Value| {
        let mut object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "istio-system", "annotations": annotations},
            "spec": {"type": "LoadBalancer", "ports": [{"name": "http", "port": 80}], "selector": {"a": "b"}},
        });
        if let (Some(into), Value::Object(spec)) = (object["spec"].as_object_mut(), spec) {
            into.extend(spec);
        }
        let (services, name) = (services.clone(), name.to_owned());
        async move { services.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(object)).await }
    };
    let prefix = "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-";

    // Only what the hash covers makes the cloud busy.
    apply("rules", json!({}), json!({})).await?;
    let first = address(&services, "rules").await?;
    let syncs = || cloud.syncs().iter().filter(|s| s.owner.name == "rules").count();
    wait_for("the hash is there", SOON, || async {
        Ok(services.get("rules").await?.labels().contains_key("service.beta.kubernetes.io/hash").then_some(()))
    })
    .await?;
    assert_eq!(syncs(), 1);
    let label = json!({"metadata": {"labels": {"team": "edge"}}});
    services.patch("rules", &PatchParams::default(), &Patch::Merge(label)).await?;
    let note = json!({"metadata": {"annotations": {"some-tool/tracking": "x"}}});
    services.patch("rules", &PatchParams::default(), &Patch::Merge(note)).await?;
    wait_for("an annotation of any tool makes a sync", SOON, || async { Ok((syncs() == 2).then_some(())) }).await?;

    // Re-created with the same name: another UID, another address.
    services.delete("rules", &DeleteParams::default()).await?;
    gone(&services, "rules").await?;
    apply("rules", json!({}), json!({})).await?;
    let again = address(&services, "rules").await?;
    assert_ne!(first, again);

    // No LoadBalancer any more: the address is lost, the Service stays without our marks.
    apply("rules", json!({}), json!({"type": "ClusterIP"})).await?;
    wait_for("the marks are gone", SOON, || async {
        let service = services.get("rules").await?;
        let clean = service.finalizers().is_empty() && service.labels().keys().all(|k| k == "team");
        Ok((clean && ip(&service).is_none()).then_some(()))
    })
    .await?;
    assert!(cloud.deleted().iter().any(|d| d.load_balancer.address == again && d.reason == "type changed"));

    // Reused by ID: kept when the Service goes.
    let console = cloud.create_load_balancer("intranet");
    let reuse = json!({format!("{prefix}id"): console.id, format!("{prefix}address-type"): "intranet"});
    apply("reuse", reuse, json!({})).await?;
    assert_eq!(address(&services, "reuse").await?, console.address);
    assert!(cloud.get(&console.id).context("gone")?.listeners.is_empty(), "listeners are not taken over");
    services.delete("reuse", &DeleteParams::default()).await?;
    gone(&services, "reuse").await?;
    assert!(cloud.get(&console.id).is_some());

    // Preserved.
    apply("keep", json!({format!("{prefix}preserve-lb-on-delete"): "true"}), json!({})).await?;
    let kept = address(&services, "keep").await?;
    let id = cloud.load_balancer_of("istio-system", "keep").context("no CLB")?.id;
    services.delete("keep", &DeleteParams::default()).await?;
    gone(&services, "keep").await?;
    assert_eq!(cloud.get(&id).context("gone")?.address, kept);
    assert!(!events(lab, "m1c1", "keep", "PreservedOnDelete").await?.is_empty());

    // NLB: a domain name, its own finalizer.
    let zones = json!({format!("{prefix}zone-maps"): "cn-hangzhou-i:vsw-1,cn-hangzhou-j:vsw-2"});
    apply("nlb", zones, json!({"loadBalancerClass": "alibabacloud.com/nlb"})).await?;
    let hostname = wait_for("the NLB has a name", SOON, || async {
        let status = services.get("nlb").await?.status.and_then(|s| s.load_balancer);
        Ok(status.and_then(|l| l.ingress?.into_iter().next()?.hostname))
    })
    .await?;
    assert!(hostname.starts_with("nlb-"));
    assert_eq!(services.get("nlb").await?.finalizers(), ["service.k8s.alibaba/nlb"]);
    Ok(())
}

async fn users_and_audit(lab: &Lab) -> Result<()> {
    let mark = lab.audit_mark("m1c1").await?;
    let maps = |user: &str| anyhow::Ok(Api::<ConfigMap>::namespaced(lab.client_as("m1c1", user)?, "default"));
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "who"}}))?;
    maps(users::CONSOLE)?.create(&PostParams::default(), &map).await?;
    maps(users::AGENT)?.get("who").await?;
    let entries = lab.audit_since("m1c1", mark).await?;
    let console: Vec<_> = entries.iter().filter(|e| e.user == users::CONSOLE).collect();
    assert_eq!(console.len(), 1);
    assert!(console[0].is_write() && console[0].code == 201);
    assert_eq!(console[0].resource.as_ref().map(|r| r.resource.as_str()), Some("configmaps"));
    assert_eq!(lab.audit_count("m1c1", mark).await?.get(users::AGENT), Some(&1));

    // Has no rights on the host but what is bound to it.
    let namespaces = Api::<Namespace>::all(lab.client_as(HOST, users::AGENT_SERVICE_ACCOUNT)?);
    let refused = namespaces.list(&ListParams::default()).await;
    assert!(matches!(&refused, Err(kube::Error::Api(s)) if s.code == 403), "{refused:?}");

    // A kubeconfig for a Secret works and verifies the server.
    let file = lab.dir().join("secret.kubeconfig");
    std::fs::write(&file, lab.kubeconfig_text("m1c1", users::AGENT)?)?;
    assert!(asm_lab::is_ready(&file, "m1c1").await?);
    Ok(())
}

async fn dead_cluster(lab: &Lab) -> Result<()> {
    lab.stop_api_server("m1c2")?;
    assert!(!asm_lab::is_ready(lab.kubeconfig(), "m1c2").await?);
    assert!(asm_lab::is_ready(lab.kubeconfig(), "m1c1").await?);
    // A gateway asked for meanwhile runs once the cluster is back.
    let api = gateways(lab)?;
    let both = json!({"spec": {"clusterIds": [lab.cluster_id("m1c1"), lab.cluster_id("m1c2")]}});
    api.patch("ingressgateway", &PatchParams::default(), &Patch::Merge(both)).await?;
    wait_for("the status names the dead cluster", SOON, || async {
        let status = api.get("ingressgateway").await?.data["status"].clone();
        let named = status["ErrorMessage"].as_str().is_some_and(|m| m.contains(&lab.cluster_id("m1c2")));
        Ok((named && status["Status"] != "Running").then_some(()))
    })
    .await?;
    lab.start_api_server("m1c2").await?;
    let status = running(&api, "ingressgateway").await?;
    assert_eq!(status["GatewayAddress"].as_array().map(Vec::len), Some(2));
    // kube-controller-manager has found its API server again as well.
    let deployments: Api<Deployment> = Api::namespaced(lab.client("m1c2")?, "istio-system");
    wait_for("pods run in the cluster that came back", SOON * 2, || async {
        let ready = deployments.get("istio-ingressgateway").await?.status.and_then(|s| s.ready_replicas);
        Ok((ready == Some(2)).then_some(()))
    })
    .await
}

async fn proxy(lab: &Lab) -> Result<()> {
    let proxy = Arc::new(ApiProxy::start(lab, "m1c1").await?);
    let client = || async {
        let file = kube::config::Kubeconfig::from_yaml(&proxy.kubeconfig_text(users::AGENT)?)?;
        let mut config = kube::Config::from_custom_kubeconfig(file, &Default::default()).await?;
        config.default_retry = false;
        anyhow::Ok(Api::<ConfigMap>::namespaced(kube::Client::try_from(config)?, "default"))
    };
    let api = client().await?;
    let map = |name: &str| serde_json::from_value::<ConfigMap>(json!({"metadata": {"name": name}}));
    let create = PostParams::default();
    api.create(&create, &map("one")?).await?;
    assert_eq!((proxy.requests(), proxy.writes()), (1, 1));

    // The n-th write: seen by nobody, or done and not told.
    proxy.on_request(|r| if r.write == Some(2) { Verdict::Reset } else { Verdict::Pass });
    assert!(api.create(&create, &map("two")?).await.is_err());
    assert!(api.get_opt("two").await?.is_none());
    proxy.clear_hooks();
    proxy.on_response(|r, _| if r.write == Some(3) { Verdict::Reset } else { Verdict::Pass });
    assert!(api.create(&create, &map("three")?).await.is_err());
    assert!(api.get_opt("three").await?.is_some());
    proxy.clear_hooks();
    proxy.on_request(|_| Verdict::RetryAfter(429, 1));
    assert!(matches!(api.get("one").await, Err(kube::Error::Api(s)) if s.code == 429));
    proxy.clear_hooks();

    // A watch is streamed.
    let mut watch = std::pin::pin!(kube::runtime::watcher(client().await?, Default::default()));
    let mut names = Vec::new();
    let seen = async {
        use futures::StreamExt as _;
        while let Some(event) = watch.next().await {
            match event? {
                kube::runtime::watcher::Event::InitDone => {
                    api.create(&create, &map("four")?).await?;
                }
                kube::runtime::watcher::Event::Apply(map) => {
                    names.push(map.name_any());
                    break;
                }
                _ => {}
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(SOON, seen).await??;
    assert_eq!(names, ["four"]);
    Ok(())
}

fn git(lab: &Lab) -> Result<()> {
    let url = lab.git().create_repo("fleet")?;
    let ls = |mode: GitMode| {
        lab.git().set_mode(mode);
        anyhow::Ok(Command::new("git").args(["ls-remote", &url]).env("GIT_TERMINAL_PROMPT", "0").output()?.status)
    };
    assert!(ls(GitMode::Ok)?.success());
    assert!(!ls(GitMode::Status(500))?.success());
    assert!(ls(GitMode::Ok)?.success());
    // Two each for what succeeds: the server's abilities, then the references.
    assert_eq!(lab.git().requests(), 5);
    Ok(())
}

fn product(lab: &Lab) -> Result<()> {
    let output = asm_lab::plugin(lab, lab.dir(), ["--version"])?;
    assert!(output.status.success() && !output.stdout.is_empty(), "{output:?}");
    let mut agent = AgentProcess::spawn(lab, ["--version"])?;
    assert!(agent.wait()?.success(), "{}", agent.log());
    assert!(agent.log().contains("asm-agent") && !is_alive(agent.pid()));
    Ok(())
}

/// Any program can be supervised; it ends with the pipe, with its supervisor, and its end is passed on.
#[test]
fn supervised_programs_end_with_their_harness() -> Result<()> {
    use std::{
        os::unix::process::ExitStatusExt as _,
        process::{Child, Stdio},
        time::Instant,
    };

    let dir = tempfile::tempdir()?;
    let programs = ControlPlane::prepare()?;
    let start = |name: &str| -> Result<(Child, u32)> {
        let pid_file = dir.path().join(name);
        let child = programs.supervise("sleep", Some(&pid_file)).arg("1000").stdin(Stdio::piped()).spawn()?;
        let end = Instant::now() + SOON;
        while !pid_file.exists() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok((child, std::fs::read_to_string(pid_file)?.trim().parse()?))
    };
    let ends = |pid: u32| {
        let end = Instant::now() + SOON;
        while is_alive(pid) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        !is_alive(pid)
    };

    // The harness is gone, however: its end of the pipe closes.
    let (mut child, pid) = start("pipe")?;
    drop(child.stdin.take());
    assert!(ends(pid));
    child.wait()?;

    // The supervisor itself is killed.
    let (mut child, pid) = start("supervisor")?;
    child.kill()?;
    child.wait()?;
    assert!(ends(pid));

    // The program is killed: whoever waits for the supervisor sees how.
    let (mut child, pid) = start("program")?;
    asm_lab::signal(pid, Signal::Kill)?;
    // `Child::wait` would close the pipe; the supervisor must end without that.
    let supervisor = child.id();
    let pipe = child.stdin.take();
    assert!(ends(supervisor));
    assert_eq!(child.wait()?.signal(), Some(9));
    drop(pipe);
    Ok(())
}

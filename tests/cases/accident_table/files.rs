//! Accidents of the repository.

use super::{End, Scene, balancer, says};
use anyhow::{Context as _, Result};
use asm_lab::story::Story;

const PREFIX: &str = "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-";
const DOOR: &str = "clusters/m1c1/door.yaml";

/// Changes a text of a file, which must be there.
fn edit(story: &Story<'_>, file: &str, from: &str, to: &str) -> Result<()> {
    let text = std::fs::read_to_string(story.dir().join(file)).with_context(|| file.to_owned())?;
    anyhow::ensure!(text.contains(from), "{file} does not say {from:?}:\n{text}");
    story.write(file, &text.replacen(from, to, 1))
}

fn remove(story: &Story<'_>, path: &str) -> Result<()> {
    story.git(&["rm", "-r", "-f", "--quiet", path]).map(drop)
}

/// The gateway's file.
fn gateway(story: &Story<'_>) -> Result<String> {
    let files = story.git(&["ls-files", "mesh"])?;
    let mut found = files.lines().filter(|file| file.ends_with("/edge.yaml") && file.contains("gateway"));
    found.next().map(str::to_owned).with_context(|| format!("the gateway has no file among\n{files}"))
}

fn annotated(story: &Story<'_>, key: &str, value: &str) -> Result<()> {
    story.write(DOOR, &balancer("door", "default", &format!("  annotations:\n    {key}: \"{value}\"\n")))
}

/// An approval of the door's removal with one part of it wrong.
fn approval(story: &Story<'_>, address: &str, part: &str) -> Result<()> {
    let mut spec = vec![
        ("action", "Delete".to_owned()),
        ("target", "m1c1".to_owned()),
        ("kind", "Service".to_owned()),
        ("namespace", "default".to_owned()),
        ("name", "door".to_owned()),
        ("addresses", format!("['{address}']")),
    ];
    let (field, value) = part.split_once('=').unwrap_or((part, ""));
    spec.retain(|(name, _)| *name != field);
    spec.push((field, value.to_owned()));
    let spec: String = spec.iter().map(|(name, value)| format!("  {name}: {value}\n")).collect();
    let head = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Approval\nmetadata:\n  name: retire\nspec:\n";
    story.write("approvals/retire.yaml", &format!("{head}{spec}"))?;
    remove(story, DOOR)
}

pub(super) async fn all(scene: &mut Scene<'_>) -> Result<()> {
    doors(scene).await?;
    gateways(scene).await?;
    approvals(scene).await?;
    trees(scene).await
}

/// Services with a load balancer.
async fn doors(scene: &mut Scene<'_>) -> Result<()> {
    let (door, porch) = (scene.address("door"), scene.address("porch"));
    let held = |address: &str| says(["held back", address, "approvals/"]);
    scene.files("the file of a door is deleted", held(&door), |s| remove(s, DOOR)).await?;
    scene.files("a door becomes a ClusterIP", held(&door), |s| edit(s, DOOR, "LoadBalancer", "ClusterIP")).await?;
    scene.files("a door loses its type", held(&door), |s| edit(s, DOOR, "  type: LoadBalancer\n", "")).await?;
    let headless = "type: ClusterIP\n  clusterIP: None";
    scene.files("a door becomes headless", held(&door), |s| edit(s, DOOR, "type: LoadBalancer", headless)).await?;
    let namespace = |s: &Story<'_>| edit(s, DOOR, "namespace: default", "namespace: shop");
    scene
        .files(
            "a door moves to a namespace that is not there",
            says(["namespaces", "not found", "stay until Service shop/door"]),
            namespace,
        )
        .await?;
    let patch = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Patch\nmetadata: {name: p}\nspec:\n  target: {kind: Service, namespace: \
                 default, name: porch}\n  json6902: [{op: remove, path: /spec/type}]\n";
    scene
        .files("a patch takes the type away", held(&porch), |s| s.write("clusters/m1c1/patches/p.yaml", patch))
        .await?;
    let none = |s: &Story<'_>| edit(s, "fleet.yaml", "clusters: [m1c1]", "clusters: []");
    scene.files("a group loses its clusters", held(&porch), none).await?;
    scene
        .files("a file moves to a group", End::Ready, |s| s.git(&["mv", DOOR, "groups/edge/door.yaml"]).map(drop))
        .await?;
    let key = |name: &str| format!("{PREFIX}{name}");
    let fixed = |what: &str| says([what, "fixed once the load balancer exists", "kubectl asm clb replace door"]);
    let intranet = key("address-type");
    scene
        .files("a door becomes an intranet one", fixed("address-type: internet → intranet"), |s| {
            annotated(s, &intranet, "intranet")
        })
        .await?;
    let legacy = "service.beta.kubernetes.io/alicloud-loadbalancer-ip-version";
    scene
        .files("… gets another IP version, by the old prefix", fixed("ip-version: ipv4 → ipv6"), |s| {
            annotated(s, legacy, "ipv6")
        })
        .await?;
    let id = key("id");
    let other = |s: &Story<'_>| annotated(s, &id, "lb-of-somebody");
    scene.files("… is to reuse another load balancer", fixed("loadbalancer-id: none → lb-of-somebody"), other).await?;
    let class = |s: &Story<'_>| {
        edit(s, DOOR, "type: LoadBalancer", "type: LoadBalancer\n  loadBalancerClass: alibabacloud.com/nlb")
    };
    scene.files("a CLB becomes an NLB", says(["loadBalancerClass", "is refused", "clb replace door"]), class).await?;
    let given = |s: &Story<'_>| annotated(s, "service.beta.kubernetes.io/class", "other");
    scene.files("a door is given to another controller", held(&door), given).await?;
    let reused = scene.address("reused");
    let force = key("force-override-listeners");
    let line = format!("{id}: {reused}\n");
    let takes = says(["takes over the listeners", &reused, "approvals/"]);
    scene
        .files("listeners of a shared load balancer are overridden by force", takes, |s| {
            edit(s, "clusters/m1c1/reused.yaml", &line, &format!("{line}    {force}: \"true\"\n"))
        })
        .await?;
    let till = scene.address("till");
    let shop = says(["Namespace shop", &till, "approvals/"]);
    scene
        .files("a namespace is removed with all that is in it", shop, |s| remove(s, "clusters/m1c2/shop.yaml"))
        .await?;
    let marks = "  labels:\n    service.beta.kubernetes.io/hash: old\n    service.k8s.alibaba/loadbalancer-id: lb-x\n  \
                 finalizers: [service.k8s.alibaba/resources]\n  ownerReferences:\n    - {apiVersion: v1, kind: ConfigMap, name: x, uid: \
                 gone}\n";
    scene
        .files("an export with labels, finalizers and an owner is committed", End::Ready, |s| {
            s.write(DOOR, &balancer("door", "default", marks))
        })
        .await
}

/// IstioGateways.
async fn gateways(scene: &mut Scene<'_>) -> Result<()> {
    let (here, there) = (scene.address("edge in m1c1"), scene.address("edge in m1c2"));
    let id = scene.lab().cluster_id("m1c2");
    let both = || says(["IstioGateway istio-system/edge", &here, &there, "approvals/"]);
    scene.files("the file of a gateway is deleted", both(), |s| remove(s, &gateway(s)?)).await?;
    scene
        .files("the folder of the gateways is moved out of mesh/", says(["edge"]), |s| {
            let file = gateway(s)?;
            s.git(&["mv", &file, "clusters/m1c1/edge.yaml"]).map(drop)
        })
        .await?;
    let one = says(["takes the gateway out of", &there, "approvals/"]);
    scene
        .files("a cluster is taken out of clusterIds", one, |s| {
            let file = gateway(s)?;
            let text = std::fs::read_to_string(s.dir().join(&file))?;
            let kept: Vec<&str> = text.lines().filter(|line| !line.contains(&id)).collect();
            s.write(&file, &format!("{}\n", kept.join("\n")))
        })
        .await?;
    scene
        .files("managed-by-asm is switched on", both(), |s| {
            let annotation = "\n  annotations:\n    asm.alibabacloud.com/managed-by-asm: \"true\"\nspec:";
            edit(s, &gateway(s)?, "\nspec:", annotation)
        })
        .await?;
    scene
        .files("a gateway becomes a ClusterIP", both(), |s| {
            edit(s, &gateway(s)?, "serviceType: LoadBalancer", "serviceType: ClusterIP")
        })
        .await?;
    scene
        .files("a gateway becomes an NLB", both(), |s| {
            edit(s, &gateway(s)?, "\nspec:\n", "\nspec:\n  loadBalancerClass: alibabacloud.com/nlb\n")
        })
        .await?;
    let fixed = says(["address-type: internet → intranet", "kubectl asm gateway share"]);
    scene
        .files("a gateway becomes an intranet one", fixed, |s| {
            edit(s, &gateway(s)?, "address-type: internet", "address-type: intranet")
        })
        .await
}

/// Approvals that do not fit.
async fn approvals(scene: &mut Scene<'_>) -> Result<()> {
    let door = scene.address("door");
    for (what, part, told) in [
        ("an approval has expired", "expires=2026-01-01T00:00:00Z", "it expired at 2026-01-01T00:00:00Z"),
        ("… is for another address", "addresses=['198.51.100.99']", "it does not name"),
        ("… is for another UID", "uid='another'", "its uid is another"),
        ("… is for another cluster", "target=m1c2", "its target is m1c2, this is m1c1"),
        ("… is for another step", "action=Release", "its action is Release, this is Delete"),
        ("… is for another namespace", "namespace=shop", "its namespace is shop"),
        ("… keeps what an unknown controller cannot keep", "loadBalancer=Keep", "cloudControllerVersion"),
    ] {
        let end = says(["approval retire", told, &door]);
        scene.files(what, end, |s| approval(s, &door, part)).await?;
    }
    Ok(())
}

/// Trees and branches.
async fn trees(scene: &mut Scene<'_>) -> Result<()> {
    let reads = |words: &str| says(["FleetValid", words]);
    scene
        .files("the folder of the mesh is deleted", says(["mesh: all", "have left Git and stay"]), |s| {
            remove(s, "mesh")
        })
        .await?;
    scene
        .files("everything of a cluster is deleted", says(["m1c2: all", "have left Git and stay"]), |s| {
            remove(s, "clusters/m1c2")
        })
        .await?;
    let budget = says(["m1c1", "objects have left Git and stay", "spec.prune.maxCount"]);
    scene
        .files("most of a cluster is deleted", budget, |s| {
            for path in ["clusters/m1c1/maps", DOOR, "clusters/m1c1/reused.yaml", "groups/edge/porch.yaml"] {
                remove(s, path)?;
            }
            Ok(())
        })
        .await?;
    scene.files("the tree is empty", reads("fleet.yaml"), |s| remove(s, ".")).await?;
    scene.files("fleet.yaml is deleted", reads("fleet.yaml"), |s| remove(s, "fleet.yaml")).await?;
    scene
        .files("a file is unreadable while another is gone", says(["m1c1", "may be missing by mistake"]), |s| {
            s.write("clusters/m1c1/broken.yaml", "kind: [\n")?;
            remove(s, "clusters/m1c1/maps/0.yaml")
        })
        .await?;
    let twice = says(["clusters/m1c1/again.yaml", "door.yaml"]);
    scene
        .files("an object is in two files", twice, |s| {
            s.write("clusters/m1c1/again.yaml", &balancer("door", "default", ""))
        })
        .await?;
    let route = "apiVersion: networking.istio.io/v1beta1\nkind: Gateway\nmetadata: {name: stray}\nspec: {}\n";
    scene
        .files("an Istio object is in a cluster's folder", reads("clusters/m1c1/stray.yaml"), |s| {
            s.write("clusters/m1c1/stray.yaml", route)
        })
        .await?;
    branches(scene).await
}

async fn branches(scene: &mut Scene<'_>) -> Result<()> {
    let back = scene.commit("all is well", |_| Ok(()))?;
    scene.hint().await?;
    scene.story.wait_ready(&back).await?;
    let url = scene.story.url().to_owned();
    let refused = || says(["kubectl-asm.io/accept-revision"]);
    scene.story.git(&["push", "--quiet", "--force", &url, "HEAD~3:refs/heads/main"])?;
    scene.hint().await?;
    scene.come_to("the branch is reset to an old commit", refused(), None).await?;
    scene.story.git(&["checkout", "--quiet", "--orphan", "other"])?;
    scene.story.git(&["rm", "-r", "-f", "--quiet", "mesh"])?;
    scene.story.git(&["commit", "--quiet", "--message", "another history"])?;
    scene.story.git(&["push", "--quiet", "--force", &url, "HEAD:refs/heads/main"])?;
    scene.hint().await?;
    scene.come_to("another history is pushed by force", refused(), None).await?;
    scene.story.git(&["checkout", "--quiet", "--force", "main"])?;
    scene.story.git(&["push", "--quiet", "--force", &url, "HEAD:refs/heads/main"])?;
    scene.hint().await?;
    scene.story.wait_ready(&back).await?;
    Ok(())
}

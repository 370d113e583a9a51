//! What `manifests/install` and `manifests/install-webhooks` give a cluster: pods of the restricted profile, and objects that
//! an API server with that profile enforced takes as they are.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::manifests;
use asm_lab::{HOST, Lab, LabOptions, documents};
use serde_json::{Value, json};
use std::process::Command;

const OVERLAYS: [&str; 2] = ["install", "install-webhooks"];

fn manifest(path: &str) -> Result<Vec<Value>> {
    documents(&std::fs::read_to_string(manifests().join(path))?)
}

fn pod_of(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]
}

/// What the profile "restricted" of the Pod Security Standards asks for (Kubernetes 1.34), and a read-only root file system,
/// which it does not. Every rule that is broken is named.
fn violations(pod: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for field in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] {
        if pod[field] == true {
            found.push(format!("{field} is true"));
        }
    }
    let allowed =
        ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"];
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        let kinds = volume.as_object().into_iter().flatten().map(|(kind, _)| kind.as_str());
        found.extend(
            kinds.filter(|kind| *kind != "name" && !allowed.contains(kind)).map(|kind| format!("a volume is a {kind}")),
        );
    }
    let whole = &pod["securityContext"];
    let lists = ["containers", "initContainers", "ephemeralContainers"];
    for container in lists.iter().flat_map(|list| pod[*list].as_array().into_iter().flatten()) {
        let own = &container["securityContext"];
        let either = |field: &str| if own[field].is_null() { &whole[field] } else { &own[field] };
        let mut rule = |holds: bool, what: &str| {
            if !holds {
                found.push(format!("{}: {what}", container["name"]));
            }
        };
        rule(*either("runAsNonRoot") == true, "runAsNonRoot is not true");
        rule(*either("runAsUser") != 0, "runAsUser is 0");
        let seccomp = &either("seccompProfile")["type"];
        rule(*seccomp == "RuntimeDefault" || *seccomp == "Localhost", "seccompProfile is not RuntimeDefault");
        rule(own["allowPrivilegeEscalation"] == false, "allowPrivilegeEscalation is not false");
        rule(own["privileged"] != true, "privileged is true");
        rule(own["readOnlyRootFilesystem"] == true, "readOnlyRootFilesystem is not true");
        rule(own["capabilities"]["drop"] == json!(["ALL"]), "capabilities.drop is not ALL");
        rule(own["capabilities"]["add"].is_null(), "capabilities are added");
        rule(own["procMount"].is_null() || own["procMount"] == "Default", "procMount is not Default");
        let ports = container["ports"].as_array();
        rule(!ports.into_iter().flatten().any(|port| port["hostPort"].is_number()), "hostPort is set");
    }
    found
}

#[test]
fn the_pod_keeps_to_the_restricted_profile() -> Result<()> {
    let deployment = manifest("install/deployment.yaml")?.remove(0);
    let pod = pod_of(&deployment);
    ensure!(violations(pod).is_empty(), "{:#?}", violations(pod));
    // The checks see what they are for.
    for (pointer, value) in [
        ("/hostNetwork", json!(true)),
        ("/securityContext/runAsNonRoot", json!(false)),
        ("/securityContext/seccompProfile/type", json!("Unconfined")),
        ("/containers/0/securityContext/capabilities/drop", json!([])),
        ("/containers/0/securityContext/readOnlyRootFilesystem", json!(false)),
        ("/containers/0/securityContext/allowPrivilegeEscalation", json!(true)),
        ("/volumes/0", json!({"name": "data", "hostPath": {"path": "/"}})),
    ] {
        let mut broken = pod.clone();
        match broken.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => broken[pointer.trim_start_matches('/')] = value,
        }
        ensure!(violations(&broken).len() == 1, "{pointer}: {:?}", violations(&broken));
    }
    let namespace = manifest("install/namespace.yaml")?.remove(0);
    ensure!(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted", "{namespace:#}");
    Ok(())
}

#[test]
fn only_the_ports_of_the_agent_are_let_in() -> Result<()> {
    let policy = manifest("install/networkpolicy.yaml")?.remove(0);
    let deployment = manifest("install/deployment.yaml")?.remove(0);
    let ports = |value: &Value, field: &str| -> Vec<Value> {
        value.as_array().into_iter().flatten().map(|port| port[field].clone()).collect()
    };
    ensure!(
        policy["spec"]["podSelector"]["matchLabels"] == deployment["spec"]["template"]["metadata"]["labels"],
        "the policy is about other pods"
    );
    ensure!(policy["spec"]["policyTypes"] == json!(["Ingress"]), "{policy:#}");
    let let_in = ports(&policy["spec"]["ingress"][0]["ports"], "port");
    let opened = ports(&pod_of(&deployment)["containers"][0]["ports"], "containerPort");
    ensure!(let_in == opened, "let in: {let_in:?}, opened: {opened:?}");
    Ok(())
}

/// `kubectl` with the lab's kubeconfig; standard output, and what it warned of.
fn kubectl(lab: &Lab, args: &[&str], input: Option<&str>) -> Result<(String, String)> {
    use std::io::Write as _;
    let mut command = Command::new("kubectl");
    command.args(args).env("KUBECONFIG", lab.kubeconfig()).env("HOME", lab.dir());
    command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn()?;
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        pipe.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    ensure!(output.status.success(), "kubectl {}: {errors}{out}", args.join(" "));
    Ok((out, errors))
}

/// The pod of the Deployment among these objects, as the Deployment would make it.
fn pod(objects: &[Value]) -> Result<Value> {
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").context("no Deployment")?;
    let mut spec = pod_of(deployment).clone();
    spec["terminationGracePeriodSeconds"] = json!(0);
    Ok(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asm-agent-x", "namespace": "asm-system"}, "spec": spec}),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_with_the_restricted_profile_takes_both_installations() -> Result<()> {
    if Command::new("kubectl").args(["version", "--client"]).output().is_err() {
        use std::io::Write as _;
        writeln!(std::io::stderr(), "skipped: there is no kubectl on the PATH to build the kustomizations with")?;
        return Ok(());
    }
    let options = LabOptions {
        members: vec!["m1c1".to_owned()],
        asm: false,
        cloud: false,
        kubelet: false,
        controller_manager: false,
        ..LabOptions::default()
    };
    let lab = Lab::start(options).await?;
    for overlay in OVERLAYS {
        let folder = manifests().join(overlay);
        let (built, _) = kubectl(&lab, &["kustomize", &folder.to_string_lossy()], None)?;
        let objects = documents(&built)?;
        // What is namespaced needs the namespace, what is a FleetSync its CRD.
        let is_first = |object: &&Value| object["kind"] == "Namespace" || object["kind"] == "CustomResourceDefinition";
        let first: Vec<&Value> = objects.iter().filter(is_first).collect();
        let first = json!({"apiVersion": "v1", "kind": "List", "items": first});
        kubectl(&lab, &["--context", HOST, "apply", "-f", "-"], Some(&first.to_string()))?;
        let (_, warnings) = kubectl(&lab, &["--context", HOST, "apply", "--dry-run=server", "-f", "-"], Some(&built))?;
        ensure!(!warnings.contains("PodSecurity"), "{overlay}: {warnings}");
        // For real: what was only tried may still be refused when it is kept.
        kubectl(&lab, &["--context", HOST, "apply", "-f", "-"], Some(&built))?;
        // The profile is enforced on pods; of a Deployment an API server only warns.
        let pod = pod(&objects)?;
        ensure!(violations(&pod["spec"]).is_empty(), "{overlay}: {:?}", violations(&pod["spec"]));
        let dry = ["--context", HOST, "create", "--dry-run=server", "-f", "-"];
        kubectl(&lab, &dry, Some(&pod.to_string()))?;
        let mut broken = pod;
        broken["spec"]["containers"][0]["securityContext"]["capabilities"] = json!({});
        let refused = kubectl(&lab, &dry, Some(&broken.to_string())).err().context("the profile is not enforced")?;
        ensure!(format!("{refused:#}").contains("violates PodSecurity"), "{refused:#}");
    }
    // The one that takes hints: its port is opened, let in and led to, and it may pass hints on.
    let (built, _) = kubectl(&lab, &["kustomize", &manifests().join("install-webhooks").to_string_lossy()], None)?;
    for words in ["--webhook-address=0.0.0.0:8081", "containerPort: 8081", "port: 8081", "targetPort: webhooks"] {
        ensure!(built.contains(words), "{words}:\n{built}");
    }
    let role = documents(&built)?.into_iter().find(|object| object["kind"] == "Role").context("no Role")?;
    let hint = json!({"apiGroups": ["kubectl-asm.io"], "resources": ["fleetsyncs"], "verbs": ["patch"]});
    ensure!(role["rules"].as_array().is_some_and(|rules| rules.contains(&hint)), "{role:#}");
    Ok(())
}

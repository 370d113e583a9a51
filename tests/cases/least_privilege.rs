//! The agent with exactly the rights that `kubectl asm rbac` prints, with one less, and as several tenants.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{EXPECTED, Story, api, condition, manifests};
use asm_lab::{AgentProcess, HOST, Lab, LabOptions, MESH, PluginCommand, users, wait_for};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const TARGETS: [&str; 3] = [MESH, "m1c1", "m1c2"];

/// `kubectl asm rbac` for one API server, into it.
async fn grant(lab: &Lab, story: &Story<'_>, target: &str, more: &[&str]) -> Result<()> {
    let mut args = vec!["rbac", "--target", target];
    args.extend(more);
    let printed = story.plugin_ok(&args)?;
    lab.apply_yaml(target, &printed).await.with_context(|| format!("{target}:\n{printed}"))
}

fn kubeconfig_secret(lab: &Lab, namespace: &str, target: &str) -> Result<String> {
    let kubeconfig = lab.kubeconfig_text(target, users::LIMITED)?;
    Ok(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("{target}-kubeconfig"), "namespace": namespace},
        "stringData": {"kubeconfig": kubeconfig},
    })
    .to_string())
}

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: default\ndata:\n  a: b\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_printed_rights_are_enough_and_one_less_is_told() -> Result<()> {
    let lab = Lab::start(LabOptions::default()).await?;
    let mut story = Story::begin(&lab)?;
    story.author()?;
    let first = story.commit_and_push("a fleet")?;
    story.install(json!({})).await?;
    // The role of the manifests goes; the printed one, with Secrets by name, comes.
    api(&lab, HOST, "rbac.authorization.k8s.io/v1", "Role", "roles", Some("asm-system"))?
        .delete("asm-agent", &DeleteParams::default())
        .await?;
    let sync = lab.dir().join("fleetsync.yaml");
    std::fs::write(&sync, story.status().await?.to_string())?;
    let sync = sync.to_string_lossy().into_owned();
    let user = ["--for-user", users::LIMITED];
    grant(&lab, &story, HOST, &["--fleetsync", &sync]).await?;
    for target in TARGETS {
        grant(&lab, &story, target, &user).await?;
        lab.apply_yaml(HOST, &kubeconfig_secret(&lab, "asm-system", target)?).await?;
    }
    let mark = lab.audit_mark(HOST).await?;
    story.start_agent()?;
    story.wait_ready(&first).await?;
    let differences = story.differences(EXPECTED).await?;
    ensure!(differences.is_empty(), "{differences:#?}");

    // A kind that the roles do not know: said with verb, kind and the command, and nothing else is in the way.
    story.write("clusters/m1c1/new.yaml", &config_map("new"))?;
    let second = story.commit_and_push("a new kind")?;
    told(&story, &["lacks list on configmaps in the whole cluster", "kubectl asm rbac --target m1c1"]).await?;
    let output = story.plugin(&["rbac", "--check", "--for-user", users::LIMITED])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.code() == Some(1), "{text}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(text.contains("m1c1: missing   list,watch configmaps in the whole cluster"), "{text}");
    ensure!(text.contains("mesh: exactly what the fleet needs"), "{text}");
    grant(&lab, &story, "m1c1", &user).await?;
    story.wait_ready(&second).await?;
    story.plugin_ok(&["rbac", "--check", "--for-user", users::LIMITED])?;

    evil(&lab, &story).await?;
    one_less(&lab, &story, &user).await?;
    used_at_home(&lab, &story, mark).await
}

/// Waits until the status says all of this.
async fn told(story: &Story<'_>, words: &[&str]) -> Result<()> {
    story
        .wait_status(&format!("a target says {words:?}"), |sync| {
            let text = sync["status"].to_string();
            words.iter().all(|word| text.contains(word))
        })
        .await
        .map(drop)
}

/// A commit that reaches for the whole cluster: every object of it is refused and told, none is made.
async fn evil(lab: &Lab, story: &Story<'_>) -> Result<()> {
    let objects = [
        (
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            "clusterrolebindings",
            None,
            json!({
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:authenticated"}],
            }),
        ),
        (
            "v1",
            "Secret",
            "secrets",
            Some("kube-system"),
            json!({
                "type": "kubernetes.io/service-account-token",
            }),
        ),
        ("v1", "Namespace", "namespaces", None, json!({})),
        // Of a kind that the fleet has, where it has nothing to do.
        ("v1", "ConfigMap", "configmaps", Some("kube-system"), json!({"data": {"a": "b"}})),
        ("v1", "ServiceAccount", "serviceaccounts", Some("kube-public"), json!({})),
    ];
    for (api_version, kind, _, namespace, body) in &objects {
        let mut object = body.clone();
        object["apiVersion"] = (*api_version).into();
        object["kind"] = (*kind).into();
        object["metadata"] = json!({"name": "evil", "labels": {"pod-security.kubernetes.io/enforce": "privileged"}});
        if let Some(namespace) = namespace {
            object["metadata"]["namespace"] = (*namespace).into();
        }
        if *kind == "Secret" {
            object["metadata"]["annotations"] = json!({"kubernetes.io/service-account.name": "default"});
        }
        story.write(&format!("clusters/m1c1/evil-{}.json", kind.to_lowercase()), &object.to_string())?;
    }
    story.commit_and_push("reaches for everything")?;
    let lacks = [
        "lacks list on clusterrolebindings.rbac.authorization.k8s.io in the whole cluster",
        "lacks list on secrets in the whole cluster",
        "lacks list on namespaces in the whole cluster",
        "lacks patch on configmaps in namespace kube-system",
        "lacks patch on serviceaccounts in namespace kube-public",
    ];
    // The status tells the first three, the log all of them.
    told(story, lacks.get(..3).unwrap_or_default()).await?;
    wait_for("the log tells the others", PATIENCE, || async {
        Ok(lacks.iter().all(|words| story.log().contains(words)).then_some(()))
    })
    .await
    .with_context(|| story.log())?;
    for (api_version, kind, plural, namespace, _) in &objects {
        let made = api(lab, "m1c1", api_version, kind, plural, *namespace)?.get_opt("evil").await?;
        ensure!(made.is_none(), "{kind} was made");
    }
    story.git(&["rm", "--quiet", "clusters/m1c1/evil-*.json"])?;
    let after = story.commit_and_push("and no longer")?;
    story.wait_ready(&after).await?;
    Ok(())
}

/// One verb of one kind in one namespace is taken away; then it comes back and the object goes.
async fn one_less(lab: &Lab, story: &Story<'_>, user: &[&str]) -> Result<()> {
    let roles = api(lab, "m1c1", "rbac.authorization.k8s.io/v1", "Role", "roles", Some("default"))?;
    let mut role = serde_json::to_value(roles.get("asm-agent").await?)?;
    for rule in role["rules"].as_array_mut().into_iter().flatten() {
        if rule["resources"].as_array().is_some_and(|all| all.iter().any(|one| one == "configmaps")) {
            rule["verbs"] = json!(["get", "create", "patch"]);
        }
    }
    roles.patch("asm-agent", &PatchParams::default(), &Patch::Merge(json!({"rules": role["rules"]}))).await?;
    story.git(&["rm", "--quiet", "clusters/m1c1/new.yaml"])?;
    let third = story.commit_and_push("the new one goes again")?;
    told(story, &["lacks delete on configmaps in namespace default", "kubectl asm rbac --target m1c1"]).await?;
    // Git has no ConfigMap any more: the revision before says what its removal needs.
    let mut args = user.to_vec();
    args.extend(["--base", "HEAD~1"]);
    grant(lab, story, "m1c1", &args).await?;
    story.plugin(&["sync", "shop", "--context", HOST])?;
    story.wait_ready(&third).await?;
    Ok(())
}

/// What the role at home grants is what was asked for there, but for what only other days need.
async fn used_at_home(lab: &Lab, story: &Story<'_>, mark: asm_lab::AuditMark) -> Result<()> {
    let entries = lab.audit_since(HOST, mark).await?;
    let own = entries.iter().filter(|entry| entry.user == users::AGENT_SERVICE_ACCOUNT);
    let mut used = BTreeSet::new();
    for entry in own {
        let Some(what) = &entry.resource else { continue };
        ensure!(entry.code != 403, "{entry:?}\n{}", story.log());
        let sub = if what.subresource.is_empty() { String::new() } else { format!("/{}", what.subresource) };
        used.insert(format!("{} {}{sub}", entry.verb, what.resource));
    }
    let text = std::fs::read_to_string(manifests().join("install/rbac.yaml"))?;
    let mut granted = BTreeSet::new();
    for document in asm_lab::documents(&text)? {
        for rule in document["rules"].as_array().into_iter().flatten() {
            for resource in rule["resources"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let verbs = rule["verbs"].as_array().into_iter().flatten().filter_map(Value::as_str);
                granted.extend(verbs.map(|verb| format!("{verb} {resource}")));
            }
        }
    }
    let unused: Vec<&str> = granted.iter().filter(|one| !used.contains(*one)).map(String::as_str).collect();
    // An apply of what is not there is a patch for the log, and must be allowed to create; `--once` gets; a report goes with its
    // target; Events are made when something happens, and a series of them is patched; a Lease is looked at when a write was not
    // answered, and goes with its replica or target; replicas with a page read each other's reports.
    let other_days = [
        "create configmaps",
        "create driftreports",
        "create events",
        "delete driftreports",
        "delete leases",
        "get fleetsyncs",
        "get leases",
        "list driftreports",
        "patch events",
        "watch driftreports",
    ];
    let surprising: Vec<&&str> = unused.iter().filter(|one| !other_days.contains(one)).collect();
    ensure!(surprising.is_empty(), "granted and never asked for: {surprising:?}\nused: {used:?}");
    Ok(())
}

/// A fleet of one cluster with two ConfigMaps, one of which the other tenant has too.
fn tenant(lab: &Lab, name: &str) -> Result<(tempfile::TempDir, String, String)> {
    let url = lab.git().create_repo(name)?;
    let work = tempfile::tempdir()?;
    let fleet = format!(
        "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata:\n  name: {name}\nspec:\n  mesh: {{}}\n  clusters:\n    - name: m1c1\n"
    );
    std::fs::create_dir_all(work.path().join("clusters/m1c1"))?;
    std::fs::write(work.path().join("fleet.yaml"), fleet)?;
    std::fs::write(work.path().join("clusters/m1c1/own.yaml"), config_map(name))?;
    std::fs::write(work.path().join("clusters/m1c1/shared.yaml"), config_map("shared"))?;
    for args in [
        vec!["init", "--quiet", "-b", "main"],
        vec!["add", "."],
        vec!["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "a tenant"],
        vec!["push", "--quiet", &url, "HEAD:refs/heads/main"],
    ] {
        let done = std::process::Command::new("git").args(&args).current_dir(work.path()).output()?;
        ensure!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
    let sync = json!({
        "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "FleetSync", "metadata": {"name": "shop", "namespace": name},
        "spec": {"source": {"url": url, "intervalSeconds": 1}},
    });
    Ok((work, url, sync.to_string()))
}

async fn sync_of(lab: &Lab, namespace: &str) -> Result<Value> {
    let syncs = api(lab, HOST, "kubectl-asm.io/v1alpha1", "FleetSync", "fleetsyncs", Some(namespace))?;
    Ok(serde_json::to_value(syncs.get("shop").await?)?)
}

async fn wait_sync(lab: &Lab, agent: &AgentProcess, namespace: &str, words: &[&str]) -> Result<Value> {
    let has = |sync: &Value| words.iter().all(|word| sync["status"].to_string().contains(word));
    let waited = wait_for(format!("{namespace} says {words:?}"), PATIENCE, || async {
        let sync = sync_of(lab, namespace).await?;
        Ok(has(&sync).then_some(sync))
    })
    .await;
    let last = sync_of(lab, namespace).await?;
    waited.with_context(|| format!("{:#}\n{}", last["status"], agent.log()))
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_act_as_themselves_and_take_nothing_from_each_other() -> Result<()> {
    let lab = Lab::start(LabOptions { members: vec!["m1c1".to_owned()], ..LabOptions::default() }).await?;
    let story = Story::begin(&lab)?;
    story.install_crds().await?;
    let mut works = Vec::new();
    for name in ["team-a", "team-b"] {
        let space = format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n");
        for context in [HOST, MESH, "m1c1"] {
            lab.apply_yaml(context, &space).await?;
        }
        let (work, _, mut sync) = tenant(&lab, name)?;
        if name == "team-a" {
            // The other one says nothing and gets the agent's default.
            let mut value: Value = serde_json::from_str(&sync)?;
            value["spec"]["serviceAccountName"] = "deployer".into();
            sync = value.to_string();
        }
        let file = work.path().join("fleetsync.yaml");
        let explicit = sync.replace("\"source\"", "\"serviceAccountName\":\"sync\",\"source\"");
        std::fs::write(&file, if name == "team-a" { &sync } else { &explicit })?;
        for (target, more) in [(HOST, "-A"), (MESH, "--no-pager"), ("m1c1", "--no-pager")] {
            let args =
                ["rbac", "--target", target, "--for-user", users::LIMITED, "--fleetsync", "fleetsync.yaml", more];
            let output = PluginCommand::new(&lab, work.path())?.args(args).output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            lab.apply_yaml(target, std::str::from_utf8(&output.stdout)?).await?;
        }
        lab.apply_yaml(HOST, &kubeconfig_secret(&lab, name, "m1c1")?).await?;
        // Only one of them has a kubeconfig for the mesh, and the other one does not get at it.
        if name == "team-a" {
            lab.apply_yaml(HOST, &kubeconfig_secret(&lab, name, MESH)?).await?;
        }
        works.push((work, sync));
    }
    let mark = lab.audit_mark("m1c1").await?;
    let mut args = story.agent_args()?;
    args.extend(["--all-namespaces", "--default-service-account", "sync"].map(str::to_owned));
    lab.apply_yaml(HOST, &works[0].1).await?;
    let agent = AgentProcess::spawn(&lab, args)?;
    let ready = |sync: &Value| condition(sync, "Ready").is_some_and(|ready| ready["status"] == "True");
    wait_for("the first tenant is ready", PATIENCE, || async {
        Ok(ready(&sync_of(&lab, "team-a").await?).then_some(()))
    })
    .await
    .with_context(|| agent.log())?;

    lab.apply_yaml(HOST, &works[1].1).await?;
    let words = ["belongs to FleetSync team-a/shop", "clusters/m1c1/shared.yaml:1", "Secret team-b/mesh-kubeconfig"];
    wait_sync(&lab, &agent, "team-b", &words).await?;
    // What is the second one's own is there, under a set of its own; what is shared is still the first one's.
    let maps = api(&lab, "m1c1", "v1", "ConfigMap", "configmaps", Some("default"))?;
    let mut sets = Vec::new();
    for name in ["team-a", "team-b", "shared"] {
        let map = wait_for(format!("ConfigMap {name}"), PATIENCE, || async { Ok(maps.get_opt(name).await?) }).await?;
        let labels = map.metadata.labels.unwrap_or_default();
        sets.push(labels.get("applyset.kubernetes.io/part-of").cloned().unwrap_or_default());
    }
    ensure!(sets[0] == sets[2] && sets[0] != sets[1] && !sets[1].is_empty(), "{sets:?}");
    ensure!(ready(&sync_of(&lab, "team-a").await?), "the first tenant is no longer ready");
    let entries = lab.audit_since("m1c1", mark).await?;
    let writes = entries.iter().filter(|entry| entry.user == users::LIMITED && entry.is_write());
    let actors: BTreeSet<&str> = writes.map(|entry| entry.acting_as.as_str()).collect();
    let expected = ["system:serviceaccount:team-a:deployer", "system:serviceaccount:team-b:sync"];
    ensure!(actors == BTreeSet::from(expected), "{actors:?}");

    // Once the first one no longer has it, the second one may.
    let work = works[0].0.path();
    std::fs::remove_file(work.join("clusters/m1c1/shared.yaml"))?;
    for args in [
        vec!["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "-am", "not mine"],
        vec!["push", "--quiet", &lab.git().repo_url("team-a"), "HEAD:refs/heads/main"],
    ] {
        let done = std::process::Command::new("git").args(&args).current_dir(work).output()?;
        ensure!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
    wait_for("the first tenant has removed it", PATIENCE, || async {
        let map = maps.get_opt("shared").await?;
        let set = map.and_then(|map| map.metadata.labels?.get("applyset.kubernetes.io/part-of").cloned());
        Ok((set.as_deref() != Some(&sets[0])).then_some(()))
    })
    .await
    .with_context(|| agent.log())?;
    Ok(())
}

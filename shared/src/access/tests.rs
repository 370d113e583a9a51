use super::*;
use crate::api::FleetSync;
use crate::fleet::{FleetState, MemoryTree, Target};
use serde_json::{Value, json};

const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: shop}\nspec:\n  mesh: {}\n  \
                     clusters: [{name: m1c1}, {name: m1c2}]\n";

fn state(files: &[(&str, &str)]) -> FleetState {
    let tree: MemoryTree = [("fleet.yaml", FLEET)].into_iter().chain(files.iter().copied()).collect();
    let state = FleetState::read(&tree);
    assert!(state.problems.is_empty(), "{:?}", state.problems);
    state
}

fn cluster() -> Target {
    Target::Cluster("m1c1".into())
}

fn yaml_of(access: &Access, acting_as: Option<&Impersonation>) -> String {
    let account = Subject::ServiceAccount { namespace: "asm-system".to_owned(), name: "asm-agent".to_owned() };
    crate::yaml::write_all(&objects(access, &account, acting_as))
}

fn shop() -> FleetState {
    let service =
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {ports: [{port: 80}]}\n";
    let app = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\n";
    let thing = "apiVersion: example.com/v1\nkind: Policy\nmetadata: {name: all}\n";
    let route = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: web, namespace: shop}\n\
                 spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}\n";
    let space = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
    state(&[
        ("clusters/m1c1/a.yaml", space),
        ("clusters/m1c1/b.yaml", service),
        ("clusters/m1c1/c.yaml", app),
        ("clusters/m1c1/d.yaml", thing),
        ("mesh/route.yaml", route),
    ])
}

#[test]
fn a_target_gets_the_kinds_verbs_and_namespaces_of_the_fleet_and_no_more() {
    let access = of_target(&shop(), &cluster(), true);
    insta::assert_snapshot!(yaml_of(&access, None));
    assert_eq!(access.guessed, BTreeSet::from([GroupKind::new("example.com", "Policy")]));
}

#[test]
fn the_mesh_gets_only_what_is_the_meshs() {
    let access = of_target(&shop(), &Target::Mesh, true);
    let resources: BTreeSet<&str> = access.needs.iter().map(|need| &*need.resource).collect();
    assert_eq!(resources, BTreeSet::from(["namespaces", "virtualservices"]));
    assert_eq!(access.namespaces(), BTreeSet::from(["shop".into()]));
}

/// A Gateway with a certificate, and a route to a subset: what tells whether requests arrive is asked for where it is.
#[test]
fn a_cluster_gives_the_certificates_of_its_gateways_by_name_and_the_pods_of_subsets_by_namespace() {
    let fleet = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: shop}\nspec: {mesh: {}, clusters: [{name: \
                 m1c1, id: c0123456789abcdef0123456789abcdef}, {name: m1c2, id: cfedcba9876543210fedcba9876543210}]}\n";
    let gateway = "apiVersion: istio.alibabacloud.com/v1beta1\nkind: IstioGateway\nmetadata: {name: edge, namespace: \
                   istio-system}\nspec: {clusterIds: [c0123456789abcdef0123456789abcdef], ports: [{name: https, port: 443, targetPort: 443}]}\n---\napiVersion: \
                   networking.istio.io/v1\nkind: Gateway\nmetadata: {name: edge, namespace: shop}\nspec: {selector: {istio: edge}, \
                   servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*'], tls: {mode: MUTUAL, \
                   credentialName: shop}}]}\n";
    let route = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: web, namespace: shop}\nspec: \
                 {hosts: [web], http: [{route: [{destination: {host: web, subset: v1}}]}]}\n---\napiVersion: \
                 networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: web, namespace: shop}\nspec: {host: web, subsets: \
                 [{name: v1, labels: {version: v1}}]}\n";
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {selector: {app: web}, ports: \
                   [{port: 80}]}\n";
    let files = [
        ("fleet.yaml", fleet),
        ("mesh/gateway.yaml", gateway),
        ("mesh/route.yaml", route),
        ("clusters/m1c2/web.yaml", service),
    ];
    let tree: MemoryTree = files.into_iter().collect();
    let state = FleetState::read(&tree);
    assert!(state.problems.is_empty(), "{:?}", state.problems);
    let needs = |target: &str| {
        let access = of_target(&state, &Target::Cluster(target.into()), true);
        let told = access.needs.iter().filter(|need| ["secrets", "pods", "endpointslices"].contains(&&*need.resource));
        let place = |need: &Need| {
            let (namespace, name) = (need.namespace.as_deref().unwrap_or("*"), need.name.as_deref().unwrap_or("*"));
            format!("{} {} {namespace}/{name}", need.verb, need.resource)
        };
        told.map(place).collect::<BTreeSet<_>>()
    };
    let set = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>();
    let everywhere = ["list endpointslices */*", "watch endpointslices */*", "list pods shop/*"];
    let secrets = [
        "list secrets istio-system/*",
        "watch secrets istio-system/*",
        "get secrets istio-system/shop",
        "get secrets istio-system/shop-cacert",
    ];
    assert_eq!(needs("m1c1"), set(&[&everywhere[..], &secrets[..]].concat()));
    assert_eq!(needs("m1c2"), set(&everywhere), "the gateway does not run there");
}

#[test]
fn who_never_prunes_never_deletes() {
    let access = of_target(&shop(), &cluster(), false);
    assert!(access.needs.iter().all(|need| need.verb != "delete"));
    assert!(access.needs.iter().all(|need| &*need.group != kinds::ASM));
}

#[test]
fn a_user_that_only_acts_as_another_has_no_other_right() {
    let access = of_target(&shop(), &cluster(), true);
    let actor = Impersonation { namespace: "team-a".to_owned(), name: "deployer".to_owned() };
    let user = Subject::User("ram-user".to_owned());
    let all = objects(&access, &user, Some(&actor));
    let bound_to = |name: &str| {
        let bindings = all.iter().filter(|object| object["subjects"][0]["name"] == name);
        bindings.map(|binding| binding["roleRef"]["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(bound_to("ram-user"), ["asm-agent-impersonates-deployer"]);
    // By a name of their own: another FleetSync has others in the same cluster.
    assert_eq!(bound_to("deployer"), ["asm-agent-team-a-deployer"; 3]);
    let role = all.iter().find(|object| object["metadata"]["name"] == "asm-agent-impersonates-deployer").unwrap();
    let rule = json!([{"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["deployer"], "verbs": ["impersonate"]}]);
    assert_eq!((&role["metadata"]["namespace"], &role["rules"]), (&json!("team-a"), &rule));
}

#[test]
fn plurals_are_made_as_kubernetes_makes_them() {
    let mut access = Access::default();
    for (kind, expected) in [
        ("Policy", "policies"),
        ("Gateway", "gateways"),
        ("Proxy", "proxies"),
        ("Ingress", "ingresses"),
        ("Mesh", "meshes"),
        ("Thing", "things"),
    ] {
        assert_eq!(plural(&GroupKind::new("example.com", kind), &mut access), expected);
    }
}

fn sync(spec: Value) -> FleetSync {
    let object = json!({
        "apiVersion": "kubectl-asm.io/v1alpha1", "kind": "FleetSync",
        "metadata": {"name": "shop", "namespace": "team-a"}, "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}

#[test]
fn the_home_cluster_gives_secrets_by_name_in_the_namespace_of_the_fleetsync_only() {
    let spec = json!({
        "source": {"url": "https://git.example.com/a.git", "secretRef": {"name": "git"}, "webhook": {"type": "GitLab", "secretRef": {"name": "hook"}}},
        "targets": {"clusters": [{"name": "m1c1", "kubeconfig": {"name": "first"}}]},
    });
    let syncs = [(sync(spec), vec![Target::Mesh, cluster()])];
    let access = of_host(&HostUse { namespace: "asm-system", all_namespaces: true, syncs: &syncs, webhooks: true });
    insta::assert_snapshot!(yaml_of(&access, None));
    assert!(access.needs.iter().filter(|need| &*need.resource == "secrets").all(|need| need.name.is_some()));
}

/// The rules of all Roles and ClusterRoles of a file as single needs.
fn needs_of(text: &str) -> BTreeSet<(String, String, Option<String>, String)> {
    let limits = crate::yaml::Limits::default();
    let mut found = BTreeSet::new();
    for document in crate::yaml::read(text.as_bytes(), &limits).unwrap() {
        let strings = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        for rule in document.value["rules"].as_array().into_iter().flatten() {
            let names = strings(&rule["resourceNames"]);
            let names = if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
            for group in strings(&rule["apiGroups"]) {
                for resource in strings(&rule["resources"]) {
                    for verb in strings(&rule["verbs"]) {
                        found.extend(names.iter().map(|n| (group.clone(), resource.clone(), n.clone(), verb.clone())));
                    }
                }
            }
        }
    }
    found
}

/// `manifests/install/rbac.yaml` is written by hand for its comments, and must say what the agent does.
#[test]
fn the_installed_role_is_what_the_agent_uses_at_home() {
    let use_ = HostUse { namespace: "asm-system", all_namespaces: false, syncs: &[], webhooks: false };
    let needs = of_host(&use_).needs.into_iter().map(|need| {
        (need.group.to_string(), need.resource.to_string(), need.name.map(|n| n.to_string()), need.verb.to_owned())
    });
    let installed = needs_of(include_str!("../../../manifests/install/rbac.yaml"));
    assert_eq!(installed, needs.collect());
}

#[test]
fn what_is_missing_and_what_is_too_much_is_found() {
    let access = of_target(&shop(), &cluster(), true);
    let granted = |text: Value| -> Vec<Granted> { serde_json::from_value(text).unwrap() };
    let everyone = granted(
        json!([{"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]}]),
    );
    let mut rules = granted(json!([
        {"apiGroups": ["", "apps"], "resources": ["services", "deployments"], "verbs": ["list", "watch", "get", "create", "patch"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["services"], "verbs": ["*"]},
    ]));
    rules.extend(everyone.clone());
    let (missing, beyond) = compare(&access.needs, Some("shop"), &rules, &everyone);
    let missing: Vec<_> = missing.iter().map(|need| format!("{} {}", need.verb, need.resource)).collect();
    assert_eq!(missing, ["delete deployments"]);
    assert_eq!(
        beyond,
        [
            "* services",
            "get secrets a",
            "get,list,watch,create,patch deployments",
            "get,list,watch,create,patch services.apps",
        ]
    );
    // A name in the rule is enough for that name and for no other.
    let named = granted(
        json!([{"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["shop"], "verbs": ["get", "patch", "delete"]}]),
    );
    let (missing, beyond) = compare(&access.needs, None, &named, &[]);
    assert!(beyond.is_empty(), "{beyond:?}");
    let namespaces = missing.iter().filter(|need| &*need.resource == "namespaces").map(|need| need.verb);
    // Another one is read by its name to know the cluster again.
    assert_eq!(namespaces.collect::<Vec<_>>(), ["create", "list", "watch", "get"]);
    // Everything, as a master has it: nothing is missing, and that is said as it is.
    let all = granted(json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]));
    assert_eq!(compare(&access.needs, None, &all, &[]), (Vec::new(), vec!["* *.*".to_owned()]));
}

#[test]
fn a_refusal_says_what_is_missing_and_which_command_prints_it() {
    let advice = |message: &str| advice(message, "m1c1");
    let told = advice(
        "deployments.apps \"web\" is forbidden: User \"u\" cannot patch resource \"deployments\" in API group \"apps\" in the namespace \"shop\"",
    );
    assert_eq!(
        told.as_deref(),
        Some(
            "its user lacks patch on deployments.apps in namespace shop; print the roles that the fleet needs with: kubectl \
             asm rbac --target m1c1"
        )
    );
    let told = advice(
        "namespaces is forbidden: User \"u\" cannot list resource \"namespaces\" in API group \"\" at the cluster scope",
    );
    assert!(told.unwrap().contains("lacks list on namespaces in the whole cluster"));
    let told = advice(
        "ConfigMap cannot be watched: configmaps is forbidden: User \"u\" cannot list resource \"configmaps\" in API group \"\" at the cluster scope",
    );
    assert!(told.unwrap().contains("lacks list on configmaps in the whole cluster"));
    for other in [
        "admission webhook \"x\" denied the request: you cannot do that",
        "pods \"a\" is forbidden: exceeded quota",
        "cannot read resource",
        "",
        " cannot \" resource \"\"\"",
    ] {
        assert_eq!(advice(other), None, "{other}");
    }
}

//! Each remedy changes what it says and not a byte more.

use super::*;
use crate::diff::{Op, diff};
use crate::fleet::MemoryTree;
use proptest::prelude::*;
use similar::TextDiff;
use std::fmt::Write as _;

const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  mesh: {context: mesh}
  clusters:
    - {name: m1c1, id: c11111111111111111111111111111111}
    - {name: m1c2, id: c22222222222222222222222222222222}
";
const IP: &str = "198.51.100.7";

/// The gateway of ASM's documentation, with remarks.
const GATEWAY: &str = "# The way in.
apiVersion: istio.alibabacloud.com/v1beta1
kind: IstioGateway
metadata:
  name: ingressgateway
  namespace: istio-system
spec:
  clusterIds: [c11111111111111111111111111111111, c22222222222222222222222222222222]
  externalTrafficPolicy: Local   # we want to see who calls
  maxReplicas: 5
  minReplicas: 2
  ports:
    - name: http2
      port: 80
      targetPort: 80
  resources:
    limits: {cpu: '2', memory: 2G}
  serviceType: \"LoadBalancer\"
";

const SECOND: &str = "apiVersion: v1
kind: Service
metadata:
  name: istio-ingressgateway-2
  namespace: istio-system
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  selector: {app: istio-ingressgateway, istio: ingressgateway, asm-system: 'true', provider: asm}
  ports:
    - {name: http-0, port: 80, targetPort: 80}
";

const CLIENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: client, namespace: shop}
spec:
  selector: {matchLabels: {app: client}}
  template:
    metadata: {labels: {app: client}}
    spec:
      containers:
        - name: client
          image: 'client:1'
          args: [--shop, 'http://198.51.100.7/productpage', '--both=198.51.100.7,203.0.113.9', '--not=1198.51.100.7']
          env:
            - name: SHOP   # the old address
              value: http://198.51.100.7:80
            - {name: OTHER, value: '198.51.100.70'}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: client, namespace: shop}
data:
  config.yaml: |
    # where to go
    upstream: 198.51.100.7:80
    other: 198.51.100.70:80
";

fn tree() -> MemoryTree {
    [
        ("fleet.yaml", FLEET),
        ("mesh/gateway.yaml", GATEWAY),
        ("clusters/m1c1/second.yaml", SECOND),
        ("clusters/m1c1/client.yaml", CLIENT),
        ("clusters/m1c2/client.yaml", CLIENT),
    ]
    .into_iter()
    .collect()
}

fn clb(cluster: &str, name: &str) -> UnreachedClb {
    UnreachedClb {
        cluster: cluster.to_owned(),
        namespace: "istio-system".to_owned(),
        name: name.to_owned(),
        addresses: vec![if name.ends_with("-2") { "203.0.113.9" } else { IP }.to_owned()],
    }
}

fn fix(tree: &MemoryTree, remedy: RemedyKind, services: Vec<UnreachedClb>) -> Result<Plan, AuthoringError> {
    let state = FleetState::read(tree);
    assert!(state.problems.is_empty(), "{:?}", state.problems);
    FixClbAccess { remedy, services }.plan(tree, &state)
}

fn shown(plan: &Plan) -> String {
    let mut text = String::new();
    for edit in &plan.edits {
        let (before, after) = (edit.before.clone().unwrap_or_default(), edit.after.clone().unwrap_or_default());
        let diff = TextDiff::from_lines(&before, &after).unified_diff().context_radius(0).to_string();
        writeln!(text, "{}\n{diff}", edit.path).unwrap();
    }
    plan.warnings.iter().for_each(|warning| writeln!(text, "warning: {warning}").unwrap());
    text
}

#[test]
fn what_each_remedy_changes() {
    let all = || {
        vec![
            clb("m1c1", "istio-ingressgateway"),
            clb("m1c1", "istio-ingressgateway-2"),
            clb("m1c2", "istio-ingressgateway"),
        ]
    };
    for remedy in RemedyKind::ALL {
        insta::assert_snapshot!(remedy.word(), shown(&fix(&tree(), remedy, all()).unwrap()));
    }
    // One of them only: the others stay as they are.
    let one = fix(&tree(), RemedyKind::Eni, vec![clb("m1c1", "istio-ingressgateway-2")]).unwrap();
    assert_eq!(one.edits.iter().map(|edit| edit.path.as_str()).collect::<Vec<_>>(), ["clusters/m1c1/second.yaml"]);
}

#[test]
fn what_a_cluster_has_differently_is_changed_there() {
    let mut tree = tree();
    let own = "  overrides:
    c11111111111111111111111111111111:
      externalTrafficPolicy: Local
      serviceAnnotations: {a.example.com/b: c}
";
    tree.insert(
        "mesh/gateway.yaml",
        GATEWAY.replace("externalTrafficPolicy: Local ", "externalTrafficPolicy: Cluster ") + own,
    );
    let plan = fix(&tree, RemedyKind::Eni, vec![clb("m1c1", "istio-ingressgateway")]).unwrap();
    insta::assert_snapshot!(shown(&plan));
}

/// In the other cluster the name would be that of another gateway, and the address was reached from there.
#[test]
fn clients_of_several_clusters_are_left_alone() {
    let mut tree = tree();
    tree.insert("fleet.yaml", format!("{FLEET}  groups:\n    - {{name: all, clusters: [m1c1, m1c2]}}\n"));
    tree.remove("clusters/m1c1/client.yaml");
    tree.remove("clusters/m1c2/client.yaml");
    tree.insert("groups/all/client.yaml", CLIENT);
    let plan = fix(&tree, RemedyKind::ServiceDns, vec![clb("m1c1", "istio-ingressgateway")]).unwrap();
    insta::assert_snapshot!(shown(&plan));
}

#[test]
fn what_cannot_be_done_is_said() {
    let mut named = tree();
    named.insert("clusters/m1c1/second.yaml", SECOND.replace("targetPort: 80", "targetPort: http"));
    let wrong = [
        fix(&named, RemedyKind::Eni, vec![clb("m1c1", "istio-ingressgateway-2")]),
        fix(&tree(), RemedyKind::PolicyCluster, vec![clb("m1c1", "istio-ingressgateway-9")]),
        fix(
            &tree(),
            RemedyKind::ServiceDns,
            vec![UnreachedClb { addresses: vec![], ..clb("m1c1", "istio-ingressgateway") }],
        ),
    ];
    let told: Vec<_> = wrong.into_iter().map(|result| result.unwrap_err().to_string()).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_second_time_changes_nothing() {
    for remedy in RemedyKind::ALL {
        let mut tree = tree();
        let services = || vec![clb("m1c1", "istio-ingressgateway"), clb("m1c1", "istio-ingressgateway-2")];
        for edit in fix(&tree, remedy, services()).unwrap().edits {
            tree.insert(&edit.path, edit.after.unwrap());
        }
        assert_eq!(fix(&tree, remedy, services()).unwrap().edits, [], "{}", remedy.word());
    }
}

#[test]
fn only_whole_hosts_are_exchanged() {
    let edge = UnreachedClb { addresses: vec!["10.0.0.7".to_owned()], ..clb("m1c1", "edge") };
    let replace = |text: &str| replaced(text, &[&edge]).0;
    assert_eq!(replace("http://10.0.0.7:80/a"), "http://edge.istio-system:80/a");
    assert_eq!(replace("10.0.0.7"), "edge.istio-system");
    assert_eq!(replace("a=10.0.0.7,b=10.0.0.7\nü"), "a=edge.istio-system,b=edge.istio-system\nü");
    for kept in ["110.0.0.7", "10.0.0.70", "10.0.0.7.example.com", "x-10.0.0.7", "", "é10"] {
        assert_eq!(replace(kept), kept);
    }
}

/// The `spec` of a gateway: fields in any order, with or without remarks and annotations of its own.
fn gateways() -> impl Strategy<Value = String> {
    let field = |text: &'static str| prop_oneof![Just(text.to_owned()), Just(format!("  # remark\n{text}"))];
    let annotations = prop_oneof![
        Just(String::new()),
        Just("  serviceAnnotations: {}\n".to_owned()),
        Just("  serviceAnnotations:\n    a.example.com/b: \"c\" # why\n".to_owned()),
        Just("  serviceAnnotations: {a.example.com/b: c}\n".to_owned()),
        Just("  serviceAnnotations:\n    service.beta.kubernetes.io/backend-type: ecs\n".to_owned()),
    ];
    let policy = prop_oneof![
        Just("  externalTrafficPolicy: Local\n".to_owned()),
        Just("  \"externalTrafficPolicy\":   'Local'   # who calls?\n".to_owned()),
    ];
    let fields = (
        policy,
        annotations,
        field("  clusterIds: [c11111111111111111111111111111111]\n"),
        field("  ports:\n  - {name: http, port: 80, targetPort: 80}\n"),
        field("  replicaCount: 0x2\n"),
        field("  podAnnotations: {x: 'Local', y: \"198.51.100.7\"}\n"),
    );
    fields.prop_flat_map(|(a, b, c, d, e, f)| Just(vec![a, b, c, d, e, f]).prop_shuffle()).prop_map(|fields| {
        let head = "apiVersion: istio.alibabacloud.com/v1beta1\nkind: IstioGateway\nmetadata: {name: ingressgateway, namespace: istio-system}\nspec:\n";
        format!("{head}{}", fields.concat())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the file looks like: the fields that the remedy names, and no other line.
    #[test]
    fn nothing_else_changes(gateway in gateways(), eni in any::<bool>()) {
        let mut tree = tree();
        tree.insert("mesh/gateway.yaml", &gateway);
        tree.remove("clusters/m1c1/second.yaml");
        let before = FleetState::read(&tree);
        let remedy = if eni { RemedyKind::Eni } else { RemedyKind::PolicyCluster };
        let plan = FixClbAccess { remedy, services: vec![clb("m1c1", "istio-ingressgateway")] }.plan(&tree, &before).unwrap();
        prop_assert_eq!(plan.edits.len(), 1);
        let after_text = plan.edits[0].after.clone().unwrap();
        tree.insert("mesh/gateway.yaml", &after_text);
        let changes = diff(&before, &FleetState::read(&tree)).changes;
        prop_assert_eq!(changes.len(), 1);
        prop_assert_eq!(changes[0].op, Op::Change);
        let mut wanted = (*before.manifests_of(&Target::Mesh).next().unwrap().object).clone();
        wanted["spec"]["externalTrafficPolicy"] = "Cluster".into();
        if eni {
            wanted["spec"]["serviceAnnotations"]["service.beta.kubernetes.io/backend-type"] = "eni".into();
        }
        let state = FleetState::read(&tree);
        prop_assert_eq!(&*state.manifests_of(&Target::Mesh).next().unwrap().object, &wanted);
        // Lines that say nothing of it stay, byte for byte and in their order.
        let about = |line: &&str| {
            !line.contains("externalTrafficPolicy") && !line.contains("backend-type") && !line.contains("serviceAnnotations")
        };
        let kept: Vec<&str> = gateway.lines().filter(about).collect();
        let now: Vec<&str> = after_text.lines().filter(about).collect();
        prop_assert_eq!(kept.iter().filter(|line| !line.contains("a.example.com")).collect::<Vec<_>>(),
                        now.iter().filter(|line| !line.contains("a.example.com")).collect::<Vec<_>>());
        prop_assert_eq!(gateway.matches("# why").count(), after_text.matches("# why").count());
        prop_assert_eq!(gateway.matches("# who calls?").count(), after_text.matches("# who calls?").count());
    }
}

use crate::fleet::{FleetState, MemoryTree, Target};
use proptest::prelude::*;
use serde_json::json;
use std::fmt::Write as _;

const FLEET: &str = "\
apiVersion: kubectl-asm.io/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  mesh: {id: c0123456789abcdef0123456789abcdef}
  clusters:
  - name: m1c1
  - name: m1c2
  groups:
  - {name: all, clusters: [m1c1, m1c2]}
  - {name: none, clusters: []}
";

const BOOKINFO: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: bookinfo}\n";

fn read(files: &[(&str, &str)]) -> FleetState {
    FleetState::read(&files.iter().copied().collect::<MemoryTree>())
}

/// Problems as a reader sees them.
fn problems(state: &FleetState) -> String {
    let mut text = String::new();
    for problem in &state.problems {
        let targets = if problem.targets.is_empty() { "all".to_owned() } else { problem.targets.join(" ") };
        let _ = writeln!(text, "{problem} [{targets}]");
        if let Some(hint) = &problem.hint {
            let _ = writeln!(text, "    {hint}");
        }
    }
    text
}

fn manifests(state: &FleetState) -> Vec<String> {
    state.manifests.iter().map(|manifest| format!("{manifest:?}")).collect()
}

#[test]
fn the_layout_is_the_targeting() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 1}\n";
    let patch = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Patch\nmetadata: {name: more}\nspec:\n  target: {kind: Deployment, name: web}\n  merge: {spec: {replicas: 3}}\n";
    let state = read(&[
        ("fleet.yaml", FLEET),
        ("README.md", "# {{"),
        ("docs/x.yaml", "{{"),
        (".github/workflows/ci.yaml", "on: push"),
        ("mesh/.hidden.yaml", "{{"),
        ("mesh/a/b/vs.yml", BOOKINFO),
        (
            "mesh/gateway.json",
            "{\"apiVersion\": \"istio.alibabacloud.com/v1beta1\", \"kind\": \"IstioGateway\", \"metadata\": {\"name\": \"in\", \"namespace\": \"istio-system\"}}",
        ),
        ("groups/all/web.yaml", deployment),
        (
            "groups/all/list.yaml",
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: shop}\n- apiVersion: v1\n  kind: Service\n  metadata:\n    name: web\n",
        ),
        ("groups/none/web.yaml", deployment),
        ("clusters/m1c2/patches/web.yaml", patch),
        ("clusters/m1c2/only.yaml", "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t}\n"),
        (
            "approvals/a.yaml",
            "apiVersion: kubectl-asm.io/v1alpha1\nkind: Approval\nmetadata: {name: a}\nspec: {action: Delete, target: m1c1, kind: Service, namespace: default, name: web, addresses: [1.2.3.4], expires: 2026-01-01T00:00:00Z}\n",
        ),
        (
            "tests/shop/t.yaml",
            "apiVersion: kubectl-asm.io/v1alpha1\nkind: RouteTest\nmetadata: {name: t}\nspec:\n  cases:\n  - name: root\n    request: {url: http://x/}\n    expect: {destinations: {web/v1: 100}}\n",
        ),
    ]);
    insta::assert_snapshot!(problems(&state), @"");
    insta::assert_snapshot!(manifests(&state).join("\n"), @r#"
    IstioGateway istio-system/in for mesh from mesh/gateway.json:1:1
    VirtualService default/bookinfo for mesh from mesh/a/b/vs.yml:1:1
    Namespace shop for m1c1 from groups/all/list.yaml:4:3
    Service default/web for m1c1 from groups/all/list.yaml:7:3
    Deployment default/web for m1c1 from groups/all/web.yaml:1:1
    Namespace shop for m1c2 from groups/all/list.yaml:4:3
    Service default/web for m1c2 from groups/all/list.yaml:7:3
    Deployment default/web for m1c2 from groups/all/web.yaml:1:1, patched by clusters/m1c2/patches/web.yaml
    Thing t for m1c2 from clusters/m1c2/only.yaml:1:1
    "#);
    let of = |target: &str| {
        state.manifests.iter().find(|m| m.target.name() == target && m.id.group_kind.is("apps", "Deployment")).unwrap()
    };
    assert_eq!(of("m1c1").object["spec"]["replicas"], 1);
    assert_eq!(of("m1c2").object["spec"]["replicas"], 3);
    assert_eq!(of("m1c1").object["metadata"]["namespace"], "default");
    let service = state.manifests.iter().find(|m| m.id.group_kind.is("", "Service")).unwrap();
    assert_eq!(service.position_of("/metadata/name").to_string(), "groups/all/list.yaml:10:5");
    assert_eq!(service.document.pointer, "/items/1");
    assert_eq!(state.targets(), [Target::Mesh, Target::Cluster("m1c1".into()), Target::Cluster("m1c2".into())]);
    assert_eq!((state.approvals.len(), state.route_tests.len()), (1, 1));
}

#[test]
fn group_objects_are_shared_between_clusters() {
    let state = read(&[
        ("fleet.yaml", FLEET),
        ("groups/all/ns.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"),
    ]);
    assert!(std::sync::Arc::ptr_eq(&state.manifests[0].object, &state.manifests[1].object));
    assert!(std::sync::Arc::ptr_eq(&state.manifests[0].object, &state.manifests[0].document.value));
}

#[test]
fn every_wrong_field_of_the_fleet_file_is_told() {
    let fleet = "\
apiVersion: kubectl-asm.io/v1
kind: Fleet
metadata: {name: Shop}
spec:
  mesh: {id: c123, regoin: cn-hangzhou, version: 1.22}
  cluster: []
  clusters:
  - {name: mesh}
  - {name: A_b, id: c0123456789ABCDEF0123456789abcdef}
  - {name: m1c1, id: c0123456789abcdef0123456789abcdef}
  - {name: m1c1, id: c0123456789abcdef0123456789abcdef}
  - {id: x}
  groups:
  - {name: all, clusters: [m1c1, m1c9, m1c1]}
  - {name: all, clusters: no}
";
    insta::assert_snapshot!(problems(&read(&[("fleet.yaml", fleet)])), @r#"
    fleet.yaml:1:1: `apiVersion` is `kubectl-asm.io/v1`, but Fleet has `kubectl-asm.io/v1alpha1` [all]
        Write `apiVersion: kubectl-asm.io/v1alpha1`
    fleet.yaml:5:20: there is no field `regoin` here [all]
        Did you mean `region`?
    fleet.yaml:5:41: `spec.mesh.version` must be a string, not `1.22` [all]
        Put quotes around it: without them YAML reads it as another type
    fleet.yaml:6:3: there is no field `cluster` here [all]
        Did you mean `clusters`?
    fleet.yaml:12:3: `spec.clusters[4]` lacks the field `name` [all]
        Add `name`: Name in this fleet: folder name under `clusters/`, a DNS label, not `mesh`
    fleet.yaml:15:17: `spec.groups[1].clusters` must be a list, not `false` [all]
    "#);
    // With the right types the meaning is checked too.
    let fleet = fleet
        .replace("io/v1\n", "io/v1alpha1\n")
        .replace(", regoin: cn-hangzhou, version: 1.22", "")
        .replace("  cluster: []\n", "");
    let fleet = fleet.replace("  - {id: x}\n", "").replace("clusters: no", "clusters: []");
    insta::assert_snapshot!(problems(&read(&[("fleet.yaml", &fleet)])), @r#"
    fleet.yaml:3:12: `metadata.name` is `Shop`, which is not a DNS label [all]
        Use lower-case letters, digits and `-`, at most 63 characters, a letter or digit at both ends
    fleet.yaml:5:10: `spec.mesh.id` is `c123`, which is not an ID [all]
        An ID is `c` and 32 lower-case letters or digits; the console shows it under the name
    fleet.yaml:7:6: a cluster cannot be named `mesh`: that is the mesh control plane [all]
        Give the cluster another name
    fleet.yaml:8:6: `spec.clusters[1].name` is `A_b`, which is not a DNS label [all]
        Use lower-case letters, digits and `-`, at most 63 characters, a letter or digit at both ends
    fleet.yaml:8:17: `spec.clusters[1].id` is `c0123456789ABCDEF0123456789abcdef`, which is not an ID [all]
        An ID is `c` and 32 lower-case letters or digits; the console shows it under the name
    fleet.yaml:10:6: there are two clusters named `m1c1`, the first in line 9 [all]
        Rename or remove one of the two
    fleet.yaml:12:34: the group `all` names the cluster `m1c9`, which is not declared [all]
        Did you mean `m1c1`?
    fleet.yaml:12:40: the group `all` names the cluster `m1c1` twice [all]
        Remove one of the two
    fleet.yaml:13:6: there are two groups named `all`, the first in line 12 [all]
        Rename or remove one of the two
    "#);
}

#[test]
fn a_missing_fleet_file_is_told() {
    insta::assert_snapshot!(problems(&read(&[("fleet.yml", FLEET), ("mesh/a.yaml", "a: [")])), @r#"
    there is no fleet.yaml, so no target is known [all]
        Rename fleet.yml to fleet.yaml
    mesh/a.yaml:1:4: unclosed bracket '[' [mesh]
    "#);
    insta::assert_snapshot!(problems(&read(&[("fleet.yaml", "# nothing\n")])), @r#"
    fleet.yaml:1:1: fleet.yaml is empty [all]
        Declare the mesh and its member clusters: `kubectl asm init` writes a first one
    "#);
    insta::assert_snapshot!(problems(&read(&[("fleet.yaml", BOOKINFO)])), @r#"
    fleet.yaml:2:1: this document is a VirtualService, but only Fleet belongs here [all]
        Move it to mesh/, groups/<group>/ or clusters/<cluster>/, which hold objects
    "#);
    insta::assert_snapshot!(problems(&read(&[("fleet.yaml", &format!("{FLEET}---\na: b\n"))])), @r#"
    fleet.yaml:13:1: fleet.yaml holds more than one document [all]
        Move objects to mesh/, groups/<group>/ or clusters/<cluster>/
    "#);
}

#[test]
fn all_problems_are_told_in_one_pass() {
    let state = read(&[
        ("fleet.yaml", FLEET),
        ("mesh/broken.yaml", "a: 1\n b: [\n"),
        (
            "mesh/no-identity.yaml",
            "kind: Gateway\napiversion: networking.istio.io/v1\nmetadata: {}\n---\n- 1\n---\napiVersion: v1\nkind: Namespace\n",
        ),
        (
            "mesh/types.yaml",
            "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata:\n  name: 123\n  namespace: yes\n  labels: [a]\n  annotations:\n    managed-by-asm: true\n    weight: 10\n    empty:\n",
        ),
        ("mesh/scope.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}\n"),
        ("mesh/generate.yaml", "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {generateName: a-}\n"),
        ("mesh/workload.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"),
        (
            "mesh/gw.yaml",
            "apiVersion: istio.alibabacloud.com/v1beta1\nkind: IstioGateway\nmetadata: {name: ingress, namespace: istio-system}\n",
        ),
        ("mesh/twice-1.yaml", BOOKINFO),
        (
            "mesh/twice-2.yaml",
            &BOOKINFO.replace("/v1\n", "/v1alpha3\n").replace("name: bookinfo", "name: bookinfo, namespace: default"),
        ),
        ("groups/all/web.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"),
        ("groups/all/broken.yaml", "a: 1\na: 2\n"),
        ("groups/none/broken.yaml", "a: *b\n"),
        ("groups/al/x.yaml", "a: b\n"),
        ("groups/y.yaml", "a: b\n"),
        ("groups/README.md", ""),
        ("clusters/m1c1/web.yaml", "# own\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: default}\n"),
        ("clusters/m1c1/vs.yaml", BOOKINFO),
        ("clusters/m1c1/approval.yaml", "apiVersion: kubectl-asm.io/v1alpha1\nkind: Approval\nmetadata: {name: a}\n"),
        (
            "clusters/m1c1/generated.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: {name: istio-ingress, namespace: istio-system}\n",
        ),
        ("clusters/m1c2/own.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n"),
        (
            "clusters/m1c2/patches/p.yaml",
            "\
apiVersion: kubectl-asm.io/v1alpha1
kind: Patch
metadata: {name: nothing}
spec: {target: {kind: Service, name: wbe}, merge: {}}
---
apiVersion: kubectl-asm.io/v1alpha1
kind: Patch
metadata: {name: own}
spec: {target: {kind: ConfigMap, name: own}, merge: {}}
---
apiVersion: kubectl-asm.io/v1alpha1
kind: Patch
metadata: {name: both}
spec: {target: {kind: Service, name: web}, merge: {}, json6902: []}
---
apiVersion: kubectl-asm.io/v1alpha1
kind: Patch
metadata: {name: wrong}
spec: {target: {kind: Service, nmae: web}, json6902: [{op: repalce, path: 1}]}
---
apiVersion: kubectl-asm.io/v1alpha1
kind: Patch
metadata: {name: fails}
spec: {target: {kind: Service, name: web}, json6902: [{op: replace, path: /spec/type, value: x}]}
---
kind: Pach
",
        ),
        ("clusters/m1c3/x.yaml", "a: b\n"),
        ("clusters/production/x.yaml", "a: b\n"),
        ("clusters/production/y.yaml", "a: b\n"),
        ("clusters/z.yaml", "a: b\n"),
        ("clusters/m1c1/Case.yaml", "a: b\n"),
        ("clusters/m1c1/case.yaml", "a: b\n"),
        ("clusters/m1c1/back\\slash.yaml", "a: b\n"),
        ("clusters/m1c1/new\nline.yaml", "a: b\n"),
        ("mesh/../escape.yaml", "a: b\n"),
        (
            "approvals/a.yaml",
            "apiVersion: kubectl-asm.io/v1alpha1\nkind: Approval\nmetadata: {name: a}\nspec: {action: delete, target: m1c1, name: 5, addresses: 1.2.3.4, expires: tomorrow}\n",
        ),
        (
            "approvals/b.yaml",
            "apiVersion: kubectl-asm.io/v1alpha1\nkind: Approval\nmetadata: {name: b}\nspec: {action: Delete, target: m1c1, kind: Service, name: web, expires: tomorrow}\n",
        ),
        (
            "approvals/c.yaml",
            "apiVersion: kubectl-asm.io/v1alpha1\nkind: Approval\nmetadata: {name: c}\nspec: {action: Delete, target: m1c4, kind: Service, name: web}\n",
        ),
        (
            "approvals/d.yaml",
            "apiVersion: kubectl-asm.io/v1alpha1\nkind: Approval\nmetadata: {name: d}\nspec: &s {action: Delete, target: m1c1, kind: Service, name: web}\n---\napiVersion: kubectl-asm.io/v1alpha1\nkind: Approval\nmetadata: {name: d}\nspec: {action: Delete, target: m1c1, kind: Service, name: web}\n",
        ),
        (
            "tests/t.yaml",
            "apiVersion: kubectl-asm.io/v1alpha1\nkind: RouteTest\nmetadata: {name: t}\nspec:\n  cases:\n  - name: root\n    request: {url: http://x/, headers: {x: 1}}\n    expect: {destinations: {web: -1}, status: 70000}\n",
        ),
    ]);
    insta::assert_snapshot!(problems(&state), @r#"
    approvals/a.yaml:4:1: `spec` lacks the field `kind` [approvals/]
        Add `kind`: `Kind.group` of the object (`Service`, `IstioGateway.istio.alibabacloud.com`)
    approvals/a.yaml:4:8: `spec.action` must be one of Delete, Release, TakeOver, not `delete` [approvals/]
        Did you mean `Delete`?
    approvals/a.yaml:4:38: `spec.name` must be a string, not `5` [approvals/]
        Put quotes around it: without them YAML reads it as another type
    approvals/a.yaml:4:47: `spec.addresses` must be a list, not `1.2.3.4` [approvals/]
    approvals/a.yaml:4:67: `spec.expires` must be a time, not `tomorrow` [approvals/]
        Write it as in 2026-12-31T23:59:59Z
    approvals/b.yaml:4:64: `spec.expires` must be a time, not `tomorrow` [approvals/]
        Write it as in 2026-12-31T23:59:59Z
    approvals/c.yaml:4:24: the approval `c` is for the target `m1c4`, which is not declared [approvals/]
        Did you mean `m1c1`?
    approvals/d.yaml:6:1: there are two approvals named `d`: here and at approvals/d.yaml:1:1 [approvals/]
        Rename or remove one of the two
    clusters/m1c1/Case.yaml:1:1: the path differs from clusters/m1c1/case.yaml in upper and lower case only [m1c1]
        Rename one of the two: on some file systems they are one file
    clusters/m1c1/approval.yaml:2:1: Approval a is no object of a cluster: it belongs in approvals/ [m1c1]
        Move it to approvals/
    clusters/m1c1/back\slash.yaml:1:1: the path contains a backslash [m1c1]
        Rename the file
    clusters/m1c1/case.yaml:1:1: the path differs from clusters/m1c1/Case.yaml in upper and lower case only [m1c1]
        Rename one of the two: on some file systems they are one file
    clusters/m1c1/generated.yaml:3:12: Service istio-system/istio-ingress is generated by ASM from the IstioGateway `ingress`: both would write it in turn [m1c1]
        Change the IstioGateway `ingress` in mesh/ and remove this object
    clusters/m1c1/new�line.yaml:1:1: the path contains the control character U+000A [m1c1]
        Rename the file
    clusters/m1c1/vs.yaml:2:1: VirtualService default/bookinfo belongs to the mesh: on a member cluster ASM does not read it [m1c1]
        Move it to mesh/
    clusters/m1c2/patches/p.yaml:4:8: this patch matches nothing: the groups of m1c2 have no Service default/wbe [m1c2]
        Did you mean `Service default/web`?
    clusters/m1c2/patches/p.yaml:9:8: ConfigMap default/own does not come from a group but from clusters/m1c2/own.yaml:1:1 [m1c2]
        Change it there and remove this patch
    clusters/m1c2/patches/p.yaml:14:1: a patch has either `merge` or `json6902`, not both [m1c2]
        Write one of the two; two patches may change one object
    clusters/m1c2/patches/p.yaml:19:8: `spec.target` lacks the field `name` [m1c2]
        Add `name`: Name of the object
    clusters/m1c2/patches/p.yaml:19:32: there is no field `nmae` here [m1c2]
        Did you mean `name`?
    clusters/m1c2/patches/p.yaml:19:56: `spec.json6902[0].op` must be one of add, remove, replace, move, copy, test, not `repalce` [m1c2]
        Did you mean `replace`?
    clusters/m1c2/patches/p.yaml:19:69: `spec.json6902[0].path` must be a string, not `1` [m1c2]
        Put quotes around it: without them YAML reads it as another type
    clusters/m1c2/patches/p.yaml:24:1: this patch of Service default/web cannot be applied: operation '/0' failed at path '/spec/type': path is invalid [m1c2]
        Compare the patch with the object, which may have changed in the group
    clusters/m1c2/patches/p.yaml:26:1: this document is a Pach, but only Patch belongs here [m1c2]
        Did you mean `kind: Patch`?
    clusters/m1c3/x.yaml:1:1: the folder clusters/m1c3/ is for a cluster that fleet.yaml does not declare [m1c1 m1c2]
        Did you mean clusters/m1c1/? Otherwise declare the cluster in fleet.yaml
    clusters/production/x.yaml:1:1: the folder clusters/production/ is for a cluster that fleet.yaml does not declare [m1c1 m1c2]
        Declare the cluster `production` in fleet.yaml, or remove the folder
    clusters/z.yaml:1:1: a file directly under clusters/ goes nowhere [m1c1 m1c2]
        Move it to clusters/<cluster>/, or to groups/<group>/ if several clusters get it
    groups/al/x.yaml:1:1: the folder groups/al/ is for a group that fleet.yaml does not declare [m1c1 m1c2]
        Did you mean groups/all/? Otherwise declare the group in fleet.yaml
    groups/all/broken.yaml:2:1: the field `a` stands twice in this map, first in line 1 [m1c1 m1c2]
        Remove one of the two: kubectl would take the last silently
    groups/all/web.yaml:1:1: Service default/web is given twice to m1c1: here and at clusters/m1c1/web.yaml:2:1 [m1c1]
        Remove one of the two; a cluster changes what its groups give it by a file in its patches/ folder
    groups/none/broken.yaml:1:4: this alias has no anchor before it in this document [groups/]
    groups/y.yaml:1:1: a file directly under groups/ goes nowhere [m1c1 m1c2]
        Move it to groups/<group>/, or to mesh/ if it belongs to the mesh
    mesh/../escape.yaml:1:1: the path is absolute or leaves the fleet [all]
        Rename the file
    mesh/broken.yaml:2:3: mapping values are not allowed in this context [mesh]
    mesh/generate.yaml:3:12: an object in Git cannot have a generated name: every sync would make another one [mesh]
        Write `name` instead of `generateName`
    mesh/no-identity.yaml:1:1: this object has no `apiVersion` [mesh]
        Did you mean `apiVersion` where it says `apiversion`?
    mesh/no-identity.yaml:3:1: this object has no `metadata.name` [mesh]
        Add `name` below `metadata:`
    mesh/no-identity.yaml:5:1: this document is a list, not a Kubernetes object [mesh]
        Begin with `apiVersion`, `kind` and `metadata`, or move the file out of this folder
    mesh/no-identity.yaml:7:1: this object has no `metadata` [mesh]
        Add `metadata` with a `name`
    mesh/scope.yaml:3:21: Namespace has no namespace, but the object says `b` [mesh]
        Remove `metadata.namespace`
    mesh/twice-2.yaml:1:1: VirtualService default/bookinfo is given twice to mesh: here and at mesh/twice-1.yaml:1:1 [mesh]
        Remove one of the two
    mesh/types.yaml:4:3: `metadata.name` must be a string, not `123` [mesh]
        Put quotes around it: without them YAML reads it as another type
    mesh/types.yaml:5:3: `metadata.namespace` must be a string, not `true` [mesh]
        Put quotes around it: without them YAML reads it as another type
    mesh/types.yaml:6:3: `metadata.labels` must be a map, not a list [mesh]
        Write one `key: "value"` per line below it
    mesh/types.yaml:8:5: the annotation `managed-by-asm` must be a string, not `true` [mesh]
        Put quotes around it: without them YAML reads it as another type
    mesh/types.yaml:9:5: the annotation `weight` must be a string, not `10` [mesh]
        Put quotes around it: without them YAML reads it as another type
    mesh/types.yaml:10:5: the annotation `empty` must be a string, not empty [mesh]
        Write "" for an empty value
    mesh/workload.yaml:2:1: Service default/web belongs to member clusters: the mesh control plane runs no workloads [mesh]
        Move it to groups/<group>/ or clusters/<cluster>/
    tests/t.yaml:7:41: `spec.cases[0].request.headers.x` must be a string, not `1` [tests/]
        Put quotes around it: without them YAML reads it as another type
    tests/t.yaml:8:29: `spec.cases[0].expect.destinations.web` is out of range: -1 [tests/]
    tests/t.yaml:8:39: `spec.cases[0].expect.status` is out of range: 70000 [tests/]
    "#);
    insta::assert_snapshot!(manifests(&state).join("\n"), @r#"
    IstioGateway istio-system/ingress for mesh from mesh/gw.yaml:1:1
    ConfigMap default/own for m1c2 from clusters/m1c2/own.yaml:1:1
    "#);
    assert!(state.approvals.is_empty());
}

#[test]
fn secrets_are_not_printed() {
    let state = read(&[
        ("fleet.yaml", FLEET),
        (
            "groups/all/s.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2, n: !!int hunter2}\n",
        ),
        (
            "clusters/m1c1/s.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: t}\nstringData: {password: hunter2}\n",
        ),
        (
            "clusters/m1c1/t.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: t}\nstringData: {password: hunter2}\n",
        ),
        (
            "clusters/m1c2/s.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: t}\nstringData: {password: hunter2}\n",
        ),
    ]);
    assert_eq!(state.problems.len(), 2);
    assert!(!format!("{state:?}").contains("hunter2"), "{state:?}");
}

/// Objects with a group and a patch, to be spread over files in any order.
fn objects() -> Vec<(&'static str, String)> {
    let mut objects = Vec::new();
    for name in ["a", "b", "c", "d"] {
        objects.push((
            "mesh",
            json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": name}})
                .to_string(),
        ));
        objects.push((
            "groups/all",
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {}}).to_string(),
        ));
        objects.push((
            "clusters/m1c1",
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {}}).to_string(),
        ));
        objects.push((
            "clusters/m1c2/patches",
            json!({"apiVersion": "kubectl-asm.io/v1alpha1", "kind": "Patch", "metadata": {"name": name},
            "spec": {"target": {"kind": "Deployment", "name": name}, "merge": {"spec": {"replicas": 2}}}})
            .to_string(),
        ));
    }
    objects
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// What a fleet says does not depend on file names, the order of files or how documents are split over them.
    #[test]
    fn file_order_does_not_matter(order in Just((0..objects().len()).collect::<Vec<_>>()).prop_shuffle(), files in proptest::collection::vec(0..4_u8, 16)) {
        let said = |state: &FleetState| state.manifests.iter().map(|m| format!("{} {} {}", m.target, m.id, m.object)).collect::<Vec<_>>();
        let build = |order: &[usize], files: &[u8]| {
            let objects = objects();
            let mut texts = std::collections::BTreeMap::<String, String>::new();
            for (index, file) in order.iter().zip(files) {
                let (folder, text) = &objects[*index];
                let _ = write!(texts.entry(format!("{folder}/{file}.yaml")).or_default(), "---\n{text}\n");
            }
            texts.insert("fleet.yaml".to_owned(), FLEET.to_owned());
            FleetState::read(&texts.iter().collect::<MemoryTree>())
        };
        let expected = build(&(0..16).collect::<Vec<_>>(), &[0; 16]);
        let state = build(&order, &files);
        prop_assert!(state.problems.is_empty(), "{:?}", state.problems);
        prop_assert_eq!(said(&state).len(), 16);
        prop_assert_eq!(said(&state), said(&expected));
    }

    /// Whatever a tree holds, reading it neither fails nor panics.
    #[test]
    fn any_tree_is_read(files in proptest::collection::vec(("(mesh|groups/all|clusters/m1c1(/patches)?|approvals|tests)/[a-c/.]{1,4}\\.yaml", "[a-c:\\-{}\\[\\] \n&*<!|>'\"#]{0,40}"), 0..8), fleet in "[a-z:{}\\[\\], \n-]{0,60}") {
        let mut tree: MemoryTree = files.iter().map(|(path, text)| (path, text)).collect();
        tree.insert("fleet.yaml", if fleet.len() > 30 { fleet.as_str() } else { FLEET });
        let state = FleetState::read(&tree);
        prop_assert!(state.problems.is_sorted());
    }
}

use super::*;
use crate::diff::tests::properties::two_objects;
use crate::fleet::MemoryTree;
use crate::object::kinds::{Place, place};
use proptest::prelude::*;
use serde_json::json;

const FLEET: &str = "\
apiVersion: kubectl-asm.io/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  mesh: {}
  clusters: [{name: m1c1}, {name: m1c2}]
  groups: [{name: all, clusters: [m1c1, m1c2]}]
";

fn fleet(files: &[(&str, &str)]) -> (MemoryTree, FleetState) {
    let mut tree: MemoryTree = files.iter().copied().collect();
    tree.insert("fleet.yaml", FLEET);
    let state = FleetState::read(&tree);
    assert_eq!(state.problems, []);
    (tree, state)
}

/// All differences of one object, on the first target that has it or on the named one.
fn all(state: &FleetState, target: Option<&str>, live: Option<Value>) -> AdoptObject {
    let manifest = state.manifests.iter().find(|m| target.is_none_or(|target| m.target.name() == target)).unwrap();
    let change = match live {
        Some(live) => {
            let fields = differences(manifest, &live).into_iter().map(|difference| difference.change).collect();
            LiveChange::Fields { live, fields }
        }
        None => LiveChange::Deleted,
    };
    AdoptObject { target: manifest.target.clone(), id: manifest.id.clone(), change }
}

fn adopt(tree: &MemoryTree, state: &FleetState, objects: Vec<AdoptObject>) -> Result<String, String> {
    let plan = AdoptDrift { objects }.plan(tree, state).map_err(|error| error.to_string())?;
    Ok(plan.edits.iter().fold(String::new(), |text, edit| {
        format!("{text}== {} {}\n{}", edit.action(), edit.path, edit.after.as_deref().unwrap_or_default())
    }))
}

/// Git's object with a change made by the test.
fn live(state: &FleetState, change: impl FnOnce(&mut Value)) -> Value {
    let mut live = Value::clone(&state.manifests[0].object);
    change(&mut live);
    live
}

const ROUTE: &str = "\
# The shop's door.
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: shop
spec:
  hosts: ['*'] # everybody
  http:
    # the pages
    - match: [{uri: {exact: /productpage}}]
      route:
        - destination: {host: reviews, subset: v1}
          weight: 50 # half of them
        - destination: {host: reviews, subset: v2}
          weight: 50
    # the rest
    - route:
        - destination: {host: other}
";

#[test]
fn a_weight_and_an_added_route() {
    let (tree, state) = fleet(&[("mesh/shop.yaml", ROUTE)]);
    let live = live(&state, |live| {
        let http = live["spec"]["http"].as_array_mut().unwrap();
        http[0]["route"][0]["weight"] = json!(90);
        http[0]["route"][1]["weight"] = json!(10);
        http.insert(1, json!({"match": [{"uri": {"prefix": "/new"}}], "route": [{"destination": {"host": "new"}}]}));
    });
    insta::assert_snapshot!(adopt(&tree, &state, vec![all(&state, None, Some(live))]).unwrap(), @"
    == configured mesh/shop.yaml
    # The shop's door.
    apiVersion: networking.istio.io/v1beta1
    kind: VirtualService
    metadata:
      name: shop
    spec:
      hosts: ['*'] # everybody
      http:
        # the pages
        - match: [{uri: {exact: /productpage}}]
          route:
            - destination: {host: reviews, subset: v1}
              weight: 90 # half of them
            - destination: {host: reviews, subset: v2}
              weight: 10
        - match:
            - uri:
                prefix: /new
          route:
            - destination:
                host: new
        # the rest
        - route:
            - destination: {host: other}
    ");
}

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: door
  namespace: shop
  annotations:
    # who to ask
    example.com/owner: web-team
spec:
  selector: {app: door}
  ports:
    - name: http # plain
      port: 80
    - name: https
      port: 443
";

#[test]
fn a_field_that_is_gone_goes_and_a_port_with_another_number_is_a_port_that_came() {
    let (tree, state) = fleet(&[("clusters/m1c1/door.yaml", SERVICE)]);
    let live = live(&state, |live| {
        live["metadata"].as_object_mut().unwrap().remove("annotations");
        live["spec"]["ports"][1]["port"] = json!(8443);
        live["spec"]["ports"][1]["nodePort"] = json!(30000);
        live["spec"]["ports"][1]["protocol"] = json!("TCP");
        live["metadata"]["managedFields"] = json!([{
            "manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1", "time": "2026-01-02T00:00:00Z",
            "fieldsV1": {"f:spec": {"f:ports": {"k:{\"port\":8443,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}}
        }]);
    });
    insta::assert_snapshot!(adopt(&tree, &state, vec![all(&state, None, Some(live))]).unwrap(), @"
    == configured clusters/m1c1/door.yaml
    apiVersion: v1
    kind: Service
    metadata:
      name: door
      namespace: shop
    spec:
      selector: {app: door}
      ports:
        - name: http # plain
          port: 80
        - name: https
          protocol: TCP
          port: 8443
    ");
}

#[test]
fn one_cluster_of_a_group_gets_a_patch() {
    let (tree, state) = fleet(&[("groups/all/door.yaml", SERVICE)]);
    let changed = live(&state, |live| live["metadata"]["annotations"]["example.com/owner"] = json!("somebody"));
    let told = adopt(&tree, &state, vec![all(&state, Some("m1c2"), Some(changed.clone()))]).unwrap();
    insta::assert_snapshot!(told, @"
    == created clusters/m1c2/patches/service-door.yaml
    # What m1c2 has different from what its group gives it.
    apiVersion: kubectl-asm.io/v1alpha1
    kind: Patch
    metadata:
      name: service-door
    spec:
      target:
        apiVersion: v1
        kind: Service
        namespace: shop
        name: door
      merge:
        metadata:
          annotations:
            example.com/owner: somebody
    ");

    // The next change goes into the same patch, one inside a list behind it.
    let patch = told.split_once('\n').unwrap().1;
    let files = [("groups/all/door.yaml", SERVICE), ("clusters/m1c2/patches/service-door.yaml", patch)];
    let (tree, state) = fleet(&files);
    let next = live(&state, |live| live["metadata"]["annotations"]["example.com/owner"] = json!("somebody else"));
    let told = adopt(&tree, &state, vec![all(&state, Some("m1c2"), Some(next))]).unwrap();
    assert_eq!(
        told,
        format!(
            "== configured clusters/m1c2/patches/service-door.yaml\n{}",
            patch.replace("somebody", "somebody else")
        )
    );
    let ports = live(&state, |live| {
        live["metadata"]["annotations"]["example.com/owner"] = json!("somebody");
        live["spec"]["ports"][0]["name"] = json!("web");
    });
    let told = adopt(&tree, &state, vec![all(&state, Some("m1c2"), Some(ports))]).unwrap();
    insta::assert_snapshot!(told.split_once("---\n").unwrap().1, @"
    # What m1c2 has different from what its group gives it.
    apiVersion: kubectl-asm.io/v1alpha1
    kind: Patch
    metadata:
      name: service-door
    spec:
      target:
        apiVersion: v1
        kind: Service
        namespace: shop
        name: door
      json6902:
        - op: replace
          path: /spec/ports/0/name
          value: web
    ");

    // On all clusters of the group alike, the group's file says it.
    let (tree, state) = fleet(&[("groups/all/door.yaml", SERVICE)]);
    let both = ["m1c1", "m1c2"].map(|name| all(&state, Some(name), Some(changed.clone()))).to_vec();
    let told = adopt(&tree, &state, both).unwrap();
    assert_eq!(told, format!("== configured groups/all/door.yaml\n{}", SERVICE.replace("web-team", "somebody")));
}

#[test]
fn what_is_gone_goes_from_git_unless_others_would_lose_it() {
    let (tree, state) =
        fleet(&[("mesh/shop.yaml", &format!("{ROUTE}---\n{}", ROUTE.replace("name: shop", "name: next")))]);
    let told = adopt(&tree, &state, vec![all(&state, None, None)]).unwrap();
    assert_eq!(told, format!("== configured mesh/shop.yaml\n{ROUTE}"));

    let patch = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Patch\nmetadata: {name: a}\nspec: {target: {kind: Service, name: door, namespace: shop}, merge: {}}\n";
    let (tree, state) = fleet(&[("groups/all/door.yaml", SERVICE), ("clusters/m1c1/patches/a.yaml", patch)]);
    let gone = |name| all(&state, Some(name), None);
    let error = adopt(&tree, &state, vec![gone("m1c1")]).unwrap_err();
    insta::assert_snapshot!(error, @"groups/all/door.yaml:1:1: Service shop/door is gone on m1c1 only, but this document gives it to m1c2 as well, where removing it would delete it");
    insta::assert_snapshot!(adopt(&tree, &state, vec![gone("m1c1"), gone("m1c2")]).unwrap(), @"
    == deleted clusters/m1c1/patches/a.yaml
    == deleted groups/all/door.yaml
    ");
}

#[test]
fn an_object_that_goes_takes_its_freeze_along() {
    let entry = |name: &str| {
        format!("    - {{kind: Service, namespace: shop, name: {name}, fields: [spec.type], reason: x}}\n")
    };
    let with = |entries: &str| format!("{FLEET}  ignoreDifferences:\n{entries}");
    let other = SERVICE.replace("name: door", "name: gate");
    let after = |fleet: &str| {
        let mut tree: MemoryTree =
            [("clusters/m1c1/door.yaml", SERVICE), ("clusters/m1c1/gate.yaml", &*other)].into_iter().collect();
        tree.insert("fleet.yaml", fleet);
        let state = FleetState::read(&tree);
        assert_eq!(state.problems, []);
        let plan = AdoptDrift { objects: vec![all(&state, None, None)] }.plan(&tree, &state).unwrap();
        plan.edits.into_iter().find(|edit| edit.path == "fleet.yaml").unwrap().after.unwrap()
    };
    assert_eq!(after(&with(&entry("door"))), FLEET);
    assert_eq!(after(&with(&(entry("door") + &entry("gate")))), with(&entry("gate")));
}

#[test]
fn secrets_stay_out_of_git() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: shop, labels: {l: x}}\nstringData: {key: from-git}\n";
    let (tree, state) = fleet(&[("clusters/m1c1/secret.yaml", secret)]);
    let data = live(&state, |live| {
        live.as_object_mut().unwrap().remove("stringData");
        live["data"] = json!({"key": "aHVudGVyMg=="});
        live["metadata"]["labels"]["l"] = json!("z");
    });
    let error = adopt(&tree, &state, vec![all(&state, None, Some(data.clone()))]).unwrap_err();
    assert!(error.contains("data.key of Secret shop/a is secret") && !error.contains("aHVudGVyMg"), "{error}");
    let mut labels = all(&state, None, Some(data));
    if let LiveChange::Fields { fields, .. } = &mut labels.change {
        fields.retain(|field| field.path.is_under(&["metadata"]));
    }
    assert_eq!(
        adopt(&tree, &state, vec![labels]).unwrap(),
        format!("== configured clusters/m1c1/secret.yaml\n{}", secret.replace("l: x", "l: z"))
    );

    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\ndata: {url: 'https://host/'}\n";
    let (tree, state) = fleet(&[("clusters/m1c1/map.yaml", map)]);
    let url = live(&state, |live| live["data"]["url"] = json!("https://me:hunter2@host/"));
    let error = adopt(&tree, &state, vec![all(&state, None, Some(url))]).unwrap_err();
    assert!(error.contains("is secret") && !error.contains("hunter2"), "{error}");
}

#[test]
fn keyed_elements_in_another_order_are_moved() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: shop}\nspec:\n  template:\n    spec:\n      containers:\n      - name: app\n        env:\n        - {name: A, value: '1'} # first\n        - {name: B, value: '2'}\n        - {name: C, value: '3'}\n";
    let (tree, state) = fleet(&[("clusters/m1c1/a.yaml", deployment)]);
    let turned = live(&state, |live| {
        live["spec"]["template"]["spec"]["containers"][0]["env"].as_array_mut().unwrap().reverse();
    });
    let told = adopt(&tree, &state, vec![all(&state, None, Some(turned))]).unwrap();
    insta::assert_snapshot!(told.split_once("env:\n").unwrap().1, @"
            - {name: C, value: '3'}
            - {name: B, value: '2'}
            - {name: A, value: '1'} # first
    ");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Taking everything over leaves no difference, and the documents beside it keep every byte.
    #[test]
    fn what_is_adopted_reads_back_as_what_is_live((wanted, live) in two_objects()) {
        let kind = ObjectId::of(&wanted).unwrap().group_kind;
        let folder = if place(&kind) == Some(Place::Mesh) { "mesh" } else { "clusters/m1c1" };
        let path = format!("{folder}/a.yaml");
        let namespace = |mut object: Value| { object["metadata"]["namespace"] = json!("default"); object };
        let (wanted, live) = (namespace(wanted), namespace(live));
        let (before, after) = (
            "# Nobody's business.\napiVersion: example.com/v1\nkind: Other\nmetadata: {name: before, namespace: default}\n---\n",
            "---\napiVersion: example.com/v1\nkind: Other # yes\nmetadata: {name: behind, namespace: default}\n",
        );
        let file = format!("{before}# What it is for.\n{}{after}", crate::yaml::write(&wanted));
        let mut tree: MemoryTree = [("fleet.yaml", FLEET)].into_iter().collect();
        tree.insert(&path, &file);
        let state = FleetState::read(&tree);
        let Some(manifest) = state.manifests.iter().find(|manifest| manifest.id.group_kind == kind && &*manifest.id.name == "a") else {
            return Ok(());
        };
        let fields: Vec<_> = differences(manifest, &live).into_iter().map(|difference| difference.change).collect();
        prop_assume!(!fields.is_empty());
        let object = AdoptObject {
            target: manifest.target.clone(),
            id: manifest.id.clone(),
            change: LiveChange::Fields { live: live.clone(), fields: fields.clone() },
        };
        let plan = AdoptDrift { objects: vec![object] }.plan(&tree, &state);
        let plan = plan.map_err(|error| TestCaseError::fail(format!("{error}: {fields:?}\nwanted {wanted}\nlive {live}")))?;
        let text = plan.edits[0].after.clone().unwrap();
        prop_assert!(text.starts_with(before) && text.ends_with(after), "{text}");
        prop_assert!(text.contains("\n# What it is for.\n"), "{text}");
        let now = state_after(&tree, &plan.edits);
        let now = now.manifests.iter().find(|other| other.id == manifest.id).unwrap();
        prop_assert_eq!(missing_from(&now.object, &live), vec![], "{}", text);
    }
}

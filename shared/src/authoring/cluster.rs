//! Member clusters in fleet.yaml.

use super::fleet_view::{check_name, cluster, fleet};
use super::text::{Node, field, list};
use super::workspace::{Change, Workspace};
use super::{AuthoringError, Plan};
use crate::fleet::{FleetState, Manifest, Target, Tree};
use crate::object::At as _;
use crate::object::kinds::ASM;
use serde_json::Value;

const FLEET_FILE: &str = "fleet.yaml";
const CLUSTERS: &str = "/spec/clusters";
const GROUPS: &str = "/spec/groups";

/// Add a member cluster to fleet.yaml.
#[derive(Clone, Debug, Default)]
pub struct AddCluster {
    /// Name in the fleet.
    pub name: String,
    /// ACK cluster ID.
    pub id: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Kubernetes version.
    pub kubernetes_version: Option<String>,
    /// kubeconfig context of engineers.
    pub context: Option<String>,
    /// Groups it is in; a group that is not there is made.
    pub groups: Vec<String>,
}

/// Remove a member cluster from fleet.yaml.
#[derive(Clone, Debug, Default)]
pub struct RemoveCluster {
    /// Name in the fleet.
    pub name: String,
    /// Remove the files under `clusters/<name>/` as well.
    pub with_files: bool,
}

impl AddCluster {
    /// The edit of fleet.yaml.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        let fleet = fleet(state)?;
        check_name("a cluster", &self.name, 63)?;
        if self.name == "mesh" {
            return Err(AuthoringError::new("`mesh` is the mesh itself and cannot be the name of a cluster"));
        }
        let clusters = &fleet.spec.clusters;
        if clusters.iter().any(|cluster| cluster.name == self.name) {
            return Err(AuthoringError::new(format!("fleet.yaml has a cluster {} already", self.name)));
        }
        let same_id = |cluster: &&crate::fleet::Cluster| cluster.id.is_some() && cluster.id == self.id;
        if let Some(other) = clusters.iter().find(same_id) {
            return Err(AuthoringError::new(format!("the cluster {} has this ACK ID already", other.name)));
        }
        let mut changes = vec![add_item(CLUSTERS, clusters.is_empty(), self.entry().value())];
        let mut no_groups = fleet.spec.groups.is_empty();
        for name in &self.groups {
            check_name("a group", name, 63)?;
            match fleet.spec.groups.iter().position(|group| group.name == *name) {
                Some(index) => {
                    let members = format!("{GROUPS}/{index}/clusters");
                    let empty = fleet.spec.groups[index].clusters.is_empty();
                    changes.push(add_item(&members, empty, self.name.as_str().into()));
                }
                None => {
                    let group: Node = [field("name", &**name), field("clusters", list([&*self.name]))].into();
                    changes.push(add_item(GROUPS, no_groups, group.value()));
                    no_groups = false;
                }
            }
        }
        let mut workspace = Workspace::new(tree);
        workspace.change_document(FLEET_FILE, 0, &changes)?;
        let mut plan = Plan { edits: workspace.finish(), warnings: Vec::new() };
        if self.id.is_none() {
            plan.warnings.push(format!(
                "{} has no ACK cluster ID: an ingress gateway cannot run in it until fleet.yaml names it (`id:`)",
                self.name
            ));
        }
        Ok(plan)
    }

    fn entry(&self) -> Node {
        let optional = [
            ("id", &self.id),
            ("region", &self.region),
            ("kubernetesVersion", &self.kubernetes_version),
            ("context", &self.context),
        ];
        let mut fields = vec![field("name", &*self.name)];
        fields.extend(optional.into_iter().filter_map(|(key, value)| Some(field(key, value.as_deref()?))));
        fields.into()
    }
}

/// Adds an item to a list that is perhaps not there.
fn add_item(pointer: &str, empty: bool, item: Value) -> Change {
    if empty {
        Change::Set(pointer.to_owned(), Value::Array(vec![item]))
    } else {
        Change::Push(pointer.to_owned(), item)
    }
}

impl RemoveCluster {
    /// The edit of fleet.yaml, and the removal of files if wanted.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        let fleet = fleet(state)?;
        let removed = cluster(fleet, &self.name)?;
        let lost = load_balancers(state, &self.name, removed.id.as_deref());
        let folder = format!("clusters/{}/", self.name);
        let files = tree.list().map_err(|error| AuthoringError::new(error.to_string()))?;
        let files: Vec<_> = files.into_iter().filter(|path| path.starts_with(&folder)).collect();
        if !files.is_empty() && !self.with_files {
            let few: Vec<_> = files.iter().take(3).map(|path| &**path).collect();
            let more =
                if files.len() > few.len() { format!(" and {} more", files.len() - few.len()) } else { String::new() };
            return Err(AuthoringError::new(format!("{folder} still has files: {}{more}", few.join(", ")))
                .hint(format!("remove them as well with: kubectl asm cluster remove {} --with-files", self.name))
                .hints(lost));
        }
        let index = fleet.spec.clusters.iter().position(|cluster| cluster.name == self.name).unwrap_or_default();
        let mut changes = vec![Change::Remove(format!("{CLUSTERS}/{index}"))];
        // From the last group on, so that the indices before stay right.
        for (group_index, group) in fleet.spec.groups.iter().enumerate().rev() {
            let Some(member) = group.clusters.iter().position(|name| *name == self.name) else { continue };
            changes.push(Change::Remove(if group.clusters.len() == 1 {
                format!("{GROUPS}/{group_index}")
            } else {
                format!("{GROUPS}/{group_index}/clusters/{member}")
            }));
        }
        let mut workspace = Workspace::new(tree);
        workspace.change_document(FLEET_FILE, 0, &changes)?;
        for path in files {
            workspace.delete(&path)?;
        }
        Ok(Plan { edits: workspace.finish(), warnings: lost })
    }
}

/// What owns a load balancer in a cluster: Services of Git, and the Services that ASM makes for gateways.
fn load_balancers(state: &FleetState, cluster: &str, id: Option<&str>) -> Vec<String> {
    let target = Target::Cluster(cluster.into());
    let is_door = |manifest: &&Manifest| {
        manifest.group_kind().is("", "Service")
            && manifest.object.at("/spec/type").and_then(Value::as_str) == Some("LoadBalancer")
    };
    let services = state.manifests_of(&target).filter(is_door).map(|service| {
        format!(
            "{} ({}) owns a load balancer in {cluster}: deleting it there loses its address, and the agent does so only \
             with an approval",
            service.id, service.position
        )
    });
    let names_cluster = |gateway: &&Manifest| {
        let ids = gateway.object.at("/spec/clusterIds").and_then(Value::as_array).into_iter().flatten();
        gateway.group_kind().is(ASM, "IstioGateway") && id.is_some_and(|id| ids.into_iter().any(|known| known == id))
    };
    let gateways = state.manifests_of(&Target::Mesh).filter(names_cluster).map(|gateway| {
        format!(
            "the gateway {} ({}) still runs in {cluster}: taking the cluster out of its clusterIds loses the load balancer \
             of Service istio-{} there",
            gateway.id.name, gateway.position, gateway.id.name
        )
    });
    services.chain(gateways).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::MemoryTree;

    const FLEET: &str = "\
# The shop.
apiVersion: kubectl-asm.io/v1alpha1
kind: Fleet
metadata:
  name: shop
spec:
  mesh:
    context: mesh # ASM instance
  # Clusters that joined the mesh.
  clusters:
    # the old one
    - name: m1c1
      id: c0123456789abcdef0123456789abcde1
    - name: m1c2 # the new one
  groups:
    - name: all
      clusters: [m1c1, m1c2]
    - name: old
      clusters:
        - m1c1
";

    fn fleet_with(files: &[(&str, &str)]) -> (MemoryTree, FleetState) {
        let mut tree: MemoryTree = files.iter().copied().collect();
        tree.insert(FLEET_FILE, FLEET);
        let state = FleetState::read(&tree);
        assert_eq!(state.problems, []);
        (tree, state)
    }

    fn after(plan: &Plan, path: &str) -> Option<String> {
        plan.edits.iter().find(|edit| edit.path == path).and_then(|edit| edit.after.clone())
    }

    /// What the plan changes of fleet.yaml, with a line around each place.
    fn changed(plan: &Plan, before: &str) -> String {
        let after = after(plan, FLEET_FILE).unwrap();
        similar::TextDiff::from_lines(before, &after).unified_diff().context_radius(1).to_string()
    }

    #[test]
    fn adding_keeps_comments() {
        let (tree, state) = fleet_with(&[]);
        let intent = AddCluster {
            name: "m1c3".to_owned(),
            id: Some("c0123456789abcdef0123456789abcde3".to_owned()),
            kubernetes_version: Some("1.33".to_owned()),
            groups: vec!["all".to_owned(), "new".to_owned()],
            ..AddCluster::default()
        };
        insta::assert_snapshot!(changed(&intent.plan(&tree, &state).unwrap(), FLEET), @"
        @@ -14,5 +14,8 @@
             - name: m1c2 # the new one
        +    - name: m1c3
        +      id: c0123456789abcdef0123456789abcde3
        +      kubernetesVersion: '1.33'
           groups:
             - name: all
        -      clusters: [m1c1, m1c2]
        +      clusters: [m1c1, m1c2, m1c3]
             - name: old
        @@ -20 +23,4 @@
                 - m1c1
        +    - name: new
        +      clusters:
        +        - m1c3
        ");
    }

    #[test]
    fn the_first_cluster_of_a_new_fleet() {
        let init = super::super::InitFleet { name: "shop".to_owned(), ..Default::default() };
        let edits = init.plan().unwrap().edits;
        let tree: MemoryTree = edits.iter().map(|edit| (&*edit.path, edit.after.as_deref().unwrap())).collect();
        let intent = AddCluster { name: "m1c1".to_owned(), groups: vec!["all".to_owned()], ..Default::default() };
        let plan = intent.plan(&tree, &FleetState::read(&tree)).unwrap();
        let before = String::from_utf8(tree.read(FLEET_FILE).unwrap()).unwrap();
        insta::assert_snapshot!(changed(&plan, &before), @"
        @@ -14,2 +14,7 @@
           # Clusters that joined the mesh. Add one with: kubectl asm cluster add NAME --id ACK-CLUSTER-ID
        -  clusters: []
        +  clusters:
        +    - name: m1c1
        +  groups:
        +    - name: all
        +      clusters:
        +        - m1c1
        ");
    }

    #[test]
    fn removing_takes_the_cluster_out_of_its_groups() {
        let (tree, state) = fleet_with(&[]);
        let intent = RemoveCluster { name: "m1c1".to_owned(), with_files: false };
        insta::assert_snapshot!(changed(&intent.plan(&tree, &state).unwrap(), FLEET), @"
        @@ -10,5 +10,2 @@
           clusters:
        -    # the old one
        -    - name: m1c1
        -      id: c0123456789abcdef0123456789abcde1
             - name: m1c2 # the new one
        @@ -16,5 +13,2 @@
             - name: all
        -      clusters: [m1c1, m1c2]
        -    - name: old
        -      clusters:
        -        - m1c1
        +      clusters: [m1c2]
        ");
    }

    #[test]
    fn files_and_load_balancers_are_not_lost_by_accident() {
        let service =
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: door\n  namespace: shop\nspec:\n  type: LoadBalancer\n";
        let (tree, state) = fleet_with(&[("clusters/m1c1/door.yaml", service)]);
        let mut intent = RemoveCluster { name: "m1c1".to_owned(), with_files: false };
        let error = intent.plan(&tree, &state).unwrap_err();
        assert_eq!(error.message, "clusters/m1c1/ still has files: clusters/m1c1/door.yaml");
        intent.with_files = true;
        let plan = intent.plan(&tree, &state).unwrap();
        assert!(plan.warnings[0].starts_with("Service shop/door (clusters/m1c1/door.yaml:1:1) owns a load balancer"));
        assert_eq!(after(&plan, "clusters/m1c1/door.yaml"), None);
        assert!(plan.edits.iter().any(|edit| edit.path == "clusters/m1c1/door.yaml"));
    }

    #[test]
    fn names_are_checked() {
        let (tree, state) = fleet_with(&[]);
        for name in ["mesh", "m1c1", "M1", ""] {
            assert!(AddCluster { name: name.to_owned(), ..Default::default() }.plan(&tree, &state).is_err(), "{name}");
        }
        let error = RemoveCluster { name: "m1c3".to_owned(), ..Default::default() }.plan(&tree, &state).unwrap_err();
        assert_eq!(error.hints[0], "did you mean m1c1?");
    }
}

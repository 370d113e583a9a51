//! A new fleet repository.

use super::fleet_view::check_name;
use super::text::plain_or_quoted;
use super::{AuthoringError, FileEdit, Plan};
use std::fmt::Write as _;

/// Start a fleet repository.
#[derive(Clone, Debug, Default)]
pub struct InitFleet {
    /// Name of the fleet, a DNS label.
    pub name: String,
    /// ID of the ASM instance.
    pub mesh_id: Option<String>,
    /// Region of the mesh.
    pub region: Option<String>,
    /// kubeconfig context of the mesh API.
    pub mesh_context: Option<String>,
}

impl InitFleet {
    /// The files of an empty fleet.
    pub fn plan(&self) -> Result<Plan, AuthoringError> {
        check_name("a fleet", &self.name, 63)?;
        let edits = vec![
            FileEdit::create("fleet.yaml", self.fleet_file()),
            FileEdit::create("README.md", self.readme()),
            // Git keeps no empty folders.
            FileEdit::create("mesh/.gitkeep", String::new()),
        ];
        Ok(Plan { edits, warnings: Vec::new() })
    }

    fn fleet_file(&self) -> String {
        let mut text = format!(
            "# The fleet: one ASM instance (the mesh), the clusters that joined it, and groups of them.
apiVersion: kubectl-asm.io/v1alpha1
kind: Fleet
metadata:
  name: {}
spec:
  mesh:
",
            plain_or_quoted(&self.name)
        );
        let mut field = |comment: &str, key: &str, value: &Option<String>, example: &str| {
            // Writing to a string does not fail.
            let _ = match value {
                Some(value) => writeln!(text, "    # {comment}\n    {key}: {}", plain_or_quoted(value)),
                None => writeln!(text, "    # {comment}\n    # {key}: {example}"),
            };
        };
        field(
            "ID of the ASM instance, as the console shows it.",
            "id",
            &self.mesh_id,
            "c0123456789abcdef0123456789abcdef",
        );
        field("Region of the ASM instance.", "region", &self.region, "cn-hangzhou");
        let context = Some(self.mesh_context.clone().unwrap_or_else(|| "mesh".to_owned()));
        field(
            "kubeconfig context that reaches the mesh's own API (not a member cluster).",
            "context",
            &context,
            "mesh",
        );
        text.push_str(
            "  # Clusters that joined the mesh. Add one with: kubectl asm cluster add NAME --id ACK-CLUSTER-ID
  clusters: []
",
        );
        text
    }

    fn readme(&self) -> String {
        format!(
            "# Fleet {}

The gateways, load balancers and routes of an Alibaba Cloud Service Mesh fleet. What is committed here is what runs:
`asm-agent` brings it to the clusters.

| folder | goes to |
|---|---|
| `mesh/` | the mesh's own API: IstioGateway, Gateway, VirtualService, DestinationRule |
| `groups/GROUP/` | every cluster that `fleet.yaml` puts in the group |
| `clusters/NAME/` | that cluster: Services, Deployments |
| `approvals/` | consent to steps that lose a load balancer's address |
| `tests/` | requests and where they must go |

Change files by hand or with `kubectl asm` (`kubectl asm --help`), look at the effect with `kubectl asm diff`, then commit.
",
            self.name
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{FleetState, MemoryTree};

    #[test]
    fn an_empty_fleet_has_no_problems() {
        let full = InitFleet {
            name: "shop".to_owned(),
            mesh_id: Some("c0123456789abcdef0123456789abcdef".to_owned()),
            region: Some("cn-hangzhou".to_owned()),
            mesh_context: Some("asm-shop".to_owned()),
        };
        for intent in [InitFleet { name: "shop".to_owned(), ..InitFleet::default() }, full] {
            let plan = intent.plan().unwrap();
            let tree: MemoryTree = plan.edits.iter().map(|e| (&*e.path, e.after.as_deref().unwrap())).collect();
            let state = FleetState::read(&tree);
            assert_eq!(state.problems, []);
            let mesh = state.fleet.unwrap().spec.mesh;
            assert_eq!((mesh.id, mesh.region), (intent.mesh_id, intent.region));
            assert_eq!(mesh.context, intent.mesh_context.or(Some("mesh".to_owned())));
        }
    }

    #[test]
    fn a_name_must_be_a_label() {
        for name in ["", "Shop", "-shop", "shop_1"] {
            let intent = InitFleet { name: name.to_owned(), ..InitFleet::default() };
            assert!(intent.plan().is_err(), "{name}");
        }
    }
}

//! Splitting what goes to one Service inside the mesh among its versions.

use super::super::fleet_view::fleet;
use super::super::workspace::Workspace;
use super::super::{AuthoringError, Plan};
use super::change::{self, Rule};
use super::{AddRoute, ApiVersion, Destination, Scope, SubsetSpec, Weight};
use crate::fleet::{FleetState, Manifest, Tree};
use crate::object::At as _;
use serde_json::Value;

/// Split the requests for a host among its subsets. Makes or changes the host's route for the sidecars of the mesh.
#[derive(Clone, Debug, Default)]
pub struct SplitRoute {
    /// Name of the Service, or a full host name.
    pub host: String,
    /// Namespace; when absent the manifests name none, which is `default`.
    pub namespace: Option<String>,
    /// Subsets to declare.
    pub subsets: Vec<SubsetSpec>,
    /// Shares of subsets; equal shares of all declared subsets when empty.
    pub weights: Vec<Weight>,
    /// Version of the Istio API to write.
    pub api_version: ApiVersion,
    /// Names that the fleet does not know are allowed.
    pub allow_unknown: bool,
}

impl SplitRoute {
    /// The edits.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        fleet(state)?;
        let scope = Scope { state, written: self.namespace.as_deref(), allow_unknown: self.allow_unknown };
        let destinations = self.destinations()?;
        if let Some(route) = self.existing(scope) {
            let rule = Rule::find(route, None).map_err(|error| {
                error.hint(format!("set one of them with: kubectl asm route weight {} --rule …", route.id.name))
            })?;
            let mut workspace = Workspace::new(tree);
            let warnings = change::set(&mut workspace, scope, &rule, &destinations, &self.subsets)?;
            return Ok(Plan { edits: workspace.finish(), warnings });
        }
        let add = AddRoute {
            name: self.host.split('.').next().unwrap_or(&self.host).to_owned(),
            namespace: self.namespace.clone(),
            hosts: vec![self.host.clone()],
            destinations,
            subsets: self.subsets.clone(),
            api_version: self.api_version,
            allow_unknown: self.allow_unknown,
            ..AddRoute::default()
        };
        add.plan(tree, state)
    }

    /// The route that the sidecars follow for the host.
    pub(super) fn existing<'a>(&self, scope: Scope<'a>) -> Option<&'a Manifest> {
        let wanted = scope.full_host(&self.host);
        scope.objects("VirtualService").find(|route| {
            let gateways = route.object.at("/spec/gateways").and_then(Value::as_array);
            let for_mesh = gateways.is_none_or(|gateways| gateways.iter().any(|gateway| gateway == "mesh"));
            let hosts = route.object.at("/spec/hosts").and_then(Value::as_array).into_iter().flatten();
            for_mesh && hosts.filter_map(Value::as_str).any(|host| scope.full_host(host) == wanted)
        })
    }

    pub(super) fn destinations(&self) -> Result<Vec<Destination>, AuthoringError> {
        let destination = |subset: &str, weight| Destination {
            host: self.host.clone(),
            port: None,
            subset: Some(subset.to_owned()),
            weight,
        };
        if !self.weights.is_empty() {
            return Ok(self.weights.iter().map(|weight| destination(&weight.name, weight.percent)).collect());
        }
        let count = u32::try_from(self.subsets.len()).unwrap_or(u32::MAX);
        if count == 0 || count > 100 {
            return Err(AuthoringError::new(format!("among which versions of {} is to be split?", self.host))
                .hint("say --subset v1,v2 for equal shares, or --to v1=90,v2=10"));
        }
        // What does not divide goes to the first ones: 34, 33, 33.
        let share = |index: usize| 100 / count + u32::from(index < (100 % count) as usize);
        Ok(self.subsets.iter().enumerate().map(|(i, subset)| destination(&subset.name, Some(share(i)))).collect())
    }
}

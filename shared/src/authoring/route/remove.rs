//! Removing a route, or one rule of it.

use super::super::fleet_view::fleet;
use super::super::workspace::{Change, Workspace};
use super::super::{AuthoringError, Plan};
use super::Scope;
use super::change::Rule;
use crate::fleet::{FleetState, Manifest, Tree};
use crate::istio::{DestinationRule, HttpAction, VirtualService, covers, gateway_name};
use crate::object::kinds::ISTIO_NETWORKING;

/// Remove a route or one of its rules.
#[derive(Clone, Debug)]
pub struct RemoveRoute {
    /// Name of the VirtualService.
    pub name: String,
    /// Its namespace; `default` when absent.
    pub namespace: Option<String>,
    /// Only this rule, by its name or its number from 1.
    pub rule: Option<String>,
    /// The Gateway and the DestinationRules of the same file go too where nothing else uses them.
    pub with_unused: bool,
}

impl RemoveRoute {
    /// The edit of the route's file.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        fleet(state)?;
        let scope = Scope { state, written: self.namespace.as_deref(), allow_unknown: false };
        let route = scope.route(&self.name)?;
        let mut workspace = Workspace::new(tree);
        let mut warnings = Vec::new();
        match &self.rule {
            Some(rule) => {
                let rule = Rule::locate(route, Some(rule))?;
                let view = VirtualService::read(&route.object);
                if view.http.len() == 1 && !view.has_other_rules {
                    return Err(AuthoringError::new(format!("{} has only this rule", route.id.name))
                        .at(&rule.position())
                        .hint(format!("remove the whole route: kubectl asm route remove {}", self.name)));
                }
                warnings.extend(falls_to(route, &view, rule.index));
                workspace.change(route, &[Change::Remove(rule.pointer(""))])?;
            }
            None => {
                let file = &*route.position.file;
                let unused = unused(scope, route);
                let mut objects = vec![route];
                if self.with_unused {
                    objects.extend(&unused);
                } else if !unused.is_empty() {
                    let names: Vec<_> =
                        unused.iter().map(|m| format!("{} {}", m.id.group_kind.kind, m.id.name)).collect();
                    warnings.push(format!(
                        "nothing uses {} any more; --with-unused removes {} too",
                        names.join(" and "),
                        if names.len() == 1 { "it" } else { "them" }
                    ));
                }
                warnings.extend(delegated(scope, route));
                workspace.remove_objects(file, &objects)?;
            }
        }
        Ok(Plan { edits: workspace.finish(), warnings })
    }
}

/// Where the requests go that a rule took.
fn falls_to(route: &Manifest, view: &VirtualService, index: usize) -> Vec<String> {
    let (Some(rule), later) = (view.http.get(index), view.http.get(index + 1..).unwrap_or_default()) else {
        return Vec::new();
    };
    let label = |found: usize| format!("rule {}", later[found].label(index + 1 + found));
    let tell = |entry: &crate::istio::HttpMatch| {
        let takes = |rule: &crate::istio::HttpRule| rule.matches.iter().any(|wide| covers(wide, entry));
        match later.iter().position(takes) {
            Some(found) if matches!(later[found].action, HttpAction::Redirect(_)) => {
                format!("{entry}: redirected by {} now", label(found))
            }
            Some(found) => format!("{entry}: goes to {} now", label(found)),
            None => format!("{entry}: answered with 404 where no later rule matches"),
        }
    };
    rule.matches.iter().map(|entry| format!("{}: {}", route.id.name, tell(entry))).collect()
}

/// The Gateways and DestinationRules of a route's file that nothing else uses.
fn unused<'a>(scope: Scope<'a>, route: &'a Manifest) -> Vec<&'a Manifest> {
    let others = || {
        scope
            .state
            .manifests
            .iter()
            .filter(|other| other.group_kind().is(ISTIO_NETWORKING, "VirtualService") && other.id != route.id)
    };
    let beside = scope.state.manifests.iter().filter(|m| m.position.file == route.position.file);
    beside
        .filter(|object| {
            let namespace = super::fleet_view::namespace(object);
            if object.group_kind().is(ISTIO_NETWORKING, "Gateway") {
                let binds = |other: &Manifest| {
                    VirtualService::read(&other.object).gateways.iter().any(|reference| {
                        let own = super::fleet_view::namespace(other);
                        gateway_name(reference, own) == Some((namespace, &*object.id.name))
                    })
                };
                !others().any(binds)
            } else if object.group_kind().is(ISTIO_NETWORKING, "DestinationRule") {
                let rule = DestinationRule::read(&object.object);
                let host = crate::istio::full_host(&rule.host, namespace);
                let names = |other: &Manifest| {
                    let own = super::fleet_view::namespace(other);
                    let mut destinations = VirtualService::destinations(&other.object).into_iter();
                    destinations.any(|(to, _)| to.subset.is_some() && crate::istio::full_host(&to.host, own) == host)
                };
                // A traffic policy works without a route.
                !rule.has_policy && !others().any(names)
            } else {
                false
            }
        })
        .collect()
}

/// Routes that leave requests to this one.
fn delegated(scope: Scope<'_>, route: &Manifest) -> Vec<String> {
    let names_it = |other: &&Manifest| {
        VirtualService::read(&other.object).http.iter().any(|rule| match &rule.action {
            HttpAction::Delegate(to) => to.get("name").and_then(serde_json::Value::as_str) == Some(&route.id.name),
            _ => false,
        })
    };
    let routes = scope.state.manifests.iter().filter(|other| other.group_kind().is(ISTIO_NETWORKING, "VirtualService"));
    routes
        .filter(names_it)
        .map(|other| format!("{} delegates to {}, which will be missing", other.position, route.id.name))
        .collect()
}

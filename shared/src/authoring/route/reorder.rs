//! Another place for a rule of a route.

use super::super::fleet_view::fleet;
use super::super::workspace::{Change, Workspace};
use super::super::{AuthoringError, Plan};
use super::change::Rule;
use super::reach::Order;
use super::{RulePlace, Scope};
use crate::fleet::{FleetState, Tree};
use crate::istio::VirtualService;

/// Move a rule of a route.
#[derive(Clone, Debug)]
pub struct MoveRule {
    /// Name of the VirtualService.
    pub name: String,
    /// Its namespace; `default` when absent.
    pub namespace: Option<String>,
    /// The rule, by its name or its number from 1.
    pub rule: String,
    /// Where it goes.
    pub place: RulePlace,
    /// It may hide other rules.
    pub force: bool,
}

impl MoveRule {
    /// The edit of the route's file.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        fleet(state)?;
        let scope = Scope { state, written: self.namespace.as_deref(), allow_unknown: false };
        let route = scope.route(&self.name)?;
        let from = Rule::locate(route, Some(&self.rule))?.index;
        let view = VirtualService::read(&route.object);
        let index = self.place.index(route, view.http.len())?;
        // The place counts the rule itself.
        let to = if index > from { index - 1 } else { index };
        let mut workspace = Workspace::new(tree);
        let mut warnings = Vec::new();
        if to != from {
            let mut after: Vec<_> =
                view.http.iter().cloned().enumerate().map(|(old, rule)| (Some(old), rule)).collect();
            let rule = after.remove(from);
            after.insert(to, rule);
            let order = Order { route, before: &view.http, after, subject: to, force: self.force };
            warnings = order.check()?;
            workspace.change(route, &[Change::Move("/spec/http".to_owned(), from, to)])?;
        }
        Ok(Plan { edits: workspace.finish(), warnings })
    }
}

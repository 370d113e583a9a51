//! A new rule in a route that is there already.

use super::super::fleet_view::{check_name, fleet};
use super::super::workspace::{Change, Workspace};
use super::super::{AuthoringError, Plan};
use super::change::declare;
use super::objects::{self, NewRule};
use super::reach::Order;
use super::subsets::with_weights;
use super::{Destination, MatchSpec, Redirect, RulePlace, Scope, SubsetSpec};
use crate::fleet::{FleetState, Tree};
use crate::istio::{HttpRule, VirtualService};

/// Insert a rule into a route.
#[derive(Clone, Debug)]
pub struct InsertRule {
    /// Name of the VirtualService.
    pub name: String,
    /// Its namespace; `default` when absent.
    pub namespace: Option<String>,
    /// Name of the new rule.
    pub rule_name: String,
    /// Where it goes.
    pub place: RulePlace,
    /// Requests it is for; all when empty.
    pub matches: Vec<MatchSpec>,
    /// What is done with them.
    pub action: RuleAction,
    /// Names that the fleet does not know are allowed.
    pub allow_unknown: bool,
    /// It may hide other rules.
    pub force: bool,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleAction {
    /// Sends requests to these, whose subsets and those named besides are declared.
    Route(Vec<Destination>, Vec<SubsetSpec>),
    /// Answers with a redirect.
    Redirect(Redirect),
}

impl InsertRule {
    /// The edit of the route's file, and of the DestinationRule that lacks a subset.
    pub fn plan(&self, tree: &dyn Tree, state: &FleetState) -> Result<Plan, AuthoringError> {
        fleet(state)?;
        let scope = Scope { state, written: self.namespace.as_deref(), allow_unknown: self.allow_unknown };
        let route = scope.route(&self.name)?;
        check_name("a rule", &self.rule_name, 63)?;
        let view = VirtualService::read(&route.object);
        if let Some(index) = view.http.iter().position(|rule| rule.name.as_ref() == Some(&self.rule_name)) {
            return Err(AuthoringError::new(format!("{} has a rule {} already", self.name, self.rule_name))
                .at(&route.position_of(&format!("/spec/http/{index}")))
                .hint(format!(
                    "change it with: kubectl asm route set {} --rule {} --to …",
                    self.name, self.rule_name
                )));
        }
        let mut workspace = Workspace::new(tree);
        let mut warnings = Vec::new();
        let (action, extra) = match &self.action {
            RuleAction::Route(destinations, subsets) => {
                let destinations = with_weights(destinations)?;
                for destination in &destinations {
                    warnings.extend(scope.check_destination(destination)?);
                }
                (objects::routes(&destinations), Some((destinations, subsets)))
            }
            RuleAction::Redirect(redirect) => {
                warnings.extend(redirect.loops(
                    scope,
                    route,
                    &self.matches.iter().map(MatchSpec::view).collect::<Vec<_>>(),
                ));
                (redirect.field()?, None)
            }
        };
        let new = NewRule { name: Some(&self.rule_name), matches: &self.matches, action: vec![action] };
        let value = objects::rule(&new).value();
        let index = self.place.index(route, view.http.len())?;
        let mut after: Vec<_> = view.http.iter().cloned().enumerate().map(|(old, rule)| (Some(old), rule)).collect();
        after.insert(index, (None, HttpRule::read(&value)));
        let order = Order { route, before: &view.http, after, subject: index, force: self.force };
        warnings.extend(order.check()?);
        if let Some((destinations, subsets)) = extra {
            warnings.extend(declare(&mut workspace, scope, route, &destinations, subsets)?);
        }
        let list = "/spec/http".to_owned();
        let change = if view.http.is_empty() {
            Change::Set(list, vec![value].into())
        } else {
            Change::Insert(list, index, value)
        };
        workspace.change(route, &[change])?;
        warnings.dedup();
        Ok(Plan { edits: workspace.finish(), warnings })
    }
}

//! Where among the rules of a route a rule may stand: the first rule that matches a request decides, so a rule behind a
//! wider one is never reached.

use super::super::AuthoringError;
use super::change::Rule;
use crate::fleet::Manifest;
use crate::istio::{Coverage, HttpRule, covered_by};

/// A place among the rules of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RulePlace {
    /// Before all others.
    First,
    /// Behind all others.
    #[default]
    Last,
    /// Before a rule, by its name or its number from 1.
    Before(String),
    /// Behind a rule, by its name or its number from 1.
    After(String),
}

impl RulePlace {
    /// The index among the rules as they are, from 0 to their number.
    pub(super) fn index(&self, route: &Manifest, count: usize) -> Result<usize, AuthoringError> {
        match self {
            Self::First => Ok(0),
            Self::Last => Ok(count),
            Self::Before(name) => Ok(Rule::locate(route, Some(name))?.index),
            Self::After(name) => Ok(Rule::locate(route, Some(name))?.index + 1),
        }
    }
}

/// The rules of a route in a new order, one of which is new or has a new place.
pub(super) struct Order<'a> {
    pub(super) route: &'a Manifest,
    /// As they are.
    pub(super) before: &'a [HttpRule],
    /// As they are to be, with the index that each has now.
    pub(super) after: Vec<(Option<usize>, HttpRule)>,
    /// Index of the rule that is new or moved.
    pub(super) subject: usize,
    /// Rules may be hidden.
    pub(super) force: bool,
}

impl Order<'_> {
    /// Refuses a place where the rule is never reached or hides another one; returns what is allowed but worth knowing.
    pub(super) fn check(&self) -> Result<Vec<String>, AuthoringError> {
        let rules: Vec<_> = self.after.iter().map(|(_, rule)| rule.clone()).collect();
        let mut warnings = Vec::new();
        let subject = self.name(self.subject);
        match covered_by(&rules, self.subject) {
            Coverage::Hidden(by) => {
                let first = by.first().copied().unwrap_or_default();
                let names: Vec<_> = by.iter().map(|index| self.placed(*index)).collect();
                let label = rules[first].label(self.after[first].0.unwrap_or(first));
                let takes = if names.len() == 1 { "takes" } else { "take" };
                return Err(AuthoringError::new(format!(
                    "{subject} would never be reached there: {} {takes} all its requests first",
                    names.join(" and ")
                ))
                .at(&self.position(first))
                .hint(format!("put it before that rule: --before {label}")));
            }
            Coverage::Partly(matches) => warnings.push(format!(
                "{subject} is not reached by {}: rules before it take those requests",
                self.matches(self.subject, &matches)
            )),
            Coverage::Reached => {}
        }
        for index in 0..rules.len() {
            if index == self.subject {
                continue;
            }
            let was = self.after[index].0.map(|old| covered_by(self.before, old));
            let now = covered_by(&rules, index);
            if was.as_ref() == Some(&now) {
                continue;
            }
            match (&was, &now) {
                (Some(Coverage::Hidden(_)), _) => {}
                (_, Coverage::Hidden(_)) => {
                    let what = format!("{} would never be reached any more", self.name(index));
                    let by = format!("{subject} takes all its requests first");
                    if !self.force {
                        return Err(AuthoringError::new(format!("{what}: {by}"))
                            .at(&self.position(index))
                            .hint(format!(
                                "match less, or put it behind that rule: --after {}",
                                rules[index].label(self.after[index].0.unwrap_or(index))
                            ))
                            .hint("if that is meant, add --force"));
                    }
                    warnings.push(format!("{} is never reached any more: {by}", self.placed(index)));
                }
                (_, Coverage::Partly(matches)) => {
                    let shown = self.matches(index, matches);
                    warnings
                        .push(format!("{} gets nothing any more by {shown}: {subject} takes it", self.placed(index)));
                }
                _ => {}
            }
        }
        Ok(warnings)
    }

    fn name(&self, index: usize) -> String {
        let (old, rule) = &self.after[index];
        match (old, &rule.name) {
            (None, None) => "the new rule".to_owned(),
            (old, _) => format!("rule {} of {}", rule.label(old.unwrap_or(index)), self.route.id.name),
        }
    }

    /// The name, and where it stands.
    fn placed(&self, index: usize) -> String {
        match self.after[index].0 {
            Some(_) => format!("{} ({})", self.name(index), self.position(index)),
            None => self.name(index),
        }
    }

    fn position(&self, index: usize) -> crate::fleet::Position {
        self.after[index]
            .0
            .map_or_else(|| self.route.position.clone(), |old| self.route.position_of(&format!("/spec/http/{old}")))
    }

    fn matches(&self, index: usize, matches: &[usize]) -> String {
        let (_, rule) = &self.after[index];
        let shown = matches.iter().filter_map(|number| rule.matches.get(*number)).map(ToString::to_string);
        shown.collect::<Vec<_>>().join(", ")
    }
}

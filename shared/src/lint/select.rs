//! What of the findings is wanted.

use super::finding::{Finding, Severity};
use super::registry;
use super::rule::{Rule, Status};
use super::upkeep::UPKEEP;
use std::collections::BTreeSet;

/// What of the findings is wanted. The whole fleet is judged all the same: what is wrong with one file often shows in
/// another.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Not below this.
    pub severity: Option<Severity>,
    /// For one of these targets; empty = any.
    pub targets: Vec<String>,
    /// In these files or folders, as paths inside the fleet repository; empty = any.
    pub paths: Vec<String>,
}

impl Selection {
    /// Is it wanted?
    pub fn wants(&self, finding: &Finding) -> bool {
        let targets = || finding.targets.iter().any(|target| self.targets.iter().any(|name| name == target.name()));
        self.severity.is_none_or(|least| finding.severity >= least)
            && is_in(&finding.place.position.file, &self.paths)
            && (self.targets.is_empty() || finding.targets.is_empty() || targets())
    }
}

/// Is a file one of these, or in one of these folders? Yes, if there are none.
pub(super) fn is_in(file: &str, paths: &[String]) -> bool {
    let below = |path: &String| {
        let rest = file.strip_prefix(path.as_str());
        path.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    paths.is_empty() || paths.iter().any(below)
}

/// An ID that is no rule's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no rule `{id}`")]
pub struct UnknownRule {
    /// The ID.
    pub id: String,
}

/// The rules to run: `only` these, or all that are on by default, without the others named. What keeps files from being
/// read is told in any case, unless it is left out by name: the other rules judge less when a file is missing.
///
/// # Errors
/// When an ID is no rule's.
pub fn rules_of(only: &[String], without: &[String]) -> Result<Vec<&'static Rule>, UnknownRule> {
    let known: BTreeSet<&str> = registry::all().map(|rule| rule.id).collect();
    if let Some(id) = only.iter().chain(without).find(|id| !known.contains(id.as_str())) {
        return Err(UnknownRule { id: id.clone() });
    }
    let named = |ids: &[String], rule: &Rule| ids.iter().any(|id| id == rule.id);
    let by_default = |rule: &Rule| matches!(rule.status, Status::Stable(_));
    let is_fleet = |rule: &Rule| UPKEEP.first().is_some_and(|fleet| fleet.id == rule.id);
    let wanted = |rule: &&'static Rule| {
        let chosen = if only.is_empty() { by_default(rule) } else { named(only, rule) || is_fleet(rule) };
        chosen && !named(without, rule)
    };
    Ok(registry::all().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(only: &[&str], without: &[&str]) -> Result<Vec<&'static str>, UnknownRule> {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        rules_of(&owned(only), &owned(without)).map(|rules| rules.iter().map(|rule| rule.id).collect())
    }

    #[test]
    fn the_files_are_judged_whatever_rules_are_named() {
        assert_eq!(ids(&["subset-pods"], &[]).unwrap(), ["fleet", "subset-pods"]);
        assert_eq!(ids(&["subset-pods"], &["fleet"]).unwrap(), ["subset-pods"]);
        assert!(!ids(&[], &["subset-pods"]).unwrap().contains(&"subset-pods"));
        assert_eq!(ids(&["subset-pod"], &[]).unwrap_err().to_string(), "there is no rule `subset-pod`");
        assert!(ids(&[], &["subset-pod"]).is_err());
    }
}

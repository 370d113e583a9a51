//! Which part of an application runs in which cluster, as written on a command line.

use super::AuthoringError;
use super::bookinfo::{BOOKINFO, Service, service};
use super::suggest::did_you_mean;
use std::fmt;

/// A service, or one version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Name of the service.
    pub service: String,
    /// One version; all of them when absent.
    pub version: Option<String>,
}

/// Where a workload runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementRule {
    /// What.
    pub workload: Workload,
    /// The clusters, by their names in fleet.yaml.
    pub clusters: Vec<String>,
}

/// Which part runs where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Everything in one cluster.
    All(String),
    /// The split of ASM's documentation over two clusters: `reviews-v3` in the first, everything else in the second.
    Split(String, String),
    /// Nowhere but where rules say.
    None,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.service)?;
        self.version.iter().try_for_each(|version| write!(f, "-{version}"))
    }
}

impl PlacementRule {
    /// Reads `SERVICE[-VERSION]=CLUSTER[,CLUSTER]…`, several of them separated by commas:
    /// `details=m1c2,reviews-v3=m1c1,m1c2` places `details` in one cluster and `reviews-v3` in two.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, AuthoringError> {
        let mut rules: Vec<Self> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (workload, cluster) = match part.split_once('=') {
                Some((workload, cluster)) => (Some(workload.trim()), cluster.trim()),
                None => (None, part),
            };
            if let Some(workload) = workload {
                rules.push(Self { workload: Workload::parse(workload)?, clusters: Vec::new() });
            }
            match rules.last_mut() {
                Some(rule) if !cluster.is_empty() => {
                    if !rule.clusters.iter().any(|known| known == cluster) {
                        rule.clusters.push(cluster.to_owned());
                    }
                }
                _ => {
                    return Err(AuthoringError::new(format!("`{text}` does not say what runs where"))
                        .hint("write SERVICE[-VERSION]=CLUSTER[,CLUSTER], for example details=m1c2,reviews-v3=m1c1"));
                }
            }
        }
        Ok(rules)
    }
}

impl Workload {
    /// Reads `SERVICE` or `SERVICE-VERSION` of Bookinfo.
    pub(super) fn parse(text: &str) -> Result<Self, AuthoringError> {
        if service(text).is_some() {
            return Ok(Self { service: text.to_owned(), version: None });
        }
        if let Some((name, version)) = text.rsplit_once('-')
            && let Some(service) = service(name)
        {
            if service.versions.iter().any(|known| known.name == version) {
                return Ok(Self { service: name.to_owned(), version: Some(version.to_owned()) });
            }
            let versions: Vec<_> = service.versions.iter().map(|version| version.name).collect();
            return Err(AuthoringError::new(format!("{name} has no version {version}"))
                .hint(format!("it has {}", versions.join(", "))));
        }
        let names = BOOKINFO.iter().map(|service| service.name);
        let all: Vec<_> = names.clone().collect();
        Err(AuthoringError::new(format!("bookinfo has no service {text}"))
            .hints(did_you_mean(text, names))
            .hint(format!("it has {}", all.join(", "))))
    }

    /// Is this version of this service meant?
    pub(super) fn covers(&self, service: &Service, version: &str) -> bool {
        self.service == service.name && self.version.as_deref().is_none_or(|meant| meant == version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, String> {
        let rules = PlacementRule::parse_list(text).map_err(|error| error.to_string())?;
        Ok(rules.into_iter().map(|rule| (rule.workload.to_string(), rule.clusters.join("+"))).collect())
    }

    #[test]
    fn commas_separate_rules_and_clusters() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(read("details=m1c2,ratings=m1c2"), Ok(vec![pair("details", "m1c2"), pair("ratings", "m1c2")]));
        assert_eq!(
            read("reviews-v3=m1c1, m1c2,m1c1,details=m1c2"),
            Ok(vec![pair("reviews-v3", "m1c1+m1c2"), pair("details", "m1c2")])
        );
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (text, message) in [
            ("m1c1", "`m1c1` does not say what runs where"),
            ("details=", "`details=` does not say what runs where"),
            ("reviews-v4=m1c1", "reviews has no version v4"),
            ("detials=m1c1", "bookinfo has no service detials"),
        ] {
            assert_eq!(read(text), Err(message.to_owned()));
        }
    }
}

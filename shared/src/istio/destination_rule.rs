//! `DestinationRule`: the versions of a host that routes can name.

use super::{items, text};
use crate::object::At as _;
use serde_json::{Map, Value};

/// A DestinationRule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DestinationRule {
    /// The host, as written.
    pub host: String,
    /// Its subsets.
    pub subsets: Vec<Subset>,
    /// Does it say more than which subsets there are (a traffic policy of its own or of a subset)?
    pub has_policy: bool,
}

/// One subset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subset {
    /// Name.
    pub name: String,
    /// Labels of its pods.
    pub labels: Map<String, Value>,
}

/// Labels that the control plane adds to endpoints by where they are: no pod has them.
const OF_PLACES: &[&str] = &["topology.", "region", "zone", "failure-domain."];

impl Subset {
    /// The labels that its pods themselves must have.
    pub fn of_pods(&self) -> Map<String, Value> {
        let mut labels = self.labels.clone();
        labels.retain(|key, _| !OF_PLACES.iter().any(|place| key.starts_with(place)));
        labels
    }
}

impl DestinationRule {
    /// Reads an object.
    pub fn read(object: &Value) -> Self {
        let all = items(object, "/spec/subsets");
        let subsets = all.iter().filter_map(|subset| {
            let labels = subset.get("labels").and_then(Value::as_object).cloned().unwrap_or_default();
            Some(Subset { name: text(subset, "/name")?, labels })
        });
        let policy = |value: &Value, pointer: &str| value.at(pointer).is_some_and(|policy| !policy.is_null());
        Self {
            host: text(object, "/spec/host").unwrap_or_default(),
            subsets: subsets.collect(),
            has_policy: policy(object, "/spec/trafficPolicy") || all.iter().any(|s| policy(s, "/trafficPolicy")),
        }
    }
}

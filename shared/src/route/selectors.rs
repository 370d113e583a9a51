//! Objects by the labels that they select, so that the pods of a gateway need not be held against every selector of the
//! fleet: with a thousand gateways, that would be a million comparisons.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};

/// Selectors that ask for something, by the one of their labels that the fewest others ask for.
#[derive(Debug, Default)]
pub(super) struct Selectors<'s> {
    all: Vec<Option<&'s Map<String, Value>>>,
    by_label: HashMap<(&'s str, &'s str), Vec<usize>>,
}

impl<'s> Selectors<'s> {
    /// Those given are numbered in their order. One without labels chooses nothing.
    pub(super) fn of(all: impl IntoIterator<Item = Option<&'s Map<String, Value>>>) -> Self {
        let all: Vec<_> = all.into_iter().collect();
        let mut frequency: HashMap<(&str, &str), usize> = HashMap::new();
        for label in all.iter().copied().flatten().flat_map(labels) {
            *frequency.entry(label).or_default() += 1;
        }
        let mut by_label: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
        for (number, selector) in all.iter().enumerate() {
            let rarest = selector.and_then(|it| labels(it).min_by_key(|label| frequency.get(label).copied()));
            if let Some(label) = rarest {
                by_label.entry(label).or_default().push(number);
            }
        }
        Self { all, by_label }
    }

    /// The numbers of those that choose pods with these labels, in their order.
    pub(super) fn choosing(&self, pods: &BTreeMap<String, String>) -> Vec<usize> {
        let near = pods.iter().filter_map(|(key, value)| self.by_label.get(&(key.as_str(), value.as_str())));
        let has = |(key, value): (&String, &Value)| pods.get(key).map(String::as_str) == value.as_str();
        let chooses = |number: &&usize| self.all.get(**number).copied().flatten().is_some_and(|it| it.iter().all(has));
        let mut found: Vec<usize> = near.flatten().filter(chooses).copied().collect();
        found.sort_unstable();
        found
    }
}

fn labels(selector: &Map<String, Value>) -> impl Iterator<Item = (&str, &str)> {
    selector.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn those_choose_whose_labels_are_all_there() {
        let written = [
            json!({"app": "gateway", "istio": "a"}),
            json!({"app": "gateway"}),
            json!({}),
            json!({"istio": "b", "app": "gateway"}),
            json!({"app": "other"}),
        ];
        let selectors = Selectors::of(written.iter().map(Value::as_object).chain([None]));
        let choosing = |labels: &[(&str, &str)]| {
            let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            selectors.choosing(&labels)
        };
        assert_eq!(choosing(&[("app", "gateway"), ("istio", "a"), ("x", "y")]), [0, 1]);
        assert_eq!(choosing(&[("app", "gateway"), ("istio", "b")]), [1, 3]);
        assert_eq!(choosing(&[("app", "gateway")]), [1]);
        assert_eq!(choosing(&[("istio", "a")]), [0; 0]);
        assert_eq!(choosing(&[]), [0; 0]);
    }
}

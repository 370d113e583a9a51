//! Which Services stand in front of which pods.

use super::{Pod, Service};
use crate::fleet::Target;
use std::collections::HashMap;

/// Services by place and one label of their selector, so that a pod need not be held against every Service.
#[derive(Debug, Default)]
pub(in crate::lint) struct Selections<'a> {
    by_label: HashMap<(&'a str, Target, String, String), Vec<usize>>,
}

impl<'a> Selections<'a> {
    pub(super) fn of(services: &[Service<'a>]) -> Self {
        let mut selections = Self::default();
        for (index, service) in services.iter().enumerate() {
            let first = service
                .selector
                .iter()
                .flat_map(|selector| selector.iter())
                .find_map(|(key, value)| Some((key, value.as_str()?)));
            if let Some((key, value)) = first {
                let place = (service.namespace, service.target.clone(), key.clone(), value.to_owned());
                selections.by_label.entry(place).or_default().push(index);
            }
        }
        selections
    }

    /// The Services that select a pod, in their order (indices).
    pub(super) fn find(&self, services: &[Service<'a>], pod: &Pod<'a>) -> Vec<usize> {
        let Some(target) = &pod.target else { return Vec::new() };
        let labels = pod.labels.iter().filter_map(|(key, value)| Some((key, value.as_str()?)));
        let near = labels.filter_map(|(key, value)| {
            self.by_label.get(&(pod.namespace, target.clone(), key.clone(), value.to_owned()))
        });
        let mut found: Vec<usize> = near
            .flatten()
            .copied()
            .filter(|index| services.get(*index).is_some_and(|service| service.selects(pod)))
            .collect();
        found.sort_unstable();
        found
    }
}

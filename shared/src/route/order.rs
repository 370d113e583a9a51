//! Which of two objects is older. istiod lets the older one win; of one age, name and then namespace decide.

use super::table::Options;
use crate::fleet::Manifest;
use jiff::Timestamp;
use std::cmp::Ordering;

/// What is known of the ages of objects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ages<'o> {
    options: &'o Options,
}

impl<'o> Ages<'o> {
    pub(super) fn of(options: &'o Options) -> Self {
        Self { options }
    }

    /// When the object was created, as far as is known.
    fn created(self, manifest: &Manifest) -> Option<Timestamp> {
        let written = || manifest.object.get("metadata")?.get("creationTimestamp")?.as_str()?.parse().ok();
        self.options.created.get(&manifest.id).copied().or_else(written)
    }

    /// The order in which istiod takes two objects, where an unknown age is the oldest.
    pub(super) fn compare(self, a: &Manifest, b: &Manifest) -> Ordering {
        self.created(a).cmp(&self.created(b)).then_with(|| by_name(a, b))
    }

    /// The same, when it is known for sure.
    pub(super) fn known(self, a: &Manifest, b: &Manifest) -> Option<Ordering> {
        if a.id == b.id {
            return Some(Ordering::Equal);
        }
        if self.options.same_age || (self.created(a).is_some() && self.created(b).is_some()) {
            return Some(self.compare(a, b));
        }
        None
    }
}

fn by_name(a: &Manifest, b: &Manifest) -> Ordering {
    a.id.name.cmp(&b.id.name).then_with(|| a.id.namespace.cmp(&b.id.namespace))
}

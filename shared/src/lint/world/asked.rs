//! What a rule asks for, and what of a fleet differs from an earlier look. A rule that asked for nothing that differs says what it said.

use crate::fleet::{Fleet, FleetState, Manifest};
use crate::object::GroupKind;
use crate::object::kinds::{ASM, ISTIO_NETWORKING};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What is made of objects of certain kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Whatever there is.
    Everything,
    Fleet,
    Pods,
    Services,
    Entries,
    Gateways,
    Routes,
    DestinationRules,
}

impl Part {
    const ALL: [Self; 8] = [
        Self::Everything,
        Self::Fleet,
        Self::Pods,
        Self::Services,
        Self::Entries,
        Self::Gateways,
        Self::Routes,
        Self::DestinationRules,
    ];

    fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The kinds of which it is made.
    fn kinds(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Everything | Self::Fleet => &[],
            Self::Pods => PODS,
            Self::Services => &[("", "Service"), (ASM, "IstioGateway")],
            Self::Entries => &[(ISTIO_NETWORKING, "ServiceEntry")],
            Self::Gateways => &[(ISTIO_NETWORKING, "Gateway")],
            Self::Routes => &[(ISTIO_NETWORKING, "VirtualService")],
            Self::DestinationRules => &[(ISTIO_NETWORKING, "DestinationRule")],
        }
    }

    /// Where an IstioGateway runs, `fleet.yaml` says; which pods a Gateway has, their labels.
    fn needs(self) -> &'static [Self] {
        match self {
            Self::Pods | Self::Services => &[Self::Fleet],
            Self::Gateways => &[Self::Fleet, Self::Pods],
            _ => &[],
        }
    }
}

/// Every kind of a group.
pub(super) const ANY: &str = "*";

/// What makes pods.
const PODS: &[(&str, &str)] = &[
    ("", "Pod"),
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("apps", "ReplicaSet"),
    ("batch", "Job"),
    ("batch", "CronJob"),
    (ASM, "IstioGateway"),
];

/// What is asked for by and by.
#[derive(Debug, Default)]
pub(super) struct Asking {
    parts: Cell<u8>,
    kinds: RefCell<Vec<(Box<str>, Box<str>)>>,
}

impl Asking {
    pub(super) fn part(&self, part: Part) {
        self.parts.set(self.parts.get() | part.bit());
    }

    pub(super) fn kind(&self, group: &str, kind: &str) {
        let mut kinds = self.kinds.borrow_mut();
        if !kinds.iter().any(|(known, of)| **known == *group && **of == *kind) {
            kinds.push((group.into(), kind.into()));
        }
    }

    pub(super) fn end(self) -> Asked {
        Asked { parts: self.parts.get(), kinds: self.kinds.into_inner() }
    }
}

/// What a rule has asked for.
#[derive(Clone, Debug, Default)]
pub(in crate::lint) struct Asked {
    parts: u8,
    kinds: Vec<(Box<str>, Box<str>)>,
}

impl Asked {
    fn has(&self, part: Part) -> bool {
        let own = self.parts & part.bit() != 0;
        own || Part::ALL.into_iter().any(|it| self.parts & it.bit() != 0 && it.needs().contains(&part))
    }
}

/// A fleet as it was seen: it keeps what it compares with, so that nothing else comes to stand in the same place.
#[derive(Debug, Default)]
pub(in crate::lint) struct Seen {
    fleet: Option<Fleet>,
    by_kind: HashMap<GroupKind, Vec<Manifest>>,
}

/// What differs between two looks.
#[derive(Debug, Default)]
pub(in crate::lint) struct Changes {
    fleet: bool,
    kinds: HashSet<GroupKind>,
}

impl Seen {
    /// Sees the fleet as it is now; what differs from the last time.
    pub(in crate::lint) fn look(&mut self, state: &FleetState) -> Changes {
        let mut now: HashMap<&GroupKind, Vec<&Manifest>> = HashMap::new();
        for manifest in &state.manifests {
            now.entry(manifest.group_kind()).or_default().push(manifest);
        }
        let mut changes = Changes { fleet: self.fleet != state.fleet, kinds: HashSet::new() };
        for gone in self.by_kind.keys().filter(|kind| !now.contains_key(kind)) {
            changes.kinds.insert(gone.clone());
        }
        self.by_kind.retain(|kind, _| !changes.kinds.contains(kind));
        for (kind, manifests) in now {
            let known = self.by_kind.get(kind);
            let same = known.is_some_and(|known| {
                known.len() == manifests.len() && known.iter().zip(&manifests).all(|(one, other)| is_same(one, other))
            });
            if !same {
                changes.kinds.insert(kind.clone());
                self.by_kind.insert(kind.clone(), manifests.into_iter().cloned().collect());
            }
        }
        if changes.fleet {
            self.fleet = state.fleet.clone();
        }
        changes
    }
}

impl Changes {
    /// Is something else than it was that has been asked for?
    pub(in crate::lint) fn touch(&self, asked: &Asked) -> bool {
        asked.has(Part::Everything)
            || (self.fleet && asked.has(Part::Fleet))
            || self.kinds.iter().any(|kind| {
                let mut of_parts = Part::ALL.into_iter().filter(|part| asked.has(*part)).flat_map(|part| part.kinds());
                of_parts.any(|(group, name)| kind.is(group, name))
                    || asked
                        .kinds
                        .iter()
                        .any(|(group, name)| *kind.group == **group && (**name == *ANY || *kind.kind == **name))
            })
    }
}

/// Does a manifest say the same, in the same place? Patches make objects anew, so those are compared as they are.
fn is_same(one: &Manifest, other: &Manifest) -> bool {
    one.target == other.target
        && Arc::ptr_eq(&one.document, &other.document)
        && one.position == other.position
        && one.patched_by == other.patched_by
        && (Arc::ptr_eq(&one.object, &other.object) || one.object == other.object)
}

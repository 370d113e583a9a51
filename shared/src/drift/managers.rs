//! Which field managers are people, and which are controllers: people's changes are overridden, controllers' reported.
//!
//! The list is of people, because a controller that is overridden fights back for ever, while a person who is asked once
//! too often only has to answer (the idea is Kluctl's).

use crate::api::AuthorKind;

/// Who is behind a field manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManagerClass {
    /// The agent itself.
    Ours,
    /// A person's tool: kubectl, the console, a terminal or desktop client.
    Human,
    /// Anything else.
    Controller,
}

/// Managers, or the beginning of them up to a `-`, that a person drives.
const HUMAN: &[&str] = &[
    "kubectl",
    "kubectl-asm",
    "asm-console",
    "ack-console",
    "console",
    "before-first-apply",
    "curl",
    "k9s",
    "Lens",
    "OpenLens",
    "Mozilla",
    "rancher",
    "python-requests",
];

/// Classifies a field manager by its name.
pub fn class_of(manager: &str) -> ManagerClass {
    if manager == crate::api::labels::FIELD_MANAGER {
        return ManagerClass::Ours;
    }
    let human = HUMAN.iter().any(|known| {
        manager.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '/', '_']))
    });
    if human { ManagerClass::Human } else { ManagerClass::Controller }
}

/// How a report calls the class. Our own name with another operation is somebody who took it: a controller, as far as is
/// known.
pub fn author_kind(manager: &str) -> AuthorKind {
    match class_of(manager) {
        ManagerClass::Human => AuthorKind::Human,
        ManagerClass::Ours | ManagerClass::Controller => AuthorKind::Controller,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_controllers() {
        for human in ["kubectl", "kubectl-edit", "kubectl-client-side-apply", "asm-console", "k9s", "curl"] {
            assert_eq!(class_of(human), ManagerClass::Human, "{human}");
        }
        for controller in ["kube-controller-manager", "cloud-controller-manager", "consolectl", "hpa", "", "curly"] {
            assert_eq!(class_of(controller), ManagerClass::Controller, "{controller}");
        }
        assert_eq!(class_of("asm-agent"), ManagerClass::Ours);
    }
}

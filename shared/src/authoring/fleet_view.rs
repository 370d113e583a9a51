//! Questions that several intents ask of a fleet.

use super::AuthoringError;
use super::suggest::did_you_mean;
use crate::fleet::{Cluster, Fleet, FleetState, Manifest, Tree};

/// The fleet file, or an error that says why there is none.
pub(super) fn fleet(state: &FleetState) -> Result<&Fleet, AuthoringError> {
    state.fleet.as_ref().ok_or_else(|| {
        let problem = state.problems.iter().find(|problem| problem.targets.is_empty());
        let error = AuthoringError::new("fleet.yaml cannot be used");
        match problem {
            Some(problem) => {
                let error =
                    AuthoringError { position: problem.position.clone(), ..AuthoringError::new(&*problem.message) };
                error.hints(problem.hint.clone())
            }
            None => error.hint("see: kubectl asm cluster list"),
        }
    })
}

/// A member cluster by its name.
pub(super) fn cluster<'a>(fleet: &'a Fleet, name: &str) -> Result<&'a Cluster, AuthoringError> {
    let clusters = &fleet.spec.clusters;
    clusters.iter().find(|cluster| cluster.name == name).ok_or_else(|| {
        let known: Vec<_> = clusters.iter().map(|cluster| cluster.name.as_str()).collect();
        let error = AuthoringError::new(format!("fleet.yaml has no cluster {name}"));
        if known.is_empty() {
            error.hint(format!("add it with: kubectl asm cluster add {name} --id ACK-CLUSTER-ID"))
        } else {
            let nearest = did_you_mean(name, known.iter().copied());
            error.hints(nearest).hint(format!("the fleet has {}", known.join(", ")))
        }
    })
}

/// The namespace of an object; what Git does not say is `default`, as for the API server.
pub(super) fn namespace(manifest: &Manifest) -> &str {
    manifest.id.namespace.as_deref().unwrap_or("default")
}

/// Fails when a file is there already.
pub(super) fn ensure_free(tree: &dyn Tree, path: &str) -> Result<(), AuthoringError> {
    match tree.read(path) {
        Ok(_) => Err(AuthoringError::new(format!("{path} exists already"))
            .hint("edit that file, or remove it first (git rm) if it is not wanted")),
        Err(_) => Ok(()),
    }
}

/// Is it a DNS label (lower-case letters, digits and dashes) of at most this length?
pub(super) fn check_name(what: &str, name: &str, longest: usize) -> Result<(), AuthoringError> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = !name.is_empty()
        && name.len() <= longest
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if good {
        return Ok(());
    }
    Err(AuthoringError::new(format!("`{name}` cannot be the name of {what}")).hint(format!(
        "use lower-case letters, digits and dashes, at most {longest} characters, beginning and ending with a letter or digit"
    )))
}

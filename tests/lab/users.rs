//! Who may talk to the API servers. One token per user, so that the audit log tells them apart.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// A person with all rights: the user of `Lab::kubeconfig`.
pub const ADMIN: &str = "admin";
/// Plays a person at the ASM console.
pub const CONSOLE: &str = "asm-console";
/// What the kubeconfigs that the agent gets for the mesh and the members say.
pub const AGENT: &str = "asm-agent";
/// The agent on the host cluster. Has only the rights that the applied RBAC manifest gives.
pub const AGENT_SERVICE_ACCOUNT: &str = "system:serviceaccount:asm-system:asm-agent";
/// A user without any right but those that a test gives: what the kubeconfigs of a careful administrator say.
pub const LIMITED: &str = "asm-agent-limited";
/// A person who is known by name.
pub const ALICE: &str = "alice";
/// The simulated ASM controller.
pub const ASM_CONTROLLER: &str = "asm-controller";
/// The simulated cloud controller manager.
pub const CLOUD_CONTROLLER: &str = "cloud-controller-manager";
/// The simulated kubelets.
pub const KUBELET: &str = "kubelet";
/// kube-controller-manager.
pub const CONTROLLER_MANAGER: &str = "system:kube-controller-manager";
/// istiod of the data plane.
pub const ISTIOD: &str = "istiod";
/// The lab itself: start-up, readiness, `apply_yaml`.
pub const LAB: &str = "lab";

const MASTERS: &str = "system:masters";

/// User and groups, in the order of the token file.
const USERS: [(&str, &str); 12] = [
    (ADMIN, MASTERS),
    (CONSOLE, MASTERS),
    (AGENT, MASTERS),
    (AGENT_SERVICE_ACCOUNT, "system:serviceaccounts,system:serviceaccounts:asm-system,system:authenticated"),
    (LIMITED, "system:authenticated"),
    (ASM_CONTROLLER, MASTERS),
    (CLOUD_CONTROLLER, MASTERS),
    (KUBELET, MASTERS),
    (CONTROLLER_MANAGER, MASTERS),
    (ISTIOD, MASTERS),
    (LAB, MASTERS),
    (ALICE, MASTERS),
];

/// The tokens of one lab.
#[derive(Debug, Clone)]
pub struct Tokens(BTreeMap<&'static str, String>);

impl Tokens {
    /// Makes tokens that nobody can guess who does not know `secret`.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let token = |user: &str| {
            let mut hash = Sha256::new();
            hash.update(secret);
            hash.update(user);
            crate::hex(&hash.finalize())[..32].to_owned()
        };
        Self(USERS.iter().map(|(user, _)| (*user, token(user))).collect())
    }

    /// The token of a user.
    pub fn of(&self, user: &str) -> Result<&str> {
        self.0
            .get(user)
            .map(String::as_str)
            .with_context(|| format!("the lab has no user {user:?}; it has {}", USERS.map(|(user, _)| user).join(", ")))
    }

    /// The text of `--token-auth-file`: CSV with token, user, user ID and quoted groups.
    #[must_use]
    pub fn file(&self) -> String {
        let mut text = String::new();
        for (user, groups) in USERS {
            let _ = writeln!(text, "{},{user},{user},\"{groups}\"", self.0[user]);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_file_has_one_line_per_user() {
        let tokens = Tokens::new(b"secret");
        let file = tokens.file();
        assert_eq!(file.lines().count(), USERS.len());
        let admin = tokens.of(ADMIN).unwrap();
        assert!(file.starts_with(&format!("{admin},admin,admin,\"system:masters\"\n")), "{file}");
        assert_ne!(admin, tokens.of(CONSOLE).unwrap());
        assert_ne!(admin, Tokens::new(b"other").of(ADMIN).unwrap());
    }

    #[test]
    fn the_agents_service_account_is_no_master() {
        let file = Tokens::new(b"x").file();
        let line = file.lines().find(|l| l.contains(AGENT_SERVICE_ACCOUNT)).unwrap();
        assert!(!line.contains(MASTERS));
        assert!(line.ends_with("\"system:serviceaccounts,system:serviceaccounts:asm-system,system:authenticated\""));
    }

    #[test]
    fn an_unknown_user_is_an_error_that_names_the_known_ones() {
        let error = Tokens::new(b"x").of("nobody").unwrap_err().to_string();
        assert!(error.contains("nobody") && error.contains(CONSOLE), "{error}");
    }
}

//! Kubeconfigs that come from a Secret, by an allow-list.
//!
//! A kubeconfig can run programs (`exec`), read files, send credentials through a proxy or to an unverified server, and
//! act as somebody else. Nothing of that may be decided by whoever writes a Secret (CVE-2022-24817), so only an API
//! server, its authority and plain credentials are taken; every other field is refused by name. The plugin reads its
//! user's own kubeconfig without this.

mod address;
mod fields;
#[cfg(test)]
mod tests;

pub use address::check_host;

use std::fmt;

use serde_json::{Map, Value};

use crate::yaml;

/// A secret text: no `Debug` output shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the place where it is used.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(redacted)")
    }
}

/// What is left of a kubeconfig: the cluster and user of its current context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafeKubeconfig {
    /// `https://HOST[:PORT][/PATH]`.
    pub server: String,
    /// Certificates (PEM) of the authorities of the server; the system's when absent.
    pub certificate_authority: Option<String>,
    /// Name expected in the server's certificate, when it is not the host of `server`.
    pub tls_server_name: Option<String>,
    /// Do not ask for compressed answers.
    pub disable_compression: bool,
    /// Bearer token.
    pub token: Option<Secret>,
    /// Client certificate (PEM) and its key (PEM).
    pub client_certificate: Option<(String, Secret)>,
    /// User name and password.
    pub basic: Option<(String, Secret)>,
}

/// One reason why a kubeconfig is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}; {hint}")]
pub struct KubeconfigProblem {
    /// Where: `users[admin].user.exec`. Empty for the whole text.
    pub field: String,
    /// Why not. Never holds a value of the kubeconfig.
    pub reason: String,
    /// What to do.
    pub hint: String,
}

/// When the first certificate of a PEM text ends. None when there is none that can be read: the API server will say so.
pub fn certificate_end(pem: &str) -> Option<jiff::Timestamp> {
    let found = x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes()).next()?.ok()?;
    let end = found.parse_x509().ok()?.validity().not_after.timestamp();
    jiff::Timestamp::from_second(end).ok()
}

/// Where a kubeconfig that the agent can use comes from.
const HOW: &str = "use the kubeconfig that the ACK or ASM console shows for this cluster, or one with the token of a \
                   service account";

/// Takes the current context's cluster and user out of a kubeconfig (YAML or JSON).
///
/// # Errors
/// Everything that is refused, at once. No text holds a value of the kubeconfig.
pub fn sanitize(text: &str) -> Result<SafeKubeconfig, Vec<KubeconfigProblem>> {
    let whole = |reason: String| vec![problem("kubeconfig", reason, HOW)];
    let limits = yaml::Limits { bytes: 1 << 20, documents: 2, nodes: 20_000, depth: 32, aliases: 0 };
    // Only the place: the reader's message may quote the text.
    let mut documents = yaml::read(text.as_bytes(), &limits)
        .map_err(|error| whole(format!("it cannot be read (line {}, column {})", error.line, error.column)))?;
    match (documents.pop(), documents.pop()) {
        (Some(document), None) => sanitize_value(&document.value),
        (None, _) => Err(whole("it is empty".to_owned())),
        (Some(_), Some(_)) => Err(whole("it holds several documents".to_owned())),
    }
}

/// Like [`sanitize`], for a kubeconfig that has been parsed.
///
/// # Errors
/// Everything that is refused, at once. No text holds a value of the kubeconfig.
pub fn sanitize_value(value: &Value) -> Result<SafeKubeconfig, Vec<KubeconfigProblem>> {
    let Value::Object(root) = value else {
        return Err(vec![problem("kubeconfig", "it is not a map", HOW)]);
    };
    let mut problems = Vec::new();
    fields::check_root(root, &mut problems);
    let found = select(root, &mut problems).and_then(|(cluster, user)| {
        let cluster = fields::cluster(cluster, &mut problems);
        let user = fields::user(user, &mut problems);
        Some((cluster?, user?))
    });
    match found {
        Some((cluster, user)) if problems.is_empty() => Ok(SafeKubeconfig {
            server: cluster.server,
            certificate_authority: cluster.certificate_authority,
            tls_server_name: cluster.tls_server_name,
            disable_compression: cluster.disable_compression,
            token: user.token,
            client_certificate: user.client_certificate,
            basic: user.basic,
        }),
        _ => {
            if problems.is_empty() {
                problems.push(problem("kubeconfig", "it is not complete", HOW));
            }
            Err(problems)
        }
    }
}

/// A map of the kubeconfig and where it stands.
struct Section<'a> {
    path: String,
    fields: &'a Map<String, Value>,
}

/// The cluster and user of the current context.
fn select<'a>(
    root: &'a Map<String, Value>,
    problems: &mut Vec<KubeconfigProblem>,
) -> Option<(Section<'a>, Section<'a>)> {
    let current = root.get("current-context").and_then(Value::as_str).filter(|name| !name.is_empty());
    let Some(current) = current else {
        let hint = "choose one: kubectl config use-context NAME --kubeconfig FILE";
        problems.push(problem("current-context", "it is not set", hint));
        return None;
    };
    let context = entry(root, "contexts", "context", current, problems)?;
    fields::check_context(&context, problems);
    let mut of = |field: &str, list: &str, inner: &str| {
        let named = context.fields.get(field).and_then(Value::as_str).filter(|name| !name.is_empty());
        let Some(named) = named else {
            problems.push(problem(format!("{}.{field}", context.path), "it is not set", HOW));
            return None;
        };
        entry(root, list, inner, named, problems)
    };
    let cluster = of("cluster", "clusters", "cluster");
    let user = of("user", "users", "user");
    Some((cluster?, user?))
}

/// The entry of this name in `clusters`, `users` or `contexts`.
fn entry<'a>(
    root: &'a Map<String, Value>,
    list: &str,
    inner: &str,
    name: &str,
    problems: &mut Vec<KubeconfigProblem>,
) -> Option<Section<'a>> {
    let path = format!("{list}[{}]", fields::shown(name));
    let entries = root.get(list).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut found = entries
        .iter()
        .filter_map(Value::as_object)
        .filter(|entry| entry.get("name").and_then(Value::as_str) == Some(name));
    let Some(entry) = found.next() else {
        problems.push(problem(path, "there is no entry of this name", HOW));
        return None;
    };
    if found.next().is_some() {
        problems.push(problem(path, "there are several entries of this name", "leave one"));
        return None;
    }
    for field in entry.keys().filter(|field| *field != "name" && *field != inner) {
        problems.push(fields::unknown(&path, field));
    }
    match entry.get(inner) {
        Some(Value::Object(fields)) => Some(Section { path: format!("{path}.{inner}"), fields }),
        _ => {
            problems.push(problem(format!("{path}.{inner}"), "it is not set", HOW));
            None
        }
    }
}

fn problem(field: impl Into<String>, reason: impl Into<String>, hint: impl Into<String>) -> KubeconfigProblem {
    KubeconfigProblem { field: field.into(), reason: reason.into(), hint: hint.into() }
}

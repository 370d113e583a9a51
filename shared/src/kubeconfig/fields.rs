//! The fields one by one: what is taken, and what is said about the rest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{HOW, KubeconfigProblem, Secret, Section, problem};

pub(super) struct Cluster {
    pub(super) server: String,
    pub(super) certificate_authority: Option<String>,
    pub(super) tls_server_name: Option<String>,
    pub(super) disable_compression: bool,
}

pub(super) struct User {
    pub(super) token: Option<Secret>,
    pub(super) client_certificate: Option<(String, Secret)>,
    pub(super) basic: Option<(String, Secret)>,
}

/// Fields of a user and a cluster that are known and refused: why, and what to do.
fn refusal(field: &str) -> Option<(&'static str, &'static str)> {
    const EMBED: &str = "put the content in the kubeconfig: kubectl config view --raw --flatten --minify";
    const TOKEN: &str = "use the token of a service account: kubectl create token NAME, or a token Secret for one that \
                         does not expire";
    Some(match field {
        "exec" => ("it would run a program in the agent", TOKEN),
        "auth-provider" => ("it would run a program or ask a login server", TOKEN),
        "tokenFile" => ("it would read a file of the agent", "write the token in the field token"),
        "client-certificate" | "client-key" | "certificate-authority" => ("it would read a file of the agent", EMBED),
        "proxy-url" => ("it would send the credentials through a proxy", "let the agent reach the API server directly"),
        "insecure-skip-tls-verify" => (
            "the API server would not be verified",
            "remove it and put the authority in certificate-authority-data; set tls-server-name if the certificate \
             has another name",
        ),
        "as" | "as-uid" | "as-groups" | "as-user-extra" => {
            ("the agent would act as somebody else", "use a kubeconfig of the user that the agent is meant to be")
        }
        _ => return None,
    })
}

pub(super) fn unknown(path: &str, field: &str) -> KubeconfigProblem {
    let (reason, hint) = refusal(field).unwrap_or(("the agent does not take this field", "remove it"));
    problem(format!("{path}.{}", shown(field)), reason, hint)
}

/// A name from the kubeconfig, unless it could be a secret in the wrong place or steer a terminal.
pub(super) fn shown(name: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@/".contains(&byte);
    if name.len() <= 80 && name.bytes().all(plain) { name } else { "…" }
}

pub(super) fn check_root(root: &Map<String, Value>, problems: &mut Vec<KubeconfigProblem>) {
    for (field, value) in root {
        match field.as_str() {
            "clusters" | "users" | "contexts" | "current-context" => {}
            "kind" if value == "Config" => {}
            "apiVersion" if value == "v1" => {}
            "kind" | "apiVersion" => {
                problems.push(problem(field, "it is not that of a kubeconfig (v1, Config)", HOW));
            }
            // kubectl writes `preferences: {}`.
            "preferences" | "extensions" if is_empty(value) => {}
            _ => problems.push(problem(shown(field), "the agent does not take this field", "remove it")),
        }
    }
}

pub(super) fn check_context(context: &Section<'_>, problems: &mut Vec<KubeconfigProblem>) {
    for (field, value) in context.fields {
        // The namespace does not matter: every object that the agent writes names its own.
        let known = matches!(field.as_str(), "cluster" | "user" | "namespace");
        if !known && !is_empty(value) {
            problems.push(unknown(&context.path, field));
        }
    }
}

pub(super) fn cluster(section: Section<'_>, problems: &mut Vec<KubeconfigProblem>) -> Option<Cluster> {
    let mut reader = Reader { section: &section, problems };
    let server = reader.text("server");
    let ca = reader.data("certificate-authority-data", "CERTIFICATE");
    let tls_server_name = reader.text("tls-server-name");
    let disable_compression = reader.flag("disable-compression");
    for (field, value) in section.fields {
        match field.as_str() {
            "server" | "certificate-authority-data" | "tls-server-name" | "disable-compression" => {}
            "insecure-skip-tls-verify" if value == &Value::Bool(false) => {}
            _ if is_empty(value) => {}
            _ => problems.push(unknown(&section.path, field)),
        }
    }
    if let Some(name) = &tls_server_name
        && !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte))
    {
        problems.push(problem(format!("{}.tls-server-name", section.path), "it is no host name", "correct it"));
    }
    match server.as_deref().map(check_server) {
        Some(Ok(())) => {}
        Some(Err(reason)) => {
            let hint = "write https://HOST:PORT of the API server";
            problems.push(problem(format!("{}.server", section.path), reason, hint));
            return None;
        }
        None => {
            problems.push(problem(format!("{}.server", section.path), "it is not set", HOW));
            return None;
        }
    }
    Some(Cluster { server: server?, certificate_authority: ca, tls_server_name, disable_compression })
}

pub(super) fn user(section: Section<'_>, problems: &mut Vec<KubeconfigProblem>) -> Option<User> {
    let mut reader = Reader { section: &section, problems };
    let token = reader.text("token");
    let certificate = reader.data("client-certificate-data", "CERTIFICATE");
    let key = reader.data("client-key-data", "PRIVATE KEY");
    let username = reader.text("username");
    let password = reader.text("password");
    let mut refused = false;
    for (field, value) in section.fields {
        match field.as_str() {
            "token" | "client-certificate-data" | "client-key-data" | "username" | "password" => {}
            _ if is_empty(value) => {}
            _ => {
                refused = true;
                problems.push(unknown(&section.path, field));
            }
        }
    }
    // Goes into a header of every request.
    if token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
        let hint = "write the token without line breaks and spaces";
        problems.push(problem(format!("{}.token", section.path), "it has characters that a token cannot have", hint));
        return None;
    }
    let client_certificate =
        both(&section, ("client-certificate-data", certificate), ("client-key-data", key), problems);
    let basic = both(&section, ("username", username), ("password", password), problems);
    let user = User { token: token.map(Secret), client_certificate, basic };
    let none = user.token.is_none() && user.client_certificate.is_none() && user.basic.is_none();
    // With a refused `exec` there are usually no other credentials: one problem says it.
    if none && !refused && !problems.iter().any(|problem| problem.field.starts_with(&section.path)) {
        problems.push(problem(section.path, "there are no credentials", HOW));
    }
    Some(user)
}

/// Two fields that only work together.
fn both(
    section: &Section<'_>,
    (first_name, first): (&str, Option<String>),
    (second_name, second): (&str, Option<String>),
    problems: &mut Vec<KubeconfigProblem>,
) -> Option<(String, Secret)> {
    let (missing, present) = match (first, second) {
        (Some(first), Some(second)) => return Some((first, Secret(second))),
        (None, None) => return None,
        (None, Some(_)) => (first_name, second_name),
        (Some(_), None) => (second_name, first_name),
    };
    // A field that is there and was not understood has a problem of its own.
    if section.fields.get(missing).is_none_or(is_empty) {
        let reason = format!("it is not set although {present} is");
        problems.push(problem(format!("{}.{missing}", section.path), reason, HOW));
    }
    None
}

fn check_server(server: &str) -> Result<(), &'static str> {
    let Some(rest) = server.strip_prefix("https://") else {
        return Err("it is not an https:// URL, so neither the server nor what is sent to it would be safe");
    };
    if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it has spaces, control characters or characters outside ASCII");
    }
    if rest.contains(['@', '?', '#', '\\', '"', '<', '>', '%']) {
        return Err("it has a user, query, fragment or characters that do not belong there");
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => (address, port.strip_prefix(':')),
        Some(_) => return Err("what is between brackets is no IPv6 address"),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() || host.starts_with(['-', '.', '[']) {
        return Err("it has no host");
    }
    if port.is_some_and(|port| !matches!(port.parse::<u16>(), Ok(1..))) {
        return Err("the port is no number from 1 to 65535");
    }
    super::check_host(host)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// Reads fields of one section; what cannot be read is a problem that does not repeat the value.
struct Reader<'a> {
    section: &'a Section<'a>,
    problems: &'a mut Vec<KubeconfigProblem>,
}

impl Reader<'_> {
    fn text(&mut self, field: &str) -> Option<String> {
        match self.section.fields.get(field) {
            Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
            Some(value) if !is_empty(value) => self.refuse(field, "it is not text", "put it in quotes"),
            _ => None,
        }
    }

    fn flag(&mut self, field: &str) -> bool {
        match self.section.fields.get(field) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => self.refuse(field, "it is neither true nor false", "write true or false").is_some(),
        }
    }

    /// PEM in base64.
    fn data(&mut self, field: &str, label: &str) -> Option<String> {
        let text: String = self.text(field)?.split_ascii_whitespace().collect();
        let pem = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match pem {
            // `BEGIN RSA PRIVATE KEY`, `BEGIN EC PRIVATE KEY` and `BEGIN PRIVATE KEY` are all keys.
            Some(pem) if pem.contains("-----BEGIN ") && pem.contains(&format!("{label}-----")) => Some(pem),
            _ => self.refuse(field, "it is not PEM in base64", "take the kubeconfig as it was given to you"),
        }
    }

    fn refuse(&mut self, field: &str, reason: &str, hint: &str) -> Option<String> {
        self.problems.push(problem(format!("{}.{field}", self.section.path), reason, hint));
        None
    }
}

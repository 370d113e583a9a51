//! What istiod's webhook takes for a host name, in which namespace things are, and who walks the rules of a VirtualService.

use crate::fleet::Manifest;
use crate::object::At as _;
use serde_json::Value;
use std::net::IpAddr;

/// A label of a DNS name, at most 63 characters, in upper or lower case.
pub(in crate::lint) fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Why istiod takes a text for no host name; a wildcard may stand where the first label begins.
pub(in crate::lint) fn host_fault(host: &str) -> Option<String> {
    if host.is_empty() {
        return Some("a host must not be empty".to_owned());
    }
    if host.len() > 255 {
        return Some("a host has 255 characters at most".to_owned());
    }
    let (first, rest) = host.split_once('.').map_or((host, None), |(first, rest)| (first, Some(rest)));
    let plain = first.strip_prefix("*-").or_else(|| first.strip_prefix('*')).unwrap_or(first);
    if first.len() > 63 || !(first == "*" || is_label(plain)) {
        return Some(bad_label(host, first));
    }
    let rest = rest?;
    let mut labels: Vec<&str> = rest.split('.').collect();
    // A dot at the end is for names that are whole.
    if labels.len() > 1 && labels.last() == Some(&"") {
        labels.pop();
    }
    if labels.last().is_some_and(|last| last.parse::<i64>().is_ok()) {
        return Some(format!("`{host}` is no host name: it ends with a number"));
    }
    labels.into_iter().find(|label| !is_label(label)).map(|label| bad_label(host, label))
}

fn bad_label(host: &str, label: &str) -> String {
    match label {
        "" => format!("`{host}` is no host name: two dots with nothing between"),
        _ if label.contains('*') => format!("`{host}` is no host name: only the beginning may be a wildcard"),
        _ => format!("`{host}` is no host name: `{label}` must be letters, digits and dashes"),
    }
}

/// Is it an IP address?
pub(in crate::lint) fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// Has a host every name that another one has? Wildcards as istiod reads them.
pub(in crate::lint) fn has_all_of(wide: &str, narrow: &str) -> bool {
    match (wide.strip_prefix('*'), narrow.strip_prefix('*')) {
        (Some(wide), Some(narrow)) => narrow.ends_with(wide),
        (Some(wide), None) => narrow.ends_with(wide),
        (None, Some(_)) => false,
        (None, None) => wide == narrow,
    }
}

/// The namespace of an object; what Git does not say is `default`, as for the API server.
pub(in crate::lint) fn namespace(manifest: &Manifest) -> &str {
    manifest.id.namespace.as_deref().unwrap_or("default")
}

/// The namespace that a reference names; the one of the object where it stands, if it names none.
pub(in crate::lint) fn referred_namespace<'v>(reference: &'v Value, own: &'v str) -> &'v str {
    Some(text(reference, "/namespace")).filter(|space| !space.is_empty()).unwrap_or(own)
}

/// The namespace in which a host has to be.
pub(in crate::lint) fn host_namespace<'h>(host: &'h str, own: &'h str) -> &'h str {
    let mut labels = host.split('.');
    let (_, space, rest) = (labels.next(), labels.next(), labels.next());
    match (space, rest) {
        (Some(space), Some("svc") | None) => space,
        // Some name outside the cluster: only a ServiceEntry could know it, in the namespace of whoever uses it.
        _ => own,
    }
}

/// The rules of `spec.http`, `spec.tls` or `spec.tcp` of a VirtualService, each with its place.
pub(in crate::lint) fn rules_of<'a>(
    manifest: &'a Manifest,
    kind: &'static str,
) -> impl Iterator<Item = (String, &'a Value)> {
    let rules = manifest.object.get("spec").and_then(|spec| spec.get(kind)).and_then(Value::as_array);
    rules.into_iter().flatten().enumerate().map(move |(index, rule)| (format!("/spec/{kind}/{index}"), rule))
}

/// The items of a list in a value, each with its index.
pub(in crate::lint) fn items<'v>(
    value: &'v Value,
    pointer: &str,
) -> impl Iterator<Item = (usize, &'v Value)> + use<'v> {
    value.at(pointer).and_then(Value::as_array).into_iter().flatten().enumerate()
}

/// Is a field there, and not null?
pub(in crate::lint) fn has(value: &Value, field: &str) -> bool {
    value.get(field).is_some_and(|value| !value.is_null())
}

/// A text in a value; empty when it is not there.
pub(in crate::lint) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.at(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names() {
        for good in ["a", "*", "*.a", "*-a.b", "*a.b.c", "A.b-c.example.com", "a.b.", "1.example.com"] {
            assert_eq!(host_fault(good), None, "{good}");
        }
        for bad in ["", "a..b", "a.*.b", "a_b", "a.b_c", "-a.b", "a/b", "10.0.0.1", "a b", "*.*", "a*", "."] {
            assert!(host_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn wildcards_that_have_others() {
        for (wide, narrow, all) in
            [("*", "a", true), ("*.a", "x.a", true), ("*.a", "*.b.a", true), ("x.a", "*.a", false), ("a", "a", true)]
        {
            assert_eq!(has_all_of(wide, narrow), all, "{wide} {narrow}");
        }
    }
}

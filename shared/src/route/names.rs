//! Names as istiod compares them: hosts with wildcards, short names, names of Gateways, labels.

use std::cmp::Ordering;
use std::net::IpAddr;

/// Is every name that `narrow` means also meant by `wide`? Either may begin with `*`.
pub(super) fn is_subset(narrow: &str, wide: &str) -> bool {
    match (narrow.strip_prefix('*'), wide.strip_prefix('*')) {
        (Some(narrow), Some(wide)) => narrow.len() >= wide.len() && narrow.ends_with(wide),
        (Some(_), None) => false,
        (None, Some(wide)) => narrow.ends_with(wide),
        (None, None) => narrow == wide,
    }
}

/// Is there a name that both mean?
pub(super) fn overlap(a: &str, b: &str) -> bool {
    is_subset(a, b) || is_subset(b, a)
}

/// The narrower of each pair of hosts that meet, each once, in the order of istiod.
pub(super) fn intersection<'h>(servers: &[&'h str], routes: &'h [String]) -> Vec<&'h str> {
    let mut found: Vec<&str> = Vec::new();
    for server in servers {
        for route in routes {
            let narrow = if is_subset(server, route) {
                server
            } else if is_subset(route, server) {
                route.as_str()
            } else {
                continue;
            };
            if !found.contains(&narrow) {
                found.push(narrow);
            }
        }
    }
    found
}

/// The order of hosts in istiod: full names before wildcards, longer before shorter.
pub(super) fn by_specificity(a: &str, b: &str) -> Ordering {
    let wild = |host: &str| host.starts_with('*');
    wild(a).cmp(&wild(b)).then_with(|| b.len().cmp(&a.len())).then_with(|| a.cmp(b))
}

/// The full name of a host: a name without a dot is one of the namespace.
pub(super) fn full_host(host: &str, namespace: &str) -> String {
    if host == "*" || host.contains('.') || host.is_empty() || host.parse::<IpAddr>().is_ok() {
        host.to_owned()
    } else {
        format!("{host}.{namespace}.svc.cluster.local")
    }
}

/// What a name of a Gateway means in a VirtualService of this namespace: `NAMESPACE/NAME`, or `mesh`.
pub(super) fn gateway(name: &str, namespace: &str) -> String {
    if name == "mesh" {
        return name.to_owned();
    }
    match name.split_once('/') {
        Some((".", own)) => format!("{namespace}/{own}"),
        Some(_) => name.to_owned(),
        // An old way to write it: name.namespace.svc.cluster.local.
        None => match name.split_once('.') {
            Some((own, rest)) => format!("{}/{own}", rest.split('.').next().unwrap_or(rest)),
            None => format!("{namespace}/{name}"),
        },
    }
}

/// Name of a virtual host, as Envoy has it.
pub(super) fn virtual_host(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrower_host_of_each_pair_remains() {
        let all = |servers: &[&'static str], routes: &[&str]| {
            let routes: Vec<String> = routes.iter().map(|route| (*route).to_owned()).collect();
            intersection(servers, &routes).join(" ")
        };
        // The examples of istiod's own comment.
        assert_eq!(all(&["foo.com", "bar.com"], &["*.com"]), "foo.com bar.com");
        assert_eq!(all(&["foo.com", "*.net"], &["*.com", "bar.net"]), "foo.com bar.net");
        assert_eq!(all(&["foo.com", "*.net"], &["*.bar.net"]), "*.bar.net");
        assert_eq!(all(&["foo.com"], &["bar.com"]), "");
        assert_eq!(all(&["*"], &["a.x", "*"]), "a.x *");
        assert_eq!(all(&["*.x"], &["x"]), "");
    }

    #[test]
    fn names_of_gateways_mean_what_they_mean_to_istiod() {
        for (name, means) in [
            ("mesh", "mesh"),
            ("a", "shop/a"),
            ("./a", "shop/a"),
            ("other/a", "other/a"),
            ("a.other", "other/a"),
            ("a.other.svc.cluster.local", "other/a"),
        ] {
            assert_eq!(gateway(name, "shop"), means);
        }
    }

    #[test]
    fn short_hosts_are_of_the_namespace() {
        assert_eq!(full_host("reviews", "shop"), "reviews.shop.svc.cluster.local");
        for host in ["*", "a.b", "*.b", "1.2.3.4", "::1", ""] {
            assert_eq!(full_host(host, "shop"), host);
        }
    }

    #[test]
    fn full_names_come_before_wildcards() {
        let mut hosts = ["*", "*.example.com", "a.example.com", "b.com", "*.com", "a.com"];
        hosts.sort_by(|a, b| by_specificity(a, b));
        assert_eq!(hosts, ["a.example.com", "a.com", "b.com", "*.example.com", "*.com", "*"]);
    }
}

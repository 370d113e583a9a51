//! Names as istiod compares them: hosts with wildcards, short names, hosts of servers, names of Gateways. Everything that
//! asks whether two of them meet asks here.

use std::cmp::Ordering;
use std::net::IpAddr;

/// Is every name that `narrow` means also meant by `wide`? Either may begin with `*`. Case counts, as it does to istiod.
pub fn is_subset(narrow: &str, wide: &str) -> bool {
    match (narrow.strip_prefix('*'), wide.strip_prefix('*')) {
        (Some(narrow), Some(wide)) => narrow.len() >= wide.len() && narrow.ends_with(wide),
        (Some(_), None) => false,
        (None, Some(wide)) => narrow.ends_with(wide),
        (None, None) => narrow == wide,
    }
}

/// Is there a name that both mean?
pub fn meet(a: &str, b: &str) -> bool {
    narrower(a, b).is_some()
}

/// Of two that meet, the one that means fewer names; the first when both mean the same.
pub fn narrower<'h>(a: &'h str, b: &'h str) -> Option<&'h str> {
    if is_subset(a, b) { Some(a) } else { is_subset(b, a).then_some(b) }
}

/// The order of hosts in istiod: full names before wildcards, longer before shorter.
pub fn by_specificity(a: &str, b: &str) -> Ordering {
    let wild = |host: &str| host.starts_with('*');
    wild(a).cmp(&wild(b)).then_with(|| b.len().cmp(&a.len())).then_with(|| a.cmp(b))
}

/// The full name of a host, by which hosts are compared: `reviews` in namespace `shop` is
/// `reviews.shop.svc.cluster.local`. Names with a dot or a wildcard are full already, and so are addresses.
pub fn full_host(host: &str, namespace: &str) -> String {
    if host.is_empty() || host.contains(['.', '*']) || host.parse::<IpAddr>().is_ok() {
        host.to_owned()
    } else {
        format!("{host}.{namespace}.svc.cluster.local")
    }
}

/// A host of a server in a Gateway of namespace `home`: the namespace whose VirtualServices it takes (`None`: all), and the
/// name.
pub fn server_host<'h>(host: &'h str, home: &'h str) -> (Option<&'h str>, &'h str) {
    match host.split_once('/') {
        None => (None, host),
        Some(("*", host)) => (None, host),
        Some((".", host)) => (Some(home), host),
        Some((space, host)) => (Some(space), host),
    }
}

/// What a name of a Gateway means in a VirtualService of namespace `own`: namespace and name; `None` for `mesh`, the
/// sidecars.
pub fn gateway_name<'n>(name: &'n str, own: &'n str) -> Option<(&'n str, &'n str)> {
    if name == "mesh" {
        return None;
    }
    Some(match name.split_once('/') {
        Some((".", name)) => (own, name),
        Some((space, name)) => (space, name),
        // An old way to write it: name.namespace.svc.cluster.local.
        None => match name.split_once('.') {
            Some((name, rest)) => (rest.split('.').next().unwrap_or(rest), name),
            None => (own, name),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_meet_when_one_name_fits_both() {
        for (a, b, narrow) in [
            ("a.x", "a.x", Some("a.x")),
            ("*", "a.x", Some("a.x")),
            ("*.x", "a.x", Some("a.x")),
            ("*.x", "x", None),
            ("*.x", "*.a.x", Some("*.a.x")),
            ("*.x", "*.y", None),
            ("a.x", "b.x", None),
            ("A.x", "a.x", None),
        ] {
            assert_eq!((narrower(a, b), narrower(b, a)), (narrow, narrow), "{a} {b}");
            assert_eq!(meet(a, b), narrow.is_some());
        }
    }

    #[test]
    fn names_of_gateways_mean_what_they_mean_to_istiod() {
        assert_eq!(gateway_name("mesh", "shop"), None);
        for (name, means) in [
            ("a", ("shop", "a")),
            ("./a", ("shop", "a")),
            ("other/a", ("other", "a")),
            ("other/mesh", ("other", "mesh")),
            ("a.other", ("other", "a")),
            ("a.other.svc.cluster.local", ("other", "a")),
        ] {
            assert_eq!(gateway_name(name, "shop"), Some(means));
        }
    }

    #[test]
    fn hosts_of_servers_may_name_the_namespace_of_routes() {
        for (host, means) in [
            ("a.x", (None, "a.x")),
            ("*/a.x", (None, "a.x")),
            ("./a.x", (Some("home"), "a.x")),
            ("other/*", (Some("other"), "*")),
        ] {
            assert_eq!(server_host(host, "home"), means);
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

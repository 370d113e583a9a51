//! Names in a route table. What hosts and Gateways mean is said in `crate::istio`.

use crate::istio::{gateway_name, narrower};

/// The narrower of each pair of hosts that meet, each once, in the order of istiod.
pub(super) fn intersection<'h>(servers: &[&'h str], routes: &'h [String]) -> Vec<&'h str> {
    let mut found: Vec<&str> = Vec::new();
    for server in servers {
        for route in routes {
            if let Some(narrow) = narrower(server, route).filter(|narrow| !found.contains(narrow)) {
                found.push(narrow);
            }
        }
    }
    found
}

/// A Gateway as tables know it: `NAMESPACE/NAME`, or `mesh`.
pub(super) fn gateway(name: &str, namespace: &str) -> String {
    gateway_name(name, namespace).map_or_else(|| name.to_owned(), |(space, name)| format!("{space}/{name}"))
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
}

//! What a sidecar does with connections that are no HTTP: rules for TCP, and for TLS by the server name, as istiod makes
//! filter chains of them.

use super::super::action;
use super::super::chain;
use super::super::compiled::{Chain, ChainTo, Core, Listener, Security, TcpRoute};
use super::super::model::{VirtualService, items, namespace, port, text, texts};
use super::super::outcome::Place;
use super::super::services::Service;
use super::{MESH, Making};
use crate::fleet::Manifest;
use crate::istio::is_subset;
use serde_json::Value;
use std::net::IpAddr;

impl<'s> Making<'_, 's, '_> {
    /// VirtualServices for a host, in their order.
    fn meant_for(&self, service: &Service<'_>) -> impl Iterator<Item = (u8, &VirtualService<'s>)> {
        let all = self.bound.iter().filter_map(|(rank, index)| Some((*rank, self.caller.model.routes.get(*index)?)));
        let host = service.host.clone();
        all.filter(move |(_, route)| route.hosts.iter().any(|own| is_subset(&host, own) || is_subset(own, &host)))
    }

    /// Where connections go that are neither HTTP nor TLS: the first rule for them of each VirtualService; else the Service
    /// (`buildSidecarOutboundTCPFilterChainOpts`).
    pub(super) fn connections(
        &self,
        core: &mut Core<'s>,
        service: &Service<'s>,
        manifest: &'s Manifest,
    ) -> Vec<TcpRoute<'s>> {
        let mut found = Vec::new();
        for (rank, route) in self.meant_for(service) {
            let rules = items(&route.manifest.object, "/spec/tcp").iter().enumerate();
            let mut rules = rules.filter(|(_, rule)| !items(rule, "/route").is_empty());
            let fitting =
                rules.find_map(|(index, rule)| Some((index, rule, self.meets(core, service, route, index, rule)?)));
            if let Some((index, rule, matched)) = fitting {
                found.push(chain::by_rule(
                    &self.resolver(route.namespace),
                    route,
                    rank,
                    rule,
                    &format!("/spec/tcp/{index}"),
                    matched,
                ));
            }
        }
        if found.is_empty() {
            found.push(self.past_rules(service, manifest));
        }
        found
    }

    /// Is a rule for TCP for this Service on this port, from this caller? Gives back the entry of its matches that is met.
    fn meets(
        &self,
        core: &mut Core<'s>,
        service: &Service<'_>,
        route: &VirtualService<'s>,
        index: usize,
        rule: &Value,
    ) -> Option<Option<String>> {
        let entries = items(rule, "/match");
        if entries.is_empty() {
            return Some(None);
        }
        for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| self.is_mine(entry)) {
            let matched = format!("/spec/tcp/{index}/match/{at}");
            let subnets: Vec<&str> = texts(entry, "/destinationSubnets").collect();
            match within(service, &subnets) {
                Some(true) => return Some(Some(matched)),
                Some(false) => {}
                None => self.cannot_tell(core, service, route, matched),
            }
        }
        None
    }

    /// What is done with TLS to a Service: a chain per match of the rules for it, by the server names; the Service when there
    /// is none (`buildSidecarOutboundTLSFilterChainOpts`).
    pub(super) fn by_name(&self, core: &mut Core<'s>, service: &Service<'s>, manifest: &'s Manifest) -> ChainTo<'s> {
        // By names and subnets: of two matches for the same, the first is taken.
        let mut parts: Vec<(Vec<String>, Vec<String>, Vec<TcpRoute<'s>>)> = Vec::new();
        // istiod goes on with the subnets of one match for those after it that have none.
        let mut subnets: Vec<String> = Vec::new();
        for (rank, route) in self.meant_for(service) {
            let rules = items(&route.manifest.object, "/spec/tls").iter().enumerate();
            for (index, rule) in rules.filter(|(_, rule)| !items(rule, "/route").is_empty()) {
                for (at, entry) in items(rule, "/match").iter().enumerate().filter(|(_, entry)| self.is_mine(entry)) {
                    let own: Vec<String> = texts(entry, "/destinationSubnets").map(str::to_owned).collect();
                    if !own.is_empty() {
                        subnets = own;
                    }
                    let names: Vec<String> = texts(entry, "/sniHosts").map(str::to_owned).collect();
                    let pointer = format!("/spec/tls/{index}");
                    let matched = Some(format!("{pointer}/match/{at}"));
                    let made = chain::by_rule(&self.resolver(route.namespace), route, rank, rule, &pointer, matched);
                    match parts.iter_mut().find(|(known, of, _)| *known == names && *of == subnets) {
                        Some((_, _, routes)) => {
                            let is_new = |it: &TcpRoute<'s>| it.rule.virtual_service.manifest.id != route.manifest.id;
                            if routes.iter().all(is_new) {
                                routes.push(made);
                            }
                        }
                        None => parts.push((names, subnets.clone(), vec![made])),
                    }
                }
            }
        }
        if parts.is_empty() {
            return ChainTo::Tcp(vec![self.past_rules(service, manifest)]);
        }
        let mut inner = Listener::new();
        for (names, subnets, routes) in parts {
            let Some(place) = routes.first().map(|route| route.rule.matched.clone()) else { continue };
            let subnets: Vec<&str> = subnets.iter().map(String::as_str).collect();
            match within(service, &subnets) {
                Some(true) => {}
                Some(false) => continue,
                None => {
                    core.dropped.push((self.port, place, unknown_address(service)));
                    continue;
                }
            }
            let names = if names.iter().any(|name| name == "*") { Vec::new() } else { names };
            inner.push(Chain { names, security: Security::None, to: ChainTo::Tcp(routes), server: place });
        }
        ChainTo::ByName(Box::new(inner))
    }

    /// Is an entry of the matches of a connection for this caller, on this port (`matchTCP`, `matchTLS`)?
    fn is_mine(&self, entry: &Value) -> bool {
        let mut gateways = texts(entry, "/gateways").peekable();
        let labels = entry.get("sourceLabels").and_then(Value::as_object);
        let space = text(entry, "/sourceNamespace");
        (gateways.peek().is_none() || gateways.any(|name| name == MESH))
            && labels.is_none_or(|labels| self.caller.front.has(labels))
            && port(entry, "/port").is_none_or(|port| port == self.port)
            && (space.is_empty() || space == self.caller.front.namespace)
    }

    /// To the Service itself.
    fn past_rules(&self, service: &Service<'s>, manifest: &'s Manifest) -> TcpRoute<'s> {
        let place = Place { manifest, pointer: String::new() };
        TcpRoute {
            action: action::straight(&self.resolver(namespace(manifest)), &service.host, place),
            rule: chain::rule_at(manifest, "", None),
            rank: 0,
        }
    }

    fn cannot_tell(&self, core: &mut Core<'s>, service: &Service<'_>, route: &VirtualService<'s>, pointer: String) {
        let place = Place { manifest: route.manifest, pointer };
        core.dropped.push((self.port, place, unknown_address(service)));
    }
}

fn unknown_address(service: &Service<'_>) -> String {
    format!(
        "destinationSubnets are compared with the address of {}, which no file holds; taken as not within",
        service.host
    )
}

/// Is the address of a Service in one of these subnets? `None` when no file says which it has; without subnets it does not matter.
fn within(service: &Service<'_>, subnets: &[&str]) -> Option<bool> {
    if subnets.is_empty() {
        return Some(true);
    }
    let of = |manifest: &&Manifest| {
        let object = &manifest.object;
        let all = [text(object, "/spec/clusterIP"), text(object, "/spec/addresses/0")];
        all.into_iter().find_map(|address| address.parse::<IpAddr>().ok())
    };
    let address = service.manifests.iter().find_map(of)?;
    Some(subnets.iter().any(|subnet| is_in(address, subnet)))
}

/// Is an address in a subnet (`10.0.0.0/8`), or is it this one?
fn is_in(address: IpAddr, subnet: &str) -> bool {
    let (network, length) = subnet.split_once('/').map_or((subnet, None), |(network, length)| (network, Some(length)));
    let Ok(network) = network.parse::<IpAddr>() else { return false };
    let (own, network, most) = match (address, network) {
        (IpAddr::V4(own), IpAddr::V4(network)) => (u128::from(own.to_bits()), u128::from(network.to_bits()), 32),
        (IpAddr::V6(own), IpAddr::V6(network)) => (own.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let length = length.map_or(Some(most), |length| length.parse::<u32>().ok().filter(|length| *length <= most));
    // All bits may be left out, which is more than a shift can do.
    length.is_some_and(|length| (own ^ network).checked_shr(most - length).unwrap_or_default() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{FleetState, MemoryTree};
    use crate::route::{Answer, Front, Options, Request, Sni, compile};
    use std::fmt::Write as _;

    const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: shop}\nspec: {mesh: {}, clusters: \
                         [{name: m1c1}]}\n";

    /// Services with a pod each, in `shop`; and two workloads that call.
    fn cluster() -> String {
        let mut text = String::new();
        for (name, port, number, more) in [
            ("db", "tcp", 3306, ""),
            ("fixed", "tcp", 3306, "clusterIP: 10.1.2.3, "),
            ("secure", "https", 443, ""),
            ("vault", "tls", 443, "clusterIP: 10.1.2.4, "),
            ("one", "tcp", 3306, ""),
            ("two", "tcp", 3306, ""),
        ] {
            let service = format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{{more}selector: {{app: \
                 {name}}}, ports: [{{name: {port}, port: {number}}}]}}\n---\n"
            );
            text.push_str(&service);
        }
        for name in ["db", "fixed", "secure", "vault", "one", "two", "caller", "other"] {
            write!(
                text,
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{selector: \
                 {{matchLabels: {{app: {name}}}}}, template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{containers: \
                 [{{name: a, image: a}}]}}}}}}\n---\n"
            )
            .unwrap();
        }
        text
    }

    fn rules(host: &str, age: u8, rest: &str) -> String {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: r{age}, namespace: shop, \
             creationTimestamp: '2024-01-0{age}T00:00:00Z'}}\nspec:\n  hosts: [{host}]\n{rest}---\n"
        )
    }

    fn rule(matches: &str, to: &str) -> String {
        let matches = if matches.is_empty() { String::new() } else { format!("match: [{matches}], ") };
        format!("  - {{{matches}route: [{{destination: {{host: {to}, port: {{number: 3306}}}}}}]}}\n")
    }

    /// What comes of a connection, and what is said of rules that could not be judged.
    fn ends(mesh: &str, caller: &str, url: &str, sni: Option<&str>) -> String {
        let cluster = cluster();
        let files = [("fleet.yaml", FLEET), ("clusters/m1c1/a.yaml", cluster.as_str()), ("mesh/a.yaml", mesh)];
        let tree: MemoryTree = files.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        let state = FleetState::read(&tree);
        assert!(state.problems.is_empty(), "{:?}", state.problems);
        let front = Front::of_caller(&state, "shop", caller, None).expect("the caller");
        let table = compile(&state, &front, &Options::default());
        let mut request = Request::from_url(url, None, &[]).expect("a URL");
        request.sni = sni.map_or(Sni::Absent, |name| Sni::Name(name.to_owned()));
        let outcome = table.lookup(&request);
        assert!(outcome.alternatives.is_empty(), "{url}: ages are known");
        // The same is told step by step.
        assert_eq!(table.explain(&request).outcome.answer.word(), outcome.answer.word());
        match &outcome.answer {
            Answer::Tcp(forward) => {
                let to = forward.destinations.iter().map(|to| to.host.split('.').next().unwrap_or_default().to_owned());
                to.collect::<Vec<_>>().join(",")
            }
            Answer::Closed(why) => format!("{why:?}"),
            other => other.word().to_owned(),
        }
    }

    #[test]
    fn tcp_goes_by_the_first_rule_that_is_for_the_caller_and_the_port() {
        let db = |rest: &str| rules("db", 1, &format!("  tcp:\n{rest}"));
        for (what, mesh, caller, host, to) in [
            ("no rule", String::new(), "caller", "db", "db"),
            ("a rule for all", db(&rule("", "one")), "caller", "db.shop", "one"),
            ("for another port", db(&rule("{port: 3307}", "one")), "caller", "db", "db"),
            ("for this port", db(&rule("{port: 3306}", "one")), "caller", "db", "one"),
            (
                "for the caller",
                db(&(rule("{sourceLabels: {app: caller}}", "one") + &rule("", "two"))),
                "caller",
                "db",
                "one",
            ),
            (
                "for another caller",
                db(&(rule("{sourceLabels: {app: caller}}", "one") + &rule("", "two"))),
                "other",
                "db",
                "two",
            ),
            ("any of its matches", db(&rule("{port: 1}, {sourceNamespace: shop}", "one")), "caller", "db", "one"),
            ("for another namespace", db(&rule("{sourceNamespace: default}", "one")), "caller", "db", "db"),
            // Unlike for HTTP, naming mesh does not make the labels go away.
            ("mesh and labels", db(&rule("{gateways: [mesh], sourceLabels: {app: x}}", "one")), "caller", "db", "db"),
            ("a gateway's", db(&rule("{gateways: [edge]}", "one")), "caller", "db", "db"),
            (
                "rules for TLS do not count",
                rules("db", 1, &("  tls:\n".to_owned() + &rule("{sniHosts: [db]}", "one"))),
                "caller",
                "db",
                "db",
            ),
            (
                "of the older one",
                db(&rule("", "two")).replace("2024-01-01", "2024-01-05")
                    + &rules("db", 2, &("  tcp:\n".to_owned() + &rule("", "one"))),
                "caller",
                "db",
                "one",
            ),
            (
                "within subnets",
                rules("fixed", 1, &("  tcp:\n".to_owned() + &rule("{destinationSubnets: [10.1.0.0/16]}", "one"))),
                "caller",
                "fixed",
                "one",
            ),
            (
                "not within",
                rules(
                    "fixed",
                    1,
                    &("  tcp:\n".to_owned() + &rule("{destinationSubnets: [10.2.0.0/16]}", "one") + &rule("", "two")),
                ),
                "caller",
                "fixed",
                "two",
            ),
            (
                "an address that nobody knows",
                db(&rule("{destinationSubnets: [10.1.0.0/16]}", "one")),
                "caller",
                "db",
                "db",
            ),
        ] {
            assert_eq!(ends(&mesh, caller, &format!("http://{host}:3306/"), None), to, "{what}");
        }
    }

    #[test]
    fn tls_goes_by_the_name_that_the_client_asks_for() {
        let tls = |host: &str, rest: &str| rules(host, 1, &format!("  tls:\n{rest}"));
        let secure = |rest: &str| tls("secure", rest);
        let both = secure(&(rule("{sniHosts: [a.test, '*.b.test']}", "one") + &rule("{sniHosts: [c.test]}", "two")));
        let by_caller = secure(
            &(rule("{sniHosts: [a.test], sourceLabels: {app: caller}}", "one") + &rule("{sniHosts: [a.test]}", "two")),
        );
        for (what, mesh, caller, url, sni, to) in [
            ("no rule", String::new(), "caller", "https://secure/", Some("a.test"), "secure"),
            ("no rule, no name", String::new(), "caller", "https://secure/", None, "secure"),
            ("no rule, no TLS", String::new(), "caller", "http://secure:443/", None, "secure"),
            ("a name", both.clone(), "caller", "https://secure/", Some("a.test"), "one"),
            ("in any case", both.clone(), "caller", "https://secure/", Some("A.Test"), "one"),
            ("a wildcard", both.clone(), "caller", "https://secure.shop/", Some("x.b.test"), "one"),
            ("another name", both.clone(), "caller", "https://secure/", Some("c.test"), "two"),
            // With any rule for it, nothing else is let through.
            ("a name that nobody takes", both.clone(), "caller", "https://secure/", Some("d.test"), "NoServerForName"),
            ("no name", both.clone(), "caller", "https://secure/", None, "NoName"),
            ("no TLS", both.clone(), "caller", "http://secure:443/", None, "PlaintextOnTls"),
            ("every name", secure(&rule("{sniHosts: ['*']}", "one")), "caller", "http://secure:443/", None, "one"),
            ("for the caller", by_caller.clone(), "caller", "https://secure/", Some("a.test"), "one"),
            ("for others", by_caller, "other", "https://secure/", Some("a.test"), "two"),
            (
                "for another port",
                secure(&rule("{sniHosts: [a.test], port: 444}", "one")),
                "caller",
                "https://secure/",
                Some("x"),
                "secure",
            ),
            (
                "rules for TCP do not count",
                rules("secure", 1, &("  tcp:\n".to_owned() + &rule("", "one"))),
                "caller",
                "https://secure/",
                Some("a.test"),
                "secure",
            ),
            // Envoy takes no two chains for one name.
            (
                "a name twice",
                secure(&(rule("{sniHosts: [a.test, b.test]}", "one") + &rule("{sniHosts: [a.test]}", "two"))),
                "caller",
                "https://secure/",
                Some("b.test"),
                "refused",
            ),
            (
                "the subnets of a match hold for those after it",
                tls(
                    "vault",
                    &(rule("{sniHosts: [a.test], destinationSubnets: [10.9.0.0/16]}", "one")
                        + &rule("{sniHosts: [b.test]}", "two")),
                ),
                "caller",
                "https://vault/",
                Some("b.test"),
                "NoServerForName",
            ),
            (
                "within subnets",
                tls("vault", &rule("{sniHosts: [a.test], destinationSubnets: [10.1.0.0/16]}", "one")),
                "caller",
                "https://vault/",
                Some("a.test"),
                "one",
            ),
        ] {
            assert_eq!(ends(&mesh, caller, url, sni), to, "{what}");
        }
    }

    /// Said with the rules that are there, and what would take it.
    #[test]
    fn a_name_that_no_rule_takes_is_told() {
        let mesh = rules("secure", 1, &("  tls:\n".to_owned() + &rule("{sniHosts: [a.test]}", "one")));
        let cluster = cluster();
        let files = [("fleet.yaml", FLEET), ("clusters/m1c1/a.yaml", cluster.as_str()), ("mesh/a.yaml", mesh.as_str())];
        let state = FleetState::read(&files.into_iter().collect::<MemoryTree>());
        let front = Front::of_caller(&state, "shop", "caller", None).expect("the caller");
        let table = compile(&state, &front, &Options::default());
        let mut request = Request::from_url("https://secure/", None, &[]).expect("a URL");
        request.sni = Sni::Name("b.test".to_owned());
        let trace = table.explain(&request);
        let last = trace.steps.last().expect("a step");
        assert_eq!(
            last.text,
            "the client asks for b.test in TLS, and the tls rules of the mesh for secure take a.test on port 443: its sidecar \
             closes the connection"
        );
        assert_eq!(last.fix.as_deref(), Some("Add b.test to the sniHosts of a tls rule, or ask for one of a.test"));
        assert!(!last.passed && last.places.len() == 1);
    }

    #[test]
    fn addresses_are_in_subnets() {
        for (address, subnet, inside) in [
            ("10.1.2.3", "10.0.0.0/8", true),
            ("11.1.2.3", "10.0.0.0/8", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("10.1.2.3", "10.1.2.0/31", false),
            ("10.1.2.3", "0.0.0.0/0", true),
            ("2001:db8::1", "2001:db8::/32", true),
            ("2001:db8::1", "::/0", true),
            ("2001:db9::1", "2001:db8::/32", false),
            ("10.1.2.3", "::/0", false),
            ("10.1.2.3", "10.0.0.0/33", false),
            ("10.1.2.3", "ten", false),
        ] {
            assert_eq!(is_in(address.parse().unwrap(), subnet), inside, "{address} {subnet}");
        }
    }
}

//! # traffic-policy
//! ## What it finds
//!
//! In the policies of a DestinationRule (for the host, a subset, a port): nothing in it, or in its `connectionPool`; `tunnel` beside
//! `proxyProtocol`; percentages of `outlierDetection` out of range, `consecutiveLocalOriginFailures` without
//! `splitExternalLocalOriginErrors`; negative limits; `useClientProtocol` beside an upgrade to HTTP/2; keep-alive without both times; a size
//! of a Maglev table that is no prime; `distribute` beside `failover`, weights of `distribute` that are not 100, localities that are
//! none or that overlap, `failover` without `outlierDetection` (a warning: it never happens), regions and zones in the priorities of
//! zone-aware balancing; a tunnel with another method than CONNECT and POST, or to no host; TLS with a certificate in two places, or none where `MUTUAL` needs one.
//!
//! ## Why it is bad
//!
//! istiod's webhook refuses the DestinationRule: none of it applies, its subsets included.
//!
//! ## How to mend it
//!
//! As the message says.

mod localities;

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{World, escape, has, host_fault, is_address, items, text};
use crate::fleet::Manifest;
use crate::object::At as _;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "traffic-policy",
    severity: Severity::Error,
    summary: "a traffic policy is written wrongly",
    istio: &["IST0106"],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("traffic_policy.rs"),
    check,
};

/// What a policy may have; a port's has the first four only.
const PARTS: [&str; 8] = [
    "outlierDetection",
    "connectionPool",
    "loadBalancer",
    "tls",
    "portLevelSettings",
    "tunnel",
    "proxyProtocol",
    "retryBudget",
];
const OF_A_PORT: usize = 4;
/// Labels by which regions and zones are told.
const TOPOLOGY: [&str; 3] =
    ["topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"];
/// Sizes of Maglev tables are below.
const LARGEST_TABLE: u64 = 5_000_011;

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for view in world.destination_rules() {
        let object = &view.manifest.object;
        let of_subsets =
            items(object, "/spec/subsets").map(|(index, _)| format!("/spec/subsets/{index}/trafficPolicy"));
        for at in std::iter::once("/spec/trafficPolicy".to_owned()).chain(of_subsets) {
            let Some(policy) = object.at(&at).filter(|policy| policy.is_object()) else { continue };
            Policy { manifest: view.manifest, at: at.clone(), policy }.judge(&PARTS, sink);
            for (index, policy) in items(policy, "/portLevelSettings") {
                let at = format!("{at}/portLevelSettings/{index}");
                let policy = Policy { manifest: view.manifest, at, policy };
                if !has(policy.policy, "port") {
                    policy.tell("", "it is for no port: port.number is missing", sink);
                }
                policy.judge(PARTS.get(..OF_A_PORT).unwrap_or_default(), sink);
            }
        }
    }
}

struct Policy<'a> {
    manifest: &'a Manifest,
    at: String,
    policy: &'a Value,
}

impl<'a> Policy<'a> {
    fn report(&self, field: &str, message: impl Into<String>) -> Report<'a> {
        Report::at(self.manifest, format!("{}{field}", self.at), message)
    }

    fn tell(&self, field: &str, message: impl Into<String>, sink: &mut Sink<'a>) {
        sink.push(self.report(field, message));
    }

    fn part(&self, field: &str) -> Option<&'a Value> {
        self.policy.at(field).filter(|value| value.is_object())
    }

    /// A part that says nothing.
    fn empty(&self, field: &str, message: &str, sink: &mut Sink<'a>) {
        let edit = (self.manifest, EditOp::Remove(format!("{}{field}", self.at)));
        sink.push(self.report(field, message).fix("take it away", true, vec![edit]));
    }

    fn judge(&self, parts: &[&str], sink: &mut Sink<'a>) {
        // An empty list is none to istiod.
        let given = |part: &str| has(self.policy, part) && self.policy.get(part) != Some(&Value::Array(Vec::new()));
        if !parts.iter().copied().any(given) {
            return self.empty("", "a policy without anything in it", sink);
        }
        if has(self.policy, "tunnel") && has(self.policy, "proxyProtocol") && parts.len() > OF_A_PORT {
            self.tell("/tunnel", "a policy has either tunnel or proxyProtocol", sink);
        }
        self.outliers(sink);
        self.pool(sink);
        self.balancing(sink);
        self.locality(sink);
        self.tunnel(sink);
        self.tls(sink);
    }

    fn outliers(&self, sink: &mut Sink<'a>) {
        let Some(outliers) = self.part("/outlierDetection") else { return };
        let positive = |field: &str| outliers.get(field).and_then(Value::as_i64).is_some_and(|count| count > 0);
        let split = outliers.get("splitExternalLocalOriginErrors").and_then(Value::as_bool) == Some(true);
        if positive("consecutiveLocalOriginFailures") && !split {
            let field = "/outlierDetection/consecutiveLocalOriginFailures";
            let report =
                self.report(field, "failures of one's own side are counted only with splitExternalLocalOriginErrors");
            let set = EditOp::Set(format!("{}/outlierDetection/splitExternalLocalOriginErrors", self.at), true.into());
            sink.push(report.fix("count them apart", false, vec![(self.manifest, set)]));
        }
        for field in ["maxEjectionPercent", "minHealthPercent"] {
            let found = outliers.get(field).and_then(Value::as_i64);
            if let Some(found) = found.filter(|found| !(0..=100).contains(found)) {
                self.tell(
                    &format!("/outlierDetection/{field}"),
                    format!("{found} is no percentage: it must be 0 to 100"),
                    sink,
                );
            }
        }
    }

    fn pool(&self, sink: &mut Sink<'a>) {
        let Some(pool) = self.part("/connectionPool") else { return };
        if !has(pool, "http") && !has(pool, "tcp") {
            return self.empty("/connectionPool", "a connection pool without anything in it", sink);
        }
        let limits = [
            "http1MaxPendingRequests",
            "http2MaxRequests",
            "maxRequestsPerConnection",
            "maxRetries",
            "maxConcurrentStreams",
        ];
        for field in limits.map(|limit| format!("/http/{limit}")).into_iter().chain(["/tcp/maxConnections".to_owned()])
        {
            let found = pool.at(&field).and_then(Value::as_i64);
            if let Some(found) = found.filter(|found| *found < 0) {
                self.tell(
                    &format!("/connectionPool{field}"),
                    format!("a limit is 0 (none) or more, and not {found}"),
                    sink,
                );
            }
        }
        let upgrades = text(pool, "/http/h2UpgradePolicy") == "UPGRADE";
        if upgrades && pool.at("/http/useClientProtocol").and_then(Value::as_bool) == Some(true) {
            let message = "requests go on either as they came or as HTTP/2: h2UpgradePolicy is UPGRADE";
            self.tell("/connectionPool/http/useClientProtocol", message, sink);
        }
        if let Some(alive) = self.part("/connectionPool/http/http2KeepAlive") {
            for field in ["interval", "timeout"].into_iter().filter(|field| !has(alive, field)) {
                self.tell("/connectionPool/http/http2KeepAlive", format!("it needs {field} too"), sink);
            }
        }
    }

    fn balancing(&self, sink: &mut Sink<'a>) {
        let Some(hash) = self.part("/loadBalancer/consistentHash") else { return };
        let both = ["ringHash", "maglev"].iter().any(|field| has(hash, field));
        if hash.get("minimumRingSize").and_then(Value::as_u64).unwrap_or_default() > 0 && both {
            let field = "/loadBalancer/consistentHash/minimumRingSize";
            self.tell(field, "it stands for ringHash, and cannot be beside ringHash or maglev", sink);
        }
        if let Some(maglev) = hash.get("maglev").filter(|maglev| maglev.is_object()) {
            let size = maglev.get("tableSize").and_then(Value::as_u64).unwrap_or_default();
            if size >= LARGEST_TABLE || !is_prime(size) {
                let message =
                    format!("a Maglev table needs a prime below {LARGEST_TABLE} as tableSize, 65537 for example");
                self.tell("/loadBalancer/consistentHash/maglev", message, sink);
            }
        }
        let mut names = std::collections::BTreeSet::new();
        for (index, attribute) in items(hash, "/httpCookie/attributes") {
            let name = text(attribute, "/name");
            if name.is_empty() || !names.insert(name) {
                let field = format!("/loadBalancer/consistentHash/httpCookie/attributes/{index}");
                self.tell(&field, "each attribute of a cookie has a name of its own", sink);
            }
        }
    }

    fn locality(&self, sink: &mut Sink<'a>) {
        let both = ["localityLbSetting", "zoneAwareLbSetting"].map(|field| format!("/loadBalancer/{field}"));
        let [base, zones] = &both;
        if self.part(base).is_some() && self.part(zones).is_some() {
            self.tell(base, "a load balancer has either localityLbSetting or zoneAwareLbSetting", sink);
        }
        if let Some(locality) = self.part(base) {
            let count = |field: &str| items(locality, field).count();
            if count("/distribute") > 0 && count("/failover") > 0 {
                return self.tell(
                    base,
                    "requests are distributed or fail over: it has either distribute or failover",
                    sink,
                );
            }
            if count("/failover") > 0 && self.by_topology(base, locality).is_some() {
                let message = "it has either failover or regions and zones in failoverPriority";
                return self.tell(base, message, sink);
            }
            self.distribute(&format!("{base}/distribute"), locality, sink);
            self.failover(base, locality, sink);
        }
        if let Some(aware) = self.part(zones) {
            if let Some(at) = self.by_topology(zones, aware) {
                self.tell(&at, "regions and zones come first by themselves: other labels only", sink);
            }
            self.failover(zones, aware, sink);
        }
    }

    /// The first item of `failoverPriority` that is about regions and zones.
    fn by_topology(&self, base: &str, setting: &Value) -> Option<String> {
        let all = items(setting, "/failoverPriority").filter_map(|(index, label)| Some((index, label.as_str()?)));
        let mut found = all.filter(|(_, label)| TOPOLOGY.contains(label));
        found.next().map(|(index, _)| format!("{base}/failoverPriority/{index}"))
    }

    fn distribute(&self, base: &str, locality: &Value, sink: &mut Sink<'a>) {
        let all: Vec<(usize, &Value)> = items(locality, "/distribute").collect();
        let sources: Vec<&str> = all.iter().map(|(_, from)| text(from, "/from")).collect();
        for (index, from) in &all {
            let at = format!("{base}/{index}");
            let to = || from.get("to").and_then(Value::as_object).into_iter().flatten();
            let weights: Vec<u64> = to().filter_map(|(_, weight)| weight.as_u64()).collect();
            let sum: u64 = weights.iter().sum();
            if sum != 100 || weights.contains(&0) {
                let message = format!("weights of localities are 1 or more and add up to 100, and not to {sum}");
                self.tell(&format!("{at}/to"), message, sink);
            }
            let names: Vec<&str> = to().map(|(name, _)| name.as_str()).collect();
            for name in &names {
                let fault = localities::fault(name);
                fault.into_iter().for_each(|fault| self.tell(&format!("{at}/to/{}", escape(name)), fault, sink));
            }
            if let Some((first, second)) = localities::twice(&names).and_then(|(a, b)| names.get(a).zip(names.get(b))) {
                self.tell(
                    &format!("{at}/to"),
                    format!("{second} and {first} overlap: each place has one weight"),
                    sink,
                );
            }
            let fault = localities::fault(text(from, "/from"));
            fault.into_iter().for_each(|fault| self.tell(&format!("{at}/from"), fault, sink));
        }
        if let Some((first, second)) = localities::twice_in_order(&sources) {
            let message = format!(
                "requests from {} are distributed by {} already",
                sources.get(second).unwrap_or(&""),
                sources.get(first).unwrap_or(&"")
            );
            self.tell(&format!("{base}/{second}/from"), message, sink);
        }
    }

    fn failover(&self, base: &str, setting: &Value, sink: &mut Sink<'a>) {
        for (index, entry) in items(setting, "/failover") {
            let (from, to) = (text(entry, "/from"), text(entry, "/to"));
            let at = format!("{base}/failover/{index}");
            if from == to {
                self.tell(&at, format!("requests of {from} fail over to another region, and not to {to}"), sink);
            } else if from.contains(['/', '*']) || to.contains(['/', '*']) {
                self.tell(&at, "failover is from region to region: no zones, no wildcards", sink);
            }
        }
        let fails_over = ["/failover", "/failoverPriority"].iter().any(|field| items(setting, field).count() > 0);
        if fails_over && !has(self.policy, "outlierDetection") {
            let message = "without outlierDetection nobody notices that a region fails: no failover happens";
            sink.push(
                self.report(base, message).severity(Severity::Warning).hint("Add outlierDetection to this policy"),
            );
        }
    }

    fn tunnel(&self, sink: &mut Sink<'a>) {
        let Some(tunnel) = self.part("/tunnel") else { return };
        let (protocol, host) = (text(tunnel, "/protocol"), text(tunnel, "/targetHost"));
        if !matches!(protocol, "" | "CONNECT" | "POST") {
            let report =
                self.report("/tunnel/protocol", format!("a tunnel is made by CONNECT or POST, and not {protocol}"));
            let upper = protocol.to_uppercase();
            let edit = EditOp::Set(format!("{}/tunnel/protocol", self.at), upper.clone().into());
            sink.push(match upper.as_str() {
                "CONNECT" | "POST" => report.fix(format!("write {upper}"), true, vec![(self.manifest, edit)]),
                _ => report,
            });
        }
        if !is_address(host) && (host.starts_with('*') || host_fault(host).is_some()) {
            let message = format!("`{host}` is no host name and no address: a tunnel leads to one place");
            self.tell("/tunnel/targetHost", message, sink);
        }
        let port = tunnel.get("targetPort").and_then(Value::as_u64);
        if let Some(port) = port.filter(|port| !(1..=65535).contains(port)) {
            self.tell("/tunnel/targetPort", format!("{port} is no port: it must be 1 to 65535"), sink);
        }
    }

    fn tls(&self, sink: &mut Sink<'a>) {
        let Some(tls) = self.part("/tls") else { return };
        let given = |field: &str| tls.get(field).is_some_and(|value| !value.is_null() && value != "");
        let mode = text(tls, "/mode");
        let own: Vec<&str> =
            ["clientCertificate", "privateKey", "caCertificates"].into_iter().filter(|field| given(field)).collect();
        if mode == "ISTIO_MUTUAL" && (!own.is_empty() || given("credentialName")) {
            return self.tell(
                "/tls",
                "ISTIO_MUTUAL takes the certificates of the mesh: there is no place for others",
                sink,
            );
        }
        if !matches!(mode, "SIMPLE" | "MUTUAL") {
            return;
        }
        let unverified = tls.get("insecureSkipVerify").and_then(Value::as_bool) == Some(true);
        if unverified && (given("caCertificates") || given("subjectAltNames")) {
            self.tell(
                "/tls/insecureSkipVerify",
                "nothing is verified, so caCertificates and subjectAltNames have no place",
                sink,
            );
        }
        if given("credentialName") {
            if !own.is_empty() {
                let message = format!(
                    "certificates come from credentialName or from files: {} too is one too many",
                    own.join(", ")
                );
                self.tell("/tls", message, sink);
            }
        } else if mode == "MUTUAL" && !(given("clientCertificate") && given("privateKey")) {
            let report = self.report("/tls", "MUTUAL shows a certificate: it needs clientCertificate and privateKey");
            sink.push(report.hint("Or credentialName, with a workloadSelector"));
        }
    }
}

fn is_prime(number: u64) -> bool {
    number > 1
        && (2..).take_while(|factor: &u64| factor * factor <= number).all(|factor| !number.is_multiple_of(factor))
}

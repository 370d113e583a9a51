//! Can requests arrive through a LoadBalancer Service? Its address, what the cloud controller says of it, and the pods behind
//! it, as the cluster's objects tell.

use super::Health;
use super::ways::Origin;
use crate::asm::addresses;
use crate::doctor::clb_access::complaints;
use crate::object::At as _;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is known of a LoadBalancer Service.
#[derive(Clone, Copy, Debug)]
pub struct Front<'a> {
    /// The Service; `None` when it is not there.
    pub service: Option<&'a Value>,
    /// Its EndpointSlices; `None` when they could not be read.
    pub slices: Option<&'a [Value]>,
    /// Events of the cloud controller on it.
    pub events: &'a [Value],
    /// ASM makes it from a gateway; otherwise it is Git's.
    pub generated: bool,
    /// Ports that Gateways open on the pods behind it.
    pub listeners: Option<&'a BTreeMap<u16, Origin>>,
}

/// Why nothing, or not everything, arrives through it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The verdict.
    pub health: Health,
    /// It depends on pods, of which no event on the Service tells: to be looked at again.
    pub is_dark: bool,
}

/// Judges it.
pub fn judge(front: &Front<'_>) -> Verdict {
    let seen = |health| Verdict { health, is_dark: false };
    let Some(service) = front.service else {
        let why = if front.generated { "ASM has not made it in this cluster yet" } else { "is not there" };
        return seen(Health::Progressing(why.to_owned()));
    };
    if service.at("/metadata/deletionTimestamp").is_some() {
        return seen(Health::Progressing("is being deleted".to_owned()));
    }
    if service.at("/spec/type").and_then(Value::as_str) != Some("LoadBalancer") {
        let wrong = Health::Failed("is no load balancer, though its gateway wants one".to_owned());
        return seen(if front.generated { wrong } else { Health::Healthy });
    }
    if let Some(complaint) = complaints(front.events, service).first() {
        let meaning = complaint.meaning.map(|meaning| format!(": {meaning}")).unwrap_or_default();
        let (reason, since) = (&complaint.reason, &complaint.last_seen);
        let why = format!("the cloud controller says {reason} ({}), last at {since}{meaning}", complaint.message);
        return seen(Health::Failed(why));
    }
    if addresses::of_service(service).is_empty() {
        return seen(Health::Progressing("waits for its load balancer's address".to_owned()));
    }
    if let Some(health) = behind(service, front.slices) {
        return Verdict { health, is_dark: true };
    }
    seen(front.listeners.and_then(|listeners| unopened(service, listeners)).unwrap_or(Health::Healthy))
}

/// A port that a Gateway opens and the Service does not have: the Service's number counts, or that of the pods.
fn unopened(service: &Value, listeners: &BTreeMap<u16, Origin>) -> Option<Health> {
    let ports = service.at("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    let numbers = ports.flat_map(|port| ["port", "targetPort"].map(|field| port.get(field).and_then(Value::as_u64)));
    let open: Vec<u64> = numbers.flatten().collect();
    let mut missing = listeners.iter().filter(|(port, _)| !open.contains(&u64::from(**port)));
    let (port, origin) = missing.next()?;
    let more = missing.count();
    let more = if more > 0 { format!(" (and {more} more ports)") } else { String::new() };
    Some(Health::Progressing(format!(
        "has no port {port}, which {} opens ({}){more}: nobody gets there. ASM opens what spec.ports of the IstioGateway lists",
        origin.object, origin.position
    )))
}

/// What is wrong with the pods behind it; `None` also when nothing is known.
fn behind(service: &Value, slices: Option<&[Value]>) -> Option<Health> {
    let selector = service.at("/spec/selector").and_then(Value::as_object).filter(|all| !all.is_empty())?;
    // Without any slice the cluster's controller has not come to it, or there is none.
    let slices = slices.filter(|slices| !slices.is_empty())?;
    let endpoints = |slice: &Value| slice.get("endpoints").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_ready = |endpoint: &Value| endpoint.at("/conditions/ready").and_then(Value::as_bool).unwrap_or(true);
    let all: Vec<Value> = slices.iter().flat_map(endpoints).collect();
    if !all.iter().any(is_ready) {
        let labels: Vec<String> =
            selector.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
        let labels = labels.join(",");
        return Some(Health::Progressing(if all.is_empty() {
            format!("has an address, but no pod has the labels of its selector ({labels}): nothing answers there")
        } else {
            format!("has an address, but none of the {} pods behind it is ready: nothing answers there", all.len())
        }));
    }
    let open: Vec<&Value> = slices.iter().filter(|slice| endpoints(slice).iter().any(is_ready)).collect();
    let ports = service.at("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    let closed: Vec<String> = ports
        .filter(|port| {
            let name = port.get("name").and_then(Value::as_str).unwrap_or_default();
            let own = |slice: &&Value| slice.get("ports").and_then(Value::as_array).cloned().unwrap_or_default();
            !open.iter().flat_map(own).any(|port| port["name"].as_str().unwrap_or_default() == name)
        })
        .map(|port| format!("{} → {}", port["port"], port["targetPort"]))
        .collect();
    (!closed.is_empty()).then(|| {
        Health::Failed(format!(
            "no ready pod has the target of port {}: name a container port that is there",
            closed.join(", ")
        ))
    })
}

/// Says so when an address that was known has become another one: DNS and allow-lists still have the old one.
pub fn moved(before: &[String], now: &[String]) -> Option<String> {
    let gone: Vec<&str> = before.iter().filter(|address| !now.contains(address)).map(String::as_str).collect();
    if gone.is_empty() || now.is_empty() {
        return None;
    }
    let (gone, now) = (gone.join(", "), now.join(", "));
    Some(format!(
        "its address has changed from {gone} to {now}: DNS and allow-lists that name the old one lead nowhere"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(spec: Value) -> Value {
        let mut base = json!({"type": "LoadBalancer", "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}]});
        if let (Some(base), Value::Object(spec)) = (base.as_object_mut(), spec) {
            base.extend(spec);
        }
        json!({"metadata": {"name": "door", "uid": "u"}, "spec": base,
            "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}}})
    }

    fn slice(ready: &[bool], ports: &[&str]) -> Value {
        let endpoints: Vec<Value> = ready.iter().map(|ready| json!({"conditions": {"ready": ready}})).collect();
        let ports: Vec<Value> = ports.iter().map(|name| json!({"name": name, "port": 8080})).collect();
        json!({"endpoints": endpoints, "ports": ports})
    }

    fn event(reason: &str, message: &str, time: &str) -> Value {
        let kind = if reason.starts_with("Ensured") { "Normal" } else { "Warning" };
        json!({"involvedObject": {"kind": "Service", "name": "door", "uid": "u"}, "type": kind, "reason": reason,
            "message": message, "lastTimestamp": time})
    }

    /// What stands between a request and a pod, one fault a row.
    #[test]
    fn faults() {
        let good = service(json!({}));
        let without = |pointer: &str| {
            let mut service = good.clone();
            *service.pointer_mut(pointer).expect("it is there") = Value::Null;
            service
        };
        let mut going = good.clone();
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let (open, none) = (slice(&[true], &["http"]), slice(&[], &["http"]));
        let failed = |message: &str| vec![event("SyncLoadBalancerFailed", message, "2026-01-01T00:00:01Z")];
        let mut mended = failed("RspoolVipExist");
        mended.push(event("EnsuredLoadBalancer", "", "2026-01-01T00:00:02Z"));
        let mut again = mended.clone();
        again.push(event("SyncLoadBalancerFailed", "NetworkConflict", "2026-01-01T00:00:03Z"));
        let mut other = failed("NetworkConflict");
        other[0]["involvedObject"]["uid"] = json!("before");
        let unavailable = vec![event(
            "UnAvailableLoadBalancer",
            "There are no available nodes for LoadBalancer",
            "2026-01-01T00:00:01Z",
        )];
        let quiet: Vec<Value> = Vec::new();
        type Row<'a> = (&'a str, Option<&'a Value>, Option<Vec<Value>>, &'a [Value], bool, &'a str, bool);
        let (no_type, no_address) = (service(json!({"type": "ClusterIP"})), without("/status/loadBalancer/ingress"));
        let (no_selector, two_ports) = (
            without("/spec/selector"),
            service(
                json!({"ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443, "targetPort": "tls"}]}),
            ),
        );
        let (money, gone) =
            (failed("PAY.INSUFFICIENT_BALANCE"), failed("can not find loadbalancer, but it's defined in service"));
        let fixed = failed("alicloud: can not change LoadBalancer AddressType once created. delete and retry");
        let slices = |slices: &[&Value]| Some(slices.iter().map(|slice| (*slice).clone()).collect::<Vec<Value>>());
        let rows: Vec<Row<'_>> = vec![
            ("all is well", Some(&good), slices(&[&open]), &quiet, false, "", false),
            ("not there", None, None, &quiet, false, "is not there", false),
            ("not made", None, None, &quiet, true, "ASM has not made it", false),
            ("going", Some(&going), slices(&[&open]), &quiet, false, "is being deleted", false),
            ("no load balancer", Some(&no_type), slices(&[&open]), &quiet, false, "", false),
            (
                "generated, no load balancer",
                Some(&no_type),
                slices(&[&open]),
                &quiet,
                true,
                "is no load balancer",
                false,
            ),
            ("no address", Some(&no_address), slices(&[&open]), &quiet, false, "waits for its load balancer", false),
            ("no money", Some(&no_address), None, &money, false, "the account has no money left", false),
            ("deleted at the console", Some(&good), None, &gone, false, "has to be made again", false),
            ("a fixed setting", Some(&good), slices(&[&open]), &fixed, false, "replace the load balancer", false),
            ("no node", Some(&good), slices(&[&open]), &unavailable, false, "no node can be a back end", false),
            ("mended", Some(&good), slices(&[&open]), &mended, false, "", false),
            ("failed anew", Some(&good), slices(&[&open]), &again, false, "NetworkConflict", false),
            ("of the one before", Some(&good), slices(&[&open]), &other, false, "", false),
            (
                "no pod",
                Some(&good),
                slices(&[&none]),
                &quiet,
                false,
                "no pod has the labels of its selector (app=web)",
                true,
            ),
            (
                "no ready pod",
                Some(&good),
                slices(&[&slice(&[false, false], &["http"])]),
                &quiet,
                false,
                "none of the 2 pods",
                true,
            ),
            (
                "one of two is ready",
                Some(&good),
                slices(&[&slice(&[false, true], &["http"])]),
                &quiet,
                false,
                "",
                false,
            ),
            ("in the other slice", Some(&good), slices(&[&none, &open]), &quiet, false, "", false),
            ("a port that no pod has", Some(&two_ports), slices(&[&open]), &quiet, false, "port 443 → \"tls\"", true),
            ("nothing known of pods", Some(&good), None, &quiet, false, "", false),
            ("no slice yet", Some(&good), slices(&[]), &quiet, false, "", false),
            ("endpoints by hand", Some(&no_selector), slices(&[&none]), &quiet, false, "", false),
        ];
        for (what, service, slices, events, generated, words, dark) in rows {
            let front = Front { service, slices: slices.as_deref(), events, generated, listeners: None };
            let verdict = judge(&front);
            match &verdict.health {
                Health::Healthy => assert_eq!(words, "", "{what}"),
                Health::Progressing(why) | Health::Failed(why) => {
                    assert!(!words.is_empty() && why.contains(words), "{what}: {why}");
                }
            }
            assert_eq!(verdict.is_dark, dark, "{what}");
        }
    }

    #[test]
    fn ports_that_gateways_open_are_there() {
        let service = service(json!({"ports": [{"name": "http", "port": 80, "targetPort": 8080}]}));
        let slices = [slice(&[true], &["http"])];
        let origin = || Origin {
            object: crate::object::ObjectId::new("networking.istio.io", "Gateway", Some("default"), "edge"),
            position: crate::fleet::Position { file: "mesh/edge.yaml".into(), line: 9, column: 5 },
        };
        for (ports, missing) in [(vec![80], ""), (vec![8080], ""), (vec![80, 443, 8443], "443")] {
            let listeners: BTreeMap<u16, Origin> = ports.into_iter().map(|port| (port, origin())).collect();
            let front = Front {
                service: Some(&service),
                slices: Some(&slices),
                events: &[],
                generated: true,
                listeners: Some(&listeners),
            };
            match judge(&front).health {
                Health::Healthy => assert_eq!(missing, ""),
                Health::Progressing(why) | Health::Failed(why) => assert_eq!(
                    why,
                    format!(
                        "has no port {missing}, which Gateway default/edge opens (mesh/edge.yaml:9:5) (and 1 more ports): \
                         nobody gets there. ASM opens what spec.ports of the IstioGateway lists"
                    )
                ),
            }
        }
    }

    #[test]
    fn an_address_that_changed_is_told() {
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (before, now, told) in [
            ("", "a", false),
            ("a", "a", false),
            ("a", "a b", false),
            ("a", "", false),
            ("a", "b", true),
            ("a b", "b", true),
        ] {
            assert_eq!(moved(&list(before), &list(now)).is_some(), told, "{before} → {now}");
        }
    }
}

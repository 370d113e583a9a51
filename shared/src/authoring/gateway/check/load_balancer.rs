//! The load balancer: NLBs, reused instances, settings that have no effect.

use super::super::cloud::{NLB_CLASS, setting};
use super::Subject;
use crate::asm::gateway;
use crate::object::At as _;
use serde_json::Value;

/// Settings of a CLB that the controller does not read for an NLB.
const CLB_ONLY: [&str; 7] =
    ["spec", "instance-charge-type", "charge-type", "bandwidth", "vswitch-id", "master-zoneid", "slave-zoneid"];

impl<'a> Subject<'a> {
    pub(super) fn load_balancer(&mut self) {
        let annotations = |part: &'a Value| part.get("serviceAnnotations");
        if self.service_type() != "LoadBalancer" {
            if self.spec("loadBalancerClass").is_some() {
                let message = format!(
                    "a Service of type {} has no load balancer: loadBalancerClass is out of place",
                    self.service_type()
                );
                self.error("/spec/loadBalancerClass", message, &["leave --load-balancer out"]);
            }
            return;
        }
        if let Some(class) = self.text("loadBalancerClass").filter(|class| *class != NLB_CLASS) {
            self.warning(
                "/spec/loadBalancerClass",
                format!("the loadBalancerClass {class} is not Alibaba Cloud's {NLB_CLASS}"),
            );
        }
        let mut reused: Vec<&str> = Vec::new();
        for (base, cluster, part) in self.parts() {
            let pointer = format!("{base}/serviceAnnotations");
            let found = |suffix: &str| setting(annotations(part), suffix);
            if let Some(wrong) = found("address-type").filter(|value| !["internet", "intranet"].contains(value)) {
                self.error(&*pointer, format!("the address type is `{wrong}`, it has to be internet or intranet"), &[]);
            }
            if found("address-type").is_some() && self.is_serverless() {
                let message = "a serverless gateway has no documented choice between internet and intranet: leave the address type out";
                self.error(&*pointer, message, &[]);
            }
            if self.is_nlb() {
                self.nlb(&pointer, cluster, part);
            } else if found("spec").is_some()
                && !found("instance-charge-type").is_some_and(|charge| charge.eq_ignore_ascii_case("PayBySpec"))
            {
                self.warning(
                    &*pointer,
                    "the specification has no effect with a cloud controller since 2.12.4 unless instance-charge-type is PayBySpec",
                );
            }
            if let Some(id) = found("id") {
                if cluster.is_some() && reused.contains(&id) {
                    let message = format!(
                        "two clusters would claim the load balancer {id}: sharing one over clusters is not supported"
                    );
                    self.error(
                        &*pointer,
                        message,
                        &["give each cluster its own with --reuse-load-balancer CLUSTER:ID"],
                    );
                }
                reused.push(id);
                self.reused(&pointer, cluster, id, found("force-override-listeners") == Some("true"));
            }
        }
    }

    /// An NLB stands in zones: in two at least, or it is one that exists.
    fn nlb(&mut self, pointer: &str, cluster: Option<&str>, part: &'a Value) {
        let annotations = part.get("serviceAnnotations");
        if cluster.is_none() {
            // A cluster has its own vSwitches, so the zones may stand in its overrides.
            let ids = gateway::cluster_ids(self.object);
            let of_cluster = |id: &str| {
                let own = self.object.at(&format!("/spec/overrides/{id}/serviceAnnotations"));
                setting(own, "zone-maps").or(setting(own, "id")).is_some()
            };
            let everywhere = !ids.is_empty() && ids.iter().all(|id| of_cluster(id));
            if setting(annotations, "zone-maps").or(setting(annotations, "id")).is_none() && !everywhere {
                let hint = "add --zone-map ZONE=VSWITCH twice or more (per cluster with --override), or reuse one with --reuse-load-balancer";
                self.error(pointer, "an NLB needs vSwitches in at least two zones", &[hint]);
            }
        }
        if let Some(zones) = setting(annotations, "zone-maps") {
            let mut names: Vec<_> = zones.split(',').filter_map(|zone| Some(zone.split_once(':')?.0.trim())).collect();
            names.sort_unstable();
            names.dedup();
            if names.len() < 2 {
                let message = format!("the zones of the NLB are `{zones}`: it needs at least two different ones");
                self.error(pointer, message, &["write them as ZONE:VSWITCH,ZONE:VSWITCH"]);
            }
        }
        for suffix in CLB_ONLY.iter().filter(|suffix| setting(annotations, suffix).is_some()) {
            self.warning(pointer, format!("loadbalancer-{suffix} is for CLBs: an NLB does not read it"));
        }
    }

    fn reused(&mut self, pointer: &str, cluster: Option<&str>, id: &str, overrides_listeners: bool) {
        let clusters = gateway::cluster_ids(self.object).len();
        if cluster.is_none() && clusters > 1 {
            let message = format!(
                "{clusters} clusters would claim the load balancer {id}: sharing one over clusters is not supported"
            );
            let hint = "give each cluster its own with --reuse-load-balancer CLUSTER:ID";
            return self.error(pointer, message, &[hint]);
        }
        if !overrides_listeners {
            self.warning(
                pointer,
                format!("the cloud controller makes no listeners on {id} without --override-listeners: it serves nothing until somebody does"),
            );
        }
        let mut others = Vec::new();
        for manifest in &self.state.manifests {
            let annotations = match &*manifest.group_kind().kind {
                "Service" => vec![manifest.object.at("/metadata/annotations")],
                "IstioGateway" if *manifest.id.name != *self.name => {
                    let overrides = manifest.object.at("/spec/overrides").and_then(Value::as_object);
                    let overrides = overrides.into_iter().flat_map(|map| map.values());
                    std::iter::once(manifest.object.get("spec"))
                        .chain(overrides.map(Some))
                        .map(|part| part.and_then(|part| part.get("serviceAnnotations")))
                        .collect()
                }
                _ => continue,
            };
            if annotations.into_iter().any(|annotations| setting(annotations, "id") == Some(id)) {
                others.push(format!("{} ({})", manifest.id, manifest.position));
            }
        }
        others.sort();
        others.dedup();
        for other in others {
            self.warning(
                pointer,
                format!("{other} uses the load balancer {id} as well: only with different ports, and in one cluster"),
            );
        }
    }
}

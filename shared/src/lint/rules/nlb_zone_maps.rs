//! # nlb-zone-maps
//!
//! ## What it finds
//!
//! An NLB (`loadBalancerClass: alibabacloud.com/nlb`) without `loadbalancer-zone-maps` and without `loadbalancer-id`; zone maps
//! with fewer than two different zones; an item that is not `ZONE:VSWITCH`, with an optional `:ADDRESS` and `:EIP`.
//!
//! ## Why it is bad
//!
//! An NLB stands in two zones at least: the cloud refuses to make it, and the Service stays without an address.
//!
//! ## How to mend it
//!
//! Write `cn-hangzhou-h:vsw-1,cn-hangzhou-i:vsw-2` with vSwitches of the cluster's VPC; per cluster in `spec.overrides`.

use super::super::Severity;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::World;
use crate::asm::annotations::Product;
use std::collections::BTreeSet;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "nlb-zone-maps",
    severity: Severity::Error,
    summary: "an NLB has not the zones that it needs",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: false,
    source: include_str!("nlb_zone_maps.rs"),
    check,
};

const ZONE_MAPS: &str = "loadbalancer-zone-maps";

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    let nlbs = world.fronts().iter().filter(|front| front.is_load_balancer() && front.product() == Product::Nlb);
    for front in nlbs {
        let Some(setting) = front.setting(ZONE_MAPS) else {
            if front.text("loadbalancer-id").is_none() {
                let at = front.class.as_ref().map(|(_, at)| at.as_str()).unwrap_or_default();
                let report = Report::at(front.manifest, at, "an NLB needs vSwitches in at least two zones");
                let report = report.targets([front.target.clone()]);
                sink.push(report.hint("Add loadbalancer-zone-maps: ZONE:VSWITCH,ZONE:VSWITCH"));
            }
            continue;
        };
        let text = setting.value.as_str().unwrap_or_default();
        let report =
            |message: String| Report::at(front.manifest, &*setting.pointer, message).targets([front.target.clone()]);
        let mut zones = BTreeSet::new();
        for item in text.split(',').map(str::trim) {
            let mut parts = item.split(':').map(str::trim);
            let (zone, vswitch) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            if zone.is_empty() || !vswitch.starts_with("vsw-") || parts.count() > 2 {
                sink.push(report(format!("`{item}` is not ZONE:VSWITCH, for example cn-hangzhou-h:vsw-1")));
            }
            zones.insert(zone);
        }
        if zones.len() < 2 {
            sink.push(report(format!("the NLB has {} zone only: it needs two different ones at least", zones.len())));
        }
    }
}

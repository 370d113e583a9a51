//! Where annotations of Istio stand: on objects, on the pods and Services that objects make.

use super::fronts::escape;
use crate::fleet::{FleetState, Manifest, pods};
use crate::istio::{is_istios, is_written_for_us};
use crate::object::At as _;
use crate::object::kinds::{ASM, GATEWAY_API};
use serde_json::Value;

/// One annotation of Istio.
#[derive(Clone, Debug)]
pub(in crate::lint) struct Annotated<'a> {
    /// What carries it.
    pub(in crate::lint) manifest: &'a Manifest,
    /// The map that it stands in.
    pub(in crate::lint) base: String,
    /// The kind that gets it, as Istio's table names kinds: `Pod` for what stands in a template.
    pub(in crate::lint) kind: &'a str,
    /// `istioctl analyze` looks here too.
    pub(in crate::lint) is_seen: bool,
    pub(in crate::lint) key: &'a str,
    pub(in crate::lint) value: &'a Value,
}

impl Annotated<'_> {
    /// Where it stands.
    pub(in crate::lint) fn pointer(&self) -> String {
        format!("{}/{}", self.base, escape(self.key))
    }

    /// May the Gateway API's controller hand it on to what it makes?
    pub(in crate::lint) fn is_handed_on(&self) -> bool {
        *self.manifest.id.group_kind.group == *GATEWAY_API
    }
}

/// All of them, less what is written for people.
pub(super) fn all(state: &FleetState) -> Vec<Annotated<'_>> {
    state.manifests.iter().flat_map(of).collect()
}

fn of(manifest: &Manifest) -> Vec<Annotated<'_>> {
    let mut found = Vec::new();
    let kind = &*manifest.id.group_kind.kind;
    let is_seen = matches!((&*manifest.id.group_kind.group, kind), ("", "Namespace" | "Service" | "Pod"))
        || manifest.id.group_kind.is("apps", "Deployment");
    in_map(manifest, "/metadata/annotations", (kind, is_seen), &mut found);
    if manifest.id.group_kind.is(ASM, "IstioGateway") {
        for at in parts(&manifest.object) {
            in_map(manifest, &format!("{at}/podAnnotations"), ("Pod", false), &mut found);
            in_map(manifest, &format!("{at}/serviceAnnotations"), ("Service", false), &mut found);
        }
    } else if let Some(template) = pods::template_at(manifest).filter(|at| !at.is_empty()) {
        in_map(manifest, &format!("{template}/metadata/annotations"), ("Pod", false), &mut found);
    }
    found
}

fn in_map<'a>(manifest: &'a Manifest, base: &str, (kind, is_seen): (&'a str, bool), found: &mut Vec<Annotated<'a>>) {
    let map = manifest.object.at(base).and_then(Value::as_object).into_iter().flatten();
    let own = map.filter(|(key, _)| is_istios(key) && !is_written_for_us(key));
    found.extend(own.map(|(key, value)| Annotated { manifest, base: base.to_owned(), kind, is_seen, key, value }));
}

/// Where an IstioGateway says how it is, and how it differs in a cluster.
fn parts(gateway: &Value) -> Vec<String> {
    let clusters = gateway.at("/spec/overrides").and_then(Value::as_object).into_iter().flatten();
    let overrides = clusters.map(|(id, _)| format!("/spec/overrides/{}", escape(id)));
    std::iter::once("/spec".to_owned()).chain(overrides).collect()
}

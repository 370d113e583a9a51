//! The kinds of dangerous steps.

use super::{Loss, Step, gateway, is_gateway, is_service, service};
use crate::asm::addresses;
use crate::fleet::ApprovalAction;
use crate::object::GroupKind;

/// What it takes to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// An approval in Git of this action.
    Approval(ApprovalAction),
    /// It cannot be done to this object, whoever agrees: another one is made beside it, clients move, the old one is
    /// retired. The text is that plan; `NAME` stands for the object's name.
    Double(&'static str),
}

/// A row.
pub struct DangerClass {
    /// Name of the row.
    pub id: &'static str,
    /// Whose: `Service`, `IstioGateway`, `Namespace` or `CustomResourceDefinition`.
    pub kind: &'static str,
    /// It is about deleting the object, not about changing it.
    pub deletes: bool,
    /// It loses everything that the object has, so that further rows have nothing to add.
    pub everything: bool,
    /// What it takes to go on.
    pub needs: Needs,
    find: fn(&Step<'_>) -> Option<Loss>,
}

impl DangerClass {
    pub(super) fn is_about(&self, group_kind: &GroupKind) -> bool {
        match self.kind {
            "Service" => is_service(group_kind),
            "IstioGateway" => is_gateway(group_kind),
            "Namespace" => group_kind.is("", "Namespace"),
            kind => group_kind.is("apiextensions.k8s.io", kind),
        }
    }

    pub(super) fn find(&self, step: &Step<'_>) -> Option<Loss> {
        (self.find)(step)
    }
}

const DELETE: Needs = Needs::Approval(ApprovalAction::Delete);
const RELEASE: Needs = Needs::Approval(ApprovalAction::Release);
const TAKE_OVER: Needs = Needs::Approval(ApprovalAction::TakeOver);
const ANOTHER_CLB: Needs = Needs::Double(
    "put the old value back into Git, make the new load balancer beside it with `kubectl asm clb replace NAME`, move DNS, \
     and retire the old one with `kubectl asm clb remove NAME`, which writes the approval",
);
const ANOTHER_GATEWAY: Needs = Needs::Double(
    "put the old value back into Git, make a second gateway beside it with `kubectl asm gateway create`, let both serve the \
     Gateway with `kubectl asm gateway share`, move DNS, and retire the old one with `kubectl asm gateway delete NAME`, which \
     writes the approval",
);

const fn deletion(id: &'static str, kind: &'static str, find: fn(&Step<'_>) -> Option<Loss>) -> DangerClass {
    DangerClass { id, kind, deletes: true, everything: true, needs: DELETE, find }
}

const fn change(
    id: &'static str,
    kind: &'static str,
    needs: Needs,
    find: fn(&Step<'_>) -> Option<Loss>,
) -> DangerClass {
    DangerClass { id, kind, deletes: false, everything: false, needs, find }
}

const fn end(id: &'static str, kind: &'static str, find: fn(&Step<'_>) -> Option<Loss>) -> DangerClass {
    DangerClass { everything: true, ..change(id, kind, RELEASE, find) }
}

/// The table. Of one kind, what loses most stands first.
pub const CLASSES: &[DangerClass] = &[
    deletion("service-deleted", "Service", service::deleted),
    deletion("gateway-deleted", "IstioGateway", gateway::deleted),
    deletion("namespace-deleted", "Namespace", holder_deleted),
    deletion("definition-deleted", "CustomResourceDefinition", holder_deleted),
    end("type-taken-away", "Service", service::type_taken_away),
    end("given-to-another-controller", "Service", service::given_away),
    change("class-of-service", "Service", ANOTHER_CLB, service::class_changed),
    change("fixed-setting", "Service", ANOTHER_CLB, service::fixed_setting),
    change("listeners-taken-over", "Service", TAKE_OVER, service::takes_over),
    end("managed-by-asm-switched", "IstioGateway", gateway::switched),
    end("load-balancer-taken-away", "IstioGateway", gateway::type_taken_away),
    end("class-of-gateway", "IstioGateway", gateway::class_changed),
    change("cluster-taken-out", "IstioGateway", RELEASE, gateway::cluster_taken_out),
    change("fixed-setting-of-gateway", "IstioGateway", ANOTHER_GATEWAY, gateway::fixed_setting),
    change("listeners-taken-over-by-gateway", "IstioGateway", TAKE_OVER, gateway::takes_over),
];

fn holder_deleted(step: &Step<'_>) -> Option<Loss> {
    let objects = step.inside.iter();
    let mut lost: Vec<String> = objects
        .flat_map(|object| [addresses::of_service(object), addresses::of_istio_gateway(object)])
        .flatten()
        .collect();
    lost.sort();
    lost.dedup();
    Some(Loss { addresses: lost, consequence: "deletes everything in it, also what Git does not know".to_owned() })
}

//! Where an object's file goes: told by the object alone, so that the same object always gets the same file, whatever
//! else there is. The places are those that authoring writes to.

use crate::object::ObjectId;
use crate::object::kinds::{self, ASM, ISTIO_NETWORKING};
use sha2::{Digest as _, Sha256};

/// Longest name of a file, without its ending: file systems take 255 bytes.
const LONGEST: usize = 200;

/// Names that some file systems keep for devices.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// The folders and the file below `mesh/`, or below a cluster's or group's folder. `app` is the application it belongs to.
/// `None` when the object's name or namespace cannot be the name of a file.
pub(super) fn place(id: &ObjectId, app: Option<&str>) -> Option<String> {
    let namespace = match id.namespace.as_deref() {
        Some(namespace) => Some((namespace, file_name(namespace)?)),
        None => None,
    };
    file_name(&id.name)?;
    let (folder, home, name) = folder(id, app);
    let name = file_name(name)?;
    Some(match namespace {
        Some((namespace, folder_name)) if namespace != home => format!("{folder}/{folder_name}/{name}.yaml"),
        _ => format!("{folder}/{name}.yaml"),
    })
}

/// The folder, the namespace that needs no folder of its own in it, and what names the file.
fn folder<'a>(id: &'a ObjectId, app: Option<&'a str>) -> (String, &'static str, &'a str) {
    let kind = &id.group_kind;
    if kind.is(ASM, "IstioGateway") {
        return ("gateways".to_owned(), super::reason::GENERATED_IN, &id.name);
    }
    if &*kind.group == ISTIO_NETWORKING && matches!(&*kind.kind, "Gateway" | "VirtualService" | "DestinationRule") {
        return ("routes".to_owned(), "default", &id.name);
    }
    match kinds::find(kind) {
        Some(row) if row.place == kinds::Place::Mesh => (row.plural.to_owned(), "default", &id.name),
        // A load balancer of a gateway.
        _ if kind.is("", "Service") && id.namespace.as_deref() == Some(super::reason::GENERATED_IN) => {
            ("gateways".to_owned(), super::reason::GENERATED_IN, &id.name)
        }
        _ => ("apps".to_owned(), "default", app.unwrap_or(&id.name)),
    }
}

/// A name as the name of a file: as it is, when every file system takes it and keeps it apart from all others. Names with
/// upper case or of great length get a fingerprint. `None` when it would lead out of its folder or cannot be shown.
pub(super) fn file_name(name: &str) -> Option<String> {
    let is_sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_usable = !name.is_empty() && !name.starts_with('.') && !name.ends_with('.') && name.chars().all(is_sound);
    if !is_usable {
        return None;
    }
    let small = name.to_ascii_lowercase();
    let stem = small.split('.').next().unwrap_or_default();
    let is_device = DEVICES.contains(&stem)
        || (stem.len() == 4
            && (stem.starts_with("com") || stem.starts_with("lpt"))
            && stem.ends_with(|c: char| c.is_ascii_digit()));
    if small == name && name.len() <= LONGEST && !is_device {
        return Some(small);
    }
    let hash = Sha256::digest(name.as_bytes());
    let mark: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let shortened = small.get(..small.len().min(LONGEST)).unwrap_or(&small).replace('.', "-");
    Some(format!("{shortened}-{mark}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(group: &str, kind: &str, namespace: &str, name: &str) -> String {
        place(&ObjectId::new(group, kind, Some(namespace), name), None).unwrap()
    }

    #[test]
    fn files_are_where_authoring_would_have_put_them() {
        assert_eq!(at(ASM, "IstioGateway", "istio-system", "edge"), "gateways/edge.yaml");
        assert_eq!(at(ISTIO_NETWORKING, "VirtualService", "default", "reviews"), "routes/reviews.yaml");
        assert_eq!(at(ISTIO_NETWORKING, "DestinationRule", "shop", "reviews"), "routes/shop/reviews.yaml");
        assert_eq!(at(ISTIO_NETWORKING, "ServiceEntry", "default", "bank"), "serviceentries/bank.yaml");
        assert_eq!(at("", "Service", "istio-system", "istio-edge-2"), "gateways/istio-edge-2.yaml");
        assert_eq!(at("apps", "Deployment", "default", "cart"), "apps/cart.yaml");
        let id = ObjectId::new("apps", "Deployment", Some("shop"), "cart-v1");
        assert_eq!(place(&id, Some("cart")).as_deref(), Some("apps/shop/cart.yaml"));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", ".", "..", "../x", "a/b", "a\\b", "a\nb", "a b", ".git", "é", "x.", "a:b"] {
            assert_eq!(file_name(name), None, "{name:?}");
            assert_eq!(place(&ObjectId::new("", "Service", Some(name), "x"), None), None, "{name:?}");
            assert_eq!(place(&ObjectId::new("", "Service", Some("x"), name), Some("app")), None, "{name:?}");
        }
    }

    #[test]
    fn names_that_some_disks_take_for_one_stay_apart() {
        assert_eq!(file_name("reviews").as_deref(), Some("reviews"));
        let (one, other) = (file_name("Reviews").unwrap(), file_name("rEviews").unwrap());
        assert!(one.starts_with("reviews-") && other.starts_with("reviews-"));
        assert_ne!(one, other);
        assert_eq!(one, one.to_ascii_lowercase());
        assert_ne!(file_name("nul").as_deref(), Some("nul"));
        assert_ne!(file_name("com1.x").as_deref(), Some("com1.x"));
        assert_eq!(file_name("console").as_deref(), Some("console"));
        let long = "a".repeat(253);
        assert!(file_name(&long).unwrap().len() <= 220);
        assert_ne!(file_name(&long), file_name(&"a".repeat(252)));
    }
}

//! Objects as people name them on a command line, and the drifted ones among which they choose.

use crate::error::CommandError;
use asm_shared::api::{DriftReport, DriftedObject};
use asm_shared::authoring::did_you_mean;
use asm_shared::object::{GroupKind, ObjectId, kinds};

/// Short names that kubectl users type.
const SHORT: &[(&str, &str)] = &[
    ("cm", "ConfigMap"),
    ("deploy", "Deployment"),
    ("dr", "DestinationRule"),
    ("gw", "Gateway"),
    ("hpa", "HorizontalPodAutoscaler"),
    ("ns", "Namespace"),
    ("sa", "ServiceAccount"),
    ("se", "ServiceEntry"),
    ("svc", "Service"),
    ("vs", "VirtualService"),
];

/// `[TARGET/]KIND/[NAMESPACE/]NAME`, also as `kubectl asm drift -o name` prints it: `TARGET/NAMESPACE/KIND/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    text: String,
    /// The target, when one is named.
    pub target: Option<String>,
    words: Vec<String>,
}

impl Selector {
    /// Reads one. `targets`: names that may stand in front.
    pub fn parse(text: &str, targets: &[&str]) -> Result<Self, CommandError> {
        let mut words: Vec<String> = text.split('/').map(str::to_owned).collect();
        let wrong = |why: &str| {
            CommandError::usage(format!("`{text}` names no object: {why}"))
                .hinted("write [TARGET/]KIND/[NAMESPACE/]NAME, for example mesh/VirtualService/default/bookinfo")
        };
        if words.iter().any(String::is_empty) {
            return Err(wrong("a part of it is empty"));
        }
        let first = words.first().map(String::as_str).unwrap_or_default();
        let target = (words.len() > 2 && targets.contains(&first)).then(|| words.remove(0));
        match words.len() {
            2 | 3 => Ok(Self { text: text.to_owned(), target, words }),
            4 => {
                let target = words.first().map(String::as_str).unwrap_or_default();
                Err(wrong(&format!("there is no target {target}"))
                    .hinted_with(did_you_mean(target, targets.iter().copied()))
                    .hinted(format!("targets are: {}", targets.join(", "))))
            }
            _ => Err(wrong("it has too few or too many parts")),
        }
    }

    /// Is this object meant?
    pub fn matches(&self, target: &str, id: &ObjectId) -> bool {
        let namespace = id.namespace.as_deref().unwrap_or_default();
        let is = |kind: &str, name: &str| is_kind(kind, &id.group_kind) && name == &*id.name;
        self.target.as_deref().is_none_or(|own| own == target)
            && match &self.words[..] {
                [kind, name] => is(kind, name),
                [one, two, name] => (is(one, name) && two == namespace) || (is(two, name) && one == namespace),
                _ => false,
            }
    }

    /// Kind, namespace and name as they are written, when nothing is known to choose among.
    pub fn parts(&self) -> (&str, Option<&str>, &str) {
        match &self.words[..] {
            [kind, namespace, name] => (full_name(kind), Some(namespace), name),
            [kind, name] => (full_name(kind), None, name),
            _ => ("", None, ""),
        }
    }

    /// As it was typed.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// `vs` → `VirtualService`, `services` → `Service`; other words stay.
fn full_name(word: &str) -> &str {
    let short = SHORT.iter().find(|(short, _)| short.eq_ignore_ascii_case(word)).map(|(_, kind)| *kind);
    let plural = || kinds::KINDS.iter().find(|row| row.plural.eq_ignore_ascii_case(word)).map(|row| row.kind);
    short.or_else(plural).unwrap_or(word)
}

fn is_kind(word: &str, kind: &GroupKind) -> bool {
    let full = full_name(word);
    let (plain, group) = full.split_once('.').map_or((full, None), |(plain, group)| (full_name(plain), Some(group)));
    plain.eq_ignore_ascii_case(&kind.kind) && group.is_none_or(|group| group.eq_ignore_ascii_case(&kind.group))
}

/// A drifted object of one target.
#[derive(Clone, Debug)]
pub struct Drifted<'a> {
    /// The target.
    pub target: &'a str,
    /// Which.
    pub id: ObjectId,
    /// What the agent says about it.
    pub object: &'a DriftedObject,
}

impl Drifted<'_> {
    /// `mesh/VirtualService/default/bookinfo`.
    pub fn name(&self) -> String {
        object_name(self.target, &self.id)
    }
}

/// `mesh/VirtualService/default/bookinfo`.
pub fn object_name(target: &str, id: &ObjectId) -> String {
    let namespace = id.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{target}/{}/{namespace}{}", id.group_kind.kind, id.name)
}

/// Everything that drifted.
pub fn all(reports: &[DriftReport]) -> Vec<Drifted<'_>> {
    reports
        .iter()
        .flat_map(|report| {
            let objects = report.status.iter().flat_map(|status| &status.objects);
            objects.map(|object| Drifted { target: &report.spec.target, id: id_of(object), object })
        })
        .collect()
}

fn id_of(object: &DriftedObject) -> ObjectId {
    let (kind, group) = object.kind.split_once('.').unwrap_or((&object.kind, ""));
    ObjectId::new(group, kind, object.namespace.as_deref(), &object.name)
}

/// What a selector means among several objects: one object, perhaps on several targets.
pub fn choose<T: Clone>(
    selector: &Selector,
    candidates: &[T],
    key: impl Fn(&T) -> (String, ObjectId),
) -> Result<Vec<T>, CommandError> {
    let found: Vec<&T> = candidates
        .iter()
        .filter(|candidate| {
            let (target, id) = key(candidate);
            selector.matches(&target, &id)
        })
        .collect();
    let first = found.first().map(|candidate| key(candidate).1);
    if found.iter().any(|candidate| Some(key(candidate).1) != first) {
        let names: Vec<String> = found
            .iter()
            .map(|candidate| {
                let (target, id) = key(candidate);
                object_name(&target, &id)
            })
            .collect();
        return Err(CommandError::usage(format!("`{}` could mean several objects", selector.text()))
            .hinted(format!("name one of: {}", names.join(", "))));
    }
    Ok(found.into_iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: &[&str] = &["mesh", "m1c1"];

    fn matches(text: &str, target: &str) -> bool {
        let id = ObjectId::new("networking.istio.io", "VirtualService", Some("default"), "bookinfo");
        Selector::parse(text, TARGETS).is_ok_and(|selector| selector.matches(target, &id))
    }

    #[test]
    fn an_object_has_many_names() {
        for text in [
            "VirtualService/bookinfo",
            "vs/bookinfo",
            "virtualservices/default/bookinfo",
            "mesh/virtualservice.networking.istio.io/bookinfo",
            "mesh/VirtualService/default/bookinfo",
            "mesh/default/virtualservice.networking.istio.io/bookinfo",
        ] {
            assert!(matches(text, "mesh"), "{text}");
        }
        for text in
            ["svc/bookinfo", "vs/other/bookinfo", "m1c1/vs/default/bookinfo", "vs.example.com/bookinfo", "vs/book"]
        {
            assert!(!matches(text, "mesh"), "{text}");
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for text in ["bookinfo", "a//b", "", "m1c9/vs/default/bookinfo", "a/b/c/d/e"] {
            assert!(Selector::parse(text, TARGETS).is_err(), "{text}");
        }
    }
}

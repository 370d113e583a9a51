//! Patterns over field paths, for the tables of this module: `spec.ports`, `**.resources.limits.*`.
//!
//! List elements do not count as steps, so `spec.http.timeout` matches `spec.http[3].timeout`; `*` is any one field, a
//! leading `**` any number of fields (also none).

use super::{FieldPath, GroupKind, Segment};

/// Which kinds a row of a table speaks about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kinds {
    /// Every kind.
    Any,
    /// One kind: group, kind.
    One(&'static str, &'static str),
    /// Every kind of one group.
    Group(&'static str),
    /// Every kind that holds a pod template (or is a pod).
    Pods,
    /// Every kind of every Istio group (`*.istio.io`), and none of ASM's.
    Istio,
}

impl Kinds {
    /// Does the row speak about this kind?
    pub(crate) fn has(self, kind: &GroupKind) -> bool {
        match self {
            Self::Any => true,
            Self::One(group, name) => kind.is(group, name),
            Self::Group(group) => *kind.group == *group,
            Self::Pods => matches!(
                (&*kind.group, &*kind.kind),
                ("", "Pod" | "PodTemplate" | "ReplicationController")
                    | ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
                    | ("batch", "Job" | "CronJob")
            ),
            Self::Istio => kind.group.ends_with(".istio.io"),
        }
    }
}

/// Does the path match the pattern?
pub(crate) fn matches(pattern: &str, path: &FieldPath) -> bool {
    let mut fields = path.0.iter().rev().filter_map(|segment| match segment {
        Segment::Field(name) => Some(&**name),
        Segment::Index(_) | Segment::Key(_) => None,
    });
    for step in pattern.rsplit('.') {
        if step == "**" {
            return true;
        }
        match fields.next() {
            Some(field) if step == "*" || step == field => {}
            _ => return false,
        }
    }
    fields.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_count_fields_from_the_end() {
        let path = FieldPath::of_fields(["spec", "http"]).index(3).field("timeout");
        assert!(matches("spec.http.timeout", &path));
        assert!(matches("**.timeout", &path));
        assert!(matches("spec.*.timeout", &path));
        assert!(matches("**.spec.http.timeout", &path));
        assert!(!matches("http.timeout", &path));
        assert!(!matches("spec.http", &path));
    }
}

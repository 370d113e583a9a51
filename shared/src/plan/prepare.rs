//! What is really sent: Git's object with the set's label, and a Secret's `stringData` turned into `data`.

use crate::api::labels;
use crate::object::server_owned::is_filled_in;
use crate::object::{FieldPath, GroupKind, Segment, fold_in_place};
use serde_json::{Map, Value};

/// Makes the object that is applied for a manifest.
///
/// `stringData` has to go because our managedFields entry would list `stringData` while changes happen to `data`: a
/// foreign change would not be seen, and a dropped key would stay for ever (managed-fields reference, "Holes").
pub(super) fn prepare(group_kind: &GroupKind, object: &Value, set: &str) -> Value {
    let mut object = object.clone();
    leave_to_controllers(group_kind, &mut object);
    if let Some(labels) = labels_of(&mut object) {
        labels.insert(labels::PART_OF.to_owned(), Value::from(set));
    }
    if group_kind.is("", "Secret") {
        fold_in_place(&mut object);
    }
    object
}

/// Takes out what belongs to the API server and to the controllers, should a file hold it (an export, say): status, the labels
/// of the cloud controller (another hash makes it synchronise the load balancer anew, and fight), its finalizers (a Service
/// without them leaks its load balancer; one that owns them cannot go), ASM's finalizers.
fn leave_to_controllers(group_kind: &GroupKind, object: &mut Value) {
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    // An owner that is not there, or lives in another cluster, has the garbage collector delete the object.
    metadata.remove("ownerReferences");
    let is_theirs = |path: &[&str]| {
        let path = FieldPath(path.iter().map(|field| Segment::Field((*field).into())).collect());
        is_filled_in(group_kind, &path, &Value::Null)
    };
    if is_theirs(&["metadata", "finalizers"]) {
        metadata.remove("finalizers");
    }
    if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
        labels.retain(|label, _| !is_theirs(&["metadata", "labels", label]));
    }
}

/// `metadata.labels`, made when it is not there.
fn labels_of(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let metadata = object.get_mut("metadata")?.as_object_mut()?;
    let labels = metadata.entry("labels").or_insert_with(|| Value::Object(Map::new()));
    if labels.is_null() {
        *labels = Value::Object(Map::new());
    }
    labels.as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_label_is_added_to_whatever_labels_there_are() {
        let kind = GroupKind::new("", "Service");
        for (labels, wanted) in [
            (json!({"a": "b"}), json!({"a": "b", "applyset.kubernetes.io/part-of": "set"})),
            (json!(null), json!({"applyset.kubernetes.io/part-of": "set"})),
        ] {
            let object = prepare(&kind, &json!({"metadata": {"name": "x", "labels": labels}}), "set");
            assert_eq!(object["metadata"]["labels"], wanted);
        }
        assert_eq!(
            prepare(&kind, &json!({"metadata": {"name": "x", "labels": "no"}}), "set")["metadata"]["labels"],
            "no"
        );
    }

    #[test]
    fn what_belongs_to_controllers_is_never_sent() {
        let labels = json!({"service.beta.kubernetes.io/hash": "x", "service.k8s.alibaba/loadbalancer-id": "lb-1",
            "service.k8s.alibaba/security-group-id": "sg-1", "app": "door"});
        let exported = json!({"metadata": {"name": "door", "labels": labels, "finalizers": ["service.k8s.alibaba/resources"], "ownerReferences": [{"uid": "gone"}]},
            "spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}}});
        let sent = prepare(&GroupKind::new("", "Service"), &exported, "set");
        assert_eq!(
            sent,
            json!({"metadata": {"name": "door", "labels": {"app": "door", "applyset.kubernetes.io/part-of": "set"}},
                "spec": {"type": "LoadBalancer"}})
        );
        let claim = json!({"metadata": {"name": "x", "finalizers": ["example.com/keep"]}});
        let sent = prepare(&GroupKind::new("", "PersistentVolumeClaim"), &claim, "set");
        assert_eq!(sent["metadata"]["finalizers"], json!(["example.com/keep"]), "finalizers of others are Git's");
    }

    #[test]
    fn string_data_becomes_data_and_wins_as_the_api_server_would_have_it() {
        let secret = json!({"metadata": {"name": "x"}, "data": {"a": "MQ==", "b": "Mg=="}, "stringData": {"a": "3"}});
        let sent = prepare(&GroupKind::new("", "Secret"), &secret, "set");
        assert_eq!(sent["data"], json!({"a": "Mw==", "b": "Mg=="}));
        assert!(sent.get("stringData").is_none());
    }
}

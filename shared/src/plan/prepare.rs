//! What is really sent: Git's object with the set's label, and a Secret's `stringData` turned into `data`.

use crate::api::labels;
use crate::object::{GroupKind, fold_in_place};
use serde_json::{Map, Value};

/// Makes the object that is applied for a manifest.
///
/// `stringData` has to go because our managedFields entry would list `stringData` while changes happen to `data`: a
/// foreign change would not be seen, and a dropped key would stay for ever (managed-fields reference, "Holes").
pub(super) fn prepare(group_kind: &GroupKind, object: &Value, set: &str) -> Value {
    let mut object = object.clone();
    if let Some(labels) = labels_of(&mut object) {
        labels.insert(labels::PART_OF.to_owned(), Value::from(set));
    }
    if group_kind.is("", "Secret") {
        fold_in_place(&mut object);
    }
    object
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
    fn string_data_becomes_data_and_wins_as_the_api_server_would_have_it() {
        let secret = json!({"metadata": {"name": "x"}, "data": {"a": "MQ==", "b": "Mg=="}, "stringData": {"a": "3"}});
        let sent = prepare(&GroupKind::new("", "Secret"), &secret, "set");
        assert_eq!(sent["data"], json!({"a": "Mw==", "b": "Mg=="}));
        assert!(sent.get("stringData").is_none());
    }
}

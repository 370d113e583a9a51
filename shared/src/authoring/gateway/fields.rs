//! The fields of an IstioGateway's `spec` (`asm-domain.md` §1.3, §1.5), in the order in which a new gateway has them.

use serde_json::Value;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Text, also where it looks like a number: must be quoted in YAML.
    Text,
    /// A whole number.
    Whole,
    /// true or false.
    Truth,
    /// Names and texts.
    Texts,
    /// A map.
    Map,
    /// A list.
    List,
}

/// The table.
#[rustfmt::skip]
pub(super) const FIELDS: &[(&str, Type)] = &[
    ("gatewayType", Type::Text), ("clusterIds", Type::List),
    ("replicaCount", Type::Whole), ("autoscaleEnabled", Type::Truth), ("minReplicas", Type::Whole), ("maxReplicas", Type::Whole),
    ("cpu", Type::Map), ("memory", Type::Map),
    ("serviceType", Type::Text), ("loadBalancerClass", Type::Text), ("loadBalancerIP", Type::Text),
    ("externalTrafficPolicy", Type::Text), ("serviceAnnotations", Type::Texts), ("serviceLabels", Type::Texts),
    ("ports", Type::List), ("meshExpansionPorts", Type::List), ("applicationPorts", Type::Text),
    ("resources", Type::Map), ("rollingMaxSurge", Type::Text), ("rollingMaxUnavailable", Type::Text),
    ("podLabels", Type::Texts), ("podAnnotations", Type::Texts), ("nodeSelector", Type::Texts), ("affinity", Type::Map),
    ("tolerations", Type::List), ("env", Type::List), ("secretVolumes", Type::List), ("configVolumes", Type::List),
    ("dnsPolicy", Type::Text), ("hostNetwork", Type::Truth), ("runAsRoot", Type::Truth),
    ("lifecycle", Type::Map), ("readinessProbe", Type::Map), ("kernel", Type::Map), ("compression", Type::Map), ("sds", Type::Map),
    ("autoCreateGatewayYaml", Type::Truth), ("disableContainerPortExposed", Type::Truth),
    ("requestedNetworkView", Type::Text), ("overrides", Type::Map),
];

/// Fields further inside, by the last names of their path.
#[rustfmt::skip]
const INNER: &[(&[&str], Type)] = &[
    (&["resources", "limits"], Type::Texts), (&["resources", "requests"], Type::Texts),
    (&["kernel", "parameters"], Type::Texts),
    (&["cpu", "targetAverageUtilization"], Type::Whole), (&["memory", "targetAverageUtilization"], Type::Whole),
    (&["kernel", "enabled"], Type::Truth),
];

/// The type of a field of `spec`.
pub(super) fn type_of(name: &str) -> Option<Type> {
    FIELDS.iter().find(|(known, _)| *known == name).map(|(_, found)| *found)
}

/// The type at a path of the object, as far as the table knows it.
pub(super) fn type_at(path: &[&str]) -> Option<Type> {
    let inside = match path {
        ["metadata", _] => return Some(Type::Texts),
        ["metadata", _, _] => return Some(Type::Text),
        ["spec", "overrides", _, rest @ ..] | ["spec", rest @ ..] => rest,
        _ => return None,
    };
    match inside {
        [field] => type_of(field),
        [field, _] if type_of(field) == Some(Type::Texts) => Some(Type::Text),
        // A port of the pods may have a name.
        [.., "env", _, "value"] => Some(Type::Text),
        [field, inner, rest @ ..] => {
            let found = INNER.iter().find(|(path, _)| *path == [*field, *inner]).map(|(_, found)| *found)?;
            match (rest, found) {
                ([], found) => Some(found),
                ([_], Type::Texts) => Some(Type::Text),
                _ => None,
            }
        }
        [] => None,
    }
}

impl Type {
    /// Is the value of this type?
    pub(super) fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Whole => value.as_i64().is_some(),
            Self::Truth => value.is_boolean(),
            Self::Texts => value.as_object().is_some_and(|map| map.values().all(Value::is_string)),
            Self::Map => value.is_object(),
            Self::List => value.is_array(),
        }
    }

    /// What it is, for people.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Text => "text (quote it)",
            Self::Whole => "a whole number",
            Self::Truth => "true or false",
            Self::Texts => "names with texts (quote the values)",
            Self::Map => "a map",
            Self::List => "a list",
        }
    }
}

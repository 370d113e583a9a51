//! Ports of a gateway.

use super::super::fleet_view::check_name;
use serde_json::{Value, json};
use std::fmt;
use std::str::FromStr;

/// A port of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayPort {
    /// Name; Istio reads the protocol from its beginning (`http`, `https`, `tcp-db`).
    pub name: String,
    /// Port of the load balancer.
    pub port: u16,
    /// Port of the pods; the same when absent.
    pub target: Option<u16>,
}

impl FromStr for GatewayPort {
    type Err = String;

    /// `NAME=PORT[:TARGET]`, for example `http=80` or `https=443:8443`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not NAME=PORT[:TARGET], for example http=80 or https=443:8443");
        let (name, ports) = text.split_once('=').ok_or_else(wrong)?;
        let (port, target) = match ports.split_once(':') {
            Some((port, target)) => (port, Some(target)),
            None => (ports, None),
        };
        let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong);
        check_name("a port", name, 15).map_err(|error| format!("{error}; {}", error.hints.join("; ")))?;
        Ok(Self { name: name.to_owned(), port: number(port)?, target: target.map(number).transpose()? })
    }
}

impl fmt::Display for GatewayPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.port)?;
        self.target.iter().try_for_each(|target| write!(f, ":{target}"))
    }
}

/// The ports that a gateway has afterwards: what an existing port of the same name or number says beyond its name and
/// numbers (nodePort, appProtocol) stays.
pub(super) fn merged(ports: &[GatewayPort], existing: Option<&Value>) -> Value {
    let existing = existing.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let one = |port: &GatewayPort| {
        let same = existing.iter().find(|old| old["name"] == port.name.as_str() || old["port"] == port.port);
        let mut object = same.cloned().unwrap_or_else(|| json!({"protocol": "TCP"}));
        object["name"] = port.name.as_str().into();
        object["port"] = port.port.into();
        match port.target {
            Some(target) => object["targetPort"] = target.into(),
            // The pods go on listening where they do, unless the port itself has moved.
            None if object.get("targetPort").is_none() || same.is_some_and(|old| old["port"] != port.port) => {
                object["targetPort"] = port.port.into();
            }
            None => {}
        }
        object
    };
    ports.iter().map(one).collect()
}

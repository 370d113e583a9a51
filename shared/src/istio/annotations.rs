//! Annotations that Istio reads: where each belongs, since when, until when, and which values it takes.
//!
//! The table (`annotations.json`) is written by `cargo xtask schemas` out of `annotation/annotations.yaml` of Istio's API
//! module, Apache-2.0, © Istio Authors; the file names the versions. Values are judged as the injector of sidecars does
//! (`pkg/kube/inject/validate.go`).

use crate::object::Quantity;
use serde::Deserialize;
use std::net::IpAddr;
use std::sync::LazyLock;

/// What Istio documents of one annotation.
#[derive(Debug, Deserialize)]
pub struct Annotation {
    /// The whole key.
    pub name: String,
    /// Kinds that may carry it; `Any` for all of them.
    pub on: Vec<String>,
    /// Its feature is in the alpha phase.
    #[serde(default)]
    pub alpha: bool,
    /// The version, of those in the table, that gave it up first.
    pub deprecated: Option<String>,
    /// The newest version, of those in the table, that did not have it yet.
    pub after: Option<String>,
    /// The first version, of those in the table, that has it no more.
    pub gone: Option<String>,
}

#[derive(Deserialize)]
struct Table {
    annotations: Vec<Annotation>,
}

/// All of them, by name.
static TABLE: LazyLock<Vec<Annotation>> = LazyLock::new(|| {
    // A test reads the file, so it is not broken here.
    serde_json::from_str(include_str!("annotations.json")).map_or_else(|_| Vec::new(), |table: Table| table.annotations)
});

/// What Istio writes itself, or what is written for it: nobody's mistake.
const WRITTEN_FOR_US: [&str; 3] = ["sidecar.istio.io/status", "gateway.istio.io/controller-version", "istio.io/rev"];

/// What the CNI plugin writes to pods.
const WRITTEN_BY_CNI: [&str; 4] = [
    "sidecar.istio.io/interceptionMode",
    "traffic.sidecar.istio.io/includeInboundPorts",
    "traffic.sidecar.istio.io/excludeInboundPorts",
    "traffic.sidecar.istio.io/includeOutboundIPRanges",
];

impl Annotation {
    /// All that are known.
    pub fn all() -> &'static [Self] {
        &TABLE
    }

    /// The one of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        let at = TABLE.binary_search_by(|row| row.name.as_str().cmp(name)).ok()?;
        TABLE.get(at)
    }

    /// Does a version of Istio know it? Yes, if the version is not known.
    pub fn is_in(&self, version: Option<&str>) -> bool {
        let Some(version) = version.and_then(numbers) else { return true };
        let (after, gone) = (self.after.as_deref().and_then(numbers), self.gone.as_deref().and_then(numbers));
        after.is_none_or(|after| version > after) && gone.is_none_or(|gone| version < gone)
    }

    /// Is it given up? Without a version, whether the newest one says so.
    pub fn is_deprecated_in(&self, version: Option<&str>) -> bool {
        let since = self.deprecated.as_deref().and_then(numbers);
        since.is_some_and(|since| version.and_then(numbers).is_none_or(|version| version >= since))
    }

    /// May an object of this kind carry it?
    pub fn belongs_on(&self, kind: &str) -> bool {
        self.is_for_any() || self.on.iter().any(|on| on == kind)
    }

    /// May every object carry it?
    pub fn is_for_any(&self) -> bool {
        self.on.iter().any(|on| on == "Any")
    }

    /// Is it mostly the CNI plugin that writes it to pods?
    pub fn is_written_by_cni(&self) -> bool {
        WRITTEN_BY_CNI.contains(&self.name.as_str())
    }

    /// What is wrong with a value, as the injector sees it: then no pod is made.
    pub fn fault(&self, value: &str) -> Option<String> {
        match self.name.as_str() {
            "sidecar.istio.io/interceptionMode" => {
                (!matches!(value, "REDIRECT" | "TPROXY" | "NONE")).then(|| "it is REDIRECT, TPROXY or NONE".to_owned())
            }
            "status.sidecar.istio.io/port" => port_fault(value),
            "readiness.status.sidecar.istio.io/initialDelaySeconds"
            | "readiness.status.sidecar.istio.io/periodSeconds"
            | "readiness.status.sidecar.istio.io/failureThreshold" => {
                let whole = is_digits(value) && value.parse::<u32>().is_ok();
                (!whole).then(|| "it must be a whole number".to_owned())
            }
            "traffic.sidecar.istio.io/includeOutboundIPRanges" if value == "*" => None,
            "traffic.sidecar.istio.io/includeOutboundIPRanges" | "traffic.sidecar.istio.io/excludeOutboundIPRanges" => {
                ranges_fault(value)
            }
            "traffic.sidecar.istio.io/includeInboundPorts" if value == "*" => None,
            "traffic.sidecar.istio.io/includeInboundPorts"
            | "traffic.sidecar.istio.io/excludeInboundPorts"
            | "traffic.sidecar.istio.io/excludeOutboundPorts" => {
                let list = value.trim();
                list.split(',').filter(|_| !list.is_empty()).find_map(port_fault)
            }
            "traffic.sidecar.istio.io/excludeInterfaces"
            | "traffic.sidecar.istio.io/kubevirtInterfaces"
            | "istio.io/reroute-virtual-interfaces" => interfaces_fault(value),
            "prometheus.istio.io/merge-metrics" => {
                let words = ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"];
                (!words.contains(&value)).then(|| "it is true or false".to_owned())
            }
            "sidecar.istio.io/proxyCPU"
            | "sidecar.istio.io/proxyCPULimit"
            | "sidecar.istio.io/proxyMemory"
            | "sidecar.istio.io/proxyMemoryLimit" => {
                Quantity::parse(value).is_none().then(|| "it must be a quantity, such as 500m or 256Mi".to_owned())
            }
            "proxy.istio.io/config" => config_fault(value),
            _ => None,
        }
    }
}

/// Is the key in Istio's hands? Then it is in the table, or it has no effect.
pub fn is_istios(key: &str) -> bool {
    // Of the keys of Kubernetes, the one that Istio documents.
    key == "kubernetes.io/ingress.class" || key.split('/').next().is_some_and(|domain| domain.ends_with("istio.io"))
}

/// Does something else than people write it?
pub fn is_written_for_us(key: &str) -> bool {
    WRITTEN_FOR_US.contains(&key)
}

/// `1.22`, `v1.22.6-aliyun`: the first two numbers.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split(['.', '-']);
    let mut next = || parts.next()?.parse().ok();
    Some((next()?, next()?))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn port_fault(text: &str) -> Option<String> {
    let port = text.trim();
    let good = is_digits(port) && port.parse::<u16>().is_ok();
    (!good).then(|| format!("`{port}` is no port"))
}

/// CIDRs with commas and no blanks between; nothing at all is fine.
fn ranges_fault(list: &str) -> Option<String> {
    let is_range = |range: &str| {
        let (address, bits) = range.split_once('/')?;
        let most = if address.parse::<IpAddr>().ok()?.is_ipv4() { 32 } else { 128 };
        let plain = is_digits(bits) && (bits == "0" || !bits.starts_with('0'));
        (plain && bits.parse::<u8>().ok()? <= most).then_some(())
    };
    let wrong = list.split(',').filter(|_| !list.is_empty()).find(|range| is_range(range).is_none())?;
    Some(format!("`{wrong}` is no range of addresses, such as 10.0.0.0/8; no blanks between them"))
}

fn interfaces_fault(list: &str) -> Option<String> {
    let is_name = |name: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        name.len() <= 15 && name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(inner)
    };
    let wrong = list.split(',').map(str::trim).filter(|_| !list.is_empty()).find(|name| !is_name(name))?;
    Some(format!("`{wrong}` is no name of a network interface"))
}

/// YAML of a ProxyConfig. Its fields are not judged: they are those of the mesh's own version.
fn config_fault(text: &str) -> Option<String> {
    let documents = match crate::yaml::read(text.as_bytes(), &crate::yaml::Limits::default()) {
        Ok(documents) => documents,
        Err(_) => return Some("it is no YAML".to_owned()),
    };
    let is_map = documents.iter().all(|document| document.value.is_object() || document.value.is_null());
    (documents.len() > 1 || !is_map).then(|| "it must be one map: the fields of a ProxyConfig as YAML".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_and_sorted() {
        assert!(Annotation::all().len() > 60);
        assert!(Annotation::all().is_sorted_by(|a, b| a.name < b.name));
        let text: serde_json::Value = serde_json::from_str(include_str!("annotations.json")).expect("JSON");
        assert!(text["source"].as_str().is_some_and(|source| source.contains("Apache-2.0")));
        assert!(Annotation::all().iter().all(|row| !row.on.is_empty()));
    }

    #[test]
    fn versions() {
        let find = |name| Annotation::find(name).expect("known");
        let injected = find("sidecar.istio.io/inject");
        assert!(
            injected.is_in(None) && injected.is_in(Some("v1.22.6-aliyun")) && injected.is_deprecated_in(Some("1.22"))
        );
        let gone = find("sidecar.istio.io/enableCoreDump");
        assert!(gone.is_in(Some("1.24")) && !gone.is_in(Some("1.26")) && gone.is_in(None));
        let new = find("ambient.istio.io/redirection");
        // Of 1.23 the table does not say.
        assert!(!new.is_in(Some("1.22")) && new.is_in(Some("1.23")) && new.is_in(Some("1.24")));
        let given_up = find("sidecar.istio.io/extraStatTags");
        assert!(!given_up.is_deprecated_in(Some("1.20")) && given_up.is_deprecated_in(None));
        assert!(find("galley.istio.io/analyze-suppress").belongs_on("Secret"));
        assert!(!find("kubernetes.io/ingress.class").belongs_on("Pod"));
        assert!(Annotation::find("sidecar.istio.io/injekt").is_none());
    }

    #[test]
    fn values() {
        let fault = |name: &str, value: &str| Annotation::find(name).expect("known").fault(value);
        for (name, good, bad) in [
            ("sidecar.istio.io/interceptionMode", &["REDIRECT", "NONE"][..], &["redirect", ""][..]),
            ("status.sidecar.istio.io/port", &["0", "15020", " 80 "], &["x", "65536", "-1", ""]),
            ("readiness.status.sidecar.istio.io/periodSeconds", &["0", "4294967295"], &["", "+1", "1.5", "4294967296"]),
            (
                "traffic.sidecar.istio.io/includeOutboundIPRanges",
                &["*", "", "10.0.0.0/8", "10.0.0.0/8,fd00::/8"],
                &["10.0.0.0", "10.0.0.0/33", "10.0.0.0/8, 10.1.0.0/16", "10.0.0.0/08", "*,10.0.0.0/8"],
            ),
            ("traffic.sidecar.istio.io/excludeOutboundIPRanges", &[""], &["*"]),
            ("traffic.sidecar.istio.io/includeInboundPorts", &["*", "", "80, 90"], &["80,,90", "a"]),
            ("traffic.sidecar.istio.io/excludeInboundPorts", &["15020"], &["*"]),
            ("traffic.sidecar.istio.io/excludeInterfaces", &["", "eth0, net-1.2"], &["0eth", "a,", "a23456789012345x"]),
            ("prometheus.istio.io/merge-metrics", &["true", "0"], &["yes", ""]),
            ("sidecar.istio.io/proxyMemory", &["256Mi", "1e3"], &["256MB", ""]),
            ("proxy.istio.io/config", &["{}", "", "concurrency: 2"], &["a: [", "- a", "text"]),
            ("sidecar.istio.io/inject", &["whatever"], &[]),
        ] {
            good.iter().for_each(|value| assert_eq!(fault(name, value), None, "{name}: {value}"));
            bad.iter().for_each(|value| assert!(fault(name, value).is_some(), "{name}: {value}"));
        }
    }

    #[test]
    fn whose_a_key_is() {
        assert!(
            is_istios("sidecar.istio.io/x") && is_istios("istio.io/rev") && is_istios("kubernetes.io/ingress.class")
        );
        assert!(!is_istios("kubernetes.io/psp") && !is_istios("istio.io.example.com/a"));
        // As Istio reads it: whatever ends so.
        assert!(is_istios("notistio.io/a"));
        assert!(is_written_for_us("istio.io/rev"));
    }
}

//! Annotations of the cloud controller manager on Services: one table of what it reads, which values it takes, and what
//! becomes of a change.
//!
//! Sources: `asm-domain.md` §4.1–4.5 and the controller's own list of keys. A key has the new prefix or the legacy one; the
//! new one wins. A key that is not in the table is ignored by the controller without an event.

use serde_json::Value;

/// Prefix of the keys since 2019.
pub const PREFIX: &str = "service.beta.kubernetes.io/alibaba-cloud-";
/// Prefix before that; read where the new key is absent.
pub const LEGACY_PREFIX: &str = "service.beta.kubernetes.io/alicloud-";
/// `loadBalancerClass` of an NLB.
pub const NLB_CLASS: &str = "alibabacloud.com/nlb";
/// How the load balancer reaches the pods; one of the keys without a prefix.
pub const BACKEND_TYPE: &str = "service.beta.kubernetes.io/backend-type";
/// First version of the cloud controller that makes PayByCLCU load balancers unless told otherwise, and then does not
/// compare their specification.
pub const CLCU_SINCE: &str = "2.12.4";
/// First version of the cloud controller with NLBs.
pub const NLB_SINCE: &str = "2.5.0";

/// A kind of load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Product {
    /// Classic Load Balancer: has an IP.
    Clb,
    /// Network Load Balancer: has a host name.
    Nlb,
}

impl Product {
    /// By `spec.loadBalancerClass`.
    pub fn of_class(class: Option<&str>) -> Self {
        if class == Some(NLB_CLASS) { Self::Nlb } else { Self::Clb }
    }

    /// `CLB` or `NLB`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Clb => "CLB",
            Self::Nlb => "NLB",
        }
    }
}

/// How a key begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// [`PREFIX`] or [`LEGACY_PREFIX`].
    Either,
    /// None: the name is the whole key.
    None,
}

/// What becomes of a change once the load balancer exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The controller makes it.
    Mutable,
    /// The controller refuses it, again and again.
    Fixed,
    /// The controller does not look at it any more.
    Ignored,
    /// Read when the Service is deleted.
    AtDeletion,
    /// This product does not have it.
    Unknown,
}

/// Which listeners a key is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The instance, its back ends, or every listener.
    Any,
    /// Listeners of TCP or UDP.
    Transport,
    /// Listeners of TCP.
    Tcp,
    /// Listeners of HTTP or HTTPS.
    Http,
    /// Listeners that end TLS: HTTPS of a CLB, TCPSSL of an NLB.
    Tls,
}

/// Which values a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Any text.
    Text,
    /// One of these words, letter by letter.
    Words(&'static [&'static str]),
    /// One of these words in upper or lower case.
    AnyCase(&'static [&'static str]),
    /// A whole number from, to.
    Range(u32, u32),
    /// Text that begins so: an ID.
    Id(&'static str),
    /// `key=value,key2=value2`.
    Labels,
    /// An address.
    Address,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The key behind its prefix, for example `loadbalancer-spec`; the whole key when it has none.
    pub name: &'static str,
    /// How the key begins.
    pub prefix: Prefix,
    /// Values.
    pub values: Values,
    /// What the controller takes when the key is absent, where it is documented.
    pub default: Option<&'static str>,
    /// Change of a CLB.
    pub clb: Change,
    /// Change of an NLB.
    pub nlb: Change,
    /// First version of the cloud controller that reads it, where it is known.
    pub since: Option<&'static str>,
    /// Which listeners of a CLB it is about; for an NLB only [`Layer::Tls`] says something.
    pub layer: Layer,
}

impl Annotation {
    /// What becomes of a change.
    pub fn change(&self, product: Product) -> Change {
        match product {
            Product::Clb => self.clb,
            Product::Nlb => self.nlb,
        }
    }

    /// The key as it is written today.
    pub fn key(&self) -> String {
        match self.prefix {
            Prefix::Either => format!("{PREFIX}{}", self.name),
            Prefix::None => self.name.to_owned(),
        }
    }

    /// Does it take this value? Otherwise which ones it takes.
    ///
    /// # Errors
    /// What is allowed, for people.
    pub fn check(&self, value: &str) -> Result<(), String> {
        let allowed = match self.values {
            Values::Text => !value.is_empty(),
            Values::Words(words) => words.contains(&value),
            Values::AnyCase(words) => words.iter().any(|word| word.eq_ignore_ascii_case(value)),
            Values::Range(from, to) => value.parse().is_ok_and(|number: u32| (from..=to).contains(&number)),
            Values::Id(start) => value.strip_prefix(start).is_some_and(|rest| !rest.is_empty()),
            Values::Labels => {
                value.split(',').all(|pair| pair.trim().split('=').next().is_some_and(|key| !key.is_empty()))
            }
            Values::Address => value.parse::<std::net::IpAddr>().is_ok(),
        };
        if allowed { Ok(()) } else { Err(self.values.described()) }
    }
}

impl Values {
    /// What is allowed, for people.
    pub fn described(self) -> String {
        match self {
            Self::Text => "it must not be empty".to_owned(),
            Self::Words(&[only]) => format!("it takes `{only}` only"),
            Self::Words(words) | Self::AnyCase(words) => format!("it takes {}", words.join(", ")),
            Self::Range(from, u32::MAX) => format!("it takes a whole number from {from}"),
            Self::Range(from, to) => format!("it takes a whole number from {from} to {to}"),
            Self::Id(start) => format!("it takes an ID that begins with {start}"),
            Self::Labels => "it takes KEY=VALUE,KEY=VALUE".to_owned(),
            Self::Address => "it takes an IP address".to_owned(),
        }
    }

    /// The words, where there are some.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Words(words) | Self::AnyCase(words) => words,
            _ => &[],
        }
    }
}

const ON_OFF: Values = Values::Words(&["on", "off"]);
const SECONDS: u32 = u32::MAX;
use Change::{AtDeletion, Fixed, Ignored, Mutable, Unknown};
use Layer::{Http, Tcp, Tls, Transport};
use Values::{Address, AnyCase, Id, Labels, Range, Text, Words};

const fn row(name: &'static str, values: Values, clb: Change, nlb: Change) -> Annotation {
    Annotation { name, prefix: Prefix::Either, values, default: None, clb, nlb, since: None, layer: Layer::Any }
}

const fn bare(name: &'static str, values: Values, clb: Change, nlb: Change) -> Annotation {
    Annotation { prefix: Prefix::None, ..row(name, values, clb, nlb) }
}

impl Annotation {
    const fn or(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    const fn on(self, layer: Layer) -> Self {
        Self { layer, ..self }
    }

    const fn since(self, version: &'static str) -> Self {
        Self { since: Some(version), ..self }
    }
}

/// Specifications of a CLB.
pub const SPECS: &[&str] =
    &["slb.s1.small", "slb.s2.small", "slb.s2.medium", "slb.s3.small", "slb.s3.medium", "slb.s3.large"];

/// The table: the instance first, then listeners, back ends, and what only NLBs have.
pub const ANNOTATIONS: &[Annotation] = &[
    row("loadbalancer-address-type", Words(&["internet", "intranet"]), Fixed, Mutable).or("internet"),
    row("loadbalancer-id", Text, Fixed, Fixed),
    row("loadbalancer-master-zoneid", Text, Fixed, Unknown),
    row("loadbalancer-slave-zoneid", Text, Fixed, Unknown),
    row("loadbalancer-ip-version", AnyCase(&["ipv4", "ipv6", "dualstack"]), Fixed, Fixed).or("ipv4"),
    row("loadbalancer-ip", Address, Fixed, Unknown),
    row("loadbalancer-network-type", Words(&["classic", "vpc"]), Fixed, Unknown).since("2.12.4"),
    row("loadbalancer-resource-group-id", Id("rg-"), Fixed, Fixed),
    row("loadbalancer-force-override-listeners", Words(&["true", "false"]), Mutable, Mutable),
    row("loadbalancer-name", Text, Mutable, Mutable),
    row("loadbalancer-spec", Words(SPECS), Mutable, Unknown).or("slb.s1.small"),
    row("loadbalancer-instance-charge-type", AnyCase(&["PayBySpec", "PayByCLCU"]), Mutable, Unknown),
    row("loadbalancer-charge-type", Words(&["paybytraffic", "paybybandwidth"]), Mutable, Unknown),
    row("loadbalancer-bandwidth", Range(1, u32::MAX), Mutable, Unknown),
    row("loadbalancer-vswitch-id", Id("vsw-"), Ignored, Unknown),
    row("loadbalancer-additional-resource-tags", Labels, Mutable, Mutable),
    row("loadbalancer-delete-protection", ON_OFF, Mutable, Mutable).or("on"),
    row("loadbalancer-modification-protection", Words(&["ConsoleProtection", "NonProtection"]), Mutable, Mutable)
        .or("ConsoleProtection"),
    row("loadbalancer-preserve-lb-on-delete", Text, AtDeletion, AtDeletion).since("2.10.0"),
    row("loadbalancer-external-ip-type", Words(&["eip"]), Mutable, Unknown),
    row("loadbalancer-hostname", Text, Mutable, Unknown),
    bare("service.beta.kubernetes.io/class", Text, Mutable, Mutable),
    // Listeners.
    row("loadbalancer-protocol-port", Text, Mutable, Mutable),
    row("loadbalancer-cert-id", Text, Mutable, Mutable).on(Tls),
    row("loadbalancer-tls-cipher-policy", Text, Mutable, Mutable).on(Tls),
    row("loadbalancer-http2-enabled", ON_OFF, Mutable, Unknown).on(Tls),
    row("loadbalancer-forward-port", Text, Mutable, Unknown),
    row("loadbalancer-domain-extensions", Text, Mutable, Unknown).on(Tls),
    row("loadbalancer-scheduler", AnyCase(&["rr", "wrr", "wlc", "sch", "tch", "qch"]), Mutable, Mutable).or("rr"),
    row("loadbalancer-persistence-timeout", Range(0, 3600), Mutable, Unknown).or("0").on(Tcp),
    row("loadbalancer-sticky-session", ON_OFF, Mutable, Unknown).or("off").on(Http),
    row("loadbalancer-sticky-session-type", Words(&["insert", "server"]), Mutable, Unknown).on(Http),
    row("loadbalancer-cookie", Text, Mutable, Unknown).on(Http),
    row("loadbalancer-cookie-timeout", Range(1, 86400), Mutable, Unknown).on(Http),
    row("loadbalancer-established-timeout", Range(10, 900), Mutable, Unknown).on(Tcp),
    row("loadbalancer-idle-timeout", Range(1, SECONDS), Mutable, Mutable).on(Http),
    row("loadbalancer-request-timeout", Range(1, 180), Mutable, Unknown).on(Http),
    row("loadbalancer-connection-drain", ON_OFF, Mutable, Mutable).or("off").on(Transport),
    row("loadbalancer-connection-drain-timeout", Range(0, 900), Mutable, Mutable).on(Transport),
    row("loadbalancer-proxy-protocol", ON_OFF, Mutable, Mutable).or("off").on(Transport),
    row("loadbalancer-xforwardedfor-proto", ON_OFF, Mutable, Unknown).or("off").on(Http),
    row("loadbalancer-xforwardedfor-slbport", ON_OFF, Mutable, Unknown).or("off").on(Http),
    row("loadbalancer-xforwardedfor-clientsrcport", ON_OFF, Mutable, Unknown).or("off").on(Http),
    row("loadbalancer-acl-status", ON_OFF, Mutable, Unknown).or("off"),
    row("loadbalancer-acl-id", Text, Mutable, Unknown),
    row("loadbalancer-acl-type", Words(&["white", "black"]), Mutable, Unknown),
    row("loadbalancer-health-check-switch", ON_OFF, Mutable, Unknown).on(Transport),
    row("loadbalancer-health-check-flag", ON_OFF, Mutable, Mutable).or("off").on(Http),
    row("loadbalancer-health-check-type", AnyCase(&["tcp", "http"]), Mutable, Mutable).or("tcp").on(Tcp),
    row("loadbalancer-health-check-uri", Text, Mutable, Mutable),
    row("loadbalancer-health-check-domain", Text, Mutable, Mutable),
    row("loadbalancer-health-check-httpcode", Text, Mutable, Mutable).or("http_2xx"),
    row("loadbalancer-health-check-method", AnyCase(&["get", "head"]), Mutable, Mutable),
    row("loadbalancer-health-check-connect-port", Range(0, 65535), Mutable, Mutable),
    row("loadbalancer-health-check-interval", Range(1, 50), Mutable, Mutable).or("2"),
    row("loadbalancer-health-check-connect-timeout", Range(1, 300), Mutable, Mutable).or("5").on(Transport),
    row("loadbalancer-health-check-timeout", Range(1, 300), Mutable, Unknown).or("5").on(Http),
    row("loadbalancer-healthy-threshold", Range(2, 10), Mutable, Mutable).or("3"),
    row("loadbalancer-unhealthy-threshold", Range(2, 10), Mutable, Mutable).or("3"),
    // Back ends.
    row("loadbalancer-vgroup-port", Text, Mutable, Mutable),
    row("loadbalancer-weight", Range(0, 100), Mutable, Mutable),
    row("loadbalancer-default-weight", Range(0, 100), Mutable, Mutable),
    row("loadbalancer-ignore-weight-update", ON_OFF, Mutable, Mutable).since("2.11.1"),
    row("loadbalancer-backend-label", Labels, Mutable, Mutable),
    row("loadbalancer-remove-unscheduled-backend", ON_OFF, Mutable, Mutable).or("off"),
    row("loadbalancer-backend-ip-version", AnyCase(&["ipv4", "ipv6"]), Mutable, Mutable).or("ipv4"),
    bare(BACKEND_TYPE, Words(&["eni", "ecs"]), Mutable, Mutable),
    // NLB only.
    row("loadbalancer-zone-maps", Text, Unknown, Mutable).since("2.5.0"),
    row("loadbalancer-security-group-ids", Text, Unknown, Mutable).since("2.6.0"),
    row("loadbalancer-bandwidth-package-id", Text, Unknown, Mutable).since("2.9.1"),
    row("loadbalancer-ipv6-address-type", Words(&["internet", "intranet"]), Unknown, Mutable).since("2.9.1"),
    row("loadbalancer-cross-zone-enabled", ON_OFF, Unknown, Mutable),
    row("loadbalancer-cacert-id", Text, Unknown, Mutable).on(Tls),
    row("loadbalancer-cacert", ON_OFF, Unknown, Mutable).on(Tls),
    row("loadbalancer-cps", Range(0, 1_000_000), Unknown, Mutable),
    row("loadbalancer-preserve-client-ip", ON_OFF, Unknown, Mutable),
    row("loadbalancer-server-group-type", AnyCase(&["instance", "ip"]), Unknown, Mutable).since("2.8.0"),
    row("loadbalancer-ppv2-pvl-ep-id-enabled", ON_OFF, Unknown, Mutable).since("2.9.1"),
    row("loadbalancer-ppv2-pvl-eps-id-enabled", ON_OFF, Unknown, Mutable).since("2.9.1"),
    row("loadbalancer-ppv2-pvl-vpc-id-enabled", ON_OFF, Unknown, Mutable).since("2.9.1"),
    row("loadbalancer-alpn", ON_OFF, Unknown, Mutable).on(Tls).since("2.10.0"),
    row(
        "loadbalancer-alpn-policy",
        AnyCase(&["HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred"]),
        Unknown,
        Mutable,
    )
    .on(Tls)
    .since("2.10.0"),
    row("loadbalancer-listener-port-range", Text, Unknown, Mutable).since("2.11.4"),
    row("loadbalancer-additional-cert-ids", Text, Unknown, Mutable).on(Tls),
];

/// The row of a whole key, whichever prefix it has.
pub fn find(key: &str) -> Option<&'static Annotation> {
    let behind = behind_prefix(key);
    ANNOTATIONS.iter().find(|row| match row.prefix {
        Prefix::Either => behind == Some(row.name),
        Prefix::None => row.name == key,
    })
}

/// The part of a key behind one of the controller's prefixes.
pub fn behind_prefix(key: &str) -> Option<&str> {
    key.strip_prefix(PREFIX).or_else(|| key.strip_prefix(LEGACY_PREFIX))
}

/// The key of a setting as it is written today; `name` is the part behind the prefix.
pub fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// A setting among annotations: the new prefix first, the legacy one only when the new key is absent. `name` is the part
/// behind the prefix.
pub fn setting<'a>(annotations: Option<&'a Value>, name: &str) -> Option<&'a str> {
    let annotations = annotations?;
    [PREFIX, LEGACY_PREFIX].iter().find_map(|prefix| annotations.get(format!("{prefix}{name}"))).and_then(Value::as_str)
}

/// Settings that are fixed once the load balancer exists and that a change touches: the row, the value before, the value
/// after. `before` and `after` look a setting up by its name; what is absent has its default.
pub fn fixed_changes<'a>(
    product: Product,
    before: impl Fn(&str) -> Option<&'a str>,
    after: impl Fn(&str) -> Option<&'a str>,
) -> Vec<(&'static Annotation, Option<&'a str>, Option<&'a str>)> {
    let rows = ANNOTATIONS.iter().filter(|row| row.change(product) == Change::Fixed);
    let both = rows.map(|row| (row, before(row.name), after(row.name)));
    both.filter(|(row, old, new)| old.or(row.default) != new.or(row.default)).collect()
}

/// Is a version at least another one? `None` when it is no version. Only numbers count: `v2.12.4-aliyun.1` is 2.12.4.
pub fn at_least(version: &str, other: &str) -> Option<bool> {
    let numbers = |text: &str| -> Option<Vec<u64>> {
        let text = text.trim().trim_start_matches('v');
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let mut numbers =
            text[..end].trim_end_matches('.').split('.').map(str::parse).collect::<Result<Vec<_>, _>>().ok()?;
        numbers.resize(numbers.len().max(3), 0);
        Some(numbers)
    };
    Some(numbers(version)? >= numbers(other)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeSet;

    #[test]
    fn every_key_stands_once_and_is_found_by_both_prefixes() {
        let names: BTreeSet<_> = ANNOTATIONS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ANNOTATIONS.len());
        for row in ANNOTATIONS {
            assert_eq!(find(&row.key()), Some(row));
            assert!(row.clb != Unknown || row.nlb != Unknown, "{} is nobody's", row.name);
            assert!(row.default.is_none_or(|default| row.check(default).is_ok()), "{}", row.name);
            if row.prefix == Prefix::Either {
                assert_eq!(find(&format!("{LEGACY_PREFIX}{}", row.name)), Some(row));
            }
        }
        assert_eq!(find("service.beta.kubernetes.io/alibaba-cloud-loadbalancer-slb-network-type"), None);
        assert_eq!(find("loadbalancer-spec"), None);
    }

    #[test]
    fn the_table_has_every_key_of_the_controller() {
        assert_eq!(ANNOTATIONS.len(), 84);
    }

    #[test]
    fn values_are_checked() {
        let check = |name: &str, value: &str| find(&key(name)).unwrap().check(value);
        assert_eq!(check("loadbalancer-spec", "slb.s1.small"), Ok(()));
        assert!(check("loadbalancer-spec", "slb.s1.tiny").unwrap_err().starts_with("it takes slb.s1.small, "));
        assert_eq!(check("loadbalancer-instance-charge-type", "paybyspec"), Ok(()));
        assert!(check("loadbalancer-address-type", "Internet").is_err());
        assert_eq!(check("loadbalancer-request-timeout", "180"), Ok(()));
        assert_eq!(
            check("loadbalancer-request-timeout", "181"),
            Err("it takes a whole number from 1 to 180".to_owned())
        );
        assert!(check("loadbalancer-vswitch-id", "vpc-1").is_err());
    }

    #[test]
    fn the_new_prefix_wins_even_when_empty() {
        let both = json!({format!("{LEGACY_PREFIX}loadbalancer-id"): "old", format!("{PREFIX}loadbalancer-id"): ""});
        assert_eq!(setting(Some(&both), "loadbalancer-id"), Some(""));
        let old = json!({format!("{LEGACY_PREFIX}loadbalancer-id"): "old"});
        assert_eq!(setting(Some(&old), "loadbalancer-id"), Some("old"));
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (version, other, expected) in [
            ("2.12.4", "2.12.4", Some(true)),
            ("v2.12.4-aliyun.1", "2.12.4", Some(true)),
            ("2.9.1", "2.12.4", Some(false)),
            ("2.12", "2.12.4", Some(false)),
            ("3", "2.12.4", Some(true)),
            ("latest", "2.12.4", None),
        ] {
            assert_eq!(at_least(version, other), expected, "{version}");
        }
    }
}

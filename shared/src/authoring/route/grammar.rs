//! How destinations, subsets and weights are written on a command line.

use std::fmt;
use std::str::FromStr;

/// Where requests go: `HOST[:PORT][@SUBSET][=WEIGHT]`, for example `productpage:9080` or `reviews@v3=90`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Name of the Service, or a full host name.
    pub host: String,
    /// Port of the Service.
    pub port: Option<u16>,
    /// Subset of the host's DestinationRule.
    pub subset: Option<String>,
    /// Percent of the requests.
    pub weight: Option<u32>,
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: &str| format!("`{text}` is not HOST[:PORT][@SUBSET][=WEIGHT]: {why}");
        let (rest, weight) = match text.rsplit_once('=') {
            Some((rest, weight)) => {
                (rest, Some(percent(weight).ok_or_else(|| wrong("the weight is a number from 0 to 100"))?))
            }
            None => (text, None),
        };
        let (rest, subset) = match rest.split_once('@') {
            Some((rest, subset)) => (rest, Some(subset)),
            None => (rest, None),
        };
        let (host, port) = match rest.split_once(':') {
            Some((host, port)) => {
                let port = port.parse().ok().filter(|port| *port > 0);
                (host, Some(port.ok_or_else(|| wrong("the port is a number from 1 to 65535"))?))
            }
            None => (rest, None),
        };
        if !is_host(host) {
            return Err(wrong("the host is the name of a Service"));
        }
        if !subset.is_none_or(is_label) {
            return Err(wrong("the subset is a name of lower-case letters, digits and dashes"));
        }
        Ok(Self { host: host.to_owned(), port, subset: subset.map(str::to_owned), weight })
    }
}

impl fmt::Display for Destination {
    /// Without the weight.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.iter().try_for_each(|port| write!(f, ":{port}"))?;
        self.subset.iter().try_for_each(|subset| write!(f, "@{subset}"))
    }
}

/// A subset: `NAME`, the pods with the label `version=NAME`, or `NAME:LABEL=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubsetSpec {
    /// Name.
    pub name: String,
    /// Key and value of the label that its pods carry.
    pub label: (String, String),
}

impl SubsetSpec {
    /// The pods with the label `version=<name>`.
    pub(super) fn version(name: &str) -> Self {
        Self { name: name.to_owned(), label: ("version".to_owned(), name.to_owned()) }
    }
}

impl FromStr for SubsetSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not NAME or NAME:LABEL=VALUE");
        let (name, label) = match text.split_once(':') {
            Some((name, label)) => (name, Some(label.split_once('=').ok_or_else(wrong)?)),
            None => (text, None),
        };
        if !is_label(name) {
            return Err(wrong());
        }
        Ok(match label {
            Some((key, value)) if !key.is_empty() => {
                Self { name: name.to_owned(), label: (key.to_owned(), value.to_owned()) }
            }
            Some(_) => return Err(wrong()),
            None => Self::version(name),
        })
    }
}

/// A share of the requests: `SUBSET=PERCENT`, or `HOST=PERCENT` where hosts have no subsets. A subset alone takes all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Subset or host; `HOST@SUBSET` when a subset's name alone is not enough.
    pub name: String,
    /// Percent; absent for a name alone.
    pub percent: Option<u32>,
}

impl FromStr for Weight {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, weight) = match text.rsplit_once('=') {
            Some((name, weight)) => {
                let weight =
                    percent(weight).ok_or_else(|| format!("`{text}`: the weight is a number from 0 to 100"))?;
                (name, Some(weight))
            }
            None => (text, None),
        };
        if name.is_empty() {
            return Err(format!("`{text}` is not NAME=PERCENT"));
        }
        Ok(Self { name: name.to_owned(), percent: weight })
    }
}

/// Version of the Istio API to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApiVersion {
    /// `networking.istio.io/v1alpha3`.
    V1Alpha3,
    /// `networking.istio.io/v1beta1`: served by every ASM version in use.
    #[default]
    V1Beta1,
    /// `networking.istio.io/v1`: Istio 1.22 and later.
    V1,
}

impl ApiVersion {
    /// As in a manifest.
    pub fn text(self) -> &'static str {
        match self {
            Self::V1Alpha3 => "networking.istio.io/v1alpha3",
            Self::V1Beta1 => "networking.istio.io/v1beta1",
            Self::V1 => "networking.istio.io/v1",
        }
    }
}

fn percent(text: &str) -> Option<u32> {
    let text = text.strip_suffix('%').unwrap_or(text);
    text.parse().ok().filter(|percent| *percent <= 100)
}

fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_host(text: &str) -> bool {
    text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations() {
        let read = |text: &str| {
            let found: Destination = text.parse()?;
            Ok::<_, String>((found.to_string(), found.weight))
        };
        for (text, shown, weight) in [
            ("productpage:9080", "productpage:9080", None),
            ("reviews@v3", "reviews@v3", None),
            ("reviews:9080@v3=90", "reviews:9080@v3", Some(90)),
            ("reviews.shop.svc.cluster.local=10%", "reviews.shop.svc.cluster.local", Some(10)),
        ] {
            assert_eq!(read(text), Ok((shown.to_owned(), weight)));
        }
        for wrong in ["", "reviews@", "reviews:0", "reviews:x", "reviews=101", "Reviews", "reviews@V1", "*", "a..b"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn subsets_and_weights() {
        assert_eq!("v1".parse(), Ok(SubsetSpec::version("v1")));
        let canary = SubsetSpec { name: "canary".to_owned(), label: ("track".to_owned(), "canary".to_owned()) };
        assert_eq!("canary:track=canary".parse(), Ok(canary));
        assert!("canary:track".parse::<SubsetSpec>().is_err());
        assert_eq!("v3=100".parse(), Ok(Weight { name: "v3".to_owned(), percent: Some(100) }));
        assert!("v3=lots".parse::<Weight>().is_err());
    }
}

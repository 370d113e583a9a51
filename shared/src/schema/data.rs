//! The files of schemas, as they are embedded.

use super::{Definitions, Known};
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::Read as _;
use std::sync::OnceLock;

/// One file of schemas. They stay text until an object asks for one.
#[derive(Default, Deserialize)]
pub(super) struct File {
    /// Where they come from.
    pub(super) source: String,
    pub(super) schemas: Vec<Entry>,
    /// What `$ref` may name.
    #[serde(default)]
    pub(super) definitions: Definitions,
}

#[derive(Deserialize)]
pub(super) struct Entry {
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) versions: Vec<String>,
    pub(super) schema: Box<RawValue>,
}

/// Whose kinds a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Istio's CRDs, by the version of the mesh.
    Istio,
    /// ASM's own.
    Asm,
    /// The Gateway API.
    GatewayApi,
    /// Kubernetes itself, by the version of the cluster. What belongs to nobody else is looked for here.
    Kubernetes,
}

impl Of {
    /// Whose is the group?
    pub fn group(group: &str) -> Self {
        match group {
            "istio.alibabacloud.com" => Self::Asm,
            "gateway.networking.k8s.io" | "gateway.networking.x-k8s.io" => Self::GatewayApi,
            group if group.ends_with(".istio.io") => Self::Istio,
            _ => Self::Kubernetes,
        }
    }
}

/// A file.
pub(super) struct Set {
    pub(super) of: Of,
    /// 120 for 1.20, where there is one file per version.
    pub(super) version: Option<u32>,
    packed: &'static [u8],
    known: OnceLock<Known>,
}

impl Set {
    const fn new(of: Of, version: Option<u32>, packed: &'static [u8]) -> Self {
        Self { of, version, packed, known: OnceLock::new() }
    }

    /// Does it have kinds of this group?
    #[cfg(test)]
    pub(super) fn has(&self, group: &str) -> bool {
        self.of == Of::group(group)
    }

    /// What is in it.
    pub(super) fn known(&self) -> &Known {
        // A test reads every file, so none of them is broken here.
        self.known.get_or_init(|| Known::of(self.file().unwrap_or_default()))
    }

    pub(super) fn file(&self) -> Option<File> {
        let mut text = String::new();
        GzDecoder::new(self.packed).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }
}

/// All of them.
pub(super) static SETS: [Set; 15] = [
    Set::new(Of::Istio, Some(120), include_bytes!("data/istio-1.20.json.gz")),
    Set::new(Of::Istio, Some(122), include_bytes!("data/istio-1.22.json.gz")),
    Set::new(Of::Istio, Some(124), include_bytes!("data/istio-1.24.json.gz")),
    Set::new(Of::Istio, Some(126), include_bytes!("data/istio-1.26.json.gz")),
    Set::new(Of::Istio, Some(128), include_bytes!("data/istio-1.28.json.gz")),
    Set::new(Of::Istio, Some(131), include_bytes!("data/istio-1.31.json.gz")),
    Set::new(Of::Asm, None, include_bytes!("data/istiogateway.json.gz")),
    Set::new(Of::GatewayApi, None, include_bytes!("data/gateway-api.json.gz")),
    Set::new(Of::Kubernetes, Some(128), include_bytes!("data/kubernetes-1.28.json.gz")),
    Set::new(Of::Kubernetes, Some(129), include_bytes!("data/kubernetes-1.29.json.gz")),
    Set::new(Of::Kubernetes, Some(130), include_bytes!("data/kubernetes-1.30.json.gz")),
    Set::new(Of::Kubernetes, Some(131), include_bytes!("data/kubernetes-1.31.json.gz")),
    Set::new(Of::Kubernetes, Some(132), include_bytes!("data/kubernetes-1.32.json.gz")),
    Set::new(Of::Kubernetes, Some(133), include_bytes!("data/kubernetes-1.33.json.gz")),
    Set::new(Of::Kubernetes, Some(134), include_bytes!("data/kubernetes-1.34.json.gz")),
];

/// `1.22`, `v1.22.6.71-g0a`: the first two numbers as one.
pub(super) fn numbers(version: &str) -> Option<u32> {
    let mut parts = version.trim_start_matches('v').split(['.', '-']);
    let mut next = || parts.next()?.parse::<u32>().ok();
    let (major, minor) = (next()?, next()?);
    (minor < 100).then_some(major * 100 + minor)
}

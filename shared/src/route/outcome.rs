//! What comes of a request.

use crate::fleet::{Manifest, Position, Target};
use std::borrow::Cow;
use std::time::Duration;

/// A place in a manifest.
#[derive(Clone, Debug)]
pub struct Place<'s> {
    /// The object.
    pub manifest: &'s Manifest,
    /// JSON pointer; empty for the whole object.
    pub pointer: String,
}

impl Place<'_> {
    /// File, line and column.
    pub fn position(&self) -> Position {
        self.manifest.position_of(&self.pointer)
    }
}

/// What comes of a request.
#[derive(Clone, Debug)]
pub struct Outcome<'a> {
    /// What comes of it, as far as can be told: where the order of creation decides and is not known, as if all objects
    /// were of one age (then name and namespace decide).
    pub answer: Answer<'a>,
    /// The rule that decided.
    pub rule: Option<&'a Rule<'a>>,
    /// The virtual host that it meets, as Envoy calls it (`shop.example.com:80`).
    pub virtual_host: Option<&'a str>,
    /// The Services through which the request can come in with this outcome; empty when none is in front of the gateway.
    pub through: Cow<'a, [Entry<'a>]>,
    /// What else may come of it, because Git does not know which object is older. Empty: it does not depend on that.
    pub alternatives: Vec<Alternative<'a>>,
    /// What comes of it through other Services: clusters whose ports differ.
    pub elsewhere: Vec<(&'a [Entry<'a>], Answer<'a>)>,
}

impl Outcome<'_> {
    /// Does it depend on the order in which objects were created, which Git does not know?
    pub fn depends_on_order(&self) -> bool {
        !self.alternatives.is_empty()
    }
}

/// Another outcome, when objects were created in another order.
#[derive(Clone, Debug)]
pub struct Alternative<'a> {
    /// What comes of the request then.
    pub answer: Answer<'a>,
    /// The rule that decides then.
    pub rule: Option<&'a Rule<'a>>,
    /// The object that then is older than `others`.
    pub oldest: &'a Manifest,
    /// Those that it competes with.
    pub others: Vec<&'a Manifest>,
}

/// A Service through which a request comes in.
#[derive(Clone, Debug)]
pub struct Entry<'s> {
    /// The Service, or the IstioGateway that ASM makes it of.
    pub manifest: &'s Manifest,
    /// Its cluster; [`Target::Mesh`] for a serverless gateway.
    pub cluster: Target,
    /// Its name.
    pub service: String,
    /// Port of the Service and the load balancer.
    pub port: u16,
    /// Port on the pods.
    pub target: u16,
    /// Has it a load balancer?
    pub load_balancer: bool,
    /// Addresses that the files know.
    pub addresses: Vec<String>,
    /// JSON pointer of the port.
    pub pointer: String,
}

/// The rule that takes a request.
#[derive(Clone, Debug)]
pub struct Rule<'s> {
    /// Name of the route, as Envoy has it; empty for a rule without.
    pub name: String,
    /// The VirtualService.
    pub virtual_service: Place<'s>,
    /// The match entry that is met; the rule itself when it has none.
    pub matched: Place<'s>,
    /// The rule that the request is left to, when the VirtualService delegates.
    pub delegate: Option<Place<'s>>,
}

impl Rule<'_> {
    /// Is it written anywhere? A Service that no VirtualService has rules for is reached without.
    pub(super) fn is_written(&self) -> bool {
        !self.virtual_service.pointer.is_empty()
    }
}

/// What comes of a request.
#[derive(Clone, Debug)]
pub enum Answer<'a> {
    /// It reaches a destination.
    Forward(Forward<'a>),
    /// The connection is forwarded as it is (TCP, or TLS that is passed through).
    Tcp(Forward<'a>),
    /// The gateway answers with a redirect.
    Redirect {
        /// Status.
        status: u16,
        /// Where to.
        location: String,
    },
    /// The gateway answers by itself.
    Direct {
        /// Status.
        status: u16,
        /// Body.
        body: Cow<'a, str>,
    },
    /// The rule injects an error into every request.
    Abort {
        /// Status.
        status: u16,
    },
    /// Nothing listens on the port.
    NoListener,
    /// The connection is closed without an answer.
    Closed(Closed),
    /// No virtual host for the host of the request: 404.
    NoVirtualHost,
    /// A virtual host, but no rule of it takes the request: 404.
    NoRoute {
        /// The virtual host (`shop.example.com:80`).
        virtual_host: &'a str,
    },
    /// The gateway refuses the request as malformed: 400.
    BadRequest,
    /// The destination (or its subset) does not exist: 503.
    NoCluster(Forward<'a>),
    /// The destination has no pod: 503.
    NoEndpoint(Forward<'a>),
    /// Nobody in the mesh has the host: the sidecar lets it through to wherever DNS leads.
    Passthrough,
    /// istiod or Envoy refuses this part of the configuration; what was there before stays in force.
    Refused {
        /// What is refused, and why.
        reason: &'a str,
    },
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// No server has a certificate for the server name.
    NoServerForName,
    /// The client sends no server name, and every server wants one.
    NoName,
    /// Plain HTTP on a port for TLS.
    PlaintextOnTls,
    /// TLS on a port for plain HTTP.
    TlsOnPlaintext,
    /// The server asks for a certificate of the client.
    NoClientCertificate,
    /// The destination of a TCP connection does not exist, or has no pod.
    NoUpstream,
}

impl Answer<'_> {
    /// One word: `forward`, `tcp`, `redirect`, `direct`, `abort`, `no-listener`, `closed`, `no-virtual-host`, `no-route`,
    /// `bad-request`, `no-cluster`, `no-endpoint`, `passthrough`, `refused`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Forward(_) => "forward",
            Self::Tcp(_) => "tcp",
            Self::Redirect { .. } => "redirect",
            Self::Direct { .. } => "direct",
            Self::Abort { .. } => "abort",
            Self::NoListener => "no-listener",
            Self::Closed(_) => "closed",
            Self::NoVirtualHost => "no-virtual-host",
            Self::NoRoute { .. } => "no-route",
            Self::BadRequest => "bad-request",
            Self::NoCluster(_) => "no-cluster",
            Self::NoEndpoint(_) => "no-endpoint",
            Self::Passthrough => "passthrough",
            Self::Refused { .. } => "refused",
        }
    }

    /// The status that the gateway itself answers with; `None` when the destination answers, or nobody.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Redirect { status, .. } | Self::Direct { status, .. } | Self::Abort { status } => Some(*status),
            Self::NoVirtualHost | Self::NoRoute { .. } => Some(404),
            Self::NoCluster(_) | Self::NoEndpoint(_) => Some(503),
            Self::BadRequest => Some(400),
            Self::Forward(_)
            | Self::Tcp(_)
            | Self::NoListener
            | Self::Closed(_)
            | Self::Passthrough
            | Self::Refused { .. } => None,
        }
    }

    /// Where it is forwarded to, also when that does not exist.
    pub fn forward(&self) -> Option<&Forward<'_>> {
        match self {
            Self::Forward(forward) | Self::Tcp(forward) | Self::NoCluster(forward) | Self::NoEndpoint(forward) => {
                Some(forward)
            }
            _ => None,
        }
    }
}

/// Where a request is forwarded to, and as what.
#[derive(Clone, Debug)]
pub struct Forward<'a> {
    /// Those with a share; several when weights split.
    pub destinations: &'a [Destination<'a>],
    /// Path with query, as the destination sees it; empty for a TCP connection.
    pub path: Cow<'a, str>,
    /// Host, as the destination sees it.
    pub authority: Cow<'a, str>,
    /// Who gets a copy.
    pub mirrors: &'a [Mirror<'a>],
    /// Errors and delays that are injected.
    pub fault: Option<&'a Fault>,
    /// How long the destination may take; no limit when absent.
    pub timeout: Option<Duration>,
    /// How failures are retried; the mesh's default when absent.
    pub retries: Option<&'a Retries>,
    /// Changes of headers that apply to every destination.
    pub headers: &'a HeaderChanges,
}

/// One destination.
#[derive(Clone, Debug)]
pub struct Destination<'s> {
    /// Its part of the requests, from 0 to 1.
    pub share: f64,
    /// Full name of the host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Subset.
    pub subset: Option<String>,
    /// Envoy's name for it: `outbound|PORT|SUBSET|HOST`.
    pub cluster: String,
    /// Does it exist, and has it pods?
    pub state: State,
    /// Its pods by cluster; clusters without are left out.
    pub endpoints: Vec<ClusterEndpoints<'s>>,
    /// Which clusters get how much, from 0 to 1, when a locality setting decides; otherwise by number of endpoints.
    pub locality: Vec<(String, f64)>,
    /// Host that it alone sees.
    pub authority: Option<String>,
    /// Changes of headers for it alone.
    pub headers: HeaderChanges,
    /// Where it is written.
    pub place: Place<'s>,
    /// The Services or ServiceEntries that it means.
    pub services: Vec<&'s Manifest>,
    /// The DestinationRules that apply, in the order in which they are joined.
    pub rules: Vec<&'s Manifest>,
}

/// Does a destination exist, and has it pods?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has pods.
    Ready,
    /// It exists, but no file holds its pods; taken as having some.
    Assumed,
    /// Its namespace is in no file; taken as existing.
    Unknown,
    /// Envoy has no such cluster: 503.
    NoCluster(NoCluster),
    /// It has no pod: 503.
    NoEndpoint(NoEndpoint),
}

/// Why there is no such destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCluster {
    /// No Service or ServiceEntry of the name.
    NoService,
    /// The Service is not exported to the gateway.
    NotExported,
    /// The Service has no such port.
    NoPort,
    /// No DestinationRule defines the subset.
    NoSubset,
}

/// Why a destination has no pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEndpoint {
    /// No pod of the Service.
    NoPod,
    /// No pod of the Service has the labels of the subset.
    NoPodInSubset,
    /// `distribute` of a DestinationRule names no region in which it has pods.
    NoRegion,
}

/// Pods of a destination in one cluster.
#[derive(Clone, Debug)]
pub struct ClusterEndpoints<'s> {
    /// The cluster; [`Target::Mesh`] for the endpoints of a ServiceEntry.
    pub cluster: Target,
    /// How many there are, by `replicas` of the files.
    pub count: u32,
    /// What makes them.
    pub workloads: Vec<&'s Manifest>,
}

/// A destination that gets copies.
#[derive(Clone, Debug)]
pub struct Mirror<'s> {
    /// The destination; its `share` is the part of the requests that is copied.
    pub destination: Destination<'s>,
}

/// Errors and delays that a rule injects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fault {
    /// Part of the requests (0 to 1) that is answered with this status.
    pub abort: Option<(f64, u16)>,
    /// Part of the requests (0 to 1) that is delayed.
    pub delay: Option<(f64, Duration)>,
}

/// How failures are retried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retries {
    /// How often.
    pub attempts: u32,
    /// How long one attempt may take.
    pub per_try_timeout: Option<Duration>,
    /// On what (`retryOn`).
    pub on: Option<String>,
}

/// Changes of headers, in the order in which Envoy makes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderChanges {
    /// Request headers that are set.
    pub set: Vec<(String, String)>,
    /// Request headers that are added.
    pub add: Vec<(String, String)>,
    /// Request headers that are removed.
    pub remove: Vec<String>,
    /// Response headers that are set.
    pub response_set: Vec<(String, String)>,
    /// Response headers that are added.
    pub response_add: Vec<(String, String)>,
    /// Response headers that are removed.
    pub response_remove: Vec<String>,
}

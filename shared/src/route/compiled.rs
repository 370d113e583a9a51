//! What a table is made of: listeners, their filter chains, virtual hosts and routes, as Envoy has them.

use super::front::Listener as Balancer;
use super::outcome::{Destination, Entry, Fault, HeaderChanges, Mirror, Place, Retries, Rule};
use crate::fleet::Manifest;
use crate::object::Regex;
use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

/// The table of the pods of a gateway, for one order of age.
#[derive(Debug, Default)]
pub(super) struct Core<'s> {
    pub(super) listeners: HashMap<u16, Listener<'s>>,
    pub(super) tables: Vec<RouteTable<'s>>,
    pub(super) routes: Vec<Route<'s>>,
    /// Servers and rules that were left out, by the port they would have been on.
    pub(super) dropped: Vec<(u16, Place<'s>, String)>,
    /// Objects that meet on a port and whose order decides.
    pub(super) contested: Vec<(u16, &'s Manifest, &'s Manifest)>,
    /// Gateways that apply, oldest first.
    pub(super) gateways: Vec<&'s Manifest>,
    /// Chains are chosen by the host that is called, of which DNS makes the address that a sidecar sees.
    pub(super) by_host: bool,
}

/// A port of the pods.
#[derive(Debug)]
pub(super) struct Listener<'s> {
    pub(super) chains: Vec<Chain<'s>>,
    /// Chains by full server name.
    pub(super) exact: HashMap<String, usize>,
    /// Chains by `.suffix`.
    pub(super) wild: HashMap<String, usize>,
    /// The chain for everything else.
    pub(super) other: Option<usize>,
    /// Why Envoy refuses the listener.
    pub(super) refused: Option<String>,
    pub(super) servers: Vec<Place<'s>>,
}

/// What is done with a connection.
#[derive(Debug)]
pub(super) struct Chain<'s> {
    /// Server names; empty for any.
    pub(super) names: Vec<String>,
    pub(super) security: Security,
    pub(super) to: ChainTo<'s>,
    pub(super) server: Place<'s>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// As it comes.
    None,
    /// TLS ends here; with a certificate of the client or not.
    Ends { client_certificate: bool },
}

#[derive(Debug)]
pub(super) enum ChainTo<'s> {
    /// HTTP by this route table.
    Http(usize),
    /// TCP: the first is taken; the others would be, were they older.
    Tcp(Vec<TcpRoute<'s>>),
    /// Of the Service that is called, by the server name that the client asks for in TLS.
    ByName(Box<Listener<'s>>),
}

/// A rule for TCP.
#[derive(Debug)]
pub(super) struct TcpRoute<'s> {
    pub(super) action: ForwardAction<'s>,
    pub(super) rule: Rule<'s>,
    pub(super) rank: u8,
}

/// Virtual hosts behind a server or a port.
#[derive(Debug, Default)]
pub(super) struct RouteTable<'s> {
    pub(super) hosts: Vec<VirtualHost<'s>>,
    pub(super) exact: HashMap<String, usize>,
    /// By what follows the `*`.
    pub(super) suffix: HashMap<String, usize>,
    /// Lengths of these, longest first.
    pub(super) lengths: Vec<usize>,
    /// `*`.
    pub(super) any: Option<usize>,
    pub(super) servers: Vec<Place<'s>>,
}

/// A virtual host: one host name, and the rules of everything that is bound to it.
#[derive(Debug)]
pub(super) struct VirtualHost<'s> {
    /// As Envoy calls it.
    pub(super) name: String,
    pub(super) domain: String,
    /// Plain HTTP is answered with a redirect, because of this server.
    pub(super) https_only: Option<Place<'s>>,
    /// One per VirtualService and Gateway, in their order.
    pub(super) segments: Vec<Segment<'s>>,
    /// The order of the segments depends on ages that are not known.
    pub(super) contested: bool,
}

/// The rules of one VirtualService, bound through one Gateway.
#[derive(Clone, Debug)]
pub(super) struct Segment<'s> {
    /// Of the Gateway, by age.
    pub(super) gateway: usize,
    pub(super) gateway_manifest: &'s Manifest,
    /// Among the servers of the Gateway.
    pub(super) server: usize,
    /// Private to the namespace of the pods, exported to it, or public.
    pub(super) rank: u8,
    pub(super) manifest: &'s Manifest,
    /// In `Core::routes`: from, to.
    pub(super) routes: (usize, usize),
    /// The one for everything else, which comes after those of all others.
    pub(super) catch_all: Option<usize>,
}

/// A route of Envoy.
#[derive(Debug)]
pub(super) struct Route<'s> {
    pub(super) matcher: Matcher,
    pub(super) action: Action<'s>,
    /// Of what is forwarded: comes before faults.
    pub(super) cors: Option<Cors>,
    pub(super) rule: Rule<'s>,
}

/// Conditions; all must hold.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    pub(super) path: PathMatch,
    pub(super) ignore_case: bool,
    pub(super) headers: Vec<HeaderMatch>,
    pub(super) query: Vec<(String, Compare)>,
    /// A claim of a token that must be there: only Envoy can tell.
    /// Or, with `true`, that must not.
    pub(super) claims: Vec<(String, bool)>,
}

#[derive(Debug)]
pub(super) enum PathMatch {
    Prefix(String),
    Exact(String),
    Regex(Pattern),
}

impl Default for PathMatch {
    fn default() -> Self {
        Self::Prefix("/".to_owned())
    }
}

#[derive(Debug)]
pub(super) struct HeaderMatch {
    /// Lower case.
    pub(super) name: String,
    pub(super) how: Compare,
    /// Must not match.
    pub(super) not: bool,
}

/// How a text is compared.
#[derive(Debug)]
pub(super) enum Compare {
    Present,
    Exact(String),
    Prefix(String),
    Regex(Pattern),
}

/// A regular expression, made when it is first needed.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) text: String,
    pub(super) made: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), made: OnceLock::new() }
    }

    /// For the whole text. What cannot be judged here matches nothing.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.made.get_or_init(|| Regex::new(&self.text).ok()).as_ref().is_some_and(|regex| regex.is_match(text))
    }

    /// For the parts of a text.
    pub(super) fn replace(&self, text: &str, by: &str) -> String {
        let regex = self.made.get_or_init(|| Regex::anywhere(&self.text).ok()).as_ref();
        regex.map_or_else(|| text.to_owned(), |regex| regex.replace_all(text, by))
    }
}

/// What a route does.
#[derive(Debug)]
pub(super) enum Action<'s> {
    Redirect(Redirect),
    Direct { status: u16, body: String },
    Forward(Box<ForwardAction<'s>>),
}

/// A redirect, as Envoy makes it.
#[derive(Debug, Default)]
pub(super) struct Redirect {
    pub(super) status: u16,
    pub(super) scheme: Option<String>,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) path: Option<String>,
    pub(super) prefix: Option<String>,
}

/// Forwarding.
#[derive(Debug)]
pub(super) struct ForwardAction<'s> {
    pub(super) destinations: Vec<Destination<'s>>,
    pub(super) rewrite: Rewrite,
    pub(super) authority: Option<String>,
    pub(super) mirrors: Vec<Mirror<'s>>,
    pub(super) fault: Option<Fault>,
    pub(super) timeout: Option<Duration>,
    pub(super) retries: Option<Retries>,
    pub(super) headers: HeaderChanges,
    pub(super) verdict: Verdict,
    /// The same with other subsets, were another DestinationRule older.
    pub(super) rivals: Vec<Rival<'s>>,
}

/// Other endpoints, were another DestinationRule older.
#[derive(Debug)]
pub(super) struct Rival<'s> {
    pub(super) oldest: &'s Manifest,
    pub(super) instead_of: &'s Manifest,
    pub(super) destinations: Vec<Destination<'s>>,
    pub(super) verdict: Verdict,
}

/// Whether forwarding ends anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Some,
    NoCluster,
    NoEndpoint,
}

#[derive(Debug, Default)]
pub(super) enum Rewrite {
    #[default]
    None,
    /// What the match names is replaced by this.
    Prefix(String),
    Regex {
        pattern: Pattern,
        by: String,
    },
}

/// Requests that a browser asks first (CORS).
#[derive(Debug)]
pub(super) struct Cors {
    pub(super) origins: Vec<Compare>,
    /// Those from other origins are answered too, without a word of what is allowed (`unmatchedPreflights: IGNORE`).
    pub(super) takes_all: bool,
}

/// The ways into the pods by one port of the Services that lead to one port of the pods.
#[derive(Debug)]
pub(super) struct Way<'s> {
    /// Index of the table.
    pub(super) variant: usize,
    pub(super) target: u16,
    pub(super) balancer: Balancer,
    pub(super) entries: Vec<Entry<'s>>,
}

//! What a table holds, from the ports of the Services to the destinations: for pictures, read-only.

use super::outcome::{Destination, Entry, Fault, Mirror, Place, Rule};
use super::{Front, Options, Table, compile};
use crate::fleet::{FleetState, Manifest};

/// A port of the pods of a gateway.
#[derive(Debug)]
pub struct PortView<'a> {
    /// Its number.
    pub port: u16,
    /// The Services through which requests come in; none when no Service in front of the pods leads to it.
    pub entries: Vec<&'a Entry<'a>>,
    /// Why Envoy refuses to listen.
    pub refused: Option<&'a str>,
    /// The servers of Gateways that open it, also those without a chain of their own.
    pub servers: Vec<&'a Place<'a>>,
    /// What is done with a connection, by its server name.
    pub chains: Vec<ChainView<'a>>,
}

/// A filter chain.
#[derive(Debug)]
pub struct ChainView<'a> {
    /// The server that makes it.
    pub server: &'a Place<'a>,
    /// Server names; empty for any.
    pub names: &'a [String],
    /// TLS ends here.
    pub ends_tls: bool,
    /// What comes then.
    pub to: ToView<'a>,
}

/// What a filter chain leads to.
#[derive(Debug)]
pub enum ToView<'a> {
    /// Virtual hosts.
    Http(Vec<HostView<'a>>),
    /// The destinations of a TCP connection.
    Tcp(Vec<RouteView<'a>>),
}

/// A virtual host.
#[derive(Debug)]
pub struct HostView<'a> {
    /// Its name: `shop.example.com`, `*.example.com`, `*`.
    pub domain: &'a str,
    /// The server that answers plain HTTP with a redirect to HTTPS.
    pub https_only: Option<&'a Place<'a>>,
    /// VirtualServices with rules for it, in their order.
    pub parts: Vec<PartView<'a>>,
}

/// The rules of one VirtualService in a virtual host.
#[derive(Debug)]
pub struct PartView<'a> {
    /// The Gateway that binds it.
    pub gateway: &'a Manifest,
    /// Index of the server of that Gateway.
    pub server: usize,
    /// The VirtualService.
    pub virtual_service: &'a Manifest,
    /// Its routes: one per match of a rule.
    pub routes: Vec<RouteView<'a>>,
}

/// A route.
#[derive(Debug)]
pub struct RouteView<'a> {
    /// The rule that it comes from.
    pub rule: &'a Rule<'a>,
    /// What it does.
    pub action: ActionView<'a>,
}

/// What a route does.
#[derive(Debug)]
pub enum ActionView<'a> {
    /// The gateway answers with a redirect.
    Redirect {
        /// Status.
        status: u16,
        /// Where to, as far as the rule says.
        to: String,
    },
    /// The gateway answers by itself.
    Direct {
        /// Status.
        status: u16,
    },
    /// It is forwarded.
    Forward {
        /// Those with a share.
        destinations: &'a [Destination<'a>],
        /// Who gets a copy.
        mirrors: &'a [Mirror<'a>],
        /// Errors and delays that are injected.
        fault: Option<&'a Fault>,
    },
}

/// The tables of several gateways, in their order.
pub fn compile_all<'s>(state: &'s FleetState, fronts: &[Front<'s>], options: &Options) -> Vec<Table<'s>> {
    fronts.iter().map(|front| compile(state, front, options)).collect()
}

impl<'s> Table<'s> {
    /// The ports of the pods, with what is behind them, in their order.
    pub fn ports(&self) -> Vec<PortView<'_>> {
        Vec::new()
    }
}

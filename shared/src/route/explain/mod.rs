//! The way of a request in words. It walks the same table by the same functions as the fast way, and says at each step what
//! was found, where it is written, and at the first one that fails what to change.

mod connection;
mod destination;
mod outbound;
mod rule;

use super::compiled::{ChainTo, Core};
use super::front::Listener as Balancer;
use super::lookup;
use super::outcome::{Answer, Place};
use super::request::Request;
use super::table::Table;
use super::trace::{Stage, Step, Trace};

/// A way that is being walked.
struct Walk<'a, 's> {
    table: &'a Table<'s>,
    core: &'a Core<'s>,
    request: &'a Request,
    steps: Vec<Step<'a>>,
}

impl<'s> Table<'s> {
    /// What comes of a request, with every step of the way; the way through the first Service, when several have the port.
    pub fn explain<'a>(&'a self, request: &'a Request) -> Trace<'a> {
        let outcome = self.lookup(request);
        let way = self.ways.get(&request.port).and_then(|ways| ways.first());
        let Some(variant) = self.variants.get(way.map_or(0, |way| way.variant)) else {
            return Trace { steps: Vec::new(), outcome };
        };
        let mut walk = Walk { table: self, core: &variant.core, request, steps: Vec::new() };
        if self.front.sidecar {
            walk.caller();
            walk.outside();
        } else if walk.front(way) {
            let target = way.map_or(request.port, |way| way.target);
            // A load balancer may end TLS.
            let tls = request.tls && way.is_none_or(|way| way.balancer != Balancer::Https);
            walk.inside(target, tls);
        }
        Trace { steps: walk.steps, outcome }
    }
}

impl<'a> Walk<'a, '_> {
    /// From a workload to others.
    fn outside(&mut self) {
        let port = self.request.port;
        if !self.is_called(port) {
            return;
        }
        let chain = match lookup::chain(self.core, port, self.request.tls, self.request) {
            Ok(chain) => chain,
            Err(Answer::NoListener) => {
                let listener = self.core.listeners.get(&port);
                let known: Vec<String> = listener.iter().flat_map(|it| it.exact.keys().cloned()).collect();
                return self.nobody(port, lookup::called(self.request).as_ref(), known.into_iter());
            }
            Err(answer) => {
                if !self.not_named(port, &answer) {
                    self.chain(port, self.request.tls);
                }
                return;
            }
        };
        match &chain.to {
            ChainTo::Tcp(routes) => {
                self.tcp(routes);
                self.considered(self.left_out(port));
            }
            // It was looked into.
            ChainTo::ByName(_) => {}
            ChainTo::Http(table) => {
                if let Some(table) = self.core.tables.get(*table) {
                    self.http(port, table, self.request.tls);
                }
            }
        }
    }

    /// In the pods.
    fn inside(&mut self, port: u16, tls: bool) {
        if !self.gateways() || !self.listener(port) || !self.chain(port, tls) {
            return;
        }
        let Ok(chain) = lookup::chain(self.core, port, tls, self.request) else { return };
        match &chain.to {
            ChainTo::Tcp(routes) => self.tcp(routes),
            // Sidecars alone have it.
            ChainTo::ByName(_) => {}
            ChainTo::Http(table) => {
                if let Some(table) = self.core.tables.get(*table) {
                    self.http(port, table, tls);
                }
            }
        }
    }

    fn pass(&mut self, stage: Stage, text: impl Into<String>, places: Vec<Place<'a>>) {
        let text = text.into();
        self.steps.push(Step { stage, passed: true, text, places, considered: Vec::new(), fix: None });
    }

    /// Ends the way.
    fn fail(
        &mut self,
        stage: Stage,
        text: impl Into<String>,
        places: Vec<Place<'a>>,
        fix: impl Into<Option<String>>,
    ) -> bool {
        let (text, fix) = (text.into(), fix.into());
        self.steps.push(Step { stage, passed: false, text, places, considered: Vec::new(), fix });
        false
    }

    /// What else was looked at in the last step.
    fn considered(&mut self, considered: Vec<(Place<'a>, String)>) {
        if let Some(step) = self.steps.last_mut() {
            step.considered = considered;
        }
    }
}

/// `a, b and c`.
fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

/// `NAMESPACE/NAME`.
fn name(manifest: &crate::fleet::Manifest) -> String {
    format!("{}/{}", super::model::namespace(manifest), manifest.id.name)
}

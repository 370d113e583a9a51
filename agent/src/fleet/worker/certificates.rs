//! The Secrets that Gateways name, in the namespace of the gateway's pods: is a certificate in it, and how long is it good? A
//! Secret is read when it moves, and when a commit first names it; its dates are kept, and nothing else.

use super::Worker;
use super::signals::is_refusal;
use super::stage::live;
use asm_io::cluster::ClusterError;
use asm_shared::health::arrival::{AUTHORITY_SUFFIX, Arrival, Credential};
use asm_shared::health::certificate::{Parts, Validity, read};
use asm_shared::object::ObjectId;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Dates are looked at this often at least, whatever the clocks do meanwhile.
const LOOK: Duration = Duration::from_secs(24 * 3600);

/// What is known of them.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    /// To be read.
    due: BTreeSet<ObjectId>,
    /// What was read: until when it is good, or what is wrong with it.
    known: BTreeMap<ObjectId, Result<Validity, String>>,
}

/// A certificate that is about to end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ending {
    /// The Secret.
    pub(crate) secret: ObjectId,
    /// Its end.
    pub(crate) end: Timestamp,
    /// Who needs it.
    pub(crate) whose: String,
}

impl Certificates {
    /// Takes up what a commit names.
    pub(super) fn follow(&mut self, arrival: &Arrival) {
        self.known.retain(|id, _| arrival.credentials.contains_key(id));
        // Another commit may want more of the same Secret.
        self.due = arrival.credentials.keys().cloned().collect();
    }

    /// A Secret has moved. `true` when it is to be looked at.
    pub(super) fn moved(&mut self, arrival: &Arrival, secret: ObjectId) -> bool {
        if arrival.credentials.contains_key(&secret) {
            return self.due.insert(secret);
        }
        let Some(name) = secret.name.strip_suffix(AUTHORITY_SUFFIX) else { return false };
        let whole = ObjectId { name: name.into(), ..secret };
        arrival.credentials.get(&whole).is_some_and(|it| it.parts.authority) && self.due.insert(whole)
    }

    /// Has everything been read that can be?
    pub(super) fn is_settled(&self) -> bool {
        self.due.is_empty()
    }

    /// How long until there is something else to be said of one of them.
    pub(super) fn pause(&self, now: Timestamp) -> Option<Duration> {
        let next = self.known.values().filter_map(|known| known.as_ref().ok()?.next(now)).min()?;
        Some(Duration::try_from(next.duration_since(now)).unwrap_or_default().min(LOOK))
    }

    /// Those that are about to end.
    pub(super) fn ending(&self, arrival: &Arrival, now: Timestamp) -> Vec<Ending> {
        let near = self.known.iter().filter_map(|(id, known)| {
            let valid = known.as_ref().ok().filter(|valid| valid.is_ending(now))?;
            let whose = arrival.credentials.get(id).map(Credential::whose)?;
            Some(Ending { secret: id.clone(), end: valid.until, whose })
        });
        let mut all: Vec<Ending> = near.collect();
        all.sort_by_key(|one| one.end);
        all
    }
}

impl Worker {
    /// Reads those that have moved, and judges all of them by the time that it is.
    pub(super) async fn look_at_certificates(&mut self) {
        let desired = self.order.desired.clone();
        for id in std::mem::take(&mut self.state.certificates.due) {
            let Some(wanted) = desired.arrival.credentials.get(&id) else { continue };
            match self.read_credential(&id, wanted.parts).await {
                Ok(found) => {
                    self.state.certificates.known.insert(id, found);
                }
                Err(error) if is_refusal(&error) => {
                    tracing::debug!(target = %self.target(), object = %id, "cannot be read: {}", error.message);
                    self.state.certificates.known.remove(&id);
                    self.state.works(&id);
                }
                Err(error) => {
                    self.count_error(&error);
                    self.state.certificates.due.insert(id);
                    self.look_later = true;
                }
            }
        }
        let now = Timestamp::now();
        let faults: Vec<(ObjectId, Option<String>)> = self
            .state
            .certificates
            .known
            .iter()
            .map(|(id, known)| {
                (id.clone(), known.as_ref().map_or_else(|why| Some(why.clone()), |valid| valid.fault(now)))
            })
            .collect();
        for (id, fault) in faults {
            match (fault, desired.arrival.credentials.get(&id)) {
                (Some(fault), Some(wanted)) => self.state.ails(&id, wanted.fault(&fault, &id)),
                _ => self.state.works(&id),
            }
        }
        self.state.ending = self.state.certificates.ending(&desired.arrival, now);
    }

    /// What is in a Secret, or what is wrong with it. The Secret itself is let go of here.
    async fn read_credential(&self, id: &ObjectId, parts: Parts) -> Result<Result<Validity, String>, ClusterError> {
        let Some(secret) = live(&self.resources, id, "v1").await? else { return Ok(Err("is not there".to_owned())) };
        if !(parts.pair && parts.authority) {
            return Ok(read(&secret, parts));
        }
        // What clients are checked with may be in a Secret of its own, which then counts.
        let apart = ObjectId { name: format!("{}{AUTHORITY_SUFFIX}", id.name).into(), ..id.clone() };
        let Some(authority) = live(&self.resources, &apart, "v1").await? else { return Ok(read(&secret, parts)) };
        let (pair, authority) = (
            read(&secret, Parts { pair: true, authority: false }),
            read(&authority, Parts { pair: false, authority: true }),
        );
        let name = &apart.name;
        Ok(pair
            .and_then(|pair| Ok(pair.and(authority.map_err(|why| format!("is not enough: {name} beside it {why}"))?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str) -> ObjectId {
        ObjectId::new("", "Secret", Some("istio-system"), name)
    }

    fn arrival() -> Arrival {
        let of = |authority| Credential { parts: Parts { pair: true, authority }, used_by: Vec::new() };
        let credentials = [(secret("shop"), of(false)), (secret("mutual"), of(true))].into();
        Arrival { credentials, ..Arrival::default() }
    }

    #[test]
    fn only_what_gateways_name_is_read() {
        let (arrival, mut certificates) = (arrival(), Certificates::default());
        certificates.follow(&arrival);
        assert_eq!(certificates.due.len(), 2);
        certificates.due.clear();
        for (name, read) in [
            ("other", None),
            ("shop", Some("shop")),
            ("shop-cacert", None),
            ("mutual-cacert", Some("mutual")),
            ("mutual", Some("mutual")),
        ] {
            assert_eq!(certificates.moved(&arrival, secret(name)), read.is_some(), "{name}");
            assert_eq!(certificates.due, read.into_iter().map(secret).collect(), "{name}");
            certificates.due.clear();
        }
        assert!(certificates.is_settled());
    }

    #[test]
    fn an_end_is_told_in_time_and_looked_at_again_when_it_comes() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (arrival, mut certificates) = (arrival(), Certificates::default());
        let valid = Validity { from: at("2026-01-01T00:00:00Z"), until: at("2026-04-01T00:00:00Z") };
        certificates.known.insert(secret("shop"), Ok(valid));
        certificates.known.insert(secret("mutual"), Err("is not there".to_owned()));
        assert!(certificates.ending(&arrival, at("2026-03-24T23:00:00Z")).is_empty());
        assert_eq!(certificates.pause(at("2026-03-24T23:00:00Z")), Some(Duration::from_secs(3600)));
        let ending = certificates.ending(&arrival, at("2026-03-25T00:00:00Z"));
        assert_eq!(ending.iter().map(|one| (&*one.secret.name, one.end)).collect::<Vec<_>>(), [("shop", valid.until)]);
        assert_eq!(certificates.pause(at("2026-03-25T00:00:00Z")), Some(LOOK), "clocks may jump");
        assert_eq!(certificates.pause(at("2026-04-02T00:00:00Z")), None);
        certificates.follow(&Arrival::default());
        assert!(certificates.known.is_empty() && certificates.is_settled());
    }
}

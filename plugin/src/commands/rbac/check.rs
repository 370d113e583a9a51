//! What is needed against what the API servers grant: a `SelfSubjectRulesReview` per namespace, as the agent.

use super::wanted::Wanted;
use crate::context::Context;
use crate::error::CommandError;
use crate::kubeconfig;
use crate::live::host::Host;
use crate::live::request_failed;
use asm_io::cluster::{ClusterError, ErrorKind};
use asm_shared::access::{Granted, Need, Subject, compare};
use k8s_openapi::api::authorization::v1::{SelfSubjectRulesReview, SelfSubjectRulesReviewSpec};
use kube::Client;
use kube::api::{Api, PostParams};

/// A namespace that is nowhere: what is granted in it is granted in every one.
const NOWHERE: &str = "kubectl-asm-nowhere";
/// A user who has been given nothing: what he may is everybody's.
const NOBODY: &str = "system:serviceaccount:kubectl-asm-nowhere:nobody";

/// What was found on one API server.
pub(super) struct Found {
    pub(super) missing: Vec<String>,
    pub(super) beyond: Vec<String>,
    /// The API server could not list everything that it grants.
    incomplete: bool,
}

pub(super) async fn all(
    context: &Context,
    wanted: &[Wanted],
    subject: &Subject,
    as_self: bool,
) -> Result<Vec<Found>, CommandError> {
    let mut all = Vec::new();
    for wanted in wanted {
        all.push(one(context, wanted, subject, as_self).await?);
    }
    Ok(all)
}

async fn one(context: &Context, wanted: &Wanted, subject: &Subject, as_self: bool) -> Result<Found, CommandError> {
    let kube_context = match &wanted.kube_context {
        Some(name) => name.clone(),
        None => Host::connect(context).await?.kube_context,
    };
    let user = user(wanted, subject);
    let asks = Asks { context, kube_context, as_self };
    let agent = asks.client(&user).await?;
    let nobody = if as_self { None } else { Some(asks.client(NOBODY).await?) };
    let mut found = Found { missing: Vec::new(), beyond: Vec::new(), incomplete: false };
    let mut everywhere = Vec::new();
    let places = std::iter::once(None).chain(wanted.access.namespaces().into_iter().map(Some));
    for place in places {
        let namespace = place.as_deref().unwrap_or(NOWHERE);
        let (granted, whole) = asks.rules(&agent, &user, namespace).await?;
        let mut everyone = match &nobody {
            Some(client) => asks.rules(client, NOBODY, namespace).await?.0,
            None => Vec::new(),
        };
        found.incomplete |= !whole;
        if place.is_none() {
            everywhere.clone_from(&granted);
        } else {
            // Told once, for the whole cluster.
            everyone.extend(everywhere.iter().cloned());
        }
        let (missing, beyond) = compare(&wanted.access.needs, place.as_deref(), &granted, &everyone);
        let here = place.as_deref().map_or("in the whole cluster".to_owned(), |name| format!("in namespace {name}"));
        found.missing.extend(together(&missing).into_iter().map(|what| format!("{what} {here}")));
        found.beyond.extend(beyond.iter().map(|what| format!("{what} {here}")));
    }
    Ok(found)
}

/// Verbs of the same resource in one line.
fn together(needs: &[&Need]) -> Vec<String> {
    let mut lines: Vec<(String, Vec<&str>)> = Vec::new();
    for need in needs {
        let group = if need.group.is_empty() { String::new() } else { format!(".{}", need.group) };
        let name = need.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        let what = format!("{}{group}{name}", need.resource);
        match lines.iter_mut().find(|(known, _)| *known == what) {
            Some((_, verbs)) => verbs.push(need.verb),
            None => lines.push((what, vec![need.verb])),
        }
    }
    lines.into_iter().map(|(what, verbs)| format!("{} {what}", verbs.join(","))).collect()
}

/// As whom the agent is known there.
fn user(wanted: &Wanted, subject: &Subject) -> String {
    let account = |namespace: &str, name: &str| format!("system:serviceaccount:{namespace}:{name}");
    match (subject, &wanted.acts_as) {
        _ if wanted.is_host => account(&wanted.namespace, "asm-agent"),
        (_, Some(name)) => account(&wanted.namespace, name),
        (Subject::ServiceAccount { namespace, name }, None) => account(namespace, name),
        (Subject::User(name) | Subject::Group(name), None) => name.clone(),
    }
}

struct Asks<'c> {
    context: &'c Context,
    kube_context: String,
    as_self: bool,
}

impl Asks<'_> {
    async fn client(&self, user: &str) -> Result<Client, CommandError> {
        let user = (!self.as_self).then_some(user);
        kubeconfig::client_as(self.context, &self.kube_context, user).await
    }

    /// Rules, and whether they are all.
    async fn rules(&self, client: &Client, user: &str, namespace: &str) -> Result<(Vec<Granted>, bool), CommandError> {
        let api: Api<SelfSubjectRulesReview> = Api::all(client.clone());
        let spec = SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) };
        let review = SelfSubjectRulesReview { spec, ..SelfSubjectRulesReview::default() };
        let answer = api.create(&PostParams::default(), &review).await.map_err(|error| {
            let error = ClusterError::from(error);
            let failed = request_failed(&self.kube_context, &format!("ask what {user} may do"), &error);
            if error.kind == ErrorKind::Forbidden && !self.as_self {
                return failed.hinted(
                    "you must be allowed to impersonate it; or ask with its own kubeconfig: --self --kubeconfig FILE",
                );
            }
            failed
        })?;
        let status = answer.status.unwrap_or_default();
        let rules = status.resource_rules.into_iter().map(|rule| Granted {
            api_groups: rule.api_groups.unwrap_or_default(),
            resources: rule.resources.unwrap_or_default(),
            resource_names: rule.resource_names.unwrap_or_default(),
            verbs: rule.verbs,
        });
        Ok((rules.collect(), !status.incomplete))
    }
}

/// For people.
pub(super) fn tell(context: &Context, wanted: &[Wanted], found: &[Found]) {
    let ui = context.ui();
    for (wanted, found) in wanted.iter().zip(found) {
        if found.missing.is_empty() && found.beyond.is_empty() {
            ui.line(&format!("{}: exactly what the fleet needs", wanted.name));
        }
        for what in &found.missing {
            ui.line(&format!("{}: missing   {what}", wanted.name));
        }
        for what in &found.beyond {
            ui.line(&format!("{}: too much  {what}", wanted.name));
        }
        if found.incomplete {
            ui.warning(&format!("{}: the API server does not list everything that it grants", wanted.name));
        }
    }
    let differs = |(_, found): &(&Wanted, &Found)| !found.missing.is_empty() || !found.beyond.is_empty();
    if let Some((wanted, _)) = wanted.iter().zip(found).find(differs) {
        ui.hint(&format!("print the roles: kubectl asm rbac --target {}", wanted.name));
    }
}

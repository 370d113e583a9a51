//! `kubectl asm rbac`.

mod check;
mod wanted;

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::live::host::DEFAULT_NAMESPACE;
use crate::output::{self, Document, OutputFormat};
use asm_shared::access::{Impersonation, Subject, objects};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::path::PathBuf;
use wanted::Wanted;

/// Prints the roles that the agent needs: for the mesh and each member cluster exactly the kinds, verbs and namespaces of
/// the fleet, and with --fleetsync what it needs in its own cluster.
///
/// Reading is granted in the whole cluster, because an object is known by its label wherever it is; writing only in the
/// namespaces of the fleet, and of kinds without a namespace only for the names in Git. A commit with a new kind or namespace
/// needs the roles anew before it is synced; one that takes some away keeps the right to remove them with --base.
///
/// With --check the API servers are asked what the agent may do, and what is missing or too much is told. You must be allowed to
/// impersonate its service account there; or ask with its own kubeconfig: --self.
///
/// Exit codes: 0 done (with --check: exactly what is needed), 1 something is missing or too much, 2 usage or input error, 3 an
/// API server could not be reached.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # for one cluster, straight into it
  kubectl asm rbac --target m1c1 | kubectl --context m1c1 apply -f -

  # for the cluster that the agent runs in, with the Secrets of this FleetSync by name
  kubectl asm rbac --fleetsync fleetsync.yaml --target host

  # for the user of a kubeconfig of ASM or ACK instead of a service account
  kubectl asm rbac --target mesh --for-user 290123456789012345

  # also what the removals of this branch need
  kubectl asm rbac --base main

  # what is missing or too much?
  kubectl asm rbac --check

Output formats: json, yaml (one document; without -o YAML to apply)")]
pub struct RbacArgs {
    /// Only this target: mesh, a cluster of fleet.yaml, or host with --fleetsync; may be repeated
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<String>,

    /// File with the FleetSync: what the agent needs in its own cluster, and whom it acts as
    #[arg(long, value_name = "FILE")]
    fleetsync: Option<PathBuf>,

    /// Service account that the agent has in every target
    #[arg(long, value_name = "NAMESPACE/NAME", default_value = "asm-system/asm-agent")]
    service_account: String,

    /// User that the agent has in every target, instead of a service account
    #[arg(long = "for-user", value_name = "NAME", conflicts_with = "service_account")]
    for_user: Option<String>,

    /// Also what this revision needs, so that what has left Git since may be removed
    #[arg(long, value_name = "REV")]
    base: Option<String>,

    /// Ask the API servers what the agent may do, and compare
    #[arg(long)]
    check: bool,

    /// With --check: ask as the user of the kubeconfig, which is the agent's own
    #[arg(long = "self", requires = "check")]
    as_self: bool,
}

/// What the agent needs on each API server.
#[derive(Serialize, JsonSchema)]
pub(crate) struct FleetAccess {
    /// The home cluster first if it was asked for, then mesh and clusters.
    targets: Vec<TargetAccess>,
}

/// What it needs on one.
#[derive(Serialize, JsonSchema)]
struct TargetAccess {
    /// `host`, `mesh` or the cluster's name.
    target: String,
    /// ServiceAccount, ClusterRole, Roles, bindings.
    objects: Vec<Value>,
    /// With --check: what it lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Vec<String>>,
    /// With --check: what it may do and does not need.
    #[serde(skip_serializing_if = "Option::is_none")]
    beyond: Option<Vec<String>>,
}

impl Document for FleetAccess {
    const KIND: &'static str = "FleetAccess";
}

/// Runs it.
pub fn run(context: &Context, args: RbacArgs) -> Result<Exit, CommandError> {
    let format = context.output(&[OutputFormat::Json, OutputFormat::Yaml])?;
    let subject = subject(&args)?;
    let wanted = wanted::read(context, &args)?;
    if !args.check {
        print(context, format, &args, &wanted, &subject)?;
        return Ok(Exit::Clean);
    }
    let found = context.block_on(check::all(context, &wanted, &subject, args.as_self))?;
    let is_exact = found.iter().all(|found| found.missing.is_empty() && found.beyond.is_empty());
    if format.is_document() {
        let targets = wanted.iter().zip(&found).map(|(wanted, found)| TargetAccess {
            missing: Some(found.missing.clone()),
            beyond: Some(found.beyond.clone()),
            ..shown(wanted, &subject)
        });
        output::print(context.ui(), format, &output::of(&FleetAccess { targets: targets.collect() })?)?;
    } else {
        check::tell(context, &wanted, &found);
    }
    Ok(if is_exact { Exit::Clean } else { Exit::Findings })
}

fn subject(args: &RbacArgs) -> Result<Subject, CommandError> {
    if let Some(user) = &args.for_user {
        return Ok(Subject::User(user.clone()));
    }
    let parts =
        args.service_account.split_once('/').filter(|(a, b)| !a.is_empty() && !b.is_empty() && !b.contains('/'));
    let (namespace, name) = parts.ok_or_else(|| {
        CommandError::usage(format!("--service-account {}: write NAMESPACE/NAME", args.service_account))
    })?;
    Ok(Subject::ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() })
}

fn shown(wanted: &Wanted, subject: &Subject) -> TargetAccess {
    let (missing, beyond) = (None, None);
    TargetAccess { target: wanted.name.clone(), objects: made(wanted, subject), missing, beyond }
}

/// The objects for one API server. At home the agent is its own service account, whatever it is elsewhere.
fn made(wanted: &Wanted, subject: &Subject) -> Vec<Value> {
    if wanted.is_host {
        let own = Subject::ServiceAccount { namespace: wanted.namespace.clone(), name: "asm-agent".to_owned() };
        return objects(&wanted.access, &own, None);
    }
    let actor = wanted.acts_as.as_ref();
    let actor = actor.map(|name| Impersonation { namespace: wanted.namespace.clone(), name: name.clone() });
    objects(&wanted.access, subject, actor.as_ref())
}

fn print(
    context: &Context,
    format: OutputFormat,
    args: &RbacArgs,
    wanted: &[Wanted],
    subject: &Subject,
) -> Result<(), CommandError> {
    let ui = context.ui();
    if format.is_document() {
        let targets = wanted.iter().map(|wanted| shown(wanted, subject)).collect();
        return output::print(ui, format, &output::of(&FleetAccess { targets })?);
    }
    for (place, wanted) in wanted.iter().enumerate() {
        let separator = if place == 0 { "" } else { "---\n" };
        ui.data(&format!("{separator}# For {}\n{}", wanted.name, asm_shared::yaml::write_all(&made(wanted, subject))));
    }
    for wanted in wanted {
        for kind in &wanted.access.guessed {
            ui.warning(&format!(
                "{}: the plural of {kind} is not known here and was made up; compare with: kubectl api-resources",
                wanted.name
            ));
        }
        if let Some(kind) = wanted.access.granting.first() {
            ui.warning(&format!(
                "{}: the fleet has {kind} objects: an API server lets the agent pass on only rights that it has itself; give it \
                 those, by hand, if that is what you mean",
                wanted.name
            ));
        }
    }
    if wanted.len() > 1 {
        ui.hint("these are for different API servers; for one of them: kubectl asm rbac --target NAME | kubectl --context NAME apply -f -");
    }
    if args.fleetsync.is_none() {
        ui.hint(&format!(
            "what the agent needs in its own cluster: kubectl asm rbac --target host --fleetsync FILE (kubectl get fleetsync \
             -n {DEFAULT_NAMESPACE} NAME -o yaml)"
        ));
    }
    Ok(())
}

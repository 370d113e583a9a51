//! `kubectl asm gateway show`.

use super::list::{hosting, service};
use super::live::{self, LiveGateway};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Document, OutputFormat};
use crate::ui::Table;
use asm_shared::asm::overview::{self, GatewayOverview, Place};
use asm_shared::authoring::did_you_mean;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write as _;

/// Shows a gateway on one page: what it is, who uses it, its Services in each cluster.
///
/// The files say all of it but the addresses and the pods; --live reads those through the kubeconfig contexts that
/// fleet.yaml names (default: `mesh`, and each cluster's name).
///
/// Exit codes: 0 shown, 2 usage or input error, 3 an API server could not be reached (the rest is still shown).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kubectl asm gateway show ingressgateway

  # with addresses and pods
  kubectl asm gateway show ingressgateway --live

Output formats: json, yaml, name")]
pub struct ShowArgs {
    /// Name of the gateway
    name: String,

    /// Read addresses, Services and pods from the mesh and its clusters
    #[arg(long)]
    live: bool,
}

/// A gateway: what it is, who uses it, its Services in each cluster.
#[derive(Serialize, JsonSchema)]
pub(crate) struct IngressGateway<'a> {
    #[serde(flatten)]
    overview: &'a GatewayOverview,
    /// With `--live`: what runs of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<&'a LiveGateway>,
}

impl Document for IngressGateway<'_> {
    const KIND: &'static str = "IngressGateway";
}

/// Runs it.
pub fn run(context: &Context, args: ShowArgs) -> Result<Exit, CommandError> {
    use OutputFormat::{Json, Name, Yaml};
    super::check_namespace(context)?;
    let format = context.output(&[Json, Yaml, Name])?;
    let repo = context.repo()?;
    let fleet = repo.fleet()?;
    let names = || overview::gateways(&repo.state).map(|manifest| &*manifest.id.name);
    let manifest =
        overview::gateways(&repo.state).find(|manifest| *manifest.id.name == *args.name).ok_or_else(|| {
            CommandError::input(format!("there is no gateway (IstioGateway) {}", args.name))
                .hinted_with(did_you_mean(&args.name, names()))
                .hinted("list them with: kubectl asm gateway list")
        })?;
    let overview = overview::of(&repo.state, manifest);
    let mut live = if args.live { Some(live::read(context, fleet, manifest)?) } else { None };
    match format {
        Json | Yaml => {
            let page = IngressGateway { overview: &overview, live: live.as_ref() };
            output::print(context.ui(), format, &output::of(&page)?)?;
        }
        Name => context.ui().line(&format!("istiogateway.istio.alibabacloud.com/{}", overview.name)),
        _ => context.ui().data(&page(&overview, live.as_ref())),
    }
    let unreached = live.as_mut().map(|live| std::mem::take(&mut live.unreached)).unwrap_or_default();
    if unreached.is_empty() {
        return Ok(Exit::Clean);
    }
    let failed = CommandError::unreachable("not everything could be read");
    Err(unreached.into_iter().fold(failed, |failed, error| {
        let failed = failed.because(error.to_string());
        error.hints.into_iter().fold(failed, CommandError::hinted)
    }))
}

fn page(overview: &GatewayOverview, live: Option<&LiveGateway>) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ =
            writeln!(text, "{:<18}{}", format!("{name}:"), if value.is_empty() { "<none>".to_owned() } else { value });
    };
    row("Name", overview.name.clone());
    row("Source", overview.source.clone());
    row("Type", overview.gateway_type.clone());
    row("Runs in", hosting(overview));
    row("Service", service(overview));
    if let Some(policy) = &overview.external_traffic_policy {
        row("Traffic policy", policy.clone());
    }
    row("Ports", overview.ports.join(", "));
    row("Replicas", overview.replicas.clone());
    row("Pod labels", overview.pod_labels.join(", "));
    row("Gateways", places(&overview.gateways));
    row("Routes", places(&overview.routes));
    match live {
        None => {
            row("Addresses", "not known from the files: --live".to_owned());
            let mut table = Table::new(["cluster", "service", "made by", "differs in", "file"]);
            for part in &overview.clusters {
                table.row([
                    part.cluster.clone(),
                    part.generated.clone(),
                    "ASM".to_owned(),
                    part.overrides.join(","),
                    overview.source.clone(),
                ]);
                for extra in &part.services {
                    table.row([
                        part.cluster.clone(),
                        extra.name.clone(),
                        "Git".to_owned(),
                        String::new(),
                        extra.source.clone(),
                    ]);
                }
            }
            section(&mut text, "Services", &table);
        }
        Some(live) => {
            let status = match live.found {
                Some(true) => live.status.clone().unwrap_or_default(),
                Some(false) => "not in the mesh".to_owned(),
                None => "not known: the mesh could not be read".to_owned(),
            };
            row("Status", status);
            if let Some(error) = &live.error_message {
                row("Error", error.clone());
            }
            row("Addresses", live.addresses.join(", "));
            let mut services = Table::new(["cluster", "service", "type", "addresses", "ports"]);
            let mut pods = Table::new(["cluster", "pod", "ready", "status", "node"]);
            for part in &live.clusters {
                for service in &part.services {
                    services.row([
                        part.cluster.clone(),
                        service.name.clone(),
                        service.service_type.clone(),
                        service.addresses.join(","),
                        service.ports.join(","),
                    ]);
                }
                for pod in &part.pods {
                    let ready = if pod.ready { "yes" } else { "no" };
                    pods.row([
                        part.cluster.clone(),
                        pod.name.clone(),
                        ready.to_owned(),
                        pod.phase.clone(),
                        pod.node.clone(),
                    ]);
                }
            }
            section(&mut text, "Services", &services);
            section(&mut text, "Pods", &pods);
        }
    }
    text
}

fn section(text: &mut String, title: &str, table: &Table) {
    if !table.is_empty() {
        let _ = write!(text, "\n{title}\n{}", table.render(false));
    }
}

fn places(places: &[Place]) -> String {
    let told: Vec<_> =
        places.iter().map(|place| format!("{}/{} ({})", place.namespace, place.name, place.source)).collect();
    told.join(", ")
}

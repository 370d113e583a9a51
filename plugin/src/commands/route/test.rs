//! `kubectl asm route test`.

mod changes;
pub(crate) mod document;
mod junit;
pub(crate) mod log;
mod page;
mod report;
mod sources;

pub(crate) use changes::{Traffic, difference};

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, OutputFormat};
use report::Report;
use std::path::PathBuf;

/// Says where requests go, and why, from the files alone: no cluster is asked.
///
/// Without a URL, all RouteTest files of the fleet (tests/) are run: requests, and what must come of them. With a URL, that
/// request is followed step by step, and the first step that fails is told with what to change. The answer is what istiod
/// would make of the files and Envoy of the request; EnvoyFilters, authorization and what a destination answers are not
/// part of it. With --from NAMESPACE/WORKLOAD, it is the sidecar of that workload that is asked: requests between workloads
/// (VirtualServices of `mesh`), as in http://reviews:9080/.
///
/// Git does not say which of two objects is older, and istiod prefers the older one. Where that decides, both outcomes are
/// shown with the objects concerned.
///
/// An access log of the gateway (Istio's default text format, or JSON lines) shows what would come of real traffic.
///
/// Exit codes: 0 everything as expected (a request without an expectation: it is answered), 1 something is not, or, with
/// --base, comes out differently, 2 usage or input error. The same in every format.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # all tests of the fleet
  kubectl asm route test

  # one request
  kubectl asm route test https://shop.example.com/cart -H 'x-user: a'
  kubectl asm route test http://shop.example.com/ --address 198.51.100.7

  # what a workload's sidecar does with a request to another one
  kubectl asm route test http://reviews:9080/ --from default/productpage-v1

  # which requests a branch sends elsewhere
  kubectl asm route test --base main

  # real traffic against what is being edited
  kubectl asm route test --access-log gateway.log --base main

  # manifests that are in no fleet, tests of other tools
  kubectl asm route test --manifests routes/ --cluster m1c1=apps/ --tests icv-tests.yaml

Output formats: wide, json, yaml, name, junit")]
pub struct TestArgs {
    /// A request: http://HOST[:PORT]/PATH or https://…; port and scheme are those of the load balancer
    #[arg(value_name = "URL")]
    url: Option<String>,

    /// Header of the request; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", requires = "url")]
    headers: Vec<String>,

    /// Method of the request
    #[arg(short = 'X', long, value_name = "METHOD", requires = "url")]
    method: Option<String>,

    /// Gateway (IstioGateway) that receives it [default: every one that knows the host]
    #[arg(long, value_name = "NAME", requires = "url")]
    gateway: Option<String>,

    /// Address of the load balancer that it is sent to
    #[arg(long, value_name = "IP", requires = "url")]
    address: Option<String>,

    /// Service of the load balancer that it is sent to
    #[arg(long, value_name = "SERVICE", requires = "url", conflicts_with = "address")]
    clb: Option<String>,

    /// Who sends it: a workload of the mesh, whose sidecar is asked instead of a gateway; or only the gateway's pods in this
    /// member cluster
    #[arg(long, value_name = "NAMESPACE/WORKLOAD[@CLUSTER] | CLUSTER", requires = "url")]
    from: Option<String>,

    /// Server name that the client asks for in TLS, empty for none [default: the URL's host]
    #[arg(long, value_name = "NAME", requires = "url")]
    sni: Option<String>,

    /// The client shows a certificate when asked
    #[arg(long, requires = "url")]
    client_cert: bool,

    /// Tests in this file instead of the fleet's: RouteTest, istio-config-validator (testCases), Envoy's router_check_tool
    /// (tests); may be repeated
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    tests: Vec<PathBuf>,

    /// Requests of this access log of a gateway
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "tests"])]
    access_log: Option<PathBuf>,

    /// Manifests without a fleet.yaml instead of the fleet's: routes and gateways go to the mesh, workloads to --cluster;
    /// may be repeated
    #[arg(long, value_name = "DIR")]
    manifests: Vec<PathBuf>,

    /// With --manifests: a cluster, and the manifests that are its own; may be repeated
    #[arg(long, value_name = "NAME[=DIR]", requires = "manifests")]
    cluster: Vec<String>,

    /// Show whose outcome is another than in this revision; `REV...` means the commit where HEAD left it
    #[arg(long, value_name = "REV", conflicts_with = "manifests")]
    base: Option<String>,
}

/// The words after `-o`.
pub(crate) const FORMATS: [&str; 4] = ["wide", "json", "yaml", "junit"];

/// A format of `-o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Common(OutputFormat),
    Junit,
}

impl Format {
    fn choose(context: &Context) -> Result<Self, CommandError> {
        use OutputFormat::{Json, Wide, Yaml};
        match context.globals.output.as_deref() {
            Some("junit") => Ok(Self::Junit),
            _ => context
                .output(&[Wide, Json, Yaml])
                .map(Self::Common)
                .map_err(|error| error.hinted("route test also has: junit")),
        }
    }
}

/// Runs it.
pub fn run(context: &Context, args: TestArgs) -> Result<Exit, CommandError> {
    let format = Format::choose(context)?;
    let scene = sources::Scene::read(context, &args)?;
    for told in &scene.ignored {
        context.ui().warning(&format!("not looked at: {told}"));
    }
    if let Some(log) = &args.access_log {
        return log::run(context, format, &scene, log);
    }
    let cases = scene.cases(&args)?;
    let report = Report::of(&scene, &cases, args.url.is_some());
    if let Some(error) = report.refusal() {
        return Err(sources::wrong(error));
    }
    show(context, format, &report)?;
    Ok(if report.is_clean() { Exit::Clean } else { Exit::Findings })
}

fn show(context: &Context, format: Format, report: &Report) -> Result<(), CommandError> {
    let ui = context.ui();
    match format {
        Format::Junit => ui.data(&junit::page(report)),
        Format::Common(OutputFormat::Wide) => {
            ui.table(&page::table(report));
            ui.status(&page::summary(report));
        }
        // `name` is not offered: cases are no resources.
        Format::Common(OutputFormat::Human | OutputFormat::Name) => {
            ui.data(&page::page(report, ui.stdout_has_color()));
            page::next_steps(report).iter().for_each(|step| ui.status(&format!("Next: {step}")));
        }
        Format::Common(format) => output::print(ui, format, &document::of(report)?)?,
    }
    Ok(())
}

//! `kubectl asm verify`.

mod addresses;
mod curl;
mod local;
mod render;
mod run;
mod tls;

use crate::context::{Context, FleetRepo};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::kubeconfig::request_timeout;
use crate::output::{self, Document, OutputFormat};
use asm_shared::asm::overview;
use asm_shared::authoring::did_you_mean;
use asm_shared::fleet::Manifest;
use asm_shared::verify::{Ask, Outcome, Spread, VersionFrom, by_routes, of_url, plan};
use schemars::JsonSchema;
use serde::Serialize;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Asks every address of every gateway for real, and compares the answers with the files.
///
/// Of each address: does each port take connections, is each certificate trusted and for its host, does each host answer a
/// request, do the cases of `tests/` come out as they say, and, over many requests, are the answers spread over the versions
/// as the weights say. What is asked comes from the files; addresses come from the clusters (the status of Services and
/// gateways, read only), or from --address.
///
/// Which version answered is read from the answers. `auto`: the headers x-version, x-app-version, x-pod-name, the JSON fields
/// version, podname, pod, hostname, or Bookinfo's product page (who served the reviews; older releases: the stars). Names of
/// pods count for the version that they contain. Answers that do not say it leave the spread undecided.
///
/// The spread is tested at --confidence: with weights as stated, a run is refused by chance with at most 1 − confidence. Two
/// versions are tested exactly (binomial), more by χ², or exactly where few answers are expected. Weights are those of a
/// test's destinations, of --expect, or with --weights of the routes that split at the gateway.
///
/// Nothing is changed anywhere, but the requests are real: gateways and applications see and log them. --from-pod asks from
/// inside of a cluster: it runs curl in a pod of yours that is there already, through `kubectl exec`; no pod is made.
///
/// Exit codes: 0 everything is as it should be, 1 something is not, or cannot be told, or there was nothing to ask, 2 usage or
/// input error, 3 a cluster could not be asked for addresses, or a pod could not ask (the rest is asked all the same).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # everything
  kubectl asm verify

  # one gateway by an address that DNS does not know yet
  kubectl asm verify ingressgateway --address 198.51.100.7

  # is the split 90:10? 500 requests, wrong alarm in one of a thousand runs
  kubectl asm verify --url http://shop.example.com/ --expect v1=90,v2=10 --requests 500 --confidence 0.999

  # through a port-forward
  kubectl asm verify ingressgateway --address 127.0.0.1 --connect-to :80:127.0.0.1:8080

  # from inside of m1c1
  kubectl asm verify --from-pod m1c1:shop/client-0

Output formats: json, yaml")]
pub struct VerifyArgs {
    /// A gateway [default: all]
    gateway: Option<String>,

    /// Only the addresses in these member clusters
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    cluster: Vec<String>,

    /// An address to ask instead of those that the clusters know; may be repeated
    #[arg(long = "address", value_name = "IP|NAME", conflicts_with = "cluster")]
    addresses: Vec<String>,

    /// A request to make instead of those that the files call for; may be repeated
    #[arg(long = "url", value_name = "URL")]
    urls: Vec<String>,

    /// A header of these requests; may be repeated
    #[arg(long = "header", short = 'H', value_name = "NAME:VALUE", requires = "urls", value_parser = header)]
    headers: Vec<(String, String)>,

    /// Versions and weights by which the answers must be spread
    #[arg(long, value_name = "VERSION=WEIGHT", value_delimiter = ',', requires = "urls", value_parser = weight)]
    expect: Vec<(String, u32)>,

    /// Test also the weights of routes that split at the gateway, by the files
    #[arg(long)]
    weights: bool,

    /// Requests per address and case with weights
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    requests: u32,

    /// With which confidence weights are refused
    #[arg(long, value_name = "SHARE", default_value_t = 0.99, value_parser = confidence)]
    confidence: f64,

    /// Where the version stands in an answer: auto, header:NAME, json:/POINTER, body-regex:EXPRESSION
    #[arg(long, value_name = "PLACE", default_value = "auto", value_parser = VersionFrom::from_str)]
    version_from: VersionFrom,

    /// How long a connection, a TLS handshake and an answer may take, each
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    timeout: String,

    /// Requests at the same time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,

    /// Connect elsewhere for a host and port, as curl does; an empty HOST or PORT means any; may be repeated
    #[arg(long = "connect-to", value_name = "HOST:PORT:ADDRESS:PORT", value_parser = ConnectTo::from_str)]
    connect_to: Vec<ConnectTo>,

    /// Certificates of authorities to trust besides those of the machine
    #[arg(long, value_name = "FILE", conflicts_with = "from_pods")]
    ca_file: Option<PathBuf>,

    /// Ask from inside of a cluster: run curl in this pod; may be repeated, once for each cluster
    #[arg(long = "from-pod", visible_alias = "from-cluster", value_name = "CLUSTER:NAMESPACE/POD[/CONTAINER]", value_parser = curl::FromPod::from_str)]
    from_pods: Vec<curl::FromPod>,
}

/// `--connect-to`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ConnectTo {
    host: String,
    port: Option<u16>,
    address: String,
    to: u16,
}

impl FromStr for ConnectTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not HOST:PORT:ADDRESS:PORT");
        let (rest, to) = text.rsplit_once(':').ok_or_else(wrong)?;
        // An IPv6 address has colons of its own, in brackets.
        let at = if rest.ends_with(']') { rest.rfind('[') } else { rest.rfind(':').map(|colon| colon + 1) };
        let (front, address) = rest.split_at(at.ok_or_else(wrong)?);
        let (host, port) = front.strip_suffix(':').and_then(|front| front.rsplit_once(':')).ok_or_else(wrong)?;
        let port = if port.is_empty() { None } else { Some(port.parse().map_err(|_| wrong())?) };
        if address.is_empty() {
            return Err(wrong());
        }
        let address = address.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host: host.to_owned(), port, address, to: to.parse().map_err(|_| wrong())? })
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err(format!("`{text}` is not NAME:VALUE")),
    }
}

fn weight(text: &str) -> Result<(String, u32), String> {
    let read = text.split_once('=').and_then(|(name, weight)| Some((name, weight.parse().ok()?)));
    match read {
        Some((name, weight)) if !name.is_empty() => Ok((name.to_owned(), weight)),
        _ => Err(format!("`{text}` is not VERSION=WEIGHT")),
    }
}

fn confidence(text: &str) -> Result<f64, String> {
    let read = text.parse::<f64>().ok().filter(|share| (0.5..1.0).contains(share));
    read.ok_or_else(|| format!("`{text}` is not a share from 0.5 to below 1, for example 0.99"))
}

/// What the addresses of gateways answer.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VerifyReport {
    /// Checks by address, in the order of gateways, clusters, ports and layers.
    items: Vec<Check>,
    /// Gateways and clusters of which no address is known, and why.
    gaps: Vec<String>,
}

impl Document for VerifyReport {
    const KIND: &'static str = "VerifyReport";
}

/// One check.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Check {
    /// Name of the gateway.
    gateway: String,
    /// Cluster of the load balancer; `mesh` for a serverless gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    /// Service of the load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    /// IP or host name.
    address: String,
    /// Port.
    port: u16,
    /// Where it was asked from; this machine when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// `tcp`, `tls`, `http` or `spread`.
    check: &'static str,
    /// What it is about.
    name: String,
    /// The URL, for requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// How it ended.
    outcome: Outcome,
    /// What was found.
    found: String,
    /// What to look at next.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// For `spread`: what the test says.
    #[serde(skip_serializing_if = "Option::is_none")]
    spread: Option<Spread>,
    /// Where the files call for it.
    source: String,
}

/// Runs it.
pub fn run(context: &Context, args: VerifyArgs) -> Result<Exit, CommandError> {
    let format = context.output(&[OutputFormat::Json, OutputFormat::Yaml])?;
    let repo = context.repo()?;
    let settings = settings(&args)?;
    let gateways = gateways(&repo, args.gateway.as_deref())?;
    check_clusters(&repo, &args)?;
    let asks = asks(&repo, &gateways, &args)?;
    let found = addresses::find(context, &repo, &gateways, &args)?;
    let mut targets = Vec::new();
    for place in &found.places {
        targets.extend(asks.iter().filter(|ask| place.takes(ask)).map(|ask| run::Target { place, ask }));
    }
    let (items, broken) = run::all(context, &repo, &targets, &settings, &args)?;
    let report = VerifyReport { items, gaps: found.gaps };
    match format {
        OutputFormat::Json | OutputFormat::Yaml => output::print(context.ui(), format, &output::of(&report)?)?,
        _ => render::report(context.ui(), &report),
    }
    // Nothing asked is nothing verified.
    let is_fine = !report.items.is_empty() && report.items.iter().all(|item| item.outcome == Outcome::Ok);
    match (found.error, broken.is_empty()) {
        (Some(error), _) => Err(error),
        (None, false) => Err(could_not_ask(broken)),
        (None, true) if is_fine && report.gaps.is_empty() => Ok(Exit::Clean),
        (None, true) => Ok(Exit::Findings),
    }
}

fn could_not_ask(broken: Vec<String>) -> CommandError {
    let error = CommandError::unreachable("not everything could be asked from inside of the clusters");
    let error = broken.into_iter().fold(error, CommandError::because);
    error.hinted(
        "the pod must run, have curl, and you must be allowed to exec into it: kubectl auth can-i create pods/exec",
    )
}

/// How to ask.
struct Settings {
    timeout: Duration,
    concurrency: usize,
    requests: u32,
    confidence: f64,
    version_from: VersionFrom,
    connect_to: Vec<ConnectTo>,
    roots: tls::Roots,
}

impl Settings {
    /// Where to connect for an address, a host and a port.
    fn route(&self, address: &str, host: &str, port: u16) -> (String, u16) {
        let fits = |to: &&ConnectTo| {
            (to.host.is_empty() || to.host == host || to.host == address) && to.port.is_none_or(|own| own == port)
        };
        self.connect_to.iter().find(fits).map_or_else(|| (address.to_owned(), port), |to| (to.address.clone(), to.to))
    }
}

fn settings(args: &VerifyArgs) -> Result<Settings, CommandError> {
    let timeout = request_timeout(&args.timeout)
        .map_err(|_| {
            CommandError::usage(format!("--timeout {}: not a duration", args.timeout))
                .hinted("write for example 5s or 1m")
        })?
        .ok_or_else(|| {
            CommandError::usage("--timeout 0: nothing would ever be given up").hinted("write for example 5s or 1m")
        })?;
    if args.expect.iter().map(|(_, weight)| u64::from(*weight)).sum::<u64>() == 0 && !args.expect.is_empty() {
        return Err(CommandError::usage("--expect: the weights are all 0"));
    }
    Ok(Settings {
        timeout,
        concurrency: usize::from(args.concurrency),
        requests: args.requests,
        confidence: args.confidence,
        version_from: args.version_from.clone(),
        connect_to: args.connect_to.clone(),
        roots: tls::Roots::load(args.ca_file.as_deref())?,
    })
}

/// The gateways that are meant.
fn gateways<'a>(repo: &'a FleetRepo, name: Option<&str>) -> Result<Vec<&'a Manifest>, CommandError> {
    repo.fleet()?;
    let all: Vec<&Manifest> = overview::gateways(&repo.state).collect();
    let found: Vec<&Manifest> =
        all.iter().copied().filter(|gateway| name.is_none_or(|name| *gateway.id.name == *name)).collect();
    match name.filter(|_| found.is_empty()) {
        None => Ok(found),
        Some(name) => Err(CommandError::input(format!("there is no gateway (IstioGateway) {name}"))
            .hinted_with(did_you_mean(name, all.iter().map(|gateway| &*gateway.id.name)))
            .hinted("list them with: kubectl asm gateway list")),
    }
}

fn check_clusters(repo: &FleetRepo, args: &VerifyArgs) -> Result<(), CommandError> {
    let known: Vec<&str> = repo.fleet()?.spec.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    let named = args.cluster.iter().map(String::as_str).chain(args.from_pods.iter().map(|from| from.cluster.as_str()));
    match named.into_iter().find(|name| !known.contains(name)) {
        None => Ok(()),
        Some(name) => Err(CommandError::usage(format!("fleet.yaml has no cluster {name}"))
            .hinted_with(did_you_mean(name, known.iter().copied()))
            .hinted(format!("the fleet has {}", known.join(", ")))),
    }
}

/// What is asked of the gateways.
fn asks(repo: &FleetRepo, gateways: &[&Manifest], args: &VerifyArgs) -> Result<Vec<Ask>, CommandError> {
    let mut by_files: Vec<Ask> = gateways.iter().flat_map(|gateway| plan(&repo.state, gateway)).collect();
    if args.urls.is_empty() {
        by_routes(&repo.state, &mut by_files, args.weights);
        return Ok(by_files);
    }
    let mut found = Vec::new();
    for url in &args.urls {
        for gateway in gateways {
            let mut ask = of_url(url, &gateway.id.name).ok_or_else(|| {
                CommandError::usage(format!("--url {url}: not an absolute URL of http or https"))
                    .hinted("write it as in http://shop.example.com/cart?x=1")
            })?;
            // Only gateways that have the port open, unless one was named.
            if args.gateway.is_none() && !by_files.iter().any(|own| own.gateway == ask.gateway && own.port == ask.port)
            {
                continue;
            }
            if ask.host.as_deref().is_some_and(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()) {
                ask.server_name = None;
            }
            ask.headers.clone_from(&args.headers);
            ask.expect.weights.clone_from(&args.expect);
            found.push(ask);
        }
    }
    by_routes(&repo.state, &mut found, args.weights);
    Ok(found)
}

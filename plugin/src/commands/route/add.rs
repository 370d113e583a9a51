//! `kubectl asm route add`.

use super::ApiVersionArg;
use super::place::PlaceArgs;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{
    AddRoute, Destination, InsertRule, MatchSpec, NewGateway, RuleAction, SubsetSpec, route_exists,
};

/// Adds a route, mesh/routes/NAME.yaml, or with --rule-name a rule to a route that is there.
///
/// With --gateway it is for requests that come in through that Gateway, otherwise for those between the services of the
/// mesh. Hosts, ports, subsets and gateways that the fleet does not know are refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # from an ingress gateway to a page, with a new Gateway
  kubectl asm route add bookinfo --gateway bookinfo-gateway --create-gateway --selector istio=ingressgateway \\
      --port 80 --host '*' --match exact:/productpage --match prefix:/static --to productpage:9080

  # between services: everything for reviews to v3
  kubectl asm route add reviews --host reviews --subset v1,v2,v3 --to reviews@v3

  # nine of ten requests to v1
  kubectl asm route add ratings --to ratings@v1=90,ratings@v2=10

  # a rule for testers, before the one for everybody
  kubectl asm route add reviews --rule-name testers --before everybody --match header:end-user=exact:jason --to reviews@v2

Destinations: HOST[:PORT][@SUBSET][=PERCENT]
Output formats: json, yaml, name")]
pub struct AddArgs {
    /// Name of the route (VirtualService)
    name: String,

    /// Host that requests name; may be repeated [default: without a gateway, the destination's]
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,

    /// Gateway it applies to; may be repeated
    #[arg(long = "gateway", value_name = "[NAMESPACE/]NAME")]
    gateways: Vec<String>,

    /// Make the Gateway as well
    #[arg(long, requires = "gateways")]
    create_gateway: bool,

    /// Label of the ingress gateway's pods [default: that of the only one of the fleet]
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = label, requires = "create_gateway")]
    selector: Vec<(String, String)>,

    /// HTTP port of the new Gateway [default: 80]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), requires = "create_gateway")]
    port: Option<u16>,

    /// Requests it is for, conditions joined by +, for example prefix:/api+header:end-user=exact:jason; may be repeated
    /// [default: all]
    #[arg(long = "match", value_name = "CONDITIONS")]
    matches: Vec<MatchSpec>,

    /// Name of the rule; when the route is there already, the rule is added to it
    #[arg(long, value_name = "RULE")]
    rule_name: Option<String>,

    #[command(flatten)]
    place: PlaceArgs,

    /// Add the rule although it hides another one
    #[arg(long, requires = "rule_name")]
    force: bool,

    /// Where requests go; may be repeated
    #[arg(long = "to", value_name = "DESTINATION", value_delimiter = ',', required = true)]
    destinations: Vec<Destination>,

    /// Subset to declare besides those of the destinations; may be repeated
    #[arg(long = "subset", value_name = "NAME[:LABEL=VALUE]", value_delimiter = ',')]
    subsets: Vec<SubsetSpec>,

    /// Version of the Istio API to write
    #[arg(long, value_name = "VERSION", default_value = "v1beta1")]
    api_version: ApiVersionArg,

    /// Accept names that the fleet does not know
    #[arg(long)]
    allow_unknown: bool,

    #[command(flatten)]
    write: WriteArgs,
}

/// `KEY=VALUE`.
fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or("not KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Runs it.
pub fn run(context: &Context, args: AddArgs) -> Result<Exit, CommandError> {
    let repo = context.repo()?;
    let place = args.place.place();
    if let Some(rule_name) = &args.rule_name
        && (place.is_some() || route_exists(&repo.state, context.globals.namespace.as_deref(), &args.name))
    {
        if !args.hosts.is_empty() || !args.gateways.is_empty() {
            return Err(CommandError::usage("--host and --gateway are for new routes: a rule has those of its route"));
        }
        let intent = InsertRule {
            name: args.name,
            namespace: context.globals.namespace.clone(),
            rule_name: rule_name.clone(),
            place: place.unwrap_or_default(),
            matches: args.matches,
            action: RuleAction::Route(args.destinations, args.subsets),
            allow_unknown: args.allow_unknown,
            force: args.force,
        };
        let plan = intent.plan(&repo.tree, &repo.state)?;
        return write::finish(context, &repo, &plan, args.write, "kubectl asm diff");
    }
    if place.is_some() {
        return Err(CommandError::usage("a place among the rules is for a rule: name it with --rule-name"));
    }
    let intent = AddRoute {
        name: args.name,
        namespace: context.globals.namespace.clone(),
        hosts: args.hosts,
        gateways: args.gateways,
        new_gateway: args.create_gateway.then(|| NewGateway { selector: args.selector, port: args.port.unwrap_or(80) }),
        rule_name: args.rule_name,
        matches: args.matches,
        destinations: args.destinations,
        subsets: args.subsets,
        api_version: args.api_version.into(),
        allow_unknown: args.allow_unknown,
    };
    let plan = intent.plan(&repo.tree, &repo.state)?;
    write::finish(context, &repo, &plan, args.write, "kubectl asm diff")
}

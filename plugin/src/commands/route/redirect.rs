//! `kubectl asm route redirect`.

use super::place::PlaceArgs;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::write::{self, WriteArgs};
use asm_shared::authoring::{InsertRule, MatchSpec, Redirect, RedirectRoute, RuleAction};

/// Answers the requests of a rule with a redirect, or those of a new rule.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # a new rule: the old path leads to the new one
  kubectl asm route redirect bookinfo --rule-name old --first --match exact:/books --to-path /productpage

  # a rule that is there, to another host
  kubectl asm route redirect bookinfo --rule old --to-host shop.example.com --code 308

  # plain HTTP to HTTPS
  kubectl asm route redirect bookinfo --rule-name tls --first --match port:80 --https

Output formats: json, yaml, name")]
pub struct RedirectArgs {
    /// Name of the route (VirtualService)
    name: String,

    /// Rule of the route that redirects from now on, by its name or its number from 1 [default: the only one]
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,

    /// Name of a new rule
    #[arg(long, value_name = "RULE", conflicts_with = "rule")]
    rule_name: Option<String>,

    /// Requests the new rule is for, conditions joined by +; may be repeated [default: all]
    #[arg(long = "match", value_name = "CONDITIONS", requires = "rule_name")]
    matches: Vec<MatchSpec>,

    #[command(flatten)]
    place: PlaceArgs,

    /// Add the rule although it hides another one
    #[arg(long, requires = "rule_name")]
    force: bool,

    /// Host to which clients are sent
    #[arg(long, value_name = "HOST")]
    to_host: Option<String>,

    /// Path to which clients are sent
    #[arg(long, value_name = "PATH")]
    to_path: Option<String>,

    /// Send clients to HTTPS
    #[arg(long)]
    https: bool,

    /// Status: 301, 302, 303, 307 or 308 [default: 301]
    #[arg(long, value_name = "STATUS")]
    code: Option<u16>,

    #[command(flatten)]
    write: WriteArgs,
}

/// Runs it.
pub fn run(context: &Context, args: RedirectArgs) -> Result<Exit, CommandError> {
    let repo = context.repo()?;
    let namespace = context.globals.namespace.clone();
    let redirect = Redirect { host: args.to_host, path: args.to_path, https: args.https, code: args.code };
    let place = args.place.place();
    let plan = match args.rule_name {
        Some(rule_name) => InsertRule {
            name: args.name,
            namespace,
            rule_name,
            place: place.unwrap_or_default(),
            matches: args.matches,
            action: RuleAction::Redirect(redirect),
            allow_unknown: false,
            force: args.force,
        }
        .plan(&repo.tree, &repo.state)?,
        None if place.is_some() => {
            return Err(CommandError::usage("a place among the rules is for a new rule: name it with --rule-name")
                .hinted("to move a rule that is there: kubectl asm route move"));
        }
        None => {
            RedirectRoute { name: args.name, namespace, rule: args.rule, redirect }.plan(&repo.tree, &repo.state)?
        }
    };
    write::finish(context, &repo, &plan, args.write, "kubectl asm diff")
}

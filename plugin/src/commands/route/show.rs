//! `kubectl asm route show`.

use super::view::{self, Route, Rule};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, OutputFormat};
use asm_shared::authoring::did_you_mean;
use asm_shared::fleet::Position;
use std::fmt::Write as _;

/// Shows a route: its rules in the order in which they are tried, with file and line.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kubectl asm route show bookinfo
  kubectl asm route show reviews -o json

Output formats: json, yaml, name")]
pub struct ShowArgs {
    /// Name of the route (VirtualService)
    name: String,
}

/// Runs it.
pub fn run(context: &Context, args: ShowArgs) -> Result<Exit, CommandError> {
    use OutputFormat::{Human, Json, Name, Wide, Yaml};
    let format = context.output(&[Json, Yaml, Name])?;
    let repo = context.repo()?;
    repo.fleet()?;
    let namespace = context.globals.namespace.as_deref().unwrap_or("default");
    let here = || view::routes(&repo.state).filter(|manifest| view::namespace(manifest) == namespace);
    let Some(found) = here().find(|manifest| *manifest.id.name == *args.name) else {
        let names = here().map(|manifest| &*manifest.id.name);
        return Err(CommandError::input(format!(
            "there is no route (VirtualService) {} in namespace {namespace}",
            args.name
        ))
        .hinted_with(did_you_mean(&args.name, names))
        .hinted("see all: kubectl asm route list --all-namespaces"));
    };
    let route = Route::read(found);
    let ui = context.ui();
    match format {
        Json | Yaml => output::print(ui, format, &output::of(&route)?)?,
        Name => ui.line(&format!("virtualservice.networking.istio.io/{}", route.name)),
        Human | Wide => ui.data(&page(&route)),
    }
    Ok(Exit::Clean)
}

fn place(position: &Position) -> String {
    format!("{}:{}", position.file, position.line)
}

fn page(route: &Route) -> String {
    let mut page = String::new();
    let fields = [
        ("Name", route.name.clone()),
        ("Namespace", route.namespace.clone()),
        ("File", place(&route.position)),
        ("Patched by", route.patched_by.clone().unwrap_or_default()),
        ("Hosts", route.hosts.join(", ")),
        ("Gateways", route.gateways.join(", ")),
    ];
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        // Writing to a string does not fail.
        let _ = writeln!(page, "{:<11}{value}", format!("{name}:"));
    }
    let _ = writeln!(page, "{}", if route.rules.is_empty() { "Rules:     <none>" } else { "Rules, in this order:" });
    for rule in &route.rules {
        tell(&mut page, rule);
    }
    page
}

fn tell(page: &mut String, rule: &Rule) {
    let name = rule.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    let _ = writeln!(page, "  {}{name}  ({})", rule.number, place(&rule.position));
    for (index, entry) in rule.matches.iter().enumerate() {
        let _ = writeln!(page, "     {:<9}{entry}", if index == 0 { "match" } else { "or" });
    }
    for (index, to) in rule.destinations.iter().enumerate() {
        let _ = writeln!(page, "     {:<9}{:>3} %  {}", if index == 0 { "to" } else { "" }, to.weight, to.shown);
    }
    for (name, value) in &rule.settings {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let _ = writeln!(page, "     {name:<8} {value}");
    }
}

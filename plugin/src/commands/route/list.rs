//! `kubectl asm route list`.

use super::view::{self, Route, RouteList};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, OutputFormat};
use crate::ui::Table;

/// Lists the routes (VirtualServices) of a namespace: hosts, gateways, rules, destinations.
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "ls",
    after_help = "Examples:
  kubectl asm route list
  kubectl asm route list --all-namespaces -o wide

Output formats: wide, json, yaml, name"
)]
pub struct ListArgs {}

/// Runs it.
pub fn run(context: &Context, _args: ListArgs) -> Result<Exit, CommandError> {
    use OutputFormat::{Human, Json, Name, Wide, Yaml};
    let format = context.output(&[Wide, Json, Yaml, Name])?;
    let repo = context.repo()?;
    repo.fleet()?;
    let (all, namespace) = (context.globals.all_namespaces, context.globals.namespace.as_deref().unwrap_or("default"));
    let routes: Vec<_> = view::routes(&repo.state)
        .filter(|manifest| all || view::namespace(manifest) == namespace)
        .map(Route::read)
        .collect();
    let ui = context.ui();
    match format {
        Json | Yaml => output::print(ui, format, &output::of(&RouteList { items: &routes })?)?,
        Name => {
            routes.iter().for_each(|route| ui.line(&format!("virtualservice.networking.istio.io/{}", route.name)));
        }
        Human | Wide if routes.is_empty() => {
            let elsewhere = view::routes(&repo.state).count();
            if all {
                ui.status("No routes found.");
            } else {
                ui.status(&format!("No routes found in namespace {namespace}."));
            }
            if elsewhere > 0 {
                ui.hint("other namespaces have some: kubectl asm route list --all-namespaces");
            } else {
                ui.hint("add one with: kubectl asm route add NAME --to SERVICE:PORT");
            }
        }
        Human | Wide => ui.table(&table(&routes, all, format == Wide)),
    }
    Ok(Exit::Clean)
}

fn table(routes: &[Route], all: bool, wide: bool) -> Table {
    let first: &[_] = if all { &["namespace"] } else { &[] };
    let last: &[_] = if wide { &["file", "patched by"] } else { &[] };
    let headers = first.iter().chain(&["name", "hosts", "gateways", "rules", "destinations"]).chain(last);
    let mut table = Table::new(headers.copied());
    for route in routes {
        let mut cells = Vec::new();
        if all {
            cells.push(route.namespace.clone());
        }
        cells.extend([
            route.name.clone(),
            route.hosts.join(","),
            route.gateways.join(","),
            route.rules.len().to_string(),
            route.destinations().join(","),
        ]);
        if wide {
            cells.extend([route.position.to_string(), route.patched_by.clone().unwrap_or_default()]);
        }
        table.row(cells);
    }
    table
}

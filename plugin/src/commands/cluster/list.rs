//! `kubectl asm cluster list`.

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Document, OutputFormat};
use crate::ui::Table;
use asm_shared::fleet::{Cluster, Fleet, FleetState, Target};
use schemars::JsonSchema;
use serde::Serialize;

/// Lists the member clusters of the fleet, with the number of objects that Git has for each.
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "ls",
    after_help = "Examples:
  kubectl asm cluster list
  kubectl asm cluster list -o wide

Output formats: wide, json, yaml, name"
)]
pub struct ListArgs {}

/// The member clusters of the fleet.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ClusterList<'a> {
    /// In the order of fleet.yaml.
    items: Vec<Item<'a>>,
}

impl Document for ClusterList<'_> {
    const KIND: &'static str = "ClusterList";
}

/// A cluster as the machine formats tell it.
#[derive(Serialize, JsonSchema)]
struct Item<'a> {
    #[serde(flatten)]
    cluster: &'a Cluster,
    /// Groups that it is in.
    groups: Vec<&'a str>,
    /// Objects that Git has for it.
    objects: usize,
    /// Problems in files that concern it.
    problems: usize,
}

/// Runs it.
pub fn run(context: &Context, _args: ListArgs) -> Result<Exit, CommandError> {
    use OutputFormat::{Human, Json, Name, Wide, Yaml};
    let format = context.output(&[Wide, Json, Yaml, Name])?;
    let repo = context.repo()?;
    let fleet = repo.fleet()?;
    let items: Vec<_> = fleet.spec.clusters.iter().map(|cluster| item(fleet, &repo.state, cluster)).collect();
    let ui = context.ui();
    match format {
        Json | Yaml => output::print(ui, format, &output::of(&ClusterList { items })?)?,
        Name => items.iter().for_each(|item| ui.line(&format!("cluster/{}", item.cluster.name))),
        Human | Wide if items.is_empty() => {
            ui.status(&format!("No clusters found in fleet {}.", fleet.metadata.name));
            ui.hint("add one with: kubectl asm cluster add NAME --id ACK-CLUSTER-ID");
        }
        Human | Wide => ui.table(&table(&items, format == Wide)),
    }
    Ok(Exit::Clean)
}

fn item<'a>(fleet: &'a Fleet, state: &FleetState, cluster: &'a Cluster) -> Item<'a> {
    let target = Target::Cluster(cluster.name.as_str().into());
    let groups = fleet.spec.groups.iter().filter(|group| group.clusters.contains(&cluster.name));
    Item {
        cluster,
        groups: groups.map(|group| group.name.as_str()).collect(),
        objects: state.manifests_of(&target).count(),
        problems: state.problems_of(&target).count(),
    }
}

fn table(items: &[Item<'_>], wide: bool) -> Table {
    let more: &[_] = if wide { &["cloud controller", "context", "problems"] } else { &[] };
    let mut table =
        Table::new(["name", "id", "region", "version", "groups", "objects"].into_iter().chain(more.iter().copied()));
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    for item in items {
        let cluster = item.cluster;
        let mut cells = vec![
            cluster.name.clone(),
            text(&cluster.id),
            text(&cluster.region),
            text(&cluster.kubernetes_version),
            item.groups.join(","),
            item.objects.to_string(),
        ];
        if wide {
            let kube_context = cluster.context.clone().unwrap_or_else(|| cluster.name.clone());
            cells.extend([text(&cluster.cloud_controller_version), kube_context, item.problems.to_string()]);
        }
        table.row(cells);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use asm_shared::fleet::MemoryTree;

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let fleet = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: shop}\nspec:\n  mesh: {}\n  \
                     clusters: [{name: m1c2}, {name: m1c1}]\n  groups: [{name: b, clusters: [m1c1, m1c2]}, {name: a, clusters: [m1c1]}]\n";
        let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a, namespace: default}\n";
        let tree: MemoryTree =
            [("fleet.yaml", fleet), ("groups/b/a.yaml", account), ("clusters/m1c1/b.yaml", "kind: [")]
                .into_iter()
                .collect();
        let printed = || {
            let state = FleetState::read(&tree);
            let fleet = state.fleet.as_ref().unwrap();
            let items: Vec<_> = fleet.spec.clusters.iter().map(|cluster| item(fleet, &state, cluster)).collect();
            let table = table(&items, true).render(false);
            let document = output::of(&ClusterList { items }).unwrap();
            (table, serde_json::to_string(&document).unwrap(), asm_shared::yaml::write(&document))
        };
        let first = printed();
        for _ in 1..100 {
            assert_eq!(printed(), first);
        }
    }
}

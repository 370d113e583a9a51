//! A page for each load balancer.

use super::super::wrapped;
use crate::ui::Table;
use asm_shared::doctor::clb_access::{Diagnosis, NodeVerdict, Overall, Possible, Reach};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Nodes shown; what all of them do is in the summary.
const NODES: usize = 20;

/// All pages.
pub(super) fn pages(items: &[Diagnosis]) -> String {
    items.iter().map(page).collect::<Vec<_>>().join("\n")
}

fn page(item: &Diagnosis) -> String {
    let mut text = String::new();
    let addresses = if item.addresses.is_empty() { String::new() } else { format!("  {}", item.addresses.join(", ")) };
    // Writing to a string does not fail.
    let _ = writeln!(text, "{}  {}/{}{addresses}", item.cluster, item.namespace, item.service);
    let _ = writeln!(text, "  {}", wrapped(&item.summary, "  "));
    if item.cluster != "mesh" {
        let _ = writeln!(text, "  {}", about(item));
    }
    section(&mut text, &nodes(item));
    section(&mut text, &depends_on(item));
    for reason in reasons(item) {
        let _ = writeln!(text, "\n{}", reason);
    }
    for event in &item.events {
        let _ = writeln!(text, "\n  cloud controller: {} {}", event.reason, event.message);
        if let Some(meaning) = event.meaning {
            let _ = writeln!(text, "    {}", wrapped(meaning, "    "));
        }
    }
    if item.overall != Overall::Reached {
        section(&mut text, &remedies(item));
    }
    text
}

fn about(item: &Diagnosis) -> String {
    let mut parts = vec![format!("externalTrafficPolicy {}", item.external_traffic_policy.word())];
    parts.extend(item.backend_type.as_ref().map(|kind| format!("backend-type {kind}")));
    let plane = match (&item.data_plane_source, item.data_plane.as_str()) {
        (Some(source), plane) => format!("{plane} ({source})"),
        (None, "unknown") => "data plane unknown".to_owned(),
        (None, plane) => plane.to_owned(),
    };
    parts.push(plane);
    parts.push(format!("network {}", item.network));
    parts.join(", ")
}

fn section(text: &mut String, table: &Table) {
    if !table.is_empty() {
        text.push('\n');
        for line in table.render(false).lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
}

fn word(reach: Reach) -> String {
    match reach {
        Reach::Yes => "yes",
        Reach::Unknown => "unknown",
        Reach::No => "no",
    }
    .to_owned()
}

/// Nodes from which it is not reached come first.
fn nodes(item: &Diagnosis) -> Table {
    let mut table = Table::new(["node", "version", "gateway pods", "from pods", "from the node"]);
    let mut sorted: Vec<&NodeVerdict> = item.nodes.iter().collect();
    sorted.sort_by_key(|node| std::cmp::Reverse(node.from_pods.max(node.from_host)));
    for node in sorted.iter().take(NODES) {
        let pods = match (node.ready_pods, node.pods) {
            (_, 0) => "none".to_owned(),
            (ready, all) if ready == all => format!("{ready} ready"),
            (ready, all) => format!("{ready} of {all} ready"),
        };
        let name = if node.ready { node.name.clone() } else { format!("{} (not ready)", node.name) };
        let version = node.version.clone().unwrap_or_else(|| "unknown".to_owned());
        table.row([name, version, pods, word(node.from_pods), word(node.from_host)]);
    }
    if let Some(more) = sorted.len().checked_sub(NODES).filter(|more| *more > 0) {
        table.row([format!("and {more} more"), "…".to_owned(), "…".to_owned(), "…".to_owned(), "…".to_owned()]);
    }
    table
}

fn depends_on(item: &Diagnosis) -> Table {
    let mut table = Table::new(["a node without a gateway pod with", "from pods", "from the node"]);
    for row in &item.depends_on {
        table.row([row.with.to_owned(), word(row.from_pods), word(row.from_host)]);
    }
    table
}

/// Each reason once, with where it is documented. What the summary says already is not repeated.
fn reasons(item: &Diagnosis) -> Vec<String> {
    let mut found = BTreeSet::new();
    if let Some(caller) = &item.caller {
        if caller.reach != Reach::Yes {
            found.insert(format!("  see: {}", caller.source));
        }
    } else {
        for node in &item.nodes {
            let sides = [
                (node.from_pods, node.from_pods_because, node.sources.first()),
                (node.from_host, node.from_host_because, node.sources.last()),
            ];
            for (_, because, source) in sides.into_iter().filter(|(reach, ..)| *reach != Reach::Yes) {
                let source = source.copied().unwrap_or_default();
                if item.summary.contains(because) {
                    found.insert(format!("  see: {source}"));
                } else {
                    found.insert(format!("  why: {}\n       {source}", wrapped(because, "       ")));
                }
            }
        }
    }
    found.into_iter().collect()
}

fn remedies(item: &Diagnosis) -> Table {
    let mut table = Table::new(["remedy", "change", "source address", "possible"]);
    for remedy in &item.remedies {
        let possible = match (remedy.possible, &remedy.because) {
            (Possible::Yes, _) => "yes".to_owned(),
            (Possible::No, because) => format!("no: {}", because.as_deref().unwrap_or_default()),
            (Possible::Unknown, _) => remedy.needs.map_or("unknown".to_owned(), |needs| format!("needs {needs}")),
        };
        let kept = if remedy.keeps_source_address { "kept" } else { "lost" };
        let change = match remedy.name {
            asm_shared::doctor::clb_access::RemedyKind::ServiceDns => {
                format!("clients call {}.{}", item.service, item.namespace)
            }
            asm_shared::doctor::clb_access::RemedyKind::PolicyCluster => "externalTrafficPolicy: Cluster".to_owned(),
            asm_shared::doctor::clb_access::RemedyKind::Eni => "the same, backend-type: eni".to_owned(),
        };
        table.row([remedy.name.word().to_owned(), change, kept.to_owned(), possible]);
    }
    table
}

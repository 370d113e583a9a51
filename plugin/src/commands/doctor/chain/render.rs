//! Chains for people.

use super::super::wrapped;
use asm_shared::doctor::chain::{Chain, Link, LinkState};
use std::fmt::Write as _;

/// All of them. Of a Service's first request every link is shown, of the others what is different: where they end.
pub(super) fn pages(chains: &[Chain]) -> String {
    let mut text = String::new();
    let same = |a: &Chain, b: &Chain| (&a.gateway, &a.cluster, &a.service) == (&b.gateway, &b.cluster, &b.service);
    for (index, group) in chains.chunk_by(same).enumerate() {
        if index > 0 {
            text.push('\n');
        }
        for (number, chain) in group.iter().enumerate() {
            if number == 0 {
                let service = chain.service.as_ref().map(|service| format!(" {service}")).unwrap_or_default();
                // Writing to a string does not fail.
                let _ = writeln!(text, "{}  {}{service}", chain.gateway, chain.cluster);
            }
            request(&mut text, chain, number == 0);
        }
    }
    text
}

fn request(text: &mut String, chain: &Chain, is_first: bool) {
    let _ = writeln!(text, "  {} → {}", chain.request, chain.ends);
    for shown in chain.links.iter().filter(|link| is_first || link.state == LinkState::Broken) {
        link(text, shown);
    }
}

fn link(text: &mut String, link: &Link) {
    let state = match link.state {
        LinkState::Holds => "ok",
        LinkState::Unknown => "?",
        LinkState::Broken => "BROKEN",
    };
    let indent = " ".repeat(34);
    let told = wrapped(&link.text, &indent);
    let _ = writeln!(text, "    {} {:<20} {state:<6} {told}", link.number, link.name);
    for place in &link.places {
        let _ = writeln!(text, "{indent}{place}");
    }
    if let Some(fix) = link.fix.as_ref().filter(|_| link.state != LinkState::Holds) {
        let _ = writeln!(text, "{indent}{}", wrapped(&format!("→ {fix}"), &indent));
    }
}

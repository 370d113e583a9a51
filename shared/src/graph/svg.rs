//! The graph as a picture: one self-contained SVG, without scripts, in light and dark, for screen readers too.

use super::layout::{Layout, layout};
use super::mermaid::class;
use super::text::{shortened, width};
use super::{Change, Edge, Graph, Kind, Node, Role, State};
use crate::text::printable;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Around the picture.
const MARGIN: f64 = 24.0;
/// Headings of the columns.
const HEAD: f64 = 40.0;
/// Between columns, at the least.
const BETWEEN: f64 = 56.0;
/// Width of a character of 12 pixels, taken generously: fonts differ.
const CHARACTER: f64 = 6.6;
const BOLD: f64 = 7.8;
const LINE: f64 = 16.0;
const PADDING: f64 = 9.0;
/// Characters of a line in a box; the rest is in its title.
const LONGEST: usize = 44;
/// Lines in a box.
const MOST: usize = 6;

/// The picture. `title` is read out first.
pub fn svg(graph: &Graph, title: &str) -> String {
    let texts: Vec<Vec<(&str, String)>> = graph.nodes.iter().map(lines).collect();
    let sizes: Vec<(f64, f64)> = texts
        .iter()
        .map(|lines| {
            let of =
                |(class, text): &(&str, String)| width(text) as f64 * if *class == "name" { BOLD } else { CHARACTER };
            let longest = lines.iter().map(of).fold(0.0, f64::max);
            (longest + 2.0 * PADDING, lines.len() as f64 * LINE + 2.0 * PADDING - 4.0)
        })
        .collect();
    let labels = label_widths(graph);
    let made = layout(graph, &sizes, |kind| BETWEEN + labels.get(&kind).copied().unwrap_or_default());
    let legend = legend(graph);
    let (full, high) = (
        (made.width + 2.0 * MARGIN).max(480.0),
        made.height + 2.0 * MARGIN + HEAD + if legend.is_empty() { 0.0 } else { 28.0 },
    );
    let mut page = String::new();
    // Writing to a string does not fail, here and below.
    let _ = writeln!(
        page,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{full:.0}\" height=\"{high:.0}\" viewBox=\"0 0 {full:.0} {high:.0}\" \
         role=\"graphics-document document\" aria-labelledby=\"asm-title asm-desc\">"
    );
    let _ = writeln!(page, "<title id=\"asm-title\">{}</title>", escaped(title));
    let _ = writeln!(page, "<desc id=\"asm-desc\">{}</desc>", escaped(&summary(graph)));
    page.push_str(STYLE);
    page.push_str("<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n");
    headings(&mut page, &made, graph);
    let _ = writeln!(page, "<g transform=\"translate({MARGIN} {:.0})\">", MARGIN + HEAD);
    page.push_str("<g class=\"edges\">\n");
    let at = graph.index();
    let node = |id: &str| at.get(id).and_then(|index| graph.nodes.get(*index));
    for (edge, points) in graph.edges.iter().zip(&made.edges) {
        if let (Some(from), Some(to)) = (node(&edge.from), node(&edge.to)) {
            draw_edge(&mut page, (from, to), edge, points);
        }
    }
    page.push_str("</g>\n");
    let clusters: BTreeSet<&str> = graph.nodes.iter().filter_map(|node| node.cluster.as_deref()).collect();
    let clusters: Vec<&str> = clusters.into_iter().collect();
    for (index, node) in graph.nodes.iter().enumerate() {
        let (Some((column, y)), Some((_, height))) = (made.nodes.get(index), sizes.get(index)) else { continue };
        let Some((_, x, wide)) = made.columns.get(*column) else { continue };
        let cluster = node.cluster.as_deref().and_then(|name| clusters.iter().position(|known| *known == name));
        let lines = texts.get(index).map(Vec::as_slice).unwrap_or_default();
        draw_node(&mut page, node, lines, (*x, *y, *wide, *height), cluster);
    }
    page.push_str("</g>\n");
    if !legend.is_empty() {
        let _ = writeln!(page, "<g class=\"legend\" transform=\"translate({MARGIN} {:.0})\">", high - 16.0);
        page.push_str(&legend);
        page.push_str("</g>\n");
    }
    page.push_str("</svg>\n");
    page
}

/// The lines in a box, with their classes.
fn lines(node: &Node) -> Vec<(&'static str, String)> {
    let name = if node.kind == Kind::Host && node.name == "*" { "any host" } else { &node.name };
    // A rule has several matches, one line each.
    let mut lines: Vec<(&str, String)> = match node.kind {
        Kind::Rule => name.split(" | ").map(|part| ("match", part.to_owned())).collect(),
        _ => vec![("name", name.to_owned())],
    };
    lines.extend(node.details.iter().map(|detail| ("detail", detail.clone())));
    if lines.len() > MOST {
        let more = lines.len() - MOST + 1;
        lines.truncate(MOST - 1);
        lines.push(("detail", format!("… {more} more")));
    }
    lines.extend(node.cluster.iter().map(|cluster| ("cluster", cluster.to_string())));
    for note in &node.notes {
        let (class, sign) = if note.breaks { ("bad", "✗") } else { ("warn", "!") };
        lines.push((class, format!("{sign} {}", note.short())));
    }
    lines.into_iter().map(|(class, text)| (class, shortened(&printable(&text), LONGEST))).collect()
}

/// The words on an edge.
fn words(edge: &Edge) -> String {
    let mut words = edge.words();
    for note in &edge.notes {
        let sign = if note.breaks { "✗" } else { "!" };
        words = format!("{words} {sign} {}", note.short()).trim().to_owned();
    }
    shortened(&printable(&words), LONGEST)
}

/// Per kind: the room that the words of the edges into it take.
fn label_widths(graph: &Graph) -> BTreeMap<Kind, f64> {
    let at = graph.index();
    let mut widest: BTreeMap<Kind, f64> = BTreeMap::new();
    for edge in &graph.edges {
        if let Some(to) = at.get(&*edge.to) {
            let widest = widest.entry(graph.nodes[*to].kind).or_default();
            *widest = widest.max(width(&words(edge)) as f64 * 6.2);
        }
    }
    widest
}

fn headings(page: &mut String, made: &Layout, graph: &Graph) {
    page.push_str("<g class=\"headings\">\n");
    for (kind, x, _) in &made.columns {
        let _ =
            writeln!(page, "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>", x + MARGIN, MARGIN + 12.0, graph.heading(*kind));
    }
    page.push_str("</g>\n");
}

fn draw_edge(page: &mut String, ends: (&Node, &Node), edge: &Edge, points: &[(f64, f64)]) {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
    let mut path = format!("M{:.1} {:.1}", first.0, first.1);
    for (index, pair) in points.windows(2).enumerate() {
        let ((x1, y1), (x2, y2)) = (pair[0], pair[1]);
        if index % 2 == 0 {
            // Between two columns.
            let bend = (x2 - x1) / 2.0;
            let _ = write!(path, " C{:.1} {y1:.1} {:.1} {y2:.1} {x2:.1} {y2:.1}", x1 + bend, x2 - bend);
        } else {
            let _ = write!(path, " L{x2:.1} {y2:.1}");
        }
    }
    let class = edge_class(edge);
    let _ = writeln!(
        page,
        "<g class=\"edge{class}\"><title>{}</title><path d=\"{path}\"/>",
        escaped(&described(ends, edge))
    );
    // The head of the arrow.
    let (x, y) = *last;
    let _ = writeln!(page, "<path class=\"head\" d=\"M{x:.1} {y:.1} l-7 -3.5 v7 z\"/>");
    let words = words(edge);
    if !words.is_empty() {
        let _ = writeln!(page, "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>", x - 11.0, y - 4.0, escaped(&words));
    }
    page.push_str("</g>\n");
}

fn edge_class(edge: &Edge) -> String {
    let mut class = String::new();
    for (name, is_so) in [
        (" removed", edge.change == Change::Removed),
        (" broken", edge.state == State::Broken && edge.change != Change::Removed),
        (" added", edge.change == Change::Added),
        (" changed", edge.change == Change::Changed),
        (" warning", edge.state == State::Warning),
        (" idle", edge.state == State::Idle),
        (" mirror", edge.role == Role::Mirror),
    ] {
        if is_so {
            class.push_str(name);
        }
    }
    class
}

fn described((from, to): (&Node, &Node), edge: &Edge) -> String {
    let name = |node: &Node| format!("{} {}", node.title(), node.name);
    let mut text = format!("{} → {}", name(from), name(to));
    let change = match edge.change {
        Change::Same => "",
        Change::Changed => "changed",
        Change::Added => "added",
        Change::Removed => "removed",
    };
    let place = edge.place.as_ref().map(super::Place::line).unwrap_or_default();
    for part in [edge.words().as_str(), &edge.reason, change, &place] {
        if !part.is_empty() {
            let _ = write!(text, " · {part}");
        }
    }
    for note in &edge.notes {
        let _ = write!(text, " · {}: {}", note.short(), note.message);
    }
    text
}

fn draw_node(
    page: &mut String,
    node: &Node,
    lines: &[(&str, String)],
    at: (f64, f64, f64, f64),
    cluster: Option<usize>,
) {
    let (x, y, wide, high) = at;
    let mut class = class(node).map(|class| format!(" {class}")).unwrap_or_default();
    if node.change == Change::Added && node.state == State::Broken {
        class.push_str(" added");
    }
    let said = escaped(&node.described());
    let _ = writeln!(
        page,
        "<g class=\"node {}{class}\" role=\"graphics-symbol img\" aria-label=\"{said}\"><title>{said}</title>",
        kind_class(node.kind)
    );
    let round = if node.kind == Kind::Host { high / 2.0 } else { 6.0 };
    let _ =
        writeln!(page, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\" rx=\"{round:.1}\"/>");
    if let Some(cluster) = cluster {
        let _ = writeln!(
            page,
            "<rect class=\"strip k{}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"4\" height=\"{:.1}\"/>",
            cluster % 6,
            y + 5.0,
            high - 10.0
        );
    }
    for (number, (class, text)) in lines.iter().enumerate() {
        let line = y + PADDING + 10.0 + number as f64 * LINE;
        let _ = writeln!(
            page,
            "<text class=\"{class}\" x=\"{:.1}\" y=\"{line:.1}\">{}</text>",
            x + PADDING + 2.0,
            escaped(text)
        );
    }
    page.push_str("</g>\n");
}

fn kind_class(kind: Kind) -> &'static str {
    match kind {
        Kind::Host => "host",
        Kind::LoadBalancer => "lb",
        Kind::Service => "service",
        Kind::Pods => "pods",
        Kind::Server => "server",
        Kind::VirtualService => "vs",
        Kind::Rule => "rule",
        Kind::Destination => "destination",
        Kind::Endpoints => "endpoints",
    }
}

/// What is in the picture, in a sentence.
fn summary(graph: &Graph) -> String {
    let mut parts = Vec::new();
    for kind in Kind::ALL {
        let count = graph.nodes.iter().filter(|node| node.kind == kind).count();
        if count > 0 {
            parts.push(format!("{}: {count}", graph.heading(kind)));
        }
    }
    let broken = graph.nodes.iter().filter(|node| node.state == State::Broken).count()
        + graph.edges.iter().filter(|edge| edge.state == State::Broken).count();
    parts.push(if broken == 0 { "nothing broken".to_owned() } else { format!("broken: {broken}") });
    format!("The way of requests from left to right. {}", parts.join(", "))
}

/// What the lines of the picture mean, those that it has.
fn legend(graph: &Graph) -> String {
    let nodes = graph.nodes.iter().map(|node| (node.state, node.change));
    let all: Vec<(State, Change)> = nodes.chain(graph.edges.iter().map(|edge| (edge.state, edge.change))).collect();
    let has = |wanted: &dyn Fn(&(State, Change)) -> bool| all.iter().any(wanted);
    let mirrors = graph.edges.iter().any(|edge| edge.role == Role::Mirror);
    let entries = [
        ("broken", "broken", has(&|(state, change)| *state == State::Broken && *change != Change::Removed)),
        ("warning", "warning of lint", has(&|(state, _)| *state == State::Warning)),
        ("idle", "nothing behind it", has(&|(state, _)| *state == State::Idle)),
        ("added", "added since the base", has(&|(_, change)| *change == Change::Added)),
        ("changed", "changed since the base", has(&|(_, change)| *change == Change::Changed)),
        ("removed", "only in the base", has(&|(_, change)| *change == Change::Removed)),
        ("mirror", "copies", mirrors),
    ];
    let mut text = String::new();
    let mut x = 0.0;
    for (class, words, _) in entries.iter().filter(|(_, _, shown)| *shown) {
        let _ = writeln!(
            text,
            "<g class=\"edge {class}\"><path d=\"M{x:.0} -4 h28\"/></g><text x=\"{:.0}\" y=\"0\">{words}</text>",
            x + 34.0
        );
        x += 34.0 + words.len() as f64 * 6.4 + 22.0;
    }
    text
}

/// Text in XML.
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for c in printable(text).chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

const STYLE: &str = "<style>
svg{--page:#ffffff;--box:#f6f8fa;--line:#8c959f;--text:#1f2328;--quiet:#59636e;--bad:#cf222e;--warn:#9a6700;--add:#1a7f37;--chg:#8250df;color-scheme:light dark}
@media(prefers-color-scheme:dark){svg{--page:#0d1117;--box:#161b22;--line:#6e7681;--text:#e6edf3;--quiet:#9198a1;--bad:#ff7b72;--warn:#d29922;--add:#3fb950;--chg:#bc8cff}}
.page{fill:var(--page)}
text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif;fill:var(--text)}
.headings text,.legend text{fill:var(--quiet);font-size:11px}
.headings text{font-weight:600;letter-spacing:.03em}
.node rect{fill:var(--box);stroke:var(--line);stroke-width:1.2}
.node .name{font-weight:600;font-size:11.5px}
.node .match{font-size:11.5px}
.node .detail,.node .cluster{fill:var(--quiet);font-size:11px}
.node .cluster{font-style:italic}
.node .bad{fill:var(--bad);font-weight:600;font-size:11px}
.node .warn{fill:var(--warn);font-weight:600;font-size:11px}
.node .strip{stroke:none}
.node .k0{fill:#0969da}.node .k1{fill:#bf3989}.node .k2{fill:#1b7c83}.node .k3{fill:#bc4c00}.node .k4{fill:#6639ba}.node .k5{fill:#4d7a00}
.edge path{fill:none;stroke:var(--line);stroke-width:1.3}
.edge .head{fill:var(--line);stroke:none}
.edge text{font-size:11px;fill:var(--quiet);text-anchor:end;paint-order:stroke;stroke:var(--page);stroke-width:4px;stroke-linejoin:round}
.legend .edge path{stroke-width:2}
.node.warning rect:not(.strip){stroke:var(--warn);stroke-width:1.8}.edge.warning path{stroke:var(--warn)}.edge.warning .head{fill:var(--warn);stroke:none}.edge.warning text{fill:var(--warn)}
.node.idle rect:not(.strip),.node.elsewhere rect:not(.strip){stroke-dasharray:2 3}.node.idle .name{fill:var(--quiet)}.edge.idle path:not(.head){stroke-dasharray:2 3}
.node.changed rect:not(.strip){stroke:var(--chg);stroke-width:2}.edge.changed path{stroke:var(--chg);stroke-width:2}.edge.changed .head{fill:var(--chg);stroke:none}.edge.changed text{fill:var(--chg)}
.node.added rect:not(.strip){stroke:var(--add);stroke-width:1.8;stroke-dasharray:6 4}.edge.added path:not(.head){stroke:var(--add);stroke-width:1.8;stroke-dasharray:6 4}.edge.added .head{fill:var(--add)}.edge.added text{fill:var(--add)}
.node.broken rect:not(.strip){stroke:var(--bad);stroke-width:2.2}.edge.broken path:not(.head){stroke:var(--bad);stroke-width:2.2}.edge.broken .head{fill:var(--bad)}.edge.broken text{fill:var(--bad);font-weight:600}
.edge.mirror path:not(.head){stroke-dasharray:1 4;stroke-linecap:round;stroke-width:2}
.node.removed,.edge.removed{opacity:.6}.node.removed rect:not(.strip){stroke-dasharray:2 3}.node.removed .name{text-decoration:line-through}.edge.removed path:not(.head){stroke-dasharray:2 3}
</style>
";

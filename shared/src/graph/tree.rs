//! The graph as a tree for a terminal: per host the ways that a request for it can take.

use super::text::{percent, width};
use super::walk::{Step, Walk, Way};
use super::{Change, Edge, Graph, Kind, Node, Note, Role, State};
use crate::text::printable;
use std::collections::{HashMap, HashSet};

/// Columns of a line; longer ones are continued on the next.
const WIDTH: usize = 100;

/// How a piece of text is shown where there is colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// Names.
    Strong,
    /// Lines of the tree, files, what is only said for completeness.
    Quiet,
    /// What is broken.
    Broken,
    /// What lint warns of.
    Warning,
    /// What the base does not have.
    Added,
    /// What only the base has.
    Removed,
    /// What is not as in the base.
    Changed,
}

/// A line: its pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(pub Vec<(Tone, String)>);

impl Line {
    /// Its text without tones.
    pub fn text(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect()
    }

    fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| width(text)).sum()
    }

    fn push(&mut self, tone: Tone, text: impl Into<String>) {
        self.0.push((tone, text.into()));
    }
}

/// The lines. Hosts with the same ways share a tree; what is shown above is not shown again.
pub fn tree(graph: &Graph) -> Vec<Line> {
    let walk = Walk::new(graph);
    let mut page = Page {
        walk: &walk,
        lines: Vec::new(),
        shown: HashSet::new(),
        useful: HashMap::new(),
        drawn: HashSet::new(),
        taken: HashSet::new(),
    };
    for hosts in page.hosts() {
        page.hosts_of(&hosts);
    }
    page.rest();
    page.lines
}

/// Pieces that belong together, and the file that they are from.
struct Item {
    pieces: Vec<(Tone, String)>,
    place: Option<String>,
    notes: Vec<Note>,
    change: Change,
    state: State,
}

struct Page<'a, 'g> {
    walk: &'a Walk<'g>,
    lines: Vec<Line>,
    /// What was shown of nodes.
    shown: HashSet<Key<'g>>,
    useful: HashMap<(usize, Option<u16>), bool>,
    /// Nodes and edges that stand anywhere in the page.
    drawn: HashSet<usize>,
    taken: HashSet<usize>,
}

/// What was shown of a node.
#[derive(PartialEq, Eq, Hash)]
struct Key<'g> {
    node: usize,
    way: Option<Way<'g>>,
    edges: Vec<usize>,
}

impl<'g> Page<'_, 'g> {
    fn node(&self, index: usize) -> &'g Node {
        &self.walk.graph.nodes[index]
    }

    fn edge(&self, index: usize) -> &'g Edge {
        &self.walk.graph.edges[index]
    }

    /// The hosts; those whose requests take the same ways together.
    fn hosts(&mut self) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut known: HashMap<Vec<usize>, usize> = HashMap::new();
        let hosts: Vec<usize> = self.walk.roots().filter(|root| self.node(*root).kind == Kind::Host).collect();
        for host in hosts {
            let mut ways = Vec::new();
            super::walk::all(self.walk, host, |node, step| {
                // The first edge is the host's own.
                ways.push(if node == host { self.walk.graph.edges.len() + step.to } else { step.edge });
            });
            ways.sort_unstable();
            let group = *known.entry(ways).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[group].push(host);
        }
        groups
    }

    fn hosts_of(&mut self, hosts: &[usize]) {
        let Some(first) = hosts.first() else { return };
        self.useful.clear();
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
        let mut pieces = Vec::new();
        for host in hosts {
            self.drawn.insert(*host);
            let node = self.node(*host);
            let name = if node.name == "*" { "* (any host)".to_owned() } else { printable(&node.name) };
            pieces.push((tone(Tone::Strong, node.state, node.change), name));
        }
        let node = self.node(*first);
        let item = Item { pieces, place: None, notes: node.notes.clone(), change: node.change, state: node.state };
        self.item(item, "", "", ", ");
        let way = self.walk.begin(*first);
        let steps = self.walk.useful_steps(*first, way, &mut self.useful);
        self.children(&steps, "");
    }

    /// What no way of a host leads through.
    fn rest(&mut self) {
        let alone: Vec<usize> = (0..self.walk.graph.nodes.len()).filter(|node| !self.drawn.contains(node)).collect();
        let arrives: HashSet<usize> = alone
            .iter()
            .flat_map(|node| self.walk.steps(*node, Way { host: None, port: None }).map(|step| step.to))
            .collect();
        let mut tops: Vec<Step<'g>> = alone
            .iter()
            .filter(|node| !arrives.contains(node))
            .map(|node| Step { edge: usize::MAX, to: *node, way: Way { host: None, port: None } })
            .collect();
        tops.extend(self.links());
        if tops.is_empty() {
            return;
        }
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
        let mut heading = Line::default();
        heading.push(Tone::Strong, "not on the way of any host");
        self.lines.push(heading);
        self.children(&tops, "");
    }

    /// Broken links between what stands in the page, where no way of a host takes them.
    fn links(&self) -> Vec<Step<'g>> {
        let index = self.walk.graph.index();
        let edges = self.walk.graph.edges.iter().enumerate();
        let open = edges.filter(|(number, edge)| {
            let at = |id: &str| index.get(id).is_some_and(|node| self.drawn.contains(node));
            !self.taken.contains(number) && !edge.notes.is_empty() && at(&edge.from) && at(&edge.to)
        });
        let to = |edge: &Edge| index.get(&*edge.to).copied();
        open.filter_map(|(number, edge)| {
            Some(Step { edge: number, to: to(edge)?, way: Way { host: None, port: edge.port } })
        })
        .collect()
    }

    fn children(&mut self, steps: &[Step<'g>], indent: &str) {
        let last = steps.len().saturating_sub(1);
        for (number, step) in steps.iter().enumerate() {
            self.child(step, indent, number == last);
        }
    }

    /// A node below another. A load balancer and the port of its Service share a line, as do a rule and its only
    /// destination, and a destination and its endpoints.
    fn child(&mut self, step: &Step<'g>, indent: &str, last: bool) {
        let steps = self.joined(step);
        if steps.len() > 1 && self.node(step.to).kind == Kind::LoadBalancer {
            let count = steps.len() - 1;
            for (number, service) in steps[1..].iter().enumerate() {
                self.line(&[*step, *service], indent, last && number + 1 == count);
            }
            return;
        }
        self.line(&steps, indent, last);
    }

    /// The steps that share a line with this one.
    fn joined(&mut self, step: &Step<'g>) -> Vec<Step<'g>> {
        let next = self.next(step);
        let mut joined = vec![*step];
        match self.node(step.to).kind {
            Kind::LoadBalancer => joined.extend(next),
            Kind::Rule => {
                if let [only] = next[..]
                    && self.edge(only.edge).notes.is_empty()
                    && self.edge(only.edge).role == Role::Request
                    && self.node(only.to).notes.is_empty()
                    && self.rule_words(step).iter().map(|text| width(text) + 3).sum::<usize>() < WIDTH / 2
                {
                    joined.push(only);
                }
            }
            _ => {}
        }
        joined
    }

    fn line(&mut self, steps: &[Step<'g>], indent: &str, last: bool) {
        let Some(end) = steps.last().copied() else { return };
        let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let (head, rest) = (format!("{indent}{branch}"), format!("{indent}{below}"));
        let mut item = self.pieces(steps);
        let node = self.node(end.to);
        for step in steps {
            self.drawn.insert(step.to);
            self.taken.insert(step.edge);
        }
        // The endpoints of a destination stand on its line; a port without a server has nothing behind it.
        let is_end = node.kind == Kind::Destination || (node.kind == Kind::Service && node.state == State::Idle);
        let next = if is_end { Vec::new() } else { self.next(&end) };
        let again = !next.is_empty() && !self.shown.insert(self.key(&end, &next));
        if again {
            item.pieces.push((Tone::Quiet, "(as above)".to_owned()));
            item.notes.retain(|note| !node.notes.contains(note));
        }
        let has_children = !next.is_empty() && !again;
        self.item(item, &head, &format!("{rest}{}", if has_children { "│" } else { " " }), " · ");
        if node.kind == Kind::Destination {
            let ends: Vec<Step<'g>> = self.walk.steps(end.to, end.way).collect();
            for step in ends {
                self.drawn.insert(step.to);
                self.taken.insert(step.edge);
                let notes = self.node(step.to).notes.iter().chain(&self.edge(step.edge).notes).cloned().collect();
                self.notes(notes, &rest);
            }
        }
        if has_children {
            self.children(&next, &rest);
        }
    }

    /// What tells the ways behind a node from those that were shown of it before. Behind a VirtualService the port means
    /// nothing more, and of the host no more than the rules that it takes.
    fn key(&self, end: &Step<'g>, next: &[Step<'g>]) -> Key<'g> {
        let node = self.node(end.to);
        if node.kind >= Kind::VirtualService {
            Key { node: end.to, way: None, edges: next.iter().map(|step| step.edge).collect() }
        } else {
            Key { node: end.to, way: Some(end.way), edges: Vec::new() }
        }
    }

    fn next(&mut self, step: &Step<'g>) -> Vec<Step<'g>> {
        self.walk.useful_steps(step.to, step.way, &mut self.useful)
    }

    /// What is said of the nodes of a line, the edges to them included.
    fn pieces(&self, steps: &[Step<'g>]) -> Item {
        let mut item =
            Item { pieces: Vec::new(), place: None, notes: Vec::new(), change: Change::Same, state: State::Works };
        for (number, step) in steps.iter().enumerate() {
            let node = self.node(step.to);
            let edge = self.walk.graph.edges.get(step.edge);
            let (mut state, mut change) = (node.state, node.change);
            if let Some(edge) = edge {
                state = state.max(edge.state);
                // A load balancer by which one more host comes in is no new one.
                let counts = change == Change::Same && node.kind != Kind::LoadBalancer;
                change = if counts { edge.change } else { change };
                item.notes.extend(edge.notes.iter().filter(|note| !node.notes.contains(note)).cloned());
            }
            let tone = tone(if node.kind == Kind::Rule { Tone::Plain } else { Tone::Strong }, state, change);
            let arrow = (number > 0 && node.kind == Kind::Destination).then_some("→ ");
            self.said(node, edge, step, arrow.unwrap_or_default(), tone, &mut item.pieces);
            item.notes.extend(node.notes.iter().cloned());
            item.place = node.place.as_ref().map(super::Place::line).or(item.place);
            item.state = item.state.max(state);
            item.change = if item.change == Change::Same { change } else { item.change };
        }
        item
    }

    fn said(
        &self,
        node: &Node,
        edge: Option<&Edge>,
        step: &Step<'g>,
        arrow: &str,
        tone: Tone,
        pieces: &mut Vec<(Tone, String)>,
    ) {
        let name = printable(&node.name);
        let label = edge.map(Edge::words).unwrap_or_default();
        match node.kind {
            Kind::Rule => {
                let mut words = self.rule_words(step).into_iter();
                pieces.push((tone, words.next().unwrap_or_default()));
                pieces.extend(words.map(|word| (Tone::Plain, word)));
            }
            Kind::Destination => {
                let copy = edge.is_some_and(|edge| edge.role == Role::Mirror);
                let arrow = if copy {
                    "copy to "
                } else if arrow.is_empty() {
                    "→ "
                } else {
                    arrow
                };
                let label = if label.is_empty() { String::new() } else { format!("{} ", printable(&label)) };
                pieces.push((tone, format!("{arrow}{label}{name}")));
                pieces.extend(self.quiet(&node.details));
                pieces.extend(self.endpoints(step));
            }
            Kind::Pods => {
                pieces.push((tone, format!("pods {name}")));
                pieces.extend(self.quiet(&node.details));
                pieces.extend(node.cluster.iter().map(|cluster| (Tone::Plain, printable(cluster))));
            }
            Kind::LoadBalancer | Kind::Service => {
                pieces.push((tone, name));
                pieces.extend(self.quiet(&node.details));
                let alone = node.kind == Kind::LoadBalancer || !edge.is_some_and(|edge| edge.from.starts_with("lb/"));
                pieces.extend(node.cluster.iter().filter(|_| alone).map(|cluster| (Tone::Plain, printable(cluster))));
            }
            Kind::Server | Kind::VirtualService => {
                let title = node.kind.title();
                pieces.push((tone, format!("{title} {name}")));
                pieces.extend(self.quiet(&node.details));
            }
            Kind::Host | Kind::Endpoints => {
                pieces.push((tone, name));
                pieces.extend(self.quiet(&node.details));
            }
        }
    }

    /// The number of a rule and its matches, one by one; then its other words.
    fn rule_words(&self, step: &Step<'g>) -> Vec<String> {
        let node = self.node(step.to);
        let number = self.walk.graph.edges.get(step.edge).map(Edge::words).unwrap_or_default();
        let matches = node.name.split(" | ").enumerate().map(|(index, text)| {
            let before =
                if index > 0 { "| ".to_owned() } else { number.clone() + if number.is_empty() { "" } else { " " } };
            printable(&format!("{before}{text}"))
        });
        matches.chain(node.details.iter().map(|detail| printable(detail))).collect()
    }

    fn quiet(&self, details: &[String]) -> Vec<(Tone, String)> {
        details.iter().map(|detail| (Tone::Quiet, printable(detail))).collect()
    }

    /// The pods of a destination, by cluster.
    fn endpoints(&self, step: &Step<'g>) -> Vec<(Tone, String)> {
        let ends = self.walk.steps(step.to, step.way).map(|end| {
            let (node, edge) = (self.node(end.to), self.edge(end.edge));
            let share = edge.share.map(|share| format!("{} to ", percent(share))).unwrap_or_default();
            let change = if node.change == Change::Same { edge.change } else { node.change };
            (tone(Tone::Plain, node.state.max(edge.state), change), format!("{share}{}", printable(&node.name)))
        });
        ends.collect()
    }

    /// Writes pieces, as many on a line as fit, then what is wrong.
    fn item(&mut self, item: Item, head: &str, rest: &str, separator: &str) {
        let sign = match item.change {
            Change::Added => Some((Tone::Added, "+ ")),
            Change::Removed => Some((Tone::Removed, "- ")),
            Change::Changed => Some((Tone::Changed, "~ ")),
            Change::Same => None,
        };
        let mut line = Line::default();
        line.push(Tone::Quiet, head);
        if let Some((tone, sign)) = sign {
            line.push(tone, sign);
        }
        let mut is_first = true;
        for (tone, text) in item.pieces {
            let separator = if text.starts_with("| ") || text.starts_with("→ ") { " " } else { separator };
            if !is_first && line.width() + width(separator) + width(&text) > WIDTH {
                self.lines.push(std::mem::take(&mut line));
                line.push(Tone::Quiet, format!("{rest} "));
                is_first = true;
            }
            if !is_first {
                line.push(Tone::Quiet, separator);
            }
            line.push(tone, text);
            is_first = false;
        }
        if let Some(place) = item.place.map(|place| printable(&place)) {
            if line.width() + 2 + width(&place) > WIDTH {
                self.lines.push(std::mem::take(&mut line));
                line.push(Tone::Quiet, rest);
            }
            let gap = WIDTH.saturating_sub(line.width() + width(&place)).max(2);
            line.push(Tone::Quiet, " ".repeat(gap));
            line.push(Tone::Quiet, place);
        }
        self.lines.push(line);
        self.notes(item.notes, rest);
    }

    fn notes(&mut self, notes: Vec<Note>, rest: &str) {
        let mut told: Vec<&Note> = Vec::new();
        for note in &notes {
            if told.contains(&note) {
                continue;
            }
            told.push(note);
            let (tone, sign) = if note.breaks { (Tone::Broken, "✗") } else { (Tone::Warning, "!") };
            let words = format!("{sign} {}: {}", note.short(), printable(&note.message));
            let mut line = Line::default();
            line.push(Tone::Quiet, format!("{rest} "));
            let mut text = String::new();
            for word in words.split(' ') {
                if !text.is_empty() && line.width() + width(&text) + 1 + width(word) > WIDTH {
                    line.push(tone, std::mem::take(&mut text));
                    self.lines.push(std::mem::take(&mut line));
                    line.push(Tone::Quiet, format!("{rest}   "));
                }
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(word);
            }
            line.push(tone, text);
            self.lines.push(line);
        }
    }
}

/// What is broken is red whatever else it is; then what was changed; then the rest.
fn tone(plain: Tone, state: State, change: Change) -> Tone {
    match (change, state) {
        (Change::Removed, _) => Tone::Removed,
        (_, State::Broken) => Tone::Broken,
        (Change::Added, _) => Tone::Added,
        (Change::Changed, _) => Tone::Changed,
        (Change::Same, State::Warning) => Tone::Warning,
        (Change::Same, State::Idle) => Tone::Quiet,
        (Change::Same, State::Works | State::Elsewhere) => plain,
    }
}

//! Where the boxes of the picture stand: a column for each kind, as the way goes from left to right; in a column, what
//! belongs together beside each other (barycentres); as straight as the boxes let it (isotonic regression).
//!
//! Edges that skip columns take a lane in each of them, so that they cross no box. The kinds give the columns, which is the
//! hard part of a general layout; what is left is small.

use super::{Graph, Kind};
use std::collections::BTreeMap;

/// Between two boxes of a column.
const GAP: f64 = 14.0;
/// Height of the lane of an edge that passes a column.
const LANE: f64 = 6.0;
/// How often columns are put into order and moved.
const SWEEPS: usize = 6;

/// A box or a lane.
#[derive(Clone, Debug)]
struct Item {
    column: usize,
    height: f64,
    /// Its middle.
    y: f64,
    left: Vec<usize>,
    right: Vec<usize>,
}

/// Where everything stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layout {
    /// Per column: its kind, its left edge, its width.
    pub(super) columns: Vec<(Kind, f64, f64)>,
    /// Per node: column, and upper edge.
    pub(super) nodes: Vec<(usize, f64)>,
    /// Per edge: the middles of its ends, and the lanes between, from left to right. Empty for an edge to nowhere.
    pub(super) edges: Vec<Vec<(f64, f64)>>,
    /// Of everything.
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Places boxes of these widths and heights. `between`: the room that the edges into a column need.
pub(super) fn layout(graph: &Graph, sizes: &[(f64, f64)], between: impl Fn(Kind) -> f64) -> Layout {
    let mut columns: BTreeMap<Kind, f64> = BTreeMap::new();
    for (node, (width, _)) in graph.nodes.iter().zip(sizes) {
        let column = columns.entry(node.kind).or_default();
        *column = column.max(*width);
    }
    let mut placed = Vec::new();
    let mut x = 0.0;
    for (number, (kind, width)) in columns.iter().enumerate() {
        x += if number == 0 { 0.0 } else { between(*kind) };
        placed.push((*kind, x, *width));
        x += width;
    }
    let column_of = |kind: Kind| placed.iter().position(|(known, _, _)| *known == kind).unwrap_or_default();
    let mut items: Vec<Item> = graph
        .nodes
        .iter()
        .zip(sizes)
        .map(|(node, (_, height))| Item {
            column: column_of(node.kind),
            height: *height,
            y: 0.0,
            left: Vec::new(),
            right: Vec::new(),
        })
        .collect();
    let chains = chains(graph, &mut items);
    let mut order = in_columns(&items, placed.len());
    for sweep in 0..SWEEPS {
        sort(&mut items, &mut order, sweep % 2 == 0);
    }
    for sweep in 0..SWEEPS {
        straighten(&mut items, &order, sweep % 2 == 0);
    }
    let top = items.iter().map(|item| item.y - item.height / 2.0).fold(f64::INFINITY, f64::min);
    let top = if top.is_finite() { top } else { 0.0 };
    let bottom = items.iter().map(|item| item.y + item.height / 2.0).fold(0.0, f64::max);
    let count = graph.nodes.len();
    let mut edges: Vec<_> = chains.iter().map(|chain| points(chain, &items, &placed, top)).collect();
    spread(&mut edges, &chains, &items, true);
    spread(&mut edges, &chains, &items, false);
    Layout {
        nodes: items.iter().take(count).map(|item| (item.column, item.y - item.height / 2.0 - top)).collect(),
        edges,
        width: x,
        height: (bottom - top).max(0.0),
        columns: placed,
    }
}

/// Per edge the items that it goes through; lanes are made for the columns that it skips.
fn chains(graph: &Graph, items: &mut Vec<Item>) -> Vec<Vec<usize>> {
    let at = graph.index();
    let mut chains = Vec::with_capacity(graph.edges.len());
    for edge in &graph.edges {
        let mut chain = Vec::new();
        if let (Some(from), Some(to)) = (at.get(&*edge.from), at.get(&*edge.to)) {
            chain.push(*from);
            for column in items[*from].column + 1..items[*to].column {
                items.push(Item { column, height: LANE, y: 0.0, left: Vec::new(), right: Vec::new() });
                chain.push(items.len() - 1);
            }
            chain.push(*to);
            for pair in chain.windows(2) {
                items[pair[0]].right.push(pair[1]);
                items[pair[1]].left.push(pair[0]);
            }
        }
        chains.push(chain);
    }
    chains
}

/// The items of each column, in the order of the graph, each at a place of its own.
fn in_columns(items: &[Item], columns: usize) -> Vec<Vec<usize>> {
    let mut order = vec![Vec::new(); columns];
    for (index, item) in items.iter().enumerate() {
        if let Some(column) = order.get_mut(item.column) {
            column.push(index);
        }
    }
    order
}

/// Puts the items of each column into the order of what they are connected with, on one side.
fn sort(items: &mut [Item], order: &mut [Vec<usize>], forwards: bool) {
    let mut rank = vec![0.0; items.len()];
    for column in &*order {
        let count = column.len().max(1) as f64;
        for (place, index) in column.iter().enumerate() {
            rank[*index] = place as f64 / count;
        }
    }
    let columns: Vec<usize> = if forwards { (0..order.len()).collect() } else { (0..order.len()).rev().collect() };
    for number in columns {
        let Some(column) = order.get_mut(number) else { continue };
        let middle = |index: &usize| {
            let beside = if forwards { &items[*index].left } else { &items[*index].right };
            if beside.is_empty() {
                rank[*index]
            } else {
                beside.iter().map(|other| rank[*other]).sum::<f64>() / beside.len() as f64
            }
        };
        let mut keyed: Vec<(f64, usize)> = column.iter().map(|index| (middle(index), *index)).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let count = keyed.len().max(1) as f64;
        *column = keyed.into_iter().map(|(_, index)| index).collect();
        for (place, index) in column.iter().enumerate() {
            rank[*index] = place as f64 / count;
        }
    }
    for column in &*order {
        let mut y = 0.0;
        for index in column {
            let item = &mut items[*index];
            item.y = y + item.height / 2.0;
            y += item.height + GAP;
        }
    }
}

/// Moves the items of each column as near to what they are connected with as the others let them.
fn straighten(items: &mut [Item], order: &[Vec<usize>], forwards: bool) {
    let columns: Vec<usize> = if forwards { (0..order.len()).collect() } else { (0..order.len()).rev().collect() };
    for column in columns.into_iter().filter_map(|number| order.get(number)) {
        let mut offsets = Vec::with_capacity(column.len());
        let mut wishes = Vec::with_capacity(column.len());
        let mut offset = 0.0;
        let mut above: Option<f64> = None;
        for index in column {
            let item = &items[*index];
            if let Some(above) = above {
                offset += (above + item.height) / 2.0 + GAP;
            }
            above = Some(item.height);
            let beside = if forwards { &item.left } else { &item.right };
            let wish = if beside.is_empty() {
                item.y
            } else {
                beside.iter().map(|other| items[*other].y).sum::<f64>() / beside.len() as f64
            };
            offsets.push(offset);
            wishes.push(wish - offset);
        }
        for ((index, y), offset) in column.iter().zip(ascending(&wishes)).zip(offsets) {
            items[*index].y = y + offset;
        }
    }
}

/// The ascending numbers that are nearest to these (pool adjacent violators).
fn ascending(wishes: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for wish in wishes {
        let mut pool = (*wish, 1);
        while let Some((mean, count)) = pools.pop_if(|(mean, _)| *mean > pool.0) {
            let total = count + pool.1;
            pool = ((mean * count as f64 + pool.0 * pool.1 as f64) / total as f64, total);
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(mean, count)| std::iter::repeat_n(mean, count)).collect()
}

/// The points that an edge goes through: out of the right side of a box, into the left side of another.
fn points(chain: &[usize], items: &[Item], columns: &[(Kind, f64, f64)], top: f64) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    let last = chain.len().saturating_sub(1);
    for (place, index) in chain.iter().enumerate() {
        let item = &items[*index];
        let Some((_, x, width)) = columns.get(item.column) else { continue };
        if place > 0 {
            points.push((*x, item.y - top));
        }
        if place < last {
            points.push((x + width, item.y - top));
        }
    }
    points
}

/// Spreads the ends of edges over the side of their box, in the order of where they come from.
fn spread(edges: &mut [Vec<(f64, f64)>], chains: &[Vec<usize>], items: &[Item], arriving: bool) {
    let mut sides: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (edge, chain) in chains.iter().enumerate() {
        let end = if arriving { chain.last() } else { chain.first() };
        end.into_iter().for_each(|node| sides.entry(*node).or_default().push(edge));
    }
    for (node, mut ends) in sides {
        let beside = |edge: usize| {
            let chain = &chains[edge];
            let other = if arriving { chain.iter().rev().nth(1) } else { chain.get(1) };
            other.map_or(0.0, |other| items[*other].y)
        };
        ends.sort_by(|a, b| beside(*a).total_cmp(&beside(*b)));
        let (height, count) = (items[node].height, ends.len() as f64);
        for (place, edge) in ends.into_iter().enumerate() {
            let shift = height * ((place as f64 + 1.0) / (count + 1.0) - 0.5);
            let end = if arriving { edges[edge].last_mut() } else { edges[edge].first_mut() };
            end.into_iter().for_each(|(_, y)| *y += shift);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Edge, Node};
    use super::*;

    #[test]
    fn the_nearest_ascending_numbers() {
        assert_eq!(ascending(&[3.0, 1.0, 2.0, 5.0]), [2.0, 2.0, 2.0, 5.0]);
        assert_eq!(ascending(&[1.0, 2.0]), [1.0, 2.0]);
    }

    #[test]
    fn boxes_of_a_column_do_not_overlap_and_a_lane_passes_between_them() {
        let kinds = [Kind::Host, Kind::Host, Kind::LoadBalancer, Kind::LoadBalancer, Kind::Service, Kind::Service];
        let nodes: Vec<Node> =
            kinds.iter().enumerate().map(|(n, kind)| Node::new(*kind, format!("{n}"), format!("{n}"))).collect();
        let edge = |from: &str, to: &str| Edge::new(from.into(), to.into());
        let edges = vec![edge("0", "3"), edge("1", "2"), edge("2", "4"), edge("3", "4"), edge("0", "5")];
        let graph = Graph { nodes, edges };
        let made = layout(&graph, &[(100.0, 30.0); 6], |_| 40.0);
        for column in 0..3 {
            let mut tops: Vec<f64> = made.nodes.iter().filter(|(at, _)| *at == column).map(|(_, y)| *y).collect();
            tops.sort_by(f64::total_cmp);
            assert!(tops.windows(2).all(|pair| pair[1] - pair[0] >= 30.0), "{tops:?}");
        }
        // From host 0 to Service 5, past the load balancers.
        let lane = made.edges[4][1].1;
        assert_eq!(made.edges[4].len(), 4);
        let boxes = made.nodes[2..4].iter().map(|(_, y)| *y..*y + 30.0);
        assert!(boxes.into_iter().all(|taken| !taken.contains(&lane)), "{lane} {made:?}");
        assert_eq!(made, layout(&graph, &[(100.0, 30.0); 6], |_| 40.0));
    }
}

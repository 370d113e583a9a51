//! Which element of an old list is which element of a new one, where elements have no keys: an inserted route must show
//! as one inserted route, not as a change of every route behind it.

use serde_json::Value;
use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::ops::Range;

/// Where an element stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pair {
    /// In both lists.
    Both(usize, usize),
    /// In the old list only.
    Before(usize),
    /// In the new list only.
    After(usize),
}

/// Above this many combinations the elements of a changed stretch are paired by place.
const CAREFUL: usize = 2_500;

/// Alignment that keeps order. `cost(before, after, first_only)` counts the fields in which two elements differ.
pub(super) fn ordered(a: &[Value], b: &[Value], cost: &impl Fn(usize, usize, bool) -> usize) -> Vec<Pair> {
    // Most lists differ in one stretch: what stands before and behind it is settled by looking at it once.
    let same = |before: usize, after: usize| cost(before, after, true) == 0;
    let shorter = a.len().min(b.len());
    let head = (0..shorter).take_while(|place| same(*place, *place)).count();
    let tail = (1..=shorter - head).take_while(|back| same(a.len() - back, b.len() - back)).count();
    let mut pairs: Vec<Pair> = (0..head).map(|place| Pair::Both(place, place)).collect();
    let (a_end, b_end) = (a.len() - tail, b.len() - tail);
    middle(a, head..a_end, b, head..b_end, cost, &mut pairs);
    pairs.extend((0..tail).map(|offset| Pair::Both(a_end + offset, b_end + offset)));
    pairs
}

/// The stretch that differs. A long one is cut at elements that are the same to the letter.
fn middle(
    a: &[Value],
    old: Range<usize>,
    b: &[Value],
    new: Range<usize>,
    cost: &impl Fn(usize, usize, bool) -> usize,
    pairs: &mut Vec<Pair>,
) {
    let places = |start: usize, len: usize| -> Vec<usize> { (start..start + len).collect() };
    if old.len() * new.len() <= CAREFUL {
        return stretch(a, &places(old.start, old.len()), b, &places(new.start, new.len()), cost, pairs);
    }
    let text = |list: &[Value]| -> Vec<String> { list.iter().map(Value::to_string).collect() };
    for op in capture_diff_slices(Algorithm::Myers, &text(&a[old.clone()]), &text(&b[new.clone()])) {
        match op {
            DiffOp::Equal { old_index, new_index, len } => pairs.extend(
                (0..len).map(|offset| Pair::Both(old.start + old_index + offset, new.start + new_index + offset)),
            ),
            DiffOp::Delete { old_index, old_len, .. } => {
                pairs.extend(places(old.start + old_index, old_len).into_iter().map(Pair::Before));
            }
            DiffOp::Insert { new_index, new_len, .. } => {
                pairs.extend(places(new.start + new_index, new_len).into_iter().map(Pair::After));
            }
            DiffOp::Replace { old_index, old_len, new_index, new_len } => stretch(
                a,
                &places(old.start + old_index, old_len),
                b,
                &places(new.start + new_index, new_len),
                cost,
                pairs,
            ),
        }
    }
}

/// Alignment that ignores order: equal elements find each other wherever they stand.
pub(super) fn unordered(a: &[Value], b: &[Value], cost: &impl Fn(usize, usize, bool) -> usize) -> Vec<Pair> {
    let mut free: Vec<usize> = (0..b.len()).collect();
    let mut pairs = Vec::new();
    let mut left = Vec::new();
    for (before, value) in a.iter().enumerate() {
        let found = free
            .iter()
            .position(|after| b[*after] == *value)
            .or_else(|| free.iter().position(|after| cost(before, *after, true) == 0));
        match found {
            Some(position) => pairs.push(Pair::Both(before, free.remove(position))),
            // A value that is in a set twice is in it once.
            None if value.is_string() && b.contains(value) => {}
            None => left.push(before),
        }
    }
    free.retain(|after| !(b[*after].is_string() && a.contains(&b[*after])));
    // Conditions that kept their places show which part of them changed. Otherwise places say nothing, and values of a
    // set do not turn into each other: one goes, another comes.
    let kept_places =
        left == free && pairs.iter().all(|pair| matches!(pair, Pair::Both(before, after) if before == after));
    if kept_places && left.iter().all(|place| a[*place].is_object() && b[*place].is_object()) {
        pairs.extend(left.into_iter().map(|place| Pair::Both(place, place)));
    } else {
        pairs.extend(left.into_iter().map(Pair::Before));
        pairs.extend(free.into_iter().map(Pair::After));
    }
    pairs
}

/// The cheapest alignment of two stretches: fewest fields changed, came and went.
fn stretch(
    a: &[Value],
    old: &[usize],
    b: &[Value],
    new: &[usize],
    cost: &impl Fn(usize, usize, bool) -> usize,
    pairs: &mut Vec<Pair>,
) {
    let (rows, columns) = (old.len(), new.len());
    if rows * columns > CAREFUL {
        let common = rows.min(columns);
        pairs.extend((0..common).map(|place| Pair::Both(old[place], new[place])));
        pairs.extend(old[common..].iter().copied().map(Pair::Before));
        pairs.extend(new[common..].iter().copied().map(Pair::After));
        return;
    }
    let width = columns + 1;
    let mut best = vec![0_usize; (rows + 1) * width];
    let mut pair_cost = vec![0_usize; rows * columns];
    for row in (0..=rows).rev() {
        for column in (0..=columns).rev() {
            let drop = (row < rows).then(|| weight(&a[old[row]]) + best[(row + 1) * width + column]);
            let add = (column < columns).then(|| weight(&b[new[column]]) + best[row * width + column + 1]);
            let both = (row < rows && column < columns).then(|| {
                let own = cost(old[row], new[column], false);
                pair_cost[row * columns + column] = own;
                own + best[(row + 1) * width + column + 1]
            });
            best[row * width + column] = [both, drop, add].into_iter().flatten().min().unwrap_or(0);
        }
    }
    let (mut row, mut column) = (0, 0);
    while row < rows || column < columns {
        let here = best[row * width + column];
        if row < rows
            && column < columns
            && here == pair_cost[row * columns + column] + best[(row + 1) * width + column + 1]
        {
            pairs.push(Pair::Both(old[row], new[column]));
            row += 1;
            column += 1;
        } else if row < rows && here == weight(&a[old[row]]) + best[(row + 1) * width + column] {
            pairs.push(Pair::Before(old[row]));
            row += 1;
        } else {
            pairs.push(Pair::After(new[column]));
            column += 1;
        }
    }
}

/// How many single values an element holds.
fn weight(value: &Value) -> usize {
    match value {
        Value::Object(map) => map.values().map(weight).sum::<usize>().max(1),
        Value::Array(list) => list.iter().map(weight).sum::<usize>().max(1),
        _ => 1,
    }
}

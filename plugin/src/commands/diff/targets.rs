//! Targets in few words: what is printed must grow with the changes, not with the clusters.

use asm_shared::diff::TargetCounts;
use asm_shared::fleet::Target;

/// `m1c1, m1c2`; of many as many as fit, and how many more.
pub(super) fn few(targets: &[Target], room: usize) -> String {
    let all: Vec<&str> = targets.iter().map(Target::name).collect();
    let all = all.join(", ");
    if all.chars().count() <= room {
        return all;
    }
    let mut text = String::new();
    for (place, target) in targets.iter().enumerate() {
        let left = targets.len() - place;
        let more = if left > 1 { format!(" and {} more", left - 1).len() } else { 0 };
        let separator = if place == 0 { "" } else { ", " };
        if place > 0 && text.chars().count() + separator.len() + target.name().chars().count() + more > room {
            return format!("{text} and {left} more");
        }
        text.push_str(separator);
        text.push_str(target.name());
    }
    text
}

/// The targets of one change among all that were compared: `m1c1, m1c2`, `all 20 clusters`, `all clusters but m1c7`.
pub(super) fn among(targets: &[Target], all: &[TargetCounts], room: usize) -> String {
    let names = few(targets, usize::MAX);
    if names.chars().count() <= room {
        return names;
    }
    let clusters = all.iter().map(|counts| &counts.target).filter(|target| **target != Target::Mesh);
    let others: Vec<Target> = clusters.clone().filter(|target| !targets.contains(target)).cloned().collect();
    let mesh = if targets.contains(&Target::Mesh) { "mesh and " } else { "" };
    let but = few(&others, usize::MAX);
    if others.is_empty() {
        format!("{mesh}all {} clusters", clusters.count())
    } else if others.len() < targets.len() && but.chars().count() < room {
        format!("{mesh}all clusters but {but}")
    } else {
        few(targets, room)
    }
}

/// Targets with the same counts together: the mesh first, then clusters in the order of their first.
pub(super) fn rows(counts: &[TargetCounts]) -> Vec<(Vec<Target>, &TargetCounts)> {
    let mut rows: Vec<(Vec<Target>, &TargetCounts)> = Vec::new();
    let numbers = |counts: &TargetCounts| (counts.create, counts.change, counts.replace, counts.destroy);
    for row in counts {
        let same = rows.iter_mut().find(|(targets, other)| {
            row.target != Target::Mesh && targets.first() != Some(&Target::Mesh) && numbers(other) == numbers(row)
        });
        match same {
            Some((targets, _)) => targets.push(row.target.clone()),
            None => rows.push((vec![row.target.clone()], row)),
        }
    }
    rows
}

/// `mesh and 3 clusters`.
pub(super) fn described<'a>(targets: impl Iterator<Item = &'a Target>) -> String {
    let (mesh, clusters): (Vec<&Target>, Vec<&Target>) = targets.partition(|target| **target == Target::Mesh);
    let clusters = match clusters.len() {
        0 => None,
        1 => Some("1 cluster".to_owned()),
        more => Some(format!("{more} clusters")),
    };
    match (mesh.is_empty(), clusters) {
        (false, Some(clusters)) => format!("mesh and {clusters}"),
        (true, Some(clusters)) => clusters,
        (false, None) => "mesh".to_owned(),
        (true, None) => "no target".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clusters(range: std::ops::Range<usize>) -> Vec<Target> {
        range.map(|n| Target::Cluster(format!("c{n}").into())).collect()
    }

    fn counts(targets: &[Target], change: usize) -> Vec<TargetCounts> {
        let row = |target: &Target| TargetCounts { target: target.clone(), create: 0, change, replace: 0, destroy: 0 };
        targets.iter().map(row).collect()
    }

    #[test]
    fn many_clusters_take_one_line() {
        let all = counts(&clusters(0..20), 1);
        assert_eq!(among(&clusters(0..3), &all, 30), "c0, c1, c2");
        assert_eq!(among(&clusters(0..20), &all, 30), "all 20 clusters");
        assert_eq!(among(&clusters(0..18), &all, 30), "all clusters but c18, c19");
        assert_eq!(among(&clusters(0..10), &all, 30), "c0, c1, c2, c3, c4 and 5 more");
        assert_eq!(few(&clusters(0..1), 1), "c0");
    }

    #[test]
    fn equal_counts_are_one_row() {
        let mut all = counts(&[Target::Mesh], 1);
        all.extend(counts(&clusters(0..3), 1));
        all.extend(counts(&clusters(3..9), 0));
        let rows: Vec<String> = rows(&all).iter().map(|(targets, _)| few(targets, 12)).collect();
        assert_eq!(rows, ["mesh", "c0, c1, c2", "c3 and 5 more"]);
    }
}

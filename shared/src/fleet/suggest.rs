//! "Did you mean": the known name that is closest to a given one.

/// The closest of the known names, if one is close enough to be meant.
pub(super) fn closest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (given.chars().count() / 3).clamp(1, 3);
    known
        .map(|name| (distance(&given.to_lowercase(), &name.to_lowercase()), name))
        .min()
        .filter(|(distance, _)| *distance <= limit)
        .map(|(_, name)| name)
}

/// A sentence that helps with a name that is not known.
pub(super) fn hint<'a>(given: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(name) = closest(given, known.clone()) {
        return format!("Did you mean `{name}`?");
    }
    let mut names: Vec<_> = known.map(|name| format!("`{name}`")).collect();
    names.sort();
    if names.is_empty() {
        "There are none to choose from".to_owned()
    } else {
        format!("Known here: {}", names.join(", "))
    }
}

/// Edits that turn one word into the other: insert, delete, replace, swap of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let get = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut best = get(&above, j) + usize::from(x != y);
            best = best.min(get(&above, j + 1) + 1).min(get(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(get(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = above;
        above = row;
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_name_is_found() {
        let known = ["clusters", "groups", "mesh"];
        assert_eq!(closest("cluster", known.into_iter()), Some("clusters"));
        assert_eq!(closest("gruops", known.into_iter()), Some("groups"));
        assert_eq!(closest("Mesh", known.into_iter()), Some("mesh"));
        assert_eq!(closest("regions", known.into_iter()), None);
        assert_eq!(hint("x", known.into_iter()), "Known here: `clusters`, `groups`, `mesh`");
    }
}

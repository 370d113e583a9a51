//! Localities of load balancing: `region/zone/subzone`, less of it, or a `*` at the end.

/// What is wrong with a locality by itself.
pub(super) fn fault(locality: &str) -> Option<String> {
    let stars = locality.matches('*').count();
    if stars > 1 || (stars == 1 && !locality.ends_with('*')) {
        return Some(format!("`{locality}` is no locality: a `*` stands at its end only, and once"));
    }
    let empty = locality.splitn(3, '/').any(str::is_empty);
    empty.then(|| format!("`{locality}` is no locality: region/zone/subzone, none of them empty"))
}

/// The first (index) that another one before it has already. Where requests come from is looked up in this order, so a wide one
/// with a star may follow a narrow one.
pub(super) fn twice_in_order(localities: &[&str]) -> Option<(usize, usize)> {
    let hides = |first: &str, second: &str| has(first, second) || (has(second, first) && !second.ends_with('*'));
    find(localities, hides)
}

/// The first (index) that meets another one, in any order.
pub(super) fn twice(localities: &[&str]) -> Option<(usize, usize)> {
    find(localities, |first, second| has(first, second) || has(second, first))
}

fn find(localities: &[&str], meet: impl Fn(&str, &str) -> bool) -> Option<(usize, usize)> {
    localities.iter().enumerate().find_map(|(index, one)| {
        let before = localities.iter().take(index).position(|other| meet(other, one))?;
        Some((before, index))
    })
}

/// Is everything that is in the second one in the first one too?
fn has(wide: &str, narrow: &str) -> bool {
    let mut parts = narrow.split('/');
    wide.split('/').all(|part| {
        let inner = parts.next();
        part == "*" || inner == Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localities() {
        for good in ["a", "a/b", "a/b/c", "a/*", "*", "a/b*"] {
            assert_eq!(fault(good), None, "{good}");
        }
        for bad in ["", "a/", "/b", "a//c", "*/b", "a/*/*", "a*b"] {
            assert!(fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn overlaps() {
        for (all, ordered, any) in [
            (&["a/b", "a/c"][..], None, None),
            (&["a/*", "a/b"], Some((0, 1)), Some((0, 1))),
            (&["a/b", "a/*"], None, Some((0, 1))),
            (&["a/b", "a"], Some((0, 1)), Some((0, 1))),
            (&["b", "a", "a/b/c"], Some((1, 2)), Some((1, 2))),
            (&["*", "a"], Some((0, 1)), Some((0, 1))),
            (&["a", "a"], Some((0, 1)), Some((0, 1))),
        ] {
            assert_eq!((twice_in_order(all), twice(all)), (ordered, any), "{all:?}");
        }
    }
}

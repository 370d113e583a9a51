//! "Did you mean": the known name that is closest to a given one.

use crate::distance::distance;

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

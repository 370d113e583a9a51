//! "Did you mean": the nearest known name for one that is not known.

use crate::distance::distance;

/// A hint with the candidate nearest to `word`, if one is near enough to be meant.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let near = |candidate: &str| {
        let (a, b) = (word.to_lowercase(), candidate.to_lowercase());
        // A third of the letters may be wrong; a name that begins with the other is near as well (`review`, `reviews-v3`).
        let allowed = a.chars().count().max(b.chars().count()).div_ceil(3);
        let distance = distance(&a, &b);
        let prefix = a.len() >= 3 && b.starts_with(&a) || b.len() >= 3 && a.starts_with(&b);
        (distance <= allowed || prefix).then_some(distance)
    };
    candidates
        .into_iter()
        .filter_map(|candidate| near(candidate).map(|distance| (distance, candidate)))
        .min()
        .map(|(_, candidate)| format!("did you mean {candidate}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_wins_and_far_names_are_not_offered() {
        let known = ["details", "ratings", "reviews"];
        for (word, expected) in [
            ("reveiws", Some("did you mean reviews?")),
            ("review", Some("did you mean reviews?")),
            ("Ratings", Some("did you mean ratings?")),
            ("reviews-v3", Some("did you mean reviews?")),
            ("checkout", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(word, known).as_deref(), expected, "{word}");
        }
    }
}

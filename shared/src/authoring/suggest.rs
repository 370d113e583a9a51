//! "Did you mean": the nearest known name for one that is not known.

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

/// Edits between two words, a swap of neighbours counting as one (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let substituted = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let swapped = if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    rows[i - 2][j - 2] + 1
                } else {
                    usize::MAX
                };
                substituted.min(swapped).min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1)
            };
        }
    }
    rows[a.len()][b.len()]
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

//! How far two words are apart, for "did you mean".

/// The word that was probably meant: so much longer a word, so many more edits apart.
pub(crate) fn nearest<'w>(known: impl IntoIterator<Item = &'w str>, word: &str) -> Option<&'w str> {
    let near = known.into_iter().map(|known| (distance(known, word), known)).min();
    near.filter(|(far, known)| *far <= 1 + known.len() / 6).map(|(_, known)| known)
}

/// Edits that turn one word into the other: insert, delete, replace, swap of neighbours.
pub(crate) fn distance(a: &str, b: &str) -> usize {
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

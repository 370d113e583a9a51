//! Columns of a text, and numbers as text.

/// How many columns a text takes: two for each character of the wide scripts.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

fn is_wide(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{303e}' | '\u{3041}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}')
}

/// The text, shortened to so many columns. The last quarter stays: names end with what tells them apart.
pub(super) fn shortened(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let (mut tail, mut rest) = (Vec::new(), columns.saturating_sub(1));
    let of = |c: char| if is_wide(c) { 2 } else { 1 };
    for c in text.chars().rev() {
        if tail.iter().copied().map(of).sum::<usize>() + of(c) > columns / 4 {
            break;
        }
        tail.push(c);
        rest = rest.saturating_sub(of(c));
    }
    let mut short = String::new();
    for c in text.chars() {
        if width(&short) + of(c) > rest {
            break;
        }
        short.push(c);
    }
    short.push('…');
    short.extend(tail.into_iter().rev());
    short
}

/// `80 %`, `33.3 %`.
pub(super) fn percent(share: f64) -> String {
    let tenths = (share * 1000.0).round() / 10.0;
    if tenths.fract() == 0.0 { format!("{tenths:.0} %") } else { format!("{tenths:.1} %") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        assert_eq!((width("ab"), width("中文")), (2, 4));
        assert_eq!(shortened("abcdefghij", 8), "abcde…ij");
        assert_eq!(shortened("中文字", 4), "中…");
        assert_eq!(shortened("abcd", 4), "abcd");
        assert_eq!((percent(0.8), percent(1.0 / 3.0)), ("80 %".to_owned(), "33.3 %".to_owned()));
    }
}

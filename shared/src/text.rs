//! Text from files and clusters, made safe to show, and filled into lines.

/// Without control characters: names and values come from files and clusters that anybody may have written, a terminal obeys
/// escape sequences, and XML has no such characters. Characters that are not seen or turn the direction of the text are shown
/// too: with them, one name can look like another.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_invisible(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// Line and paragraph separators, zero-width characters, bidirectional controls, tags, and what is no character in XML.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

/// Words filled into lines.
pub fn wrapped(sentence: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in sentence.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys() {
        assert_eq!(printable("a\u{1b}[31m\n\u{202e}中"), "a\\u{1b}[31m\\n\\u{202e}中");
        assert_eq!(printable("a\u{2028}b\u{ffff}c"), "a\\u{2028}b\\u{ffff}c");
    }

    #[test]
    fn words_in_lines() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("onetwothree four", 7), ["onetwothree", "four"]);
    }
}

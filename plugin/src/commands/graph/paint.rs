//! The tree with colours.

use anstyle::{AnsiColor, Style};
use asm_shared::graph::{Line, Tone};
use std::fmt::Write as _;

/// The lines as text.
pub(super) fn page(lines: &[Line], color: bool) -> String {
    let mut text = String::new();
    for line in lines {
        for (tone, piece) in &line.0 {
            let style = if color { style(*tone) } else { Style::new() };
            // Writing to a string does not fail.
            let _ = write!(text, "{style}{piece}{style:#}");
        }
        text.push('\n');
    }
    text
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Strong => Style::new().bold(),
        Tone::Quiet => Style::new().dimmed(),
        Tone::Broken => AnsiColor::Red.on_default().bold(),
        Tone::Warning => AnsiColor::Yellow.on_default(),
        Tone::Added => AnsiColor::Green.on_default(),
        Tone::Removed => AnsiColor::BrightBlack.on_default().strikethrough(),
        Tone::Changed => AnsiColor::Magenta.on_default(),
    }
}

/// With ASCII characters only, each of one column where it is drawn in one.
pub(super) fn ascii(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    for c in page.chars() {
        match c {
            '├' | '└' => text.push('+'),
            '│' => text.push('|'),
            '─' | '–' => text.push('-'),
            '→' => text.push_str("->"),
            '⇒' => text.push_str("=>"),
            '·' => text.push('-'),
            '×' => text.push('x'),
            '✗' => text.push('X'),
            '…' => text.push_str("..."),
            c if c.is_ascii() => text.push(c),
            c => text.extend(c.escape_unicode()),
        }
    }
    text
}

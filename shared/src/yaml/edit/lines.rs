//! A text as lines: where they begin and end, how they end, which of them are comments.

/// A text being edited.
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    /// `\r\n` or `\n`: what new lines get.
    pub(super) line_break: &'static str,
}

impl<'a> Text<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, line_break: if text.contains("\r\n") { "\r\n" } else { "\n" } }
    }

    pub(super) fn get(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// Where the line begins in which a byte stands.
    pub(super) fn line_start(&self, at: usize) -> usize {
        self.get(0, at).rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// Where the next line begins.
    pub(super) fn line_end(&self, at: usize) -> usize {
        self.get(at, self.text.len()).find('\n').map_or(self.text.len(), |newline| at + newline + 1)
    }

    /// Where the line ends, without its line break.
    pub(super) fn content_end(&self, at: usize) -> usize {
        let end = self.line_end(at);
        let line = self.get(at, end);
        at + line.trim_end_matches(['\n', '\r']).len()
    }

    /// The line that begins at a byte, without its line break.
    pub(super) fn line(&self, start: usize) -> &'a str {
        self.get(start, self.content_end(start))
    }

    /// Is there nothing but blanks before a byte in its line?
    pub(super) fn is_first(&self, at: usize) -> bool {
        self.get(self.line_start(at), at).trim_matches([' ', '\t', '\u{feff}']).is_empty()
    }

    /// Column (from 0, in characters) of a byte.
    pub(super) fn column(&self, at: usize) -> usize {
        self.get(self.line_start(at), at).trim_start_matches('\u{feff}').chars().count()
    }

    /// Is the line above the one that begins at a byte empty?
    pub(super) fn is_below_empty_line(&self, line_start: usize) -> bool {
        line_start > 0 && self.line(self.line_start(line_start - 1)).trim().is_empty()
    }

    /// Where the comment lines begin that stand directly above a line at a column: they belong to it.
    pub(super) fn comments_above(&self, line_start: usize, column: usize) -> usize {
        let mut start = line_start;
        while start > 0 {
            let above = self.line_start(start - 1);
            let line = self.line(above);
            let indent = line.len() - line.trim_start_matches(' ').len();
            if !line.trim_start().starts_with('#') || indent != column {
                break;
            }
            start = above;
        }
        start
    }

    /// Where the comment lines end that follow a line and stand further right than a column: they belong to what is there.
    pub(super) fn comments_below(&self, line_end: usize, column: usize) -> usize {
        let mut end = line_end;
        while end < self.text.len() {
            let line = self.line(end);
            let indent = line.len() - line.trim_start_matches(' ').len();
            if !line.trim_start().starts_with('#') || indent <= column {
                break;
            }
            end = self.line_end(end);
        }
        end
    }

    /// Text that was made with `\n` as the file wants it.
    pub(super) fn with_breaks(&self, text: &str) -> String {
        if self.line_break == "\n" { text.to_owned() } else { text.replace('\n', self.line_break) }
    }
}

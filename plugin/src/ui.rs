//! The terminal: data on stdout, everything else on stderr, colour decided for each of them.
//!
//! A closed pipe ends the output quietly; any other failure to write is kept and reported at the end by
//! [`Ui::finish`], so that a full disk does not look like success.

use crate::error::CommandError;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use comfy_table::presets;
use comfy_table::{Cell, ContentArrangement};
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};
use std::sync::Mutex;
use std::time::Duration;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb.
    #[default]
    Auto,
    /// Also into pipes and files.
    Always,
    /// Nowhere.
    Never,
}

impl From<Color> for ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

/// What happened to stdout.
#[derive(Debug, Default)]
enum Stdout {
    #[default]
    Open,
    /// The reader went away; nothing more is written.
    Closed,
    /// Writing failed.
    Failed(io::Error),
}

/// The terminal of one run.
#[derive(Debug)]
pub struct Ui {
    color: ColorChoice,
    no_headers: bool,
    stdout: Mutex<Stdout>,
}

impl Ui {
    /// Makes the terminal of one run.
    pub fn new(color: Color, no_headers: bool) -> Self {
        Self { color: color.into(), no_headers, stdout: Mutex::default() }
    }

    /// Writes data to stdout as it is; escape sequences are stripped where colour is off.
    pub fn data(&self, text: &str) {
        let Ok(mut state) = self.stdout.lock() else { return };
        if !matches!(*state, Stdout::Open) {
            return;
        }
        let mut stdout = AutoStream::new(io::stdout().lock(), self.color);
        if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            *state = if error.kind() == io::ErrorKind::BrokenPipe { Stdout::Closed } else { Stdout::Failed(error) };
        }
    }

    /// Writes one line of data to stdout.
    pub fn line(&self, text: &str) {
        self.data(&format!("{text}\n"));
    }

    /// Writes a table to stdout. Nothing is written for a table without rows: say so with [`Self::status`].
    pub fn table(&self, table: &Table) {
        self.data(&table.render(self.no_headers));
    }

    /// Columns of the terminal that stdout is; `None` when it is none.
    pub fn width(&self) -> Option<usize> {
        let stdout = io::stdout();
        let size = if stdout.is_terminal() { terminal_size::terminal_size_of(&stdout) } else { None };
        size.map(|(width, _)| usize::from(width.0))
    }

    /// Says on stderr what is going on or what was done.
    pub fn status(&self, text: &str) {
        self.message(text);
    }

    /// Says on stderr what to do next.
    pub fn hint(&self, text: &str) {
        self.labelled(HINT, "hint", text);
    }

    /// Warns on stderr.
    pub fn warning(&self, text: &str) {
        self.labelled(WARNING, "warning", text);
    }

    /// Shows an error on stderr. Commands return errors instead of calling this.
    pub(crate) fn error(&self, text: &str) {
        self.labelled(ERROR, "error", text);
    }

    fn labelled(&self, style: Style, label: &str, text: &str) {
        self.message(&format!("{style}{label}:{style:#} {text}"));
    }

    fn message(&self, text: &str) {
        let mut stderr = AutoStream::new(io::stderr().lock(), self.color);
        // Nobody is left to tell when stderr is closed.
        let _ = writeln!(stderr, "{text}").and_then(|()| stderr.flush());
    }

    /// Clears the screen, when stdout is one. Otherwise nothing happens, and the answer is `false`.
    pub fn clear(&self) -> bool {
        let mut stdout = io::stdout().lock();
        let is_screen = stdout.is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        // The screen, and what has scrolled away.
        is_screen && stdout.write_all(b"\x1b[H\x1b[2J\x1b[3J").and_then(|()| stdout.flush()).is_ok()
    }

    /// Has the reader of stdout gone away, or did writing fail?
    pub fn is_closed(&self) -> bool {
        self.stdout.lock().is_ok_and(|state| !matches!(*state, Stdout::Open))
    }

    /// Is colour shown on stdout?
    pub fn stdout_has_color(&self) -> bool {
        AutoStream::new(io::stdout().lock(), self.color).current_choice() != ColorChoice::Never
    }

    /// A spinner on stderr that goes away when dropped; nothing at all when stderr is not a terminal.
    pub fn progress(&self, text: &str) -> Progress {
        let bar = if io::stderr().is_terminal() {
            let bar = indicatif::ProgressBar::new_spinner();
            bar.set_message(text.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        } else {
            indicatif::ProgressBar::hidden()
        };
        Progress(bar)
    }

    /// Tells whether all data reached stdout. A reader that went away is no failure.
    pub fn finish(&self) -> Result<(), CommandError> {
        match self.stdout.lock().as_deref() {
            Ok(Stdout::Failed(error)) => Err(CommandError::input("cannot write to stdout").caused_by(error)),
            _ => Ok(()),
        }
    }
}

/// A spinner on stderr.
#[derive(Debug)]
pub struct Progress(indicatif::ProgressBar);

impl Progress {
    /// Replaces the text.
    pub fn set(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Spaces between columns.
const GUTTER: usize = 3;
/// No column is made narrower than this.
const SHORTEST: usize = 8;

/// The beginning and the end of a text: of a path, the end says most.
fn shortened(text: &str, room: usize) -> String {
    let length = text.chars().count();
    if length <= room {
        return text.to_owned();
    }
    let (head, tail) = ((room - 1) / 3, room - 1 - (room - 1) / 3);
    let head: String = text.chars().take(head).collect();
    let tail: String = text.chars().skip(length - tail).collect();
    format!("{head}…{tail}")
}

/// A table as kubectl prints it: upper-case headers, three spaces between columns, no borders, never wrapped.
#[derive(Clone, Debug)]
pub struct Table {
    headers: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headers.
    pub fn new(headers: impl IntoIterator<Item = &'static str>) -> Self {
        Self { headers: headers.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row. Empty cells are shown as `<none>`.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|c| if c.is_empty() { "<none>".to_owned() } else { c }).collect());
    }

    /// Has it no rows?
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Makes it fit into so many characters: leaves out the columns of `least` one after the other, then shortens the cells
    /// of the widest of `long`. Gives the columns that are left out.
    pub fn fit(&mut self, width: usize, least: &[&'static str], long: &[&'static str]) -> Vec<&'static str> {
        let mut left_out = Vec::new();
        for header in least {
            if self.width() <= width {
                return left_out;
            }
            if let Some(column) = self.headers.iter().position(|name| name == header) {
                self.headers.remove(column);
                self.rows.iter_mut().for_each(|row| drop(row.remove(column)));
                left_out.push(*header);
            }
        }
        while self.width() > width {
            let columns = self.headers.iter().enumerate().filter(|(_, name)| long.contains(name));
            let widest = columns.map(|(column, _)| (self.column_width(column), column)).max();
            let Some((wide, column)) = widest.filter(|(wide, _)| *wide > SHORTEST) else { break };
            let room = (wide.saturating_sub(self.width() - width)).max(SHORTEST);
            // The next widest may give some of it too: no column is shortened to half of another.
            let room = room.max(wide - wide.div_ceil(4).max(1));
            self.rows.iter_mut().for_each(|row| row[column] = shortened(&row[column], room));
        }
        left_out
    }

    fn column_width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].chars().count());
        cells.chain([self.headers[column].chars().count()]).max().unwrap_or_default()
    }

    fn width(&self) -> usize {
        let columns = 0..self.headers.len();
        columns.map(|column| self.column_width(column) + GUTTER).sum::<usize>().saturating_sub(GUTTER)
    }

    /// The text, with a line break after every line.
    pub fn render(&self, no_headers: bool) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if !no_headers {
            table.add_row(self.headers.iter().map(|header| Cell::new(header.to_uppercase())));
        }
        for row in &self.rows {
            table.add_row(row.iter().map(Cell::new));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, GUTTER as u16));
        }
        table.lines().fold(String::new(), |mut text, line| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}", line.trim_end());
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["Object", "Field", "Operation", "Since"]);
        for path in ["spec.http[0].route[1].destination.subset", "spec.replicas"] {
            table.row(["VirtualService default/bookinfo", path, "Update", "10m ago"].map(str::to_owned));
        }
        table
    }

    #[test]
    fn a_table_is_no_wider_than_the_terminal() {
        let mut whole = table();
        assert_eq!(whole.fit(120, &["Operation", "Since"], &["Object", "Field"]), Vec::<&str>::new());
        assert_eq!(whole.render(false), table().render(false));
        let widest = |table: &Table| table.render(false).lines().map(|line| line.chars().count()).max();
        for width in [60, 74, 80, 85, 95] {
            let mut table = table();
            table.fit(width, &["Operation", "Since"], &["Object", "Field"]);
            assert!(widest(&table) <= Some(width), "{width}:\n{}", table.render(false));
        }
        let mut narrow = table();
        assert_eq!(narrow.fit(60, &["Operation", "Since"], &["Object", "Field"]), ["Operation", "Since"]);
        insta::assert_snapshot!(narrow.render(false));
        // It gives up rather than showing nothing.
        narrow.fit(5, &[], &["Object", "Field"]);
        assert!(narrow.render(false).contains("FIELD"));
    }
}

//! Where and how the text changes: from an operation and the places of fields to replacements of bytes.

use super::super::order::Context;
use super::super::place::{Origin, Place, Style, tokens};
use super::super::{Document, write};
use super::lines::Text;
use super::model::{Operation, split};
use crate::object::At as _;
use serde_json::Value;
use std::ops::Range;
use write::Layout;

/// Replacements of bytes, in order and apart from each other.
#[derive(Debug, Default)]
pub(super) struct Splice(Vec<(Range<usize>, String)>);

impl Splice {
    fn one(range: Range<usize>, text: impl Into<String>) -> Self {
        Self(vec![(range, text.into())])
    }

    pub(super) fn apply(&self, text: &str) -> Option<String> {
        let mut out = String::with_capacity(text.len() + 256);
        let mut at = 0;
        for (range, new) in &self.0 {
            out.push_str(text.get(at..range.start)?);
            out.push_str(new);
            at = range.end;
        }
        out.push_str(text.get(at..)?);
        Some(out)
    }

    /// Are all lines before and after the changed stretch the same bytes as before?
    pub(super) fn keeps_other_lines(&self, old: &str, new: &str) -> bool {
        let (Some((first, _)), Some((last, _))) = (self.0.first(), self.0.last()) else { return old == new };
        let text = Text::new(old);
        let before = text.line_start(first.start);
        // An insertion at the start of a line leaves that line alone.
        let inserted = last.is_empty() && text.line_start(last.end) == last.end;
        let after = if inserted { last.end } else { text.line_end(last.end) };
        let (head, tail) = (text.get(0, before), text.get(after, old.len()));
        new.starts_with(head) && new.ends_with(tail) && new.len() >= head.len() + tail.len()
    }
}

/// The splice for an operation that makes sense for the document's value.
pub(super) fn splice(text: &Text<'_>, document: &Document, operation: &Operation<'_>) -> Result<Splice, String> {
    let cut = Cut { text, document, layout: layout(document) };
    match *operation {
        Operation::Set(pointer, value) => match document.path_to(pointer) {
            Some(path) if path.last().is_none_or(|place| place.origin != Origin::Merge) => {
                cut.set(pointer, &path, value)
            }
            _ => cut.add(pointer, value),
        },
        Operation::Insert(pointer, index, value) => cut.insert(pointer, index, value),
        Operation::Remove(pointer) => cut.remove(pointer),
        Operation::Move(pointer, from, to) => cut.shift(pointer, from, to),
        Operation::Rename(pointer, name) => cut.rename(pointer, name),
    }
}

fn layout(document: &Document) -> Layout {
    let (step, dash) = document.offsets();
    let default = Layout::default();
    let size = |offset: Option<u32>| offset.and_then(|offset| usize::try_from(offset).ok());
    Layout {
        step: size(step).filter(|step| (1..=8).contains(step)).unwrap_or(default.step),
        dash: size(dash).unwrap_or(default.dash),
    }
}

struct Cut<'a> {
    text: &'a Text<'a>,
    document: &'a Document,
    layout: Layout,
}

impl Cut<'_> {
    /// Only the name changes: value, comments and the place among the other fields stay.
    fn rename(&self, pointer: &str, name: &str) -> Result<Splice, String> {
        let path = self.document.path_to(pointer).ok_or("there is no such field")?;
        written_here(&path)?;
        let key = path.last().map(|place| place.key.bytes()).filter(|key| !key.is_empty());
        let key = key.ok_or("its name does not stand in the file")?;
        Ok(Splice::one(key, write::flow(&Value::String(name.to_owned()), context(pointer))))
    }

    fn set(&self, pointer: &str, path: &[Place], new: &Value) -> Result<Splice, String> {
        let (Some(place), above) = (path.last(), path.get(..path.len().saturating_sub(1)).unwrap_or_default()) else {
            return Err("there is no such field".to_owned());
        };
        written_here(above)?;
        let old = place.value.bytes();
        let context = context(pointer);
        let Some((parent, _)) = split(pointer) else {
            let new = write::block(new, self.text.column(old.start), self.layout, context);
            return Ok(Splice::one(old, self.breaks(new.trim_end_matches('\n'))));
        };
        if above.iter().any(|place| place.style == Style::Flow) {
            let new = self.inline(new, &old, context);
            if !old.is_empty() {
                return Ok(Splice::one(old, new));
            }
            let key = place.key.bytes().end;
            return Ok(match self.colon(key) {
                Some(colon) => Splice::one(colon..colon, format!(" {new}")),
                None => Splice::one(key..key, format!(": {new}")),
            });
        }
        let in_list = self.document.value.at(parent).is_some_and(Value::is_array);
        let head = match in_list {
            true => place.key.bytes().end,
            false => self.colon(place.key.bytes().end).ok_or("its name is not written as `name:`")?,
        };
        let column = self.text.column(place.key.bytes().start);
        let same_line = self.text.line_start(old.start) == self.text.line_start(head);
        let rest_of_line = self.text.get(old.end, self.text.content_end(old.end)).trim();
        // A comment behind the value would end up behind the header of a block scalar or inside it.
        let literal = new.is_string() && !write::is_inline(new);
        let block_before = place.style == Style::Block && is_collection(self.document.value.at(pointer));
        let own_lines = block_before && !same_line && place.origin == Origin::Here;
        let commented = !rest_of_line.is_empty() || (own_lines && !self.text.get(head, old.start).trim().is_empty());
        let inline = write::is_inline(new) || (literal && commented);
        match (inline, in_list) {
            (true, _) if old.is_empty() => Ok(Splice::one(head..head, format!(" {}", self.inline(new, &old, context)))),
            (true, _) if own_lines => {
                let from = self.text.content_end(head);
                let to =
                    self.text.content_end(self.text.comments_below(self.text.line_end(old.end), column).max(1) - 1);
                let to = to.max(self.text.content_end(old.end));
                let value = (head..head, format!(" {}", self.inline(new, &old, context)));
                Ok(Splice(vec![value, (from..to, String::new())]))
            }
            (true, _) => Ok(Splice::one(old.clone(), self.inline(new, &old, context))),
            (false, true) => {
                let (range, lead) = if old.is_empty() { (head..head, " ") } else { (old.clone(), "") };
                let indent = if old.is_empty() { column + 2 } else { self.text.column(old.start) };
                let new = write::block(new, indent, self.layout, context);
                Ok(Splice::one(range, format!("{lead}{}", self.breaks(new.trim_end_matches('\n')))))
            }
            (false, false) => {
                let new = write::after_colon(new, column, self.layout, context);
                if literal {
                    let range = if own_lines {
                        head..old.end
                    } else if old.is_empty() {
                        head..head
                    } else {
                        self.trimmed(head, old.start)..old.end
                    };
                    return Ok(Splice::one(range, self.breaks(new.trim_end_matches('\n'))));
                }
                let lines = new.trim_start_matches('\n');
                if own_lines {
                    let range = self.text.line_start(old.start)..self.text.content_end(old.end);
                    return Ok(Splice::one(range, self.breaks(lines.trim_end_matches('\n'))));
                }
                // The value goes, a comment behind it stays behind the name; the lines follow below.
                let value = if old.is_empty() { head..head } else { self.trimmed(head, old.start)..old.end };
                let below = self.below(self.text.line_end(value.end), lines);
                Ok(Splice(vec![(value, String::new()), below]))
            }
        }
    }

    fn add(&self, pointer: &str, value: &Value) -> Result<Splice, String> {
        let (parent, name) = split(pointer).ok_or("there is no such document")?;
        let path = self.document.path_to(parent).ok_or("there is nothing to hold the field")?;
        written_here(&path)?;
        let place = path.last().ok_or("there is nothing to hold the field")?;
        let context = context(parent);
        let siblings = self.siblings(parent);
        let Some((_, last)) = siblings.last() else {
            if place.count > 0 {
                return Err("all fields of the map come from `<<`".to_owned());
            }
            let map = Value::Object([(name, value.clone())].into_iter().collect());
            return self.set(parent, &path, &map);
        };
        if path.iter().any(|place| place.style == Style::Flow) {
            let end = self.end(last);
            let end = self.colon(end).filter(|_| last.value.bytes().is_empty()).unwrap_or(end);
            let field = format!(", {}: {}", write::text(&name), write::flow(value, context.below(&name)));
            return Ok(Splice::one(end..end, field));
        }
        // Behind the last field that people expect before it.
        let rank = context.rank(&name);
        let before = siblings
            .iter()
            .rev()
            .find(|(sibling, _)| rank.is_some() && context.rank(sibling).is_some_and(|other| Some(other) <= rank));
        let before = before.map_or(last, |(_, place)| place);
        let start = before.key.bytes().start;
        let column = self.text.column(start);
        let field = write::field(&name, value, column, self.layout, context.below(&name));
        let at = self.text.comments_below(self.text.line_end(self.end(before)), column);
        let (range, text) = self.below(at, &format!("{:column$}{field}", ""));
        Ok(Splice::one(range, text))
    }

    fn insert(&self, pointer: &str, index: usize, value: &Value) -> Result<Splice, String> {
        let path = self.document.path_to(pointer).ok_or("there is no such list")?;
        written_here(&path)?;
        let items = self.document.children_of(pointer);
        let Some((_, last)) = items.last() else {
            return self.set(pointer, &path, &Value::Array(vec![value.clone()]));
        };
        let before = items.get(index).map(|(_, place)| place);
        if path.iter().any(|place| place.style == Style::Flow) {
            let new = write::flow(value, Context::Fields);
            return Ok(match before {
                Some(place) => {
                    let at = place.value.bytes().start;
                    Splice::one(at..at, format!("{new}, "))
                }
                None => {
                    let at = last.value.bytes().end;
                    Splice::one(at..at, format!(", {new}"))
                }
            });
        }
        let dash = before.unwrap_or(last).key.bytes().start;
        let column = self.text.column(dash);
        let item = format!("- {}", write::block(value, column + 2, self.layout, Context::Fields));
        let line = format!("{:column$}{item}", "");
        Ok(match before {
            Some(_) if self.text.is_first(dash) => {
                let at = self.text.comments_above(self.text.line_start(dash), column);
                // Where empty lines separate the items, this one gets one too.
                let apart = if self.text.is_below_empty_line(at) { "\n" } else { "" };
                Splice::one(at..at, self.breaks(&format!("{line}{apart}")))
            }
            // The first item of a list inside a list: its dash stands behind another dash.
            Some(_) => Splice::one(dash..dash, self.breaks(&format!("{item}{:column$}", ""))),
            None => {
                let at = self.text.comments_below(self.text.line_end(self.end(last)), column);
                let above = self.text.comments_above(self.text.line_start(dash), column);
                let apart = if items.len() > 1 && self.text.is_below_empty_line(above) { "\n" } else { "" };
                let (range, text) = self.below(at, &format!("{apart}{line}"));
                Splice::one(range, text)
            }
        })
    }

    /// Moves an item with its comments. What stands between two items (empty lines, comments of nobody) stays between.
    fn shift(&self, pointer: &str, from: usize, to: usize) -> Result<Splice, String> {
        let path = self.document.path_to(pointer).ok_or("there is no such list")?;
        written_here(&path)?;
        let items = self.document.children_of(pointer);
        let flow = path.iter().any(|place| place.style == Style::Flow);
        if flow || items.iter().any(|(_, place)| !self.text.is_first(place.key.bytes().start)) {
            return Err("its items do not stand on lines of their own".to_owned());
        }
        let stretch = |index: usize| {
            let (_, place) = items.get(index).ok_or("there is no such item")?;
            let dash = place.key.bytes().start;
            let column = self.text.column(dash);
            let start = self.text.comments_above(self.text.line_start(dash), column);
            Ok::<_, String>(start..self.text.comments_below(self.text.line_end(self.end(place)), column))
        };
        let (item, other) = (stretch(from)?, stretch(to)?);
        let (range, parts) = if from < to {
            let next = stretch(from + 1)?;
            (item.start..other.end, [next.start..other.end, item.end..next.start, item.clone()])
        } else {
            let previous = stretch(from.saturating_sub(1))?;
            (other.start..item.end, [item.clone(), previous.end..item.start, other.start..previous.end])
        };
        let mut new = String::new();
        for part in parts {
            if !new.is_empty() && !new.ends_with('\n') {
                new.push_str(self.text.line_break);
            }
            new.push_str(self.text.get(part.start, part.end));
        }
        if !self.text.get(range.start, range.end).ends_with('\n') {
            new.truncate(new.trim_end_matches(['\n', '\r']).len());
        }
        Ok(Splice::one(range, new))
    }

    fn remove(&self, pointer: &str) -> Result<Splice, String> {
        let path = self.document.path_to(pointer).ok_or("there is no such field")?;
        let (Some(place), above) = (path.last(), path.get(..path.len().saturating_sub(1)).unwrap_or_default()) else {
            return Err("there is no such field".to_owned());
        };
        written_here(above)?;
        if place.origin == Origin::Merge {
            return Err("it comes from `<<`".to_owned());
        }
        let (parent, _) = split(pointer).ok_or("there is no such field")?;
        let siblings = self.siblings(parent);
        let start =
            |place: &Place| if place.key.line > 0 { place.key.bytes().start } else { place.value.bytes().start };
        let position =
            siblings.iter().position(|(_, sibling)| start(sibling) == start(place)).ok_or("its place is unclear")?;
        let next = siblings.get(position + 1).map(|(_, place)| place);
        let previous = position.checked_sub(1).and_then(|before| siblings.get(before)).map(|(_, place)| place);
        if next.is_none() && previous.is_none() {
            let empty = match self.document.value.at(parent) {
                Some(Value::Array(_)) => Value::Array(Vec::new()),
                _ => Value::Object(serde_json::Map::new()),
            };
            return self.set(parent, above, &empty);
        }
        if above.iter().any(|place| place.style == Style::Flow) {
            let range = match (next, previous) {
                (Some(next), _) => start(place)..start(next),
                (None, Some(previous)) => self.end(previous)..self.end(place),
                (None, None) => return Err("its place is unclear".to_owned()),
            };
            return Ok(Splice::one(range, ""));
        }
        let (from, end) = (start(place), self.end(place));
        let column = self.text.column(from);
        if !self.text.is_first(from) {
            // The first field of a list item: the dash stays for the next one.
            let next = start(next.ok_or("nothing else is left behind the dash")?);
            let between = self.text.get(self.text.line_end(end), self.text.line_start(next));
            let plain = between.trim().is_empty() && self.text.is_first(next);
            let range = if plain { from..next } else { self.trimmed(0, from)..self.text.content_end(end) };
            return Ok(Splice::one(range, ""));
        }
        let mut line = self.text.line_start(from);
        // Comments above the first field of a document introduce the file, not the field.
        if !(above.len() == 1 && previous.is_none()) {
            line = self.text.comments_above(line, column);
        }
        let to = self.text.comments_below(self.text.line_end(end), column);
        // Not two empty lines where one was above and one below.
        let blank = |start: usize| self.text.line(start).trim().is_empty();
        if self.text.is_below_empty_line(line) && blank(to) {
            line = self.text.line_start(line - 1);
        }
        Ok(Splice::one(line..to, ""))
    }

    /// Fields or items that are written here, in the order of the text.
    fn siblings(&self, parent: &str) -> Vec<(String, Place)> {
        let children = self.document.children_of(parent).into_iter();
        children.filter(|(_, place)| place.origin != Origin::Merge).collect()
    }

    /// The byte behind a field or item.
    fn end(&self, place: &Place) -> usize {
        place.value.bytes().end.max(place.key.bytes().end)
    }

    /// The byte behind the colon that follows a name.
    fn colon(&self, key_end: usize) -> Option<usize> {
        let rest = self.text.get(key_end, self.text.text.len());
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        rest.get(blanks..)?.starts_with(':').then_some(key_end + blanks + 1)
    }

    /// `at` without the blanks before it, but not before `from`.
    fn trimmed(&self, from: usize, at: usize) -> usize {
        from + self.text.get(from, at).trim_end_matches([' ', '\t']).len()
    }

    /// A scalar on one line, in the quotes that the old one had.
    fn inline(&self, new: &Value, old: &Range<usize>, context: Context) -> String {
        if let Value::String(text) = new {
            let printable = text.chars().all(write::is_printable);
            return match self.text.get(old.start, old.end).chars().next() {
                Some('"') => write::double_quoted(text),
                Some('\'') if printable => write::single_quoted(text),
                _ => write::text(text),
            };
        }
        write::flow(new, context)
    }

    fn breaks(&self, text: &str) -> String {
        self.text.with_breaks(text)
    }

    /// Lines put at the start of a line, or at the end of a text whose last line has no line break.
    fn below(&self, at: usize, lines: &str) -> (Range<usize>, String) {
        let unfinished = at == self.text.text.len() && !self.text.text.is_empty() && !self.text.text.ends_with('\n');
        let lines = if unfinished { format!("\n{}", lines.trim_end_matches('\n')) } else { lines.to_owned() };
        (at..at, self.breaks(&lines))
    }
}

/// Nothing on the way may come from an anchor: it would change wherever the anchor is used.
fn written_here(path: &[Place]) -> Result<(), String> {
    if path.iter().all(|place| place.origin == Origin::Here) {
        return Ok(());
    }
    Err("it comes from an anchor, so it would change in every place that uses the anchor".to_owned())
}

fn is_collection(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        _ => false,
    }
}

fn context(pointer: &str) -> Context {
    tokens(pointer).fold(Context::Document, |context, token| {
        if token.parse::<usize>().is_ok() { Context::Fields } else { context.below(&token) }
    })
}

/// Adds documents at the end.
pub(super) fn append_document(text: &Text<'_>, documents: &str, first: bool) -> Splice {
    let end = text.text.len();
    let last = text.text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let mut new = String::new();
    if !text.text.is_empty() && !text.text.ends_with('\n') {
        new.push('\n');
    }
    // A lone `---` at the end opens a document already, and so does the beginning of the file.
    if !first && last.trim_end() != "---" && !documents.starts_with("---") {
        new.push_str("---\n");
    }
    new.push_str(documents);
    Splice::one(end..end, text.with_breaks(&new.replace("\r\n", "\n")))
}

/// Removes a document: from its `---` to the next one.
pub(super) fn remove_document(text: &Text<'_>, starts: &[usize], document: usize) -> Option<Splice> {
    let start = *starts.get(document)?;
    let separators: Vec<usize> = separators(text);
    let from = separators.iter().copied().rev().find(|separator| *separator <= start);
    let to = separators.iter().copied().find(|separator| *separator > start);
    // Another document in the same stretch would go too (`...` without `---`).
    let stretch = from.unwrap_or(0)..to.unwrap_or(text.text.len());
    if starts.iter().filter(|start| stretch.contains(start)).count() != 1 {
        return None;
    }
    match (from, to) {
        // The first document has no separator of its own: the next one's goes with it.
        (None, Some(to)) if text.line(to).trim_end() == "---" => Some(Splice::one(0..text.line_end(to), "")),
        _ => Some(Splice::one(stretch, "")),
    }
}

/// Where the lines begin that separate documents. No scalar can contain such a line.
fn separators(text: &Text<'_>) -> Vec<usize> {
    let mut at = 0;
    let mut found = Vec::new();
    for line in text.text.split_inclusive('\n') {
        let separates =
            line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if separates {
            found.push(at);
        }
        at += line.len();
    }
    found
}

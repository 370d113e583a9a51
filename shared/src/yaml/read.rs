//! From text to documents: parser events are composed into values and places, within limits.

use super::Document;
use super::error::{Limit, Limits, YamlError};
use super::place::{Origin, Place, Places, Span, Style, Tree};
use super::scalar::{self, Scalar, ScalarTag};
use serde_json::{Map, Value};
use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, ScanError, StrInput, StructureStyle, Tag};
use std::collections::HashMap;
use std::sync::Arc;

/// Reads every document of a file. Empty documents are skipped, as kubectl skips them.
///
/// # Errors
/// The first thing that is not YAML, that kubectl would refuse, or that kubectl would silently read as something else than
/// what is written (the same key twice), with its place; or the limit that was exceeded.
pub fn read(text: &[u8], limits: &Limits) -> Result<Vec<Document>, YamlError> {
    if text.len() > limits.bytes {
        let message = format!("the file has {} bytes, more than the {} that are read", text.len(), limits.bytes);
        return Err(YamlError::new(1, 1, message).hint("Split the file").limit(Limit::Bytes));
    }
    let text = decode(text)?;
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    Composer::new(body, text.len() - body.len(), *limits).documents()
}

/// UTF-8, or an error that says what it is instead.
fn decode(text: &[u8]) -> Result<&str, YamlError> {
    let utf16 = matches!(text, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) || matches!(text, [0, _, ..] | [_, 0, ..]);
    if utf16 {
        return Err(YamlError::new(1, 1, "the file is UTF-16 or binary, not UTF-8").hint("Save the file as UTF-8"));
    }
    std::str::from_utf8(text).map_err(|error| {
        let valid = text.get(..error.valid_up_to()).unwrap_or_default();
        let valid = std::str::from_utf8(valid).unwrap_or_default();
        let line = valid.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = valid.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        YamlError::new(number(line), number(column), "the file is not UTF-8").hint("Save the file as UTF-8")
    })
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A value with its places and the count of values in it.
#[derive(Clone)]
struct Node {
    value: Value,
    tree: Tree,
    count: usize,
}

/// A field of a map under construction.
struct Entry {
    name: String,
    node: Node,
}

/// What stands where a key may stand.
enum Key {
    Name(String, Span),
    Merge(Span),
}

struct Composer<'text> {
    text: &'text str,
    parser: Parser<'text, StrInput<'text>>,
    /// Bytes before the text that the parser sees (a byte order mark).
    offset: usize,
    limits: Limits,
    nodes: usize,
    aliased: usize,
    anchors: HashMap<usize, Option<Node>>,
}

impl<'text> Composer<'text> {
    fn new(text: &'text str, offset: usize, limits: Limits) -> Self {
        let options = granit_parser::options! {
            emit_comments: false,
            // Depth is limited here, with a better message; the parser's own limits must not come first.
            block_nesting_limit: limits.depth.saturating_add(8),
            flow_nesting_limit: limits.depth.saturating_add(8),
        };
        let parser = Parser::new_from_str_with_options(text, options);
        Self { text, parser, offset, limits, nodes: 0, aliased: 0, anchors: HashMap::new() }
    }

    fn documents(mut self) -> Result<Vec<Document>, YamlError> {
        let mut documents = Vec::new();
        let mut count = 0;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::DocumentStart(..) => {
                    count += 1;
                    if count > self.limits.documents {
                        let message = format!("the file has more than {} documents", self.limits.documents);
                        return Err(error_at(&span, message).hint("Split the file").limit(Limit::Documents));
                    }
                    let Some((event, span)) = self.next()? else { break };
                    let node = self.node(event, &span, 0)?;
                    self.anchors.clear();
                    if !node.value.is_null() {
                        let places = Places::new(&node.tree, node.count);
                        let (value, index) = (Arc::new(node.value), documents.len());
                        documents.push(Document { value, index, pointer: String::new(), places });
                    }
                }
                Event::StreamEnd => break,
                _ => {}
            }
        }
        Ok(documents)
    }

    fn next(&mut self) -> Result<Option<(Event<'text>, granit_parser::Span)>, YamlError> {
        self.parser.next_event().transpose().map_err(|error| scan_error(&error, self.limits.depth))
    }

    /// The next event inside a document; the parser never ends a stream there without an error.
    fn inner(&mut self, outer: &granit_parser::Span) -> Result<(Event<'text>, granit_parser::Span), YamlError> {
        self.next()?.ok_or_else(|| error_at(outer, "the file ends inside this value".to_owned()))
    }

    fn span(&self, span: &granit_parser::Span) -> Span {
        let byte = |marker: granit_parser::Marker| number(marker.byte_offset().unwrap_or_default() + self.offset);
        Span {
            line: number(span.start.line()),
            column: number(span.start.col() + 1),
            start: byte(span.start),
            end: byte(span.end),
        }
    }

    /// The parser's span of a `|` or `>` scalar is its lines without the header and with the empty lines below; this is
    /// the stretch from the header to the last line.
    fn block_scalar(&self, span: &granit_parser::Span) -> Span {
        let mut place = self.span(span);
        let Some(range) = span.byte_range() else { return place };
        let (before, content) = (self.text.get(..range.start), self.text.get(range));
        let (Some(before), Some(content)) = (before, content) else { return place };
        // Empty lines may stand between the header and the first line; the header is the last line that is not empty.
        let head = before.trim_end_matches([' ', '\t', '\r', '\n']);
        let line_start = head.rfind('\n').map_or(0, |newline| newline + 1);
        let line = head.get(line_start..).unwrap_or_default();
        let Some(at) = block_header(line) else { return place };
        let kept = line.get(at..).is_some_and(|header| header.split('#').next().unwrap_or_default().contains('+'));
        let trimmed = if kept { content.strip_suffix('\n').unwrap_or(content) } else { content.trim_end() };
        let trimmed = trimmed.strip_suffix('\r').unwrap_or(trimmed);
        place.end -= number(content.len() - trimmed.len());
        place.start = number(line_start + at + self.offset);
        place.line -= number(before.get(line_start..).unwrap_or_default().matches('\n').count());
        place.column = number(line.get(..at).unwrap_or_default().chars().count() + 1);
        place
    }

    /// The `-` of a list item. The parser does not report it.
    fn dash(&self, item: &Span) -> Span {
        let end = (item.start as usize).saturating_sub(self.offset);
        let Some(at) = dash_before(self.text, end) else { return Span { end: item.start, ..*item } };
        let line_start = self.text.get(..at).and_then(|head| head.rfind('\n')).map_or(0, |newline| newline + 1);
        let newlines = self.text.get(at..end).unwrap_or_default().matches('\n').count();
        let column = self.text.get(line_start..at).unwrap_or_default().chars().count() + 1;
        let start = number(at + self.offset);
        Span { line: item.line - number(newlines), column: number(column), start, end: start + 1 }
    }

    /// Tabs never indent in YAML; the parser lets some pass that kubectl refuses.
    fn indented_by_spaces(&self, span: &granit_parser::Span) -> Result<(), YamlError> {
        let before = span.byte_range().and_then(|range| self.text.get(..range.start)).unwrap_or_default();
        let indent = before.rsplit('\n').next().unwrap_or_default();
        if indent.contains('\t') && indent.trim_start().is_empty() {
            return Err(error_at(span, "a tab indents this line".to_owned()).hint("Indent with spaces"));
        }
        Ok(())
    }

    fn count(&mut self, span: &granit_parser::Span, nodes: usize) -> Result<(), YamlError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= self.limits.nodes {
            return Ok(());
        }
        let message = format!("the file has more than {} values", self.limits.nodes);
        Err(error_at(span, message).hint("Split the file").limit(Limit::Nodes))
    }

    fn node(&mut self, event: Event<'text>, span: &granit_parser::Span, depth: usize) -> Result<Node, YamlError> {
        let collection = matches!(event, Event::SequenceStart(..) | Event::MappingStart(..));
        if collection && depth >= self.limits.depth {
            return Err(too_deep(span, self.limits.depth));
        }
        match event {
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                self.count(span, 1)?;
                let plain = style == ScalarStyle::Plain;
                let value = scalar::resolve(&scalar_text(&text, plain, span), plain, scalar_tag(tag.as_deref()))
                    .and_then(Scalar::into_value)
                    .map_err(|message| error_at(span, message))?;
                let place = match style {
                    ScalarStyle::Literal | ScalarStyle::Folded => {
                        Place { value: self.block_scalar(span), style: Style::BlockScalar, ..Place::default() }
                    }
                    _ => Place { value: self.span(span), ..Place::default() },
                };
                Ok(self.anchored(anchor, Node { value, tree: Tree { place, children: Vec::new() }, count: 1 }))
            }
            Event::SequenceStart(style, anchor, _) => {
                self.open(anchor, span)?;
                let node = self.sequence(style, span, depth)?;
                Ok(self.anchored(anchor, node))
            }
            Event::MappingStart(style, anchor, _) => {
                self.open(anchor, span)?;
                let node = self.mapping(style, span, depth)?;
                Ok(self.anchored(anchor, node))
            }
            _ => Err(error_at(span, "a value was expected here".to_owned())),
        }
    }

    /// An anchored list or map is known from here on, but has no value yet: an alias inside it would contain itself.
    fn open(&mut self, anchor: usize, span: &granit_parser::Span) -> Result<(), YamlError> {
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
        self.count(span, 1)
    }

    fn anchored(&mut self, anchor: usize, node: Node) -> Node {
        if anchor != 0 {
            self.anchors.insert(anchor, Some(node.clone()));
        }
        node
    }

    fn alias(&mut self, anchor: usize, span: &granit_parser::Span) -> Result<Node, YamlError> {
        let count = match self.anchors.get(&anchor) {
            Some(Some(node)) => node.count,
            _ => return Err(error_at(span, "this alias stands inside the value that it stands for".to_owned())),
        };
        self.aliased = self.aliased.saturating_add(count);
        if self.aliased > self.limits.aliases {
            let message = format!("the aliases of this file stand for more than {} values", self.limits.aliases);
            return Err(error_at(span, message).hint("Write the values out").limit(Limit::Aliases));
        }
        self.count(span, count)?;
        let Some(Some(node)) = self.anchors.get(&anchor) else {
            return Err(error_at(span, "this alias has no anchor".to_owned()));
        };
        let mut node = node.clone();
        node.tree.place.value = self.span(span);
        node.tree.place.origin = Origin::Alias;
        Ok(node)
    }

    fn sequence(
        &mut self,
        style: StructureStyle,
        start: &granit_parser::Span,
        depth: usize,
    ) -> Result<Node, YamlError> {
        let mut items = Vec::new();
        let mut children = Vec::new();
        let mut count = 1;
        loop {
            let (event, span) = self.inner(start)?;
            if event == Event::SequenceEnd {
                let place = self.collection(style, start, &span, &children);
                return Ok(Node { value: Value::Array(items), tree: Tree { place, children }, count });
            }
            let mut node = self.node(event, &span, depth + 1)?;
            if style == StructureStyle::Block {
                node.tree.place.key = self.dash(&node.tree.place.value);
            }
            count += node.count;
            items.push(node.value);
            children.push(node.tree);
        }
    }

    fn mapping(&mut self, style: StructureStyle, start: &granit_parser::Span, depth: usize) -> Result<Node, YamlError> {
        let mut written: Vec<Entry> = Vec::new();
        let mut merged: Option<(Span, u32, Vec<Entry>)> = None;
        let end = loop {
            let (event, span) = self.inner(start)?;
            if event == Event::MappingEnd {
                break span;
            }
            if style == StructureStyle::Block {
                self.indented_by_spaces(&span)?;
            }
            let key = self.key(event, &span)?;
            let (event, span) = self.inner(start)?;
            let mut node = self.node(event, &span, depth + 1)?;
            match key {
                Key::Name(name, key) => {
                    node.tree.place.key = key;
                    written.push(Entry { name, node });
                }
                Key::Merge(key) => {
                    if let Some((first, ..)) = &merged {
                        return Err(
                            twice("<<", first, &key).hint("Write one `<<` with a list: `<<: [*first, *second]`")
                        );
                    }
                    let end = node.tree.place.value.end;
                    let entries = merge(node, &span)?;
                    // kubectl lets the merge win over fields above it, YAML's definition the other way round.
                    if let Some(entry) = entries.iter().find(|entry| written.iter().any(|own| own.name == entry.name)) {
                        let message = format!(
                            "`<<` stands below the field {}, which it also brings: kubectl takes the one of `<<`, other tools the other",
                            quote(&entry.name)
                        );
                        return Err(YamlError::new(key.line, key.column, message)
                            .hint("Write `<<` as the first field: then the fields below it win everywhere"));
                    }
                    merged = Some((key, end, entries));
                }
            }
        };
        let last = written.iter().map(|entry| entry.node.tree.place.value.end).max();
        let last = last.max(merged.as_ref().map(|(_, end, _)| *end));
        // A stable sort: of two fields with one name, the one written first comes first.
        written.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some([first, second]) = written.array_windows().find(|[a, b]| a.name == b.name) {
            return Err(twice(&second.name, &first.node.tree.place.key, &second.node.tree.place.key));
        }
        if let Some((.., entries)) = merged {
            let own = written.len();
            for entry in entries {
                let known = |entries: &[Entry]| entries.binary_search_by(|own| own.name.cmp(&entry.name)).is_ok();
                if !known(written.get(..own).unwrap_or_default()) {
                    written.push(entry);
                }
            }
            written.sort_by(|a, b| a.name.cmp(&b.name));
        }
        let mut map = Map::new();
        let mut children = Vec::with_capacity(written.len());
        let mut count = 1;
        for Entry { name, node } in written {
            count += node.count;
            map.insert(name, node.value);
            children.push(node.tree);
        }
        let mut place = Place { map: true, ..self.collection(style, start, &end, &[]) };
        if style == StructureStyle::Block {
            place.value.end = last.unwrap_or(place.value.start);
        }
        Ok(Node { value: Value::Object(map), tree: Tree { place, children }, count })
    }

    fn key(&mut self, event: Event<'text>, span: &granit_parser::Span) -> Result<Key, YamlError> {
        let place = self.span(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let text = scalar_text(&text, plain, span);
                if text == "<<" && plain && tag.is_none() {
                    return Ok(Key::Merge(place));
                }
                let key = scalar::resolve(&text, plain, scalar_tag(tag.as_deref()));
                let name = key.clone().and_then(Scalar::into_key).map_err(|message| error_at(span, message))?;
                if anchor != 0 {
                    let value = key.and_then(Scalar::into_value).map_err(|message| error_at(span, message))?;
                    let tree = Tree { place: Place { value: place, ..Place::default() }, children: Vec::new() };
                    self.anchors.insert(anchor, Some(Node { value, tree, count: 1 }));
                }
                Ok(Key::Name(name, place))
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(Some(Node { value: Value::String(name), .. })) => Ok(Key::Name(name.clone(), place)),
                _ => Err(error_at(span, "the name of a field must be a string".to_owned())),
            },
            _ => Err(error_at(span, "the name of a field must be a string, not a list or a map".to_owned())
                .hint("If this is a template expression, render the template first: the fleet holds plain YAML")),
        }
    }

    /// The place of a list or map. In block style the parser reports the end where the next thing begins; the last child's
    /// end is what a reader takes for it.
    fn collection(
        &self,
        style: StructureStyle,
        start: &granit_parser::Span,
        end: &granit_parser::Span,
        children: &[Tree],
    ) -> Place {
        let mut value = self.span(start);
        let (last, style) = match style {
            StructureStyle::Flow => (self.span(end).end, Style::Flow),
            StructureStyle::Block => {
                if let Some(first) = children.first() {
                    value = first.place.key;
                }
                (children.last().map_or(value.end, |child| child.place.value.end.max(value.start)), Style::Block)
            }
        };
        value.end = last;
        Place { value, style, ..Place::default() }
    }
}

/// Where the `|` or `>` stands in the line that opens a block scalar (a comment may follow it).
fn block_header(line: &str) -> Option<usize> {
    line.char_indices().filter(|(_, c)| matches!(c, '|' | '>')).map(|(at, _)| at).find(|at| {
        let (before, after) = line.split_at(*at);
        let after = after.get(1..).unwrap_or_default();
        let rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'));
        let opens = before.is_empty() || before.ends_with([' ', '\t']);
        opens && (rest.trim().is_empty() || (rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#')))
    })
}

/// Looks back from a list item for its dash, over properties (`&anchor`, `!tag`), comments and empty lines.
fn dash_before(text: &str, item: usize) -> Option<usize> {
    let mut end = item;
    loop {
        let before = text.get(..end)?;
        let head = before.trim_end();
        let line_start = head.rfind('\n').map_or(0, |newline| newline + 1);
        let line = head.get(line_start..)?;
        let other_line = before.get(head.len()..)?.contains('\n');
        if other_line && let Some(comment) = comment_start(line) {
            end = line_start + comment;
            continue;
        }
        let token_start = head.rfind([' ', '\t', '\n']).map_or(0, |blank| blank + 1);
        match head.get(token_start..)? {
            "-" => return Some(token_start),
            token if token.starts_with(['&', '!']) => end = token_start,
            _ => return None,
        }
    }
}

/// Where a comment begins in a line that holds no quoted text.
fn comment_start(line: &str) -> Option<usize> {
    line.match_indices('#')
        .map(|(at, _)| at)
        .find(|at| line.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t'])))
}

/// The parser gives `~` for a value that is not there; nothing but the span tells.
fn scalar_text<'a>(text: &'a str, plain: bool, span: &granit_parser::Span) -> std::borrow::Cow<'a, str> {
    if plain && text == "~" && span.is_empty() { "".into() } else { text.into() }
}

/// The fields that `<<` brings: of a map, or of a list of maps of which the first wins.
fn merge(node: Node, span: &granit_parser::Span) -> Result<Vec<Entry>, YamlError> {
    let refused = || {
        error_at(span, "`<<` must stand for a map or a list of maps".to_owned())
            .hint("Point it at an anchored map, as in `<<: *defaults`")
    };
    let mut entries: Vec<Entry> = Vec::new();
    match node.value {
        Value::Object(map) => {
            for ((name, value), mut tree) in map.into_iter().zip(node.tree.children) {
                tree.place.origin = Origin::Merge;
                let count = count(&value);
                entries.push(Entry { name, node: Node { value, tree, count } });
            }
        }
        Value::Array(items) => {
            for (value, tree) in items.into_iter().zip(node.tree.children) {
                if !value.is_object() {
                    return Err(refused());
                }
                for entry in merge(Node { value, tree, count: 0 }, span)? {
                    if entries.iter().all(|known| known.name != entry.name) {
                        entries.push(entry);
                    }
                }
            }
        }
        _ => return Err(refused()),
    }
    Ok(entries)
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

fn scalar_tag(tag: Option<&Tag>) -> ScalarTag {
    let Some(tag) = tag else { return ScalarTag::None };
    match tag.core_suffix() {
        Some("str") => ScalarTag::Str,
        Some("int") => ScalarTag::Int,
        Some("float") => ScalarTag::Float,
        Some("bool") => ScalarTag::Bool,
        Some("null") => ScalarTag::Null,
        _ if tag.suffix_in_namespace("tag:yaml.org,2002:").as_deref() == Some("binary") => ScalarTag::Binary,
        _ => ScalarTag::Other,
    }
}

fn quote(name: &str) -> String {
    format!("`{name}`")
}

fn twice(name: &str, first: &Span, second: &Span) -> YamlError {
    let message = format!("the field {} stands twice in this map, first in line {}", quote(name), first.line);
    YamlError::new(second.line, second.column, message)
        .hint("Remove one of the two: kubectl would take the last silently")
}

fn too_deep(span: &granit_parser::Span, depth: usize) -> YamlError {
    error_at(span, format!("values are nested more than {depth} deep")).limit(Limit::Depth)
}

fn error_at(span: &granit_parser::Span, message: String) -> YamlError {
    YamlError::new(number(span.start.line()), number(span.start.col() + 1), message)
}

fn scan_error(error: &ScanError, depth: usize) -> YamlError {
    let marker = *error.marker();
    let span = granit_parser::Span::empty(marker);
    match error.kind() {
        granit_parser::ErrorKind::RecursionLimitExceeded => too_deep(&span, depth),
        granit_parser::ErrorKind::UnknownAnchor => {
            error_at(&span, "this alias has no anchor before it in this document".to_owned())
        }
        _ => error_at(&span, error.info()),
    }
}

#[cfg(test)]
mod tests;

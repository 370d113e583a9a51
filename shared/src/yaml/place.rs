//! Where the fields of a document stand in its file, kept compactly: 40 bytes per field, no copies of names.

use super::Document;
use crate::object::At as _;
use serde_json::Value;
use std::ops::Range;
use std::sync::Arc;

/// A stretch of text: line and column (from 1, columns in characters) of its first character, and its bytes in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in characters.
    pub column: u32,
    /// First byte in the file.
    pub start: u32,
    /// The byte after the last one.
    pub end: u32,
}

impl Span {
    /// The bytes, for slicing the file's text.
    pub fn bytes(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A field or a list item as a stretch of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Line of its name or dash, from 1.
    pub line: u32,
    /// First byte of its name or dash in the file.
    pub start: u32,
    /// The byte after the last one of its value.
    pub end: u32,
    /// The bytes of a scalar; empty for lists and maps.
    pub text: Range<u32>,
}

/// One field: its name (the dash for items of block lists; nothing for items of flow lists and documents), its value, and where its own fields are listed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) key: Span,
    pub(super) value: Span,
    /// Index of the first child; children stand together, in the order of the value's map or list.
    pub(super) first: u32,
    pub(super) count: u32,
    pub(super) origin: Origin,
    pub(super) style: Style,
    /// A map (not a list or a scalar).
    pub(super) map: bool,
}

/// How a value came to stand where it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Origin {
    /// Written here.
    #[default]
    Here,
    /// An alias (`*name`) stands here.
    Alias,
    /// Taken over by a merge key (`<<`).
    Merge,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Style {
    /// Plain or quoted, or a list or map in block style.
    #[default]
    Block,
    /// `{…}` or `[…]`.
    Flow,
    /// `|` or `>`.
    BlockScalar,
}

/// A node under construction.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) place: Place,
    pub(super) children: Vec<Self>,
}

/// All places of a document, and which of them is its root (not the first for an item of a `List`).
#[derive(Clone, Debug)]
pub(super) struct Places {
    all: Arc<[Place]>,
    root: usize,
}

impl Places {
    pub(super) fn new(tree: &Tree, nodes: usize) -> Self {
        let mut places = Vec::with_capacity(nodes);
        places.push(tree.place);
        flatten(tree, 0, &mut places);
        Self { all: places.into(), root: 0 }
    }

    fn children(&self, place: &Place) -> &[Place] {
        let first = place.first as usize;
        self.all.get(first..first + place.count as usize).unwrap_or_default()
    }

    pub(super) fn root(&self) -> Place {
        self.all.get(self.root).copied().unwrap_or_default()
    }

    /// The places of one item of a list in the root's field that is the `field`-th of its map.
    fn item(&self, field: usize, index: usize) -> Option<Self> {
        let list = self.children(&self.root()).get(field)?;
        let root = list.first as usize + index;
        (index < list.count as usize).then(|| Self { all: self.all.clone(), root })
    }

    /// The byte after the last one of a place. What is inside comes after it in the list.
    fn extents(&self, place: &Place, extents: &mut Vec<Extent>) -> u32 {
        let at = extents.len();
        let name = if place.key.line > 0 { place.key } else { place.value };
        extents.push(Extent { line: name.line, start: name.start, end: place.value.end, text: 0..0 });
        let inner = if place.origin == Origin::Here { self.children(place) } else { &[] };
        // The parser's end of a list or map is where the next thing begins; the end of the last value in it is exact.
        let end = inner.iter().map(|child| self.extents(child, extents)).max().unwrap_or(place.value.end);
        if let Some(extent) = extents.get_mut(at) {
            extent.end = end.max(name.end);
            if inner.is_empty() && place.origin == Origin::Here {
                extent.text = place.value.start..place.value.end;
            }
        }
        end
    }

    /// How far right maps and dashes stand of the fields that hold them, as the document does it first.
    fn offsets(&self) -> (Option<u32>, Option<u32>) {
        let (mut step, mut dash) = (None, None);
        for place in self.all.iter().filter(|place| place.style == Style::Block && place.origin == Origin::Here) {
            if place.count == 0 || place.key.line == 0 || place.value.line <= place.key.line {
                continue;
            }
            let offset = place.value.column.checked_sub(place.key.column);
            if place.map { step = step.or(offset) } else { dash = dash.or(offset) }
        }
        (step, dash)
    }

    /// Walks a pointer as far as it leads. Returns every place on the way, the document first.
    pub(super) fn walk(&self, mut value: &Value, pointer: &str) -> (Vec<Place>, bool) {
        let mut place = self.root();
        let mut path = vec![place];
        for token in tokens(pointer) {
            let step = match value {
                Value::Object(map) => {
                    // The places of a map's fields stand in the order of the map, so no names need be kept.
                    map.iter()
                        .enumerate()
                        .find(|(_, (key, _))| **key == token)
                        .map(|(index, (_, value))| (index, value))
                }
                Value::Array(items) => {
                    token.parse::<usize>().ok().and_then(|index| items.get(index).map(|value| (index, value)))
                }
                _ => None,
            };
            let Some((child, next)) =
                step.and_then(|(index, next)| self.children(&place).get(index).map(|child| (*child, next)))
            else {
                return (path, false);
            };
            place = child;
            path.push(place);
            value = next;
        }
        (path, true)
    }
}

fn flatten(tree: &Tree, at: usize, places: &mut Vec<Place>) {
    let first = places.len();
    places.extend(tree.children.iter().map(|child| child.place));
    if let Some(place) = places.get_mut(at) {
        place.first = u32::try_from(first).unwrap_or(u32::MAX);
        place.count = u32::try_from(tree.children.len()).unwrap_or(u32::MAX);
    }
    for (index, child) in tree.children.iter().enumerate() {
        if !child.children.is_empty() {
            flatten(child, first + index, places);
        }
    }
}

/// The steps of a JSON pointer, unescaped. The empty pointer has none.
pub(super) fn tokens(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~"))
}

impl Document {
    /// Line and column (from 1, in characters) of the field at a JSON pointer: of its name, or of the item's dash in a list. When
    /// the field does not exist, of its nearest ancestor.
    pub fn position_of(&self, pointer: &str) -> Option<(u32, u32)> {
        let (path, _) = self.places.walk(&self.value, pointer);
        path.last().map(|place| if place.key.line > 0 { place.key } else { place.value }).map(|at| (at.line, at.column))
    }

    /// Line and column of the value at a JSON pointer, or of its nearest ancestor's value.
    pub fn value_position_of(&self, pointer: &str) -> Option<(u32, u32)> {
        let (path, _) = self.places.walk(&self.value, pointer);
        path.last().map(|place| (place.value.line, place.value.column))
    }

    /// Where the value at a JSON pointer stands, quotes and brackets included; `None` when there is no such field.
    pub fn span_of(&self, pointer: &str) -> Option<Span> {
        self.place_of(pointer).map(|place| place.value)
    }

    /// Where the name of the field at a JSON pointer stands, or the dash of a list item; `None` for missing fields and for
    /// items of `[…]`.
    pub fn key_span_of(&self, pointer: &str) -> Option<Span> {
        self.place_of(pointer).map(|place| place.key).filter(|key| key.line > 0)
    }

    /// Line and column where the document begins (its first field).
    pub fn start(&self) -> (u32, u32) {
        let root = self.places.root().value;
        (root.line, root.column)
    }

    /// The text of a value as it stands in the file: the difference between `on` and `"on"`.
    pub fn raw<'text>(&self, pointer: &str, text: &'text str) -> Option<&'text str> {
        text.get(self.span_of(pointer)?.bytes())
    }

    /// Does the value at this pointer come from an anchor elsewhere, by `*alias` or `<<`?
    pub fn is_aliased(&self, pointer: &str) -> bool {
        self.places.walk(&self.value, pointer).0.iter().any(|place| place.origin != Origin::Here)
    }

    /// Every field and list item, outer ones before what is in them.
    pub fn extents(&self) -> Vec<Extent> {
        let mut extents = Vec::new();
        self.places.extents(&self.places.root(), &mut extents);
        extents
    }

    /// Is the byte at this offset of the file inside a value's text? A `#` there begins no comment.
    pub fn is_text(&self, byte: u32) -> bool {
        self.extents().iter().any(|extent| extent.text.contains(&byte))
    }

    /// The documents that kubectl makes of this one: itself, or the items of a `List`.
    pub fn unfold(self) -> Vec<Self> {
        let list = self.value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
        let field = self.value.as_object().and_then(|map| map.keys().position(|key| key == "items"));
        let (true, Some(field), Some(items)) = (list, field, self.value.get("items").and_then(Value::as_array)) else {
            return vec![self];
        };
        let item = |(index, value): (usize, &Value)| {
            Some(Self {
                value: Arc::new(value.clone()),
                index: self.index,
                pointer: format!("{}/items/{index}", self.pointer),
                places: self.places.item(field, index)?,
            })
        };
        items.iter().enumerate().filter_map(item).collect()
    }

    /// The places of a map's fields or a list's items, by name or number, in the order of the text.
    pub(super) fn children_of(&self, pointer: &str) -> Vec<(String, Place)> {
        let Some(place) = self.place_of(pointer) else { return Vec::new() };
        let names: Vec<String> = match self.value.at(pointer) {
            Some(Value::Object(map)) => map.keys().cloned().collect(),
            Some(Value::Array(items)) => (0..items.len()).map(|index| index.to_string()).collect(),
            _ => Vec::new(),
        };
        let mut children: Vec<_> = names.into_iter().zip(self.places.children(&place).iter().copied()).collect();
        children.sort_by_key(|(_, place)| if place.key.line > 0 { place.key.start } else { place.value.start });
        children
    }

    /// All places from the document to a pointer; `None` when there is nothing at the pointer.
    pub(super) fn path_to(&self, pointer: &str) -> Option<Vec<Place>> {
        let (path, found) = self.places.walk(&self.value, pointer);
        found.then_some(path)
    }

    /// How far right maps and dashes stand of the fields that hold them, as the document does it first.
    pub(super) fn offsets(&self) -> (Option<u32>, Option<u32>) {
        self.places.offsets()
    }

    pub(super) fn place_of(&self, pointer: &str) -> Option<Place> {
        let (path, found) = self.places.walk(&self.value, pointer);
        path.last().copied().filter(|_| found)
    }
}

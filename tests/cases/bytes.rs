//! Edits keep bytes: random changes to real files and to made ones, judged apart from the editor's own checks.
//!
//! Each change is compared with the same change made on plain values, and every byte outside the changed field's lines must
//! be the same. Files come from the folders beside the project where they are at hand (Istio's test data, the vendor's
//! documents), and from a generator that makes what people write: comments, CJK text, CRLF, anchors, flow style.

use anyhow::{Result, ensure};
use asm_shared::yaml::edit::{EditError, Editor};
use asm_shared::yaml::{Limits, read};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Changes to make: at least these many.
fn wanted() -> usize {
    if std::env::var_os("KUBECTL_ASM_FULL").is_some() { 20_000 } else { 3_000 }
}

/// Folders beside the project whose files are taken when they are there.
const FOLDERS: &[&str] = &["../../shared/conformance", "../../shared/seeds"];

/// A small generator of random numbers: the seed is printed with a failure, and the same seed gives the same run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).unwrap_or_default()
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

#[test]
fn random_changes_touch_nothing_else() -> Result<()> {
    let mut random = Random(0x5eed_1234_5678_9abc);
    let mut texts = collected()?;
    let collected = texts.len();
    texts.extend((0..200).map(|n| made(n, &mut random)));
    let (mut edits, mut anchored, mut refused) = (0, 0, BTreeMap::<String, usize>::new());
    while edits < wanted() {
        let text = random.one_of(&texts).clone();
        match change(&text, &mut random)? {
            Outcome::Done => edits += 1,
            // A field that an alias repeats must not be edited behind the other place's back: a refusal is the right answer.
            Outcome::Refused(_) if text.contains("<<: *") => anchored += 1,
            Outcome::Refused(why) => *refused.entry(why).or_default() += 1,
            Outcome::Nothing => {}
        }
    }
    let count: usize = refused.values().sum();
    ensure!(
        count * 100 < edits,
        "{count} of {edits} changes to {collected} real and 200 made files were refused: {refused:#?}"
    );
    ensure!(anchored > 0, "no change met an anchor");
    Ok(())
}

/// Texts of the YAML files at hand.
fn collected() -> Result<Vec<String>> {
    let mut texts = Vec::new();
    let mut folders: Vec<_> = FOLDERS.iter().map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml" || extension == "txt")
                && let Ok(text) = std::fs::read_to_string(&path)
                && text.len() < 100_000
                && read(text.as_bytes(), &Limits::default()).is_ok_and(|documents| !documents.is_empty())
            {
                texts.push(text);
            }
        }
    }
    texts.sort();
    Ok(texts)
}

/// A file as a person might write it.
fn made(n: usize, random: &mut Random) -> String {
    let comment = *random.one_of(&["", "# a comment\n", "# 注释：商店\n", "\n# two\n# lines\n\n"]);
    let quote = *random.one_of(&["", "'", "\""]);
    let flow = random.below(2) == 0;
    let ports = if flow {
        "[{name: http, port: 80}, {name: https, port: 443}]"
    } else {
        "\n  - name: http\n    port: 80\n  # tls\n  - name: https\n    port: 443"
    };
    let anchor = if random.below(3) == 0 { "base: &base\n  a: 1\n  b: two\nuse:\n  <<: *base\n  c: 3\n" } else { "" };
    let text = format!(
        "{comment}apiVersion: v1\nkind: Service # kind\nmetadata:\n  name: {quote}web-{n}{quote}\n  labels:\n    app: web   # the app\n\
         {comment}    \"例\": {quote}值{quote}\nspec:\n  ports: {ports}\n  text: |\n    first\n      second\n\n  last: >-\n    folded\n    \
         text\n{anchor}---\n{comment}kind: Other\nlist:\n- 1\n- [2, 3]\n- {{x: y}}\n"
    );
    if random.below(4) == 0 { text.replace('\n', "\r\n") } else { text }
}

enum Outcome {
    Done,
    Refused(String),
    Nothing,
}

/// One random change.
fn change(text: &str, random: &mut Random) -> Result<Outcome> {
    let documents = read(text.as_bytes(), &Limits::default())?;
    let document = random.below(documents.len());
    let mut pointers = Vec::new();
    walk(&documents[document].value, String::new(), &mut pointers);
    if pointers.is_empty() {
        return Ok(Outcome::Nothing);
    }
    let pointer = random.one_of(&pointers).clone();
    let old = documents[document].value.pointer(&pointer).cloned().unwrap_or_default();
    let value = random
        .one_of(&[
            json!("plain"),
            json!("on"),
            json!("8080"),
            json!(42),
            json!(true),
            json!("值 # no comment"),
            json!("a: b"),
        ])
        .clone();
    let mut model: Vec<Value> = documents.iter().map(|document| (*document.value).clone()).collect();
    let mut editor = Editor::open(text)?;
    let result = match (random.below(4), &old) {
        (0, Value::Array(items)) => {
            let index = random.below(items.len() + 1);
            list(&mut model[document], &pointer).insert(index, value.clone());
            if index == items.len() {
                editor.append(document, &pointer, &value)
            } else {
                editor.insert(document, &pointer, index, &value)
            }
        }
        (1, Value::Object(_)) => {
            let key = *random.one_of(&["added", "新", "yes"]);
            if old.get(key).is_some() {
                return Ok(Outcome::Nothing);
            }
            if let Some(Value::Object(map)) = model[document].pointer_mut(&pointer) {
                map.insert(key.to_owned(), value.clone());
            }
            editor.set(document, &format!("{pointer}/{key}"), &value)
        }
        (2, _) if !pointer.is_empty() => {
            remove(&mut model[document], &pointer);
            editor.remove(document, &pointer)
        }
        (_, Value::Object(_) | Value::Array(_)) => return Ok(Outcome::Nothing),
        _ => {
            if let Some(place) = model[document].pointer_mut(&pointer) {
                *place = value.clone();
            }
            editor.set(document, &pointer, &value)
        }
    };
    match result {
        Ok(()) => {}
        Err(EditError::Refused { reason, .. }) => {
            ensure!(editor.text() == text, "a refused change left its traces");
            return Ok(Outcome::Refused(reason));
        }
        Err(EditError::Impossible { .. }) => return Ok(Outcome::Nothing),
        Err(error) => return Err(error.into()),
    }
    let after = editor.finish()?;
    check(text, &after, document, &pointer, &documents, &model)?;
    Ok(Outcome::Done)
}

/// The right values, and no other byte touched.
fn check(
    before: &str,
    after: &str,
    document: usize,
    pointer: &str,
    documents: &[asm_shared::yaml::Document],
    model: &[Value],
) -> Result<()> {
    let again: Vec<Value> = read(after.as_bytes(), &Limits::default())?.iter().map(|d| (*d.value).clone()).collect();
    ensure!(again == model, "document {document} {pointer}: {again:?} instead of {model:?}\n{before}\n=====\n{after}");
    if before == after {
        return Ok(());
    }
    // What differs, in whole lines, lies within the lines of the field's parent and the comment above it.
    let lines = |text: &str| text.split_inclusive('\n').map(str::to_owned).collect::<Vec<_>>();
    let (old, new) = (lines(before), lines(after));
    let prefix = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let longest = old.len().min(new.len()) - prefix;
    let suffix = old.iter().rev().zip(new.iter().rev()).take(longest).take_while(|(a, b)| a == b).count();
    let parent = pointer.rfind('/').map_or("", |end| &pointer[..end]);
    let Some(span) = documents[document].span_of(parent).filter(|_| !parent.is_empty()) else { return Ok(()) };
    let line_of = |byte: usize| before[..byte.min(before.len())].matches('\n').count();
    let (mut first, mut last) = (line_of(span.bytes().start), line_of(span.bytes().end));
    let is_remark = |line: &String| line.trim().is_empty() || line.trim_start().starts_with('#');
    while first > 0 && is_remark(&old[first - 1]) {
        first -= 1;
    }
    // A comment below the last field, further right than what follows, belongs to it: additions go below it.
    while old.get(last + 1).is_some_and(is_remark) {
        last += 1;
    }
    ensure!(
        // A list or map that becomes empty is written behind its key, one line up.
        prefix + 1 >= first && old.len() - suffix <= last + 1,
        "document {document} {pointer}: lines {}..{} differ, the parent has {first}..{last}\n{before}\n=====\n{after}",
        prefix,
        old.len() - suffix
    );
    Ok(())
}

fn walk(value: &Value, at: String, out: &mut Vec<String>) {
    out.push(at.clone());
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                walk(value, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), out);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                walk(value, format!("{at}/{index}"), out);
            }
        }
        _ => {}
    }
}

fn list<'a>(value: &'a mut Value, pointer: &str) -> &'a mut Vec<Value> {
    match value.pointer_mut(pointer) {
        Some(Value::Array(items)) => items,
        _ => unreachable!("the pointer was taken from a list"),
    }
}

fn remove(value: &mut Value, pointer: &str) {
    let Some(end) = pointer.rfind('/') else { return };
    let key = pointer[end + 1..].replace("~1", "/").replace("~0", "~");
    match value.pointer_mut(&pointer[..end]) {
        Some(Value::Object(map)) => {
            map.remove(&key);
        }
        Some(Value::Array(items)) => {
            if let Ok(index) = key.parse::<usize>() {
                items.remove(index);
            }
        }
        _ => {}
    }
}

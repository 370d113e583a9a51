//! SARIF 2.1.0, as code scanning of forges and editors read it.

use super::judgement::{Files, Judgement};
use asm_shared::fleet::MemoryTree;
use asm_shared::lint::{Finding, Fix, Place, Rule, Severity, SourceText, mend};
use serde_json::{Map, Value, json};
use similar::{DiffOp, TextDiff};
use std::collections::{BTreeMap, HashMap};

/// Where the pages of rules are, before the ID.
const PAGES: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/rules/");

/// The log. `prefix`: what stands before a file's path in Git.
pub(super) fn log(judgement: &Judgement, files: &Files, prefix: &str) -> Value {
    let rules: Vec<Value> = judgement.rules.iter().map(|rule| descriptor(rule)).collect();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let results = judgement.findings.iter().enumerate().map(|(index, finding)| {
        let rule = judgement.rules.iter().position(|rule| rule.id == finding.rule);
        let nth = seen.entry(finding.fingerprint()).or_default();
        *nth += 1;
        let mut result = result(finding, rule, *nth, files, prefix);
        if let Some(new) = judgement.is_new(index) {
            result.insert("baselineState".to_owned(), if new { "new" } else { "unchanged" }.into());
        }
        Value::Object(result)
    });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "kubectl-asm",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            // SARIF counts columns in UTF-16 unless it is told otherwise.
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The root of the Git repository."}}},
            "results": results.collect::<Vec<_>>(),
        }]
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn descriptor(rule: &Rule) -> Value {
    let page = rule.markdown();
    json!({
        "id": rule.id,
        "name": rule.id,
        "shortDescription": {"text": rule.summary},
        "help": {"text": page, "markdown": page},
        "helpUri": format!("{PAGES}{}.md", rule.id),
        "defaultConfiguration": {"level": level(rule.severity)},
        "properties": {"tags": rule.istio.iter().chain(rule.kiali).collect::<Vec<_>>()},
    })
}

fn result(finding: &Finding, rule: Option<usize>, nth: usize, files: &Files, prefix: &str) -> Map<String, Value> {
    let text =
        finding.hint.as_ref().map_or_else(|| finding.message.clone(), |hint| format!("{}. {hint}", finding.message));
    let related = finding.related.iter().enumerate().map(|(id, related)| {
        let mut location = location(&related.place, files, prefix);
        location["id"] = (id + 1).into();
        location["message"] = json!({"text": related.label});
        location
    });
    let targets: Vec<&str> = finding.targets.iter().map(|target| target.name()).collect();
    let mut result = Map::new();
    let mut put = |name: &str, value: Value| {
        result.insert(name.to_owned(), value);
    };
    put("ruleId", finding.rule.into());
    put("level", level(finding.severity).into());
    put("message", json!({"text": text}));
    put("locations", json!([location(&finding.place, files, prefix)]));
    put("partialFingerprints", json!({"kubectlAsm/v1": format!("{}:{nth}", finding.fingerprint())}));
    put("properties", json!({"targets": targets}));
    if let Some(rule) = rule {
        put("ruleIndex", rule.into());
    }
    if !finding.related.is_empty() {
        put("relatedLocations", related.collect());
    }
    let fixes: Vec<Value> = finding.fixes.iter().filter_map(|fix| changes(finding, fix, files, prefix)).collect();
    if !fixes.is_empty() {
        put("fixes", fixes.into());
    }
    result
}

fn location(place: &Place, files: &Files, prefix: &str) -> Value {
    let mut region = json!({"startLine": place.position.line, "startColumn": place.position.column});
    if let Some(excerpt) = files.get(&place.position.file).and_then(|text| text.excerpt(place)) {
        let meant = excerpt.text.get(excerpt.span).map_or(0, |text| text.chars().count());
        region["endColumn"] = (place.position.column as usize + meant).into();
    }
    let mut location = json!({"physicalLocation": {
        "artifactLocation": {"uri": uri(&place.position.file, prefix), "uriBaseId": "%SRCROOT%"},
        "region": region,
    }});
    if let Some(object) = &place.object {
        let name = if place.path.is_empty() { object.to_string() } else { format!("{object} {}", place.path) };
        location["logicalLocations"] = json!([{"fullyQualifiedName": name, "kind": "object"}]);
    }
    location
}

/// A path as a relative URI.
fn uri(file: &str, prefix: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/');
    let bytes = prefix.bytes().chain(file.bytes());
    bytes.map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// What a fix changes, as lines that are replaced. `None` when it cannot be made, or in files that hold secrets.
fn changes(finding: &Finding, fix: &Fix, files: &Files, prefix: &str) -> Option<Value> {
    let mut texts: BTreeMap<&str, &SourceText> = BTreeMap::new();
    for edit in &fix.edits {
        let text = files.get(&edit.file).filter(|text| !text.is_private())?;
        texts.insert(&edit.file, text);
    }
    let tree: MemoryTree = texts.iter().map(|(path, text)| (*path, text.text())).collect();
    let only = Finding { fixes: vec![fix.clone()], ..finding.clone() };
    let mended = mend(&tree, std::slice::from_ref(&only), true).files;
    if mended.is_empty() {
        return None;
    }
    let changes = mended.iter().filter_map(|(path, after)| {
        let before = texts.get(&**path)?.text();
        let artifact = json!({"uri": uri(path, prefix), "uriBaseId": "%SRCROOT%"});
        Some(json!({"artifactLocation": artifact, "replacements": replacements(before, after)}))
    });
    let safe = if fix.safe { "" } else { " (changes what the files mean)" };
    Some(json!({
        "description": {"text": format!("{}{safe}", fix.title)},
        "artifactChanges": changes.collect::<Vec<_>>(),
    }))
}

fn replacements(before: &str, after: &str) -> Vec<Value> {
    let diff = TextDiff::from_lines(before, after);
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let changed = diff.ops().iter().filter(|op| !matches!(op, DiffOp::Equal { .. }));
    changed
        .map(|op| {
            let (old, lines) = (op.old_range(), new.get(op.new_range()).unwrap_or_default().concat());
            // From the first column of the first line to the first of the line after the last: an empty stretch inserts.
            json!({
                "deletedRegion": {
                    "startLine": old.start + 1, "startColumn": 1, "endLine": old.end + 1, "endColumn": 1,
                },
                "insertedContent": {"text": lines},
            })
        })
        .collect()
}

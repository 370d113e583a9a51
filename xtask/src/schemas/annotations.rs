//! Writes the table of Istio's annotations that `asm_shared::istio` embeds, out of `annotation/annotations.yaml` of several
//! versions of Istio's API module: where an annotation belongs, when it came, when it was given up.

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

const FILE: &str = "shared/src/istio/annotations.json";

/// What one version says of one annotation.
struct Entry {
    on: Value,
    is_alpha: bool,
    is_deprecated: bool,
}

/// Versions (`1.20`), oldest first, each with the folder of its module.
pub(super) fn write(root: &Path, modules: &[(String, std::path::PathBuf)]) -> Result<()> {
    let mut known: BTreeMap<String, BTreeMap<usize, Entry>> = BTreeMap::new();
    for (index, (_, module)) in modules.iter().enumerate() {
        let path = module.join("annotation/annotations.yaml");
        let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let documents = asm_shared::yaml::read(&text, &asm_shared::yaml::Limits::default());
        let documents = documents.map_err(|error| anyhow::anyhow!("{}: {error:?}", path.display()))?;
        let rows = documents.iter().filter_map(|document| document.value.get("annotations")?.as_array()).flatten();
        for row in rows {
            let name = row["name"].as_str().context("an annotation has a name")?.to_owned();
            let entry = Entry {
                on: row["resources"].clone(),
                // Where nothing is said, Istio's own code reads Alpha.
                is_alpha: row.get("featureStatus").is_none_or(|status| status == "Alpha"),
                is_deprecated: row["deprecated"] == true,
            };
            known.entry(name).or_default().insert(index, entry);
        }
    }
    let version = |index: usize| modules.get(index).map(|(version, _)| version.as_str());
    let rows: Vec<String> = known.iter().map(|(name, at)| row(name, at, &version).to_string()).collect();
    let versions: Vec<&str> = modules.iter().map(|(version, _)| version.as_str()).collect();
    let mut text = format!("{{\n\"source\": \"Istio API {}, Apache-2.0\",\n\"annotations\": [\n", versions.join(", "));
    let _ = write!(text, "{}\n]\n}}\n", rows.join(",\n"));
    let path = root.join(FILE);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    anstream::println!("{}: {} annotations", path.display(), rows.len());
    Ok(())
}

fn row<'v>(name: &str, at: &BTreeMap<usize, Entry>, version: &dyn Fn(usize) -> Option<&'v str>) -> Value {
    let mut row = Map::new();
    row.insert("name".to_owned(), name.into());
    let (first, last) = (at.keys().next().copied().unwrap_or(0), at.keys().next_back().copied().unwrap_or(0));
    if let Some(newest) = at.get(&last) {
        row.insert("on".to_owned(), newest.on.clone());
        if newest.is_alpha {
            row.insert("alpha".to_owned(), json!(true));
        }
    }
    let given_up = at.iter().find(|(_, entry)| entry.is_deprecated).and_then(|(index, _)| version(*index));
    for (field, version) in [
        ("deprecated", given_up),
        // The newest version before it, and the first one without it.
        ("after", first.checked_sub(1).and_then(version)),
        ("gone", version(last + 1)),
    ] {
        row.extend(version.map(|version| (field.to_owned(), version.into())));
    }
    Value::Object(row)
}

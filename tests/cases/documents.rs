//! Where the vendor's document on serverless gateways over several clusters is at hand, the story's expected objects are
//! compared with the manifests in it, field by field.

use anyhow::{Context as _, Result, ensure};
use asm_lab::story::{AFTER_V3, EXPECTED, Expected, holds};
use serde_json::Value;
use std::path::Path;

/// The folder with documents, beside the project.
const FOLDER: &str = "../../shared/seeds";

#[test]
fn the_expected_objects_are_those_of_the_document() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
    let Ok(files) = std::fs::read_dir(&folder) else {
        #[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
        {
            eprintln!("skipped: the vendor's documents are not beside the project");
        }
        return Ok(());
    };
    let mut texts = Vec::new();
    for file in files {
        texts.push(std::fs::read_to_string(file?.path())?);
    }
    let text = texts.iter().find(|text| text.contains("bookinfo-m1c1.yaml")).context("no such document")?;
    let shown = manifests(text)?;
    ensure!(shown.len() == EXPECTED.len() + AFTER_V3.len(), "the document shows {} objects", shown.len());
    for expected in EXPECTED.iter().chain(AFTER_V3) {
        let object = expected.object()?;
        ensure!(
            shown.iter().any(|shown| same(shown, &object)),
            "the document does not show {} {} of {} like this: {object:#}",
            object["kind"],
            Expected::name(expected),
            expected.context
        );
    }
    Ok(())
}

/// Equal in every field, apart from the version of the group and the namespace, which the document leaves to the reader.
fn same(shown: &Value, expected: &Value) -> bool {
    let mut expected = expected.clone();
    if shown["metadata"].get("namespace").is_none()
        && let Some(metadata) = expected["metadata"].as_object_mut()
    {
        metadata.remove("namespace");
    }
    holds(shown, &expected) && holds(&expected, shown)
}

/// The manifests between the prose: indented blocks that begin with a comment or `apiVersion`.
fn manifests(text: &str) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    let mut block: Option<(usize, String)> = None;
    let mut finish = |block: &mut Option<(usize, String)>| -> Result<()> {
        if let Some((_, yaml)) = block.take() {
            for document in asm_lab::documents(&yaml)? {
                found.push(document);
            }
        }
        Ok(())
    };
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let trimmed = line.trim();
        if let Some((depth, yaml)) = &mut block {
            if trimmed.is_empty() || indent >= *depth {
                yaml.push_str(line.get(*depth..).unwrap_or_default());
                yaml.push('\n');
                continue;
            }
            finish(&mut block)?;
        }
        if trimmed.starts_with("apiVersion:") {
            block = Some((indent, format!("{trimmed}\n")));
        }
    }
    finish(&mut block)?;
    Ok(found)
}

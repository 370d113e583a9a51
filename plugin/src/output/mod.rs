//! Output formats (`-o`) and the versioned documents of the machine formats.

mod schema;

pub(crate) use schema::{schema, with_type};

use crate::error::CommandError;
use crate::ui::Ui;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// `apiVersion` of every document that a command prints.
pub const API_VERSION: &str = "kubectl-asm.io/v1alpha1";

/// A format of `-o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// For people (no `-o`).
    Human,
    /// For people, with more columns.
    Wide,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
    /// `resource/name`, one per line.
    Name,
}

impl OutputFormat {
    /// The word after `-o`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Wide => "wide",
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Name => "name",
        }
    }

    /// The format that was asked for, if this command has it. `Human` is always allowed.
    pub fn choose(requested: Option<&str>, allowed: &[Self]) -> Result<Self, CommandError> {
        let Some(word) = requested else { return Ok(Self::Human) };
        allowed.iter().copied().chain([Self::Human]).find(|format| format.word() == word).ok_or_else(|| {
            let words: Vec<_> = allowed.iter().filter(|f| **f != Self::Human).map(|f| f.word()).collect();
            unknown(word, &words)
        })
    }

    /// Is it for machines (one document, nothing else on stdout)?
    pub fn is_document(self) -> bool {
        matches!(self, Self::Json | Self::Yaml)
    }
}

/// A word after `-o` that a command does not have.
pub(crate) fn unknown(word: &str, allowed: &[&str]) -> CommandError {
    CommandError::usage(if allowed.is_empty() {
        format!("this command has no output format `{word}`: leave -o out")
    } else {
        format!("unknown output format `{word}` for this command: allowed are {}", allowed.join(", "))
    })
}

/// What a command prints with `-o json`, beside `apiVersion` and `kind`. Its schema is published: see `crate::schemas`.
pub trait Document: Serialize + JsonSchema {
    /// The `kind`.
    const KIND: &'static str;
}

/// The document of a body.
pub fn of<D: Document>(body: &D) -> Result<Value, CommandError> {
    document(D::KIND, body)
}

/// A versioned document: `apiVersion`, `kind` and the fields of `body`.
pub fn document(kind: &str, body: impl Serialize) -> Result<Value, CommandError> {
    let mut document = json!({ "apiVersion": API_VERSION, "kind": kind });
    let body = serde_json::to_value(body)
        .map_err(|error| CommandError::internal(format!("cannot write a {kind}")).caused_by(&error))?;
    if let (Value::Object(document), Value::Object(body)) = (&mut document, body) {
        document.extend(body);
    }
    Ok(document)
}

/// Prints a document as JSON or YAML; does nothing for the formats for people.
pub fn print(ui: &Ui, format: OutputFormat, document: &Value) -> Result<(), CommandError> {
    match format {
        OutputFormat::Json => {
            let text = serde_json::to_string_pretty(document)
                .map_err(|error| CommandError::internal("cannot write JSON").caused_by(&error))?;
            ui.data(&text);
            ui.data("\n");
        }
        OutputFormat::Yaml => ui.data(&asm_shared::yaml::write(document)),
        OutputFormat::Human | OutputFormat::Wide | OutputFormat::Name => {}
    }
    Ok(())
}

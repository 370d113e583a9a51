//! Test files of others, as cases of ours: istio-config-validator's `testCases`, Envoy's `router_check_tool`.

mod router_check;
mod validator;

use super::Case;
use crate::fleet::Position;
use crate::object::At as _;
use crate::yaml::Document;
use serde_json::Value;
use std::sync::Arc;

/// What a test file of others gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Foreign {
    /// Its cases.
    pub cases: Vec<Case>,
    /// What of it means nothing here, and why.
    pub ignored: Vec<String>,
}

/// Reads a document, if it is one of theirs: `testCases` of istio-config-validator, or `tests` of router_check_tool.
pub fn read(document: &Document, file: &Arc<str>) -> Option<Foreign> {
    let value = &*document.value;
    let mut read = Foreign::default();
    let reader = |key: &str| value.get(key).and_then(Value::as_array);
    if let Some(tests) = reader("testCases") {
        for (index, test) in tests.iter().enumerate() {
            validator::read(test, &at(document, file, &format!("/testCases/{index}")), &mut read);
        }
    } else if let Some(tests) = reader("tests").or_else(|| value.as_array().filter(|_| is_router_check(value))) {
        let before = if value.is_array() { "" } else { "/tests" };
        for (index, test) in tests.iter().enumerate() {
            router_check::read(test, &at(document, file, &format!("{before}/{index}")), &mut read);
        }
    } else {
        return None;
    }
    Some(read)
}

fn is_router_check(value: &Value) -> bool {
    value.get(0).is_some_and(|first| first.get("input").is_some() && first.get("validate").is_some())
}

fn at(document: &Document, file: &Arc<str>, pointer: &str) -> Position {
    let (line, column) = document.position_of(pointer).unwrap_or_else(|| document.start());
    Position { file: file.clone(), line, column }
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    match value.at(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

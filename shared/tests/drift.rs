//! What is drift, and what is not: the corpus, judged with answers that a real API server gave. They are written down anew
//! with `KUBECTL_ASM_CORPUS=write` and the test of the lab (`tests/cases/drift_corpus.rs`).

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test reads its files, and panics")]

#[allow(dead_code, reason = "the test on the lab uses all of it")]
#[path = "drift/corpus.rs"]
mod corpus;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn answers() -> BTreeMap<String, Value> {
    let lines = corpus::FILES.iter().flat_map(|file| {
        let text = corpus::text(&format!("answers/{file}.jsonl"));
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    let answer = |line: String| -> (String, Value) { serde_json::from_str(&line).unwrap() };
    lines.map(answer).collect()
}

#[test]
fn nothing_is_drift_but_what_somebody_changed() {
    let (cases, answers) = (corpus::cases(), answers());
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| match answers.get(&case.name) {
            Some(live) => corpus::wrong(case, live),
            None => Some(format!("{}: no answer is written down", case.name)),
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn the_corpus_is_as_large_as_it_says() {
    let cases = corpus::cases();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    let changed = cases.iter().filter(|case| !case.drift.is_empty()).count();
    assert!(cases.len() - changed >= 250 && changed >= 50, "{} and {changed}", cases.len() - changed);
    // A case of `changed.yaml` without a change, or the other way round, is in the wrong file.
    for case in &cases {
        assert_eq!(case.file == "changed", !case.drift.is_empty(), "{}", case.name);
    }
}

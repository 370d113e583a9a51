//! What a real Istio answered stays what the simulator says: `tests/judged/*.yaml`, written by the differential test.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on panics; fixtures are files"
)]

mod judged;

use judged::Case;
use std::path::Path;

#[test]
fn the_simulator_says_what_the_judge_said() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judged");
    let mut wrong = Vec::new();
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    for file in files {
        let case: Case = serde_saphyr::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let state = case.state();
        assert!(state.problems.is_empty(), "{}: {:?}", file.display(), state.problems);
        let answered = case.requests.iter().map(|question| (question, question.answer.as_ref().unwrap()));
        for (number, differences) in case.differences(answered) {
            wrong.push(format!("{} request {number}: {}", file.display(), differences.join("; ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

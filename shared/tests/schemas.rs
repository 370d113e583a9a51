//! The schemas against Istio's own test data, where it is beside the project: each case is one object that Istio's CRDs
//! (structure and CEL rules) accept or refuse.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::panic,
    reason = "a test that reads cases and says how many there are"
)]

use asm_shared::schema::{Verdict, judge};
use asm_shared::yaml::{Limits, read};
use serde_json::Value;
use std::path::Path;

/// The folder of cases, beside the project.
const FOLDER: &str = "../../shared/conformance/istio/crds";

#[test]
fn istios_crds_say_the_same_of_istios_own_test_data() {
    let Ok(cases) = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER)) else {
        eprintln!("skipped: Istio's test data is not beside the project");
        return;
    };
    let (mut count, mut wrong) = (0, Vec::new());
    for case in cases.map(|entry| entry.unwrap().path()) {
        let facts: Value = serde_json::from_slice(&std::fs::read(case.join("case.json")).unwrap()).unwrap();
        let text = std::fs::read(case.join("object.yaml")).unwrap();
        let object = read(&text, &Limits::default()).unwrap().remove(0).value;
        let found = match judge(&object) {
            Verdict::Judged(violations) => violations,
            other => panic!("{}: {other:?}", case.display()),
        };
        count += 1;
        let valid = facts["expected"] == "valid";
        if valid != found.is_empty() {
            wrong.push(format!("{}: {}, we say {found:?}", facts["case"], facts["error_fragment"]));
        }
    }
    wrong.sort();
    assert!(count > 0 && wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
    eprintln!("{count} cases agree");
}

//! Code Quality report of GitLab.

use super::judgement::Judgement;
use asm_shared::lint::Severity;
use serde_json::{Value, json};
use std::collections::HashMap;

/// The report. `prefix`: what stands before a file's path in Git.
pub(super) fn report(judgement: &Judgement, prefix: &str) -> Value {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let findings = judgement.findings.iter().map(|finding| {
        // GitLab drops all but one of those with the same fingerprint.
        let fingerprint = finding.fingerprint();
        let nth = seen.entry(fingerprint.clone()).or_default();
        *nth += 1;
        let fingerprint = if *nth == 1 { fingerprint } else { format!("{fingerprint}-{nth}") };
        let hint = finding.hint.as_ref().map(|hint| format!(". {hint}")).unwrap_or_default();
        let at = &finding.place.position;
        json!({
            "check_name": finding.rule,
            "description": format!("{}{hint}", finding.message),
            "fingerprint": fingerprint,
            "severity": match finding.severity {
                Severity::Error => "major",
                Severity::Warning => "minor",
                Severity::Info => "info",
            },
            "location": {"path": format!("{prefix}{}", at.file), "lines": {"begin": at.line}},
        })
    });
    findings.collect()
}

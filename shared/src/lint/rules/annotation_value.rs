//! # annotation-value
//!
//! ## What it finds
//!
//! A value outside of what the controller's key takes: a word that is not among its words (they are compared letter by
//! letter), a number out of range, an ID of another kind, no text at all. `on` without quotes is `true` in YAML.
//!
//! ## Why it is bad
//!
//! The controller refuses to sync the Service again and again, or the cloud refuses the call: the load balancer stays as it was.
//!
//! ## How to mend it
//!
//! Write one of the values that the message names, in quotes.

use super::super::Severity;
use super::super::finding::EditOp;
use super::super::rule::{Rule, Status};
use super::super::sink::{Report, Sink};
use super::super::world::{Front, Setting, World};
use crate::asm::annotations::{Annotation, Values};
use crate::distance::distance;
use serde_json::Value;

/// See the module.
pub(in crate::lint) const RULE: Rule = Rule {
    id: "annotation-value",
    severity: Severity::Error,
    summary: "an annotation has a value that the cloud controller does not take",
    istio: &[],
    kiali: &[],
    status: Status::Stable("0.1.0"),
    fixes: true,
    source: include_str!("annotation_value.rs"),
    check,
};

fn check<'a>(world: &World<'a>, sink: &mut Sink<'a>) {
    for front in world.fronts().iter().filter(|front| front.is_load_balancer()) {
        for setting in &front.settings {
            if let Some(row) = setting.row {
                sink.extend(judge(front, setting, row));
            }
        }
    }
}

fn judge<'a>(front: &Front<'a>, setting: &Setting<'a>, row: &'static Annotation) -> Option<Report<'a>> {
    let name = row.name;
    let report =
        |message: String| Report::at(front.manifest, &*setting.pointer, message).targets([front.target.clone()]);
    let set = |value: &str| vec![(front.manifest, EditOp::Set(setting.pointer.clone(), Value::from(value)))];
    let Some(text) = setting.value.as_str() else {
        let meant = match setting.value {
            // YAML 1.1 reads `on` and `off` as true and false, and so does kubectl.
            Value::Bool(flag) if row.values.words() == ["on", "off"] => if *flag { "on" } else { "off" }.to_owned(),
            Value::Bool(_) | Value::Number(_) => setting.value.to_string(),
            _ => return Some(report(format!("{name} has to be text"))),
        };
        let message = format!("{name} has to be text: the API server refuses {}", setting.value);
        return Some(report(message).hint("Quote it").fix(format!("write \"{meant}\""), true, set(&meant)));
    };
    let allowed = row.check(text).err()?;
    let shown = if text.is_empty() { "nothing" } else { text };
    let report = report(format!("{name} is {shown}: {allowed}"));
    let meant =
        row.values.words().iter().map(|word| (distance(&word.to_lowercase(), &text.to_lowercase()), *word)).min();
    let number = matches!(row.values, Values::Range(..))
        .then(|| text.trim().trim_end_matches(['s', 'M']))
        .filter(|text| row.check(text).is_ok());
    Some(match (meant.filter(|(far, _)| *far <= 2), number) {
        (Some((far, word)), _) => {
            let report = report.hint(format!("Did you mean {word}?"));
            report.fix(format!("write {word}"), far == 0, set(word))
        }
        (None, Some(number)) => report.hint("Write the number alone").fix(format!("write {number}"), true, set(number)),
        (None, None) => report,
    })
}

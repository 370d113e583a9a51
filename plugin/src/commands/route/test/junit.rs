//! JUnit XML: a test case per request.

use super::report::{Item, Report};
use crate::commands::lint::escaped;
use std::fmt::Write as _;

/// The page.
pub(super) fn page(report: &Report) -> String {
    let (_, failures) = report.counts();
    let counts = format!(
        "name=\"kubectl asm route test\" tests=\"{}\" failures=\"{failures}\" errors=\"0\"",
        report.items.len()
    );
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string does not fail, here and below.
    let _ = writeln!(text, "<testsuites {counts}>\n  <testsuite {counts} skipped=\"0\">");
    report.items.iter().for_each(|item| case(&mut text, item));
    text + "  </testsuite>\n</testsuites>\n"
}

fn case(text: &mut String, item: &Item) {
    let place = item.case.position.as_ref();
    let place =
        place.map(|place| format!(" file=\"{}\" line=\"{}\"", escaped(&place.file), place.line)).unwrap_or_default();
    let class = if item.case.test.is_empty() { "route test" } else { &item.case.test };
    let name = if item.case.name.is_empty() { item.case.told() } else { item.case.name.clone() };
    let head = format!("    <testcase classname=\"{}\" name=\"{}\"{place}", escaped(class), escaped(&name));
    if item.is_ok() {
        let _ = writeln!(text, "{head}/>");
        return;
    }
    let mut body = item.case.told();
    match &item.answers {
        Err(error) => body.push_str(&format!("\n{error}\nhelp: {}", error.hint)),
        Ok(answers) => {
            for (answered, found) in answers {
                let _ = write!(body, "\nat {}: {}", answered.gateway, answered.seen.effect.told());
                for mismatch in found {
                    let _ =
                        write!(body, "\n{}: expected {}, found {}", mismatch.field, mismatch.expected, mismatch.found);
                }
            }
        }
    }
    let message = body.lines().nth(1).unwrap_or_default().to_owned();
    let _ = writeln!(
        text,
        "{head}>\n      <failure type=\"outcome\" message=\"{}\">{}</failure>\n    </testcase>",
        escaped(&message),
        escaped(&body)
    );
}

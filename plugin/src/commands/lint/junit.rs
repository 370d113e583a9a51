//! JUnit XML: a test case per finding, and one for every rule that finds nothing.

use super::judgement::Judgement;
use asm_shared::lint::{Finding, Severity};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The page.
pub(super) fn page(judgement: &Judgement) -> String {
    let found: BTreeSet<&str> = judgement.findings.iter().map(|finding| finding.rule).collect();
    let silent: Vec<_> = judgement.rules.iter().filter(|rule| !found.contains(rule.id)).collect();
    let failures = judgement.findings.iter().filter(|finding| fails(finding)).count();
    let tests = judgement.findings.len() + silent.len();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string does not fail, here and below.
    let counts = format!("name=\"kubectl asm lint\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\"");
    let _ = writeln!(text, "<testsuites {counts}>\n  <testsuite {counts} skipped=\"0\">");
    for finding in &judgement.findings {
        case(&mut text, finding);
    }
    for rule in silent {
        let _ = writeln!(text, "    <testcase classname=\"{}\" name=\"{}\"/>", rule.id, escaped(rule.summary));
    }
    text + "  </testsuite>\n</testsuites>\n"
}

/// Does it make the run fail?
fn fails(finding: &Finding) -> bool {
    finding.severity >= Severity::Warning
}

fn case(text: &mut String, finding: &Finding) {
    let at = &finding.place.position;
    let object = finding.place.object.as_ref().map(|object| format!(" {object}")).unwrap_or_default();
    let name = escaped(&format!("{at}{object}"));
    let file = escaped(&at.file);
    let _ = writeln!(
        text,
        "    <testcase classname=\"{}\" name=\"{name}\" file=\"{file}\" line=\"{}\">",
        finding.rule, at.line
    );
    let mut body = format!("{at}: {}[{}]: {}", finding.severity, finding.rule, finding.message);
    for related in &finding.related {
        let _ = write!(body, "\n{}: {}", related.place.position, related.label);
    }
    finding.hint.iter().for_each(|hint| body.push_str(&format!("\nhelp: {hint}")));
    let body = escaped(&body);
    let _ = if fails(finding) {
        let message = escaped(&finding.message);
        writeln!(text, "      <failure type=\"{}\" message=\"{message}\">{body}</failure>", finding.severity)
    } else {
        writeln!(text, "      <system-out>{body}</system-out>")
    };
    text.push_str("    </testcase>\n");
}

/// Text for an attribute or an element. XML has no way to write most control characters.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_xml_cannot_hold() {
        assert_eq!(super::escaped("a<b> & \"c\"\n\u{1b}[0m"), "a&lt;b&gt; &amp; &quot;c&quot;&#10;\u{fffd}[0m");
    }
}

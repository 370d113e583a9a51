//! Workflow commands of GitHub Actions: each becomes a remark beside its line.

use super::judgement::Judgement;
use asm_shared::lint::{Finding, Severity};

/// One command per finding. `prefix`: what stands before a file's path in Git.
pub(super) fn commands(judgement: &Judgement, prefix: &str) -> String {
    judgement.findings.iter().map(|finding| command(finding, prefix)).collect()
}

fn command(finding: &Finding, prefix: &str) -> String {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "notice",
    };
    let at = &finding.place.position;
    let mut message = finding.message.clone();
    for related in &finding.related {
        message.push_str(&format!("\n{prefix}{}: {}", related.place.position, related.label));
    }
    finding.hint.iter().for_each(|hint| message.push_str(&format!("\nhelp: {hint}")));
    format!(
        "::{level} file={},line={},col={},title={}::{}\n",
        property(&format!("{prefix}{}", at.file)),
        at.line,
        at.column,
        property(finding.rule),
        data(&message)
    )
}

/// Text behind the command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property, which a comma or colon would end.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_ends_the_command() {
        assert_eq!(data("100% a:b,c\r\n::error::x"), "100%25 a:b,c%0D%0A::error::x");
        assert_eq!(property("a:b,c\n"), "a%3Ab%2Cc%0A");
    }
}

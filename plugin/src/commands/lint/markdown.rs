//! The findings as Markdown, for a pull request.

use super::human;
use super::judgement::Judgement;
use asm_shared::lint::{Finding, Severity};

/// Characters that fit into a comment on every forge.
pub(super) const BUDGET: usize = 60_000;

/// At most `budget` characters: the counts, then as many findings as fit, the worst and newest first.
pub(super) fn page(judgement: &Judgement, budget: usize) -> String {
    let head = format!("### asm lint\n\n{}", human::summary(judgement).trim_end().replace('\n', "  \n"));
    let mut order: Vec<(usize, &Finding)> = judgement.findings.iter().enumerate().collect();
    // Stable: what is alike stays in the order of places.
    order.sort_by_key(|(index, finding)| {
        (std::cmp::Reverse(judgement.is_new(*index)), std::cmp::Reverse(finding.severity))
    });
    let rows: Vec<String> = order.iter().map(|(index, finding)| row(finding, judgement.is_new(*index))).collect();
    let table = "\n\n| | where | finding |\n|---|---|---|\n";
    let mut page = head;
    if rows.is_empty() {
        return page + "\n";
    }
    // Room for the line that says what is left out.
    let room = budget.saturating_sub(page.chars().count() + table.chars().count() + 40);
    let mut used = 0;
    let fitting = rows.iter().take_while(|row| {
        used += row.chars().count();
        used <= room
    });
    let fitting: Vec<&str> = fitting.map(String::as_str).collect();
    if !fitting.is_empty() {
        page.push_str(table);
        page.push_str(&fitting.concat());
    }
    let left = rows.len() - fitting.len();
    if left > 0 {
        page.push_str(&format!("\n{left} more are left out\n"));
    }
    page
}

fn row(finding: &Finding, new: Option<bool>) -> String {
    let mark = match finding.severity {
        Severity::Error => "❌ error",
        Severity::Warning => "⚠️ warning",
        Severity::Info => "ℹ️ info",
    };
    let new = if new == Some(true) { " **new**" } else { "" };
    let object = finding.place.object.as_ref().map(|object| format!("<br>{}", cell(&object.to_string())));
    let hint = finding.hint.as_ref().map(|hint| format!("<br>{}", cell(hint)));
    format!(
        "| {mark}{new} | `{}`{} | {} (`{}`){} |\n",
        finding.place.position.to_string().replace(['`', '|'], "_"),
        object.unwrap_or_default(),
        cell(&finding.message),
        finding.rule,
        hint.unwrap_or_default()
    )
}

/// Text inside a cell: nothing in it ends the cell, mentions somebody or is HTML. Code stays code.
fn cell(text: &str) -> String {
    let mut cell = String::new();
    for c in text.chars() {
        match c {
            '|' => cell.push_str("\\|"),
            '<' => cell.push_str("&lt;"),
            '@' => cell.push_str("&#64;"),
            '*' | '_' | '[' | ']' if !in_code(&cell) => {
                cell.push('\\');
                cell.push(c);
            }
            c if c.is_control() => cell.push(' '),
            c => cell.push(c),
        }
    }
    cell
}

/// Is an odd number of backticks open?
fn in_code(text: &str) -> bool {
    text.matches('`').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use asm_shared::fleet::Position;
    use asm_shared::lint::Place;

    fn finding(number: usize, severity: Severity) -> Finding {
        let file = format!("mesh/{number}.yaml");
        Finding {
            rule: "fleet",
            severity,
            code: None,
            message: format!("number {number} is wrong"),
            hint: None,
            place: Place {
                position: Position { file: file.as_str().into(), line: 1, column: 1 },
                object: None,
                path: String::new(),
            },
            related: Vec::new(),
            targets: Vec::new(),
            fixes: Vec::new(),
        }
    }

    #[test]
    fn a_page_keeps_its_budget_and_shows_the_worst_first() {
        let severity = |number| if number == 70 { Severity::Error } else { Severity::Warning };
        let findings: Vec<_> = (0..100).map(|number| finding(number, severity(number))).collect();
        let judgement = Judgement { findings, ..Judgement::default() };
        for budget in [200, 1_000, 5_000] {
            let page = page(&judgement, budget);
            assert!(page.chars().count() <= budget, "{budget}: {}", page.chars().count());
            let rows = page.lines().filter(|line| line.contains("is wrong")).count();
            assert!(page.contains(&format!("{} more are left out", 100 - rows)), "{page}");
            assert!(rows == 0 || page.find("number 70").unwrap() < page.find("is wrong").unwrap(), "{page}");
        }
        let whole = page(&judgement, BUDGET);
        assert!(whole.lines().filter(|line| line.contains("is wrong")).count() == 100 && !whole.contains("left out"));
    }

    #[test]
    fn nothing_in_a_text_ends_its_cell() {
        assert_eq!(cell("a|b <x> @me\n`*.a_b` *c*"), "a\\|b &lt;x> &#64;me `*.a_b` \\*c\\*");
    }
}

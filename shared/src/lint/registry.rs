//! The list of rules. A new rule is a file in `rules/`, a line here and a folder of fixtures; a test holds them together.

use super::rule::Rule;
use super::rules;

/// All rules, in the order of the documentation.
pub const RULES: &[&Rule] = &[
    #[cfg(feature = "schema")]
    &rules::schema::RULE,
    #[cfg(feature = "schema")]
    &rules::unknown_field::RULE,
    &rules::gateway_selector::RULE,
    &rules::virtual_service_gateway::RULE,
    &rules::virtual_service_host::RULE,
    &rules::destination_host::RULE,
    &rules::destination_subset::RULE,
    &rules::subset_pods::RULE,
];

/// The rule of this ID.
pub fn find(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_rule_has_an_id_of_its_own_and_a_page_that_says_what_why_and_how() {
        let ids: BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), RULES.len());
        for rule in RULES {
            let page = rule.page();
            let kebab = rule.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
            assert!(kebab, "{}", rule.id);
            for heading in ["## What it finds", "## Why it is bad", "## How to mend it"] {
                assert!(page.contains(heading), "{}: {heading} is missing", rule.id);
            }
        }
    }
}

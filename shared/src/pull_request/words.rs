//! Text that may stand in a title, a commit message or the name of a branch, whatever the fleet's files hold.

use serde_json::Value;

/// Longest value that is shown.
const VALUE: usize = 40;
/// Longest topic of a branch.
const TOPIC: usize = 40;

/// One line without control characters and without the invisible ones that change how the rest reads.
pub fn plain(text: &str) -> String {
    let invisible = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|c| if invisible(c) { '\u{fffd}' } else { c }).collect()
}

/// A value, if it is short and means nothing to a forge: `#12` and `@somebody` would link, close and notify.
pub(super) fn value(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '/' | '*' | '%' | '-');
    (!text.is_empty() && text.len() <= VALUE && text.chars().all(is_harmless)).then_some(text)
}

/// May a path with names of elements in it stand in a message? The names are anybody's.
pub(super) fn is_harmless_path(path: &str) -> bool {
    path.chars().all(|c| c.is_ascii_alphanumeric() || " .,_:/*%=-[]\"".contains(c))
}

/// A part of a branch's name: letters, digits and single hyphens.
pub(super) fn topic(text: &str) -> String {
    let mut topic = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            topic.push(c.to_ascii_lowercase());
        } else if !topic.is_empty() && !topic.ends_with('-') {
            topic.push('-');
        }
        if topic.len() >= TOPIC {
            break;
        }
    }
    let topic = topic.trim_end_matches('-');
    if topic.is_empty() { "fleet".to_owned() } else { topic.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_hides_in_a_line() {
        assert_eq!(plain("a\u{1b}[31mb\nc\u{202e}d\u{200b}"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}d\u{fffd}");
        assert_eq!(plain("VirtualService 商店"), "VirtualService 商店");
    }

    #[test]
    fn values_that_mean_something_to_a_forge_are_not_shown() {
        for (given, shown) in [
            (json!(90), Some("90")),
            (json!("Local"), Some("Local")),
            (json!("1/2"), Some("1/2")),
            (json!("closes #12"), None),
            (json!("@everybody"), None),
            (json!("<b>"), None),
            (json!(""), None),
            (json!(["a"]), None),
            (json!("a".repeat(41)), None),
        ] {
            assert_eq!(value(&given).as_deref(), shown, "{given}");
        }
    }

    #[test]
    fn names_in_paths_that_mean_something_to_a_forge_are_not_shown() {
        assert!(is_harmless_path("spec.http[\"exact pages\"].route[reviews v1].weight"));
        for path in ["spec.http[\"closes #12\"]", "spec.http[\"@all\"]", "spec.http[<b>]", "spec.http[商店]"] {
            assert!(!is_harmless_path(path), "{path}");
        }
    }

    #[test]
    fn topics_are_names_of_branches() {
        for (given, expected) in [
            ("bookinfo", "bookinfo"),
            ("Book Info..lock", "book-info-lock"),
            ("--x--", "x"),
            ("商店", "fleet"),
            ("", "fleet"),
            ("a~b^c:d?e*f[g\\h@{i", "a-b-c-d-e-f-g-h-i"),
        ] {
            assert_eq!(topic(given), expected);
        }
        assert!(topic(&"ab.".repeat(40)).len() <= TOPIC);
    }
}

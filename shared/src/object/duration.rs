//! Go durations as Istio writes them: `1s`, `1000ms`, `1h30m`. Compared by value.

/// Nanoseconds of a Go duration; `None` when the text is none.
pub fn parse_duration(text: &str) -> Option<i128> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || fraction.len() > 18 {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let part: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
        let power = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        total = total.checked_add(whole.checked_mul(unit)?)?.checked_add(part.checked_mul(unit)? / power)?;
        rest = after;
    }
    Some(if negative { -total } else { total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_time_in_other_words() {
        for (a, b) in
            [("1s", "1000ms"), ("1h30m", "90m"), ("0.5s", "500ms"), ("1.5h", "1h30m"), ("0", "0s"), (".5s", "500ms")]
        {
            assert_eq!(parse_duration(a), parse_duration(b), "{a} {b}");
            assert!(parse_duration(a).is_some());
        }
        assert_eq!(parse_duration("-1us"), Some(-1_000));
    }

    #[test]
    fn not_a_duration() {
        for text in ["", "-", "1", "s", "1x", "1s ", "1..s", "5d", "1s2"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}

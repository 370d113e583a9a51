//! Kubernetes quantities: `1`, `1000m`, `2G`, `2Gi`, `1e3`. Compared by value, never by text.

use serde_json::Value;

/// A quantity in billionths, the finest step that Kubernetes knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(i128);

impl Quantity {
    /// Reads a quantity; `None` when the text is none, or too large to compare exactly.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(number_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let (binary, decimal_exponent) = scale(suffix)?;
        let mut digits: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            digits = digits.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        digits = digits.checked_mul(binary)?;
        // Billionths: nine more decimal places than the number has after its point.
        let exponent = decimal_exponent.checked_add(9)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
        let billionths = if exponent >= 0 {
            digits.checked_mul(power)?
        } else {
            // Kubernetes rounds up what is finer than a billionth.
            digits.checked_add(power - 1)? / power
        };
        Some(Self(if negative { -billionths } else { billionths }))
    }

    /// Rounded up to thousandths, as API servers store the resources of a container.
    #[must_use]
    pub fn in_thousandths(self) -> Self {
        const STEP: i128 = 1_000_000;
        Self(if self.0 > 0 { self.0.saturating_add(STEP - 1) / STEP * STEP } else { self.0 / STEP * STEP })
    }

    /// Reads a quantity out of YAML, where plain numbers are quantities too.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }
}

/// Binary factor and decimal exponent of a suffix.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    Some(match suffix {
        "" => (1, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            let exponent: i32 = exponent.parse().ok()?;
            (1, (-60..=60).contains(&exponent).then_some(exponent)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn same_value_in_other_words() {
        for (a, b) in [
            ("1", "1000m"),
            ("2G", "2000M"),
            ("0.5", "500m"),
            ("1Ki", "1024"),
            ("1e3", "1k"),
            ("1E3", "1000"),
            ("100n", "0.1u"),
        ] {
            assert_eq!(Quantity::parse(a), Quantity::parse(b), "{a} {b}");
            assert!(Quantity::parse(a).is_some());
        }
        assert_eq!(Quantity::of(&json!(2)), Quantity::parse("2"));
        assert_eq!(Quantity::of(&json!(0.5)), Quantity::parse("500m"));
        assert!(Quantity::parse("2G") < Quantity::parse("2Gi"));
    }

    #[test]
    fn not_a_quantity() {
        for text in
            ["", "-", ".", "1.2.3", "1x", "1 ", "e3", "Ki", "1e", "1e99", "9999999999999999999999999999999999Ei"]
        {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }
}

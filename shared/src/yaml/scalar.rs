//! What a scalar means to kubectl: the resolution rules of go-yaml 2 (YAML 1.1 with octal, hexadecimal and `1_000`), then
//! of Go's JSON. Every case in the test table was asked of `kubectl label --local -o json`.

use serde_json::{Number, Value};

/// A resolved scalar. Keys need the difference between the numbers, values do not.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// Above `i64::MAX`: kubectl makes a float of it as a value and refuses it as a key.
    Unsigned(u64),
    Float(f64),
    String(String),
}

/// Which tag a scalar carries, as far as go-yaml cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScalarTag {
    /// None: plain scalars are resolved, quoted ones are strings.
    None,
    Str,
    Int,
    Float,
    Bool,
    Null,
    Binary,
    /// Anything else, including `!`: the text as it stands.
    Other,
}

/// Resolves a scalar. The error says what is wrong with it; the caller knows where.
pub(super) fn resolve(text: &str, plain: bool, tag: ScalarTag) -> Result<Scalar, String> {
    let string = || Scalar::String(text.to_owned());
    match tag {
        ScalarTag::None if plain => Ok(resolve_plain(text)),
        ScalarTag::None | ScalarTag::Str | ScalarTag::Other => Ok(string()),
        ScalarTag::Binary => decode_base64(text)
            .map(|bytes| Scalar::String(String::from_utf8_lossy(&bytes).into_owned()))
            .ok_or_else(|| "the value tagged !!binary is not base64".to_owned()),
        ScalarTag::Int | ScalarTag::Float | ScalarTag::Bool | ScalarTag::Null => {
            let resolved = resolve_plain(text);
            let name = match (tag, &resolved) {
                (ScalarTag::Int, Scalar::Int(_) | Scalar::Unsigned(_))
                | (ScalarTag::Float, Scalar::Float(_))
                | (ScalarTag::Bool, Scalar::Bool(_))
                | (ScalarTag::Null, Scalar::Null) => return Ok(resolved),
                #[expect(clippy::cast_precision_loss, reason = "go-yaml does the same")]
                (ScalarTag::Float, Scalar::Int(int)) => return Ok(Scalar::Float(*int as f64)),
                (ScalarTag::Int, _) => "!!int",
                (ScalarTag::Float, _) => "!!float",
                (ScalarTag::Bool, _) => "!!bool",
                _ => "!!null",
            };
            // Without the value: it may be secret.
            Err(format!("the value tagged {name} is none"))
        }
    }
}

/// Resolves an untagged plain scalar.
pub(super) fn resolve_plain(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.as_bytes().first() {
        Some(b'.') => float_with_separators(text),
        Some(b'0'..=b'9' | b'+' | b'-') => number(&text.replace('_', "")),
        _ => None,
    };
    number.unwrap_or_else(|| Scalar::String(text.to_owned()))
}

/// Go's `strconv.ParseFloat` for text that begins with a dot: an underscore may stand between two digits.
fn float_with_separators(text: &str) -> Option<Scalar> {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let misplaced =
        (0..bytes.len()).any(|at| bytes.get(at) == Some(&b'_') && !(digit(at.checked_sub(1)) && digit(Some(at + 1))));
    if misplaced { None } else { float(&text.replace('_', "")) }
}

fn number(plain: &str) -> Option<Scalar> {
    integer(plain).or_else(|| float(plain))
}

/// Go's `ParseInt` and `ParseUint` with base 0: `0x`, `0o`, `0b` and the leading zero of YAML 1.1 octals.
fn integer(plain: &str) -> Option<Scalar> {
    let (negative, unsigned) = match plain.as_bytes().first()? {
        b'-' => (true, plain.get(1..)?),
        b'+' => (false, plain.get(1..)?),
        _ => (false, plain),
    };
    let (radix, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, unsigned.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, unsigned.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, unsigned.get(2..)?),
        [b'0', _, ..] => (8, unsigned.get(1..)?),
        _ => (10, unsigned),
    };
    // `from_str_radix` takes a sign of its own, Go does not.
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    match (negative, i64::try_from(magnitude)) {
        (false, Ok(int)) => Some(Scalar::Int(int)),
        (true, Ok(int)) => Some(Scalar::Int(-int)),
        (true, Err(_)) if magnitude == i64::MIN.unsigned_abs() => Some(Scalar::Int(i64::MIN)),
        (false, Err(_)) if !plain.starts_with('+') => Some(Scalar::Unsigned(magnitude)),
        _ => None,
    }
}

/// go-yaml's `yamlStyleFloat`: `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`; out of range is no float.
fn float(plain: &str) -> Option<Scalar> {
    let unsigned = plain.strip_prefix(['-', '+']).unwrap_or(plain);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    if !(mantissa_fits && exponent_fits) {
        return None;
    }
    plain.parse().ok().filter(|float: &f64| float.is_finite()).map(Scalar::Float)
}

impl Scalar {
    /// The value as kubectl sends it: Go writes floats as JSON and reads them back, so whole floats become integers.
    pub(super) fn into_value(self) -> Result<Value, String> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(bool) => Value::Bool(bool),
            Self::Int(int) => Value::from(int),
            #[expect(clippy::cast_precision_loss, reason = "kubectl does the same")]
            Self::Unsigned(unsigned) => Value::from(unsigned as f64),
            Self::Float(float) => whole_float(float)
                .map(Value::from)
                .or_else(|| Number::from_f64(float).map(Value::Number))
                .ok_or_else(|| "infinity and not-a-number have no place in JSON: kubectl refuses them".to_owned())?,
            Self::String(string) => Value::String(string),
        })
    }

    /// The name of a field as kubectl sends it: an unquoted `on` or `y` becomes `true`.
    pub(super) fn into_key(self) -> Result<String, String> {
        Ok(match self {
            Self::Null => return Err("the name of this field is null".to_owned()),
            Self::Unsigned(unsigned) => return Err(format!("{unsigned} is too large for the name of a field")),
            Self::Bool(bool) => bool.to_string(),
            Self::Int(int) => int.to_string(),
            Self::Float(float) => float_key(float),
            Self::String(string) => string,
        })
    }
}

/// Go's JSON has no fraction for a whole float below 1e21, so it is read back as an integer if it fits.
fn whole_float(float: f64) -> Option<i64> {
    if float.fract() != 0.0 || float.abs() >= 1e21 {
        return None;
    }
    // Display writes the shortest digits padded with zeros, as Go does: 1234567890123456789.0 → 1234567890123456800.
    float.to_string().parse().ok()
}

/// Go's `FormatFloat(f, 'g', -1, 32)`, which sigs.k8s.io/yaml uses for keys.
fn float_key(float: f64) -> String {
    if float.is_nan() {
        return ".nan".to_owned();
    }
    #[expect(clippy::cast_possible_truncation, reason = "sigs.k8s.io/yaml formats keys with 32 bits")]
    let float = float as f32;
    if float.is_infinite() {
        return if float > 0.0 { ".inf".to_owned() } else { "-.inf".to_owned() };
    }
    let scientific = format!("{float:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // Go switches to the exponent at 6 digits when it writes the shortest form.
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:02}", exponent.abs())
    } else {
        float.to_string()
    }
}

/// Base64 with padding, line breaks allowed, as Go's `StdEncoding` takes it.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let compact: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    base64::engine::general_purpose::STANDARD.decode(compact).ok()
}

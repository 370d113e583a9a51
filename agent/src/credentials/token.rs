//! When a service account's token ends. Only for messages: the API server judges the token, so no signature is checked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;

#[derive(Deserialize)]
struct Claims {
    exp: Option<i64>,
}

/// The `exp` of a JWT; none when the token is something else or does not end.
pub(super) fn expiry(token: &str) -> Option<Timestamp> {
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Timestamp::from_second(claims.exp?).ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    #[test]
    fn reads_the_end_of_a_jwt_and_nothing_else() {
        let jwt =
            |claims: &str| format!("e30.{}.c2ln", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims));
        let at = |text: &str| text.parse().ok();
        assert_eq!(super::expiry(&jwt(r#"{"exp": 1700000000, "sub": "x"}"#)), at("2023-11-14T22:13:20Z"));
        for other in ["", "abc", "a.b.c", "a.b", &jwt("{}"), &jwt(r#"{"exp": "soon"}"#), &jwt(r#"{"exp":9e99}"#)] {
            assert_eq!(super::expiry(other), None, "{other}");
        }
    }
}

//! What Envoy makes of a path before it looks at it (`normalize_path`): dots resolved, backslashes turned, percent-encoding
//! of what needs none undone and of what needs it done. Slashes are kept as they are.

use std::borrow::Cow;

/// What is done with a byte of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pass,
    Escape,
    /// Kept; and when it is percent-encoded, that is undone.
    Plain,
}

fn kind(byte: u8) -> Kind {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => Kind::Plain,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'.' | b'/' | b':' | b';' | b'=' | b'@'
        | b'[' | b']' => Kind::Pass,
        _ => Kind::Escape,
    }
}

/// The path with its query as Envoy sees it; `None` when Envoy refuses it.
pub(super) fn normalize(path: &str) -> Option<Cow<'_, str>> {
    if !path.starts_with('/') || path.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'#') {
        return None;
    }
    let end = path.find('?').unwrap_or(path.len());
    let (bare, query) = path.split_at(end);
    let bytes = bare.as_bytes();
    let special = |(at, byte): (usize, &u8)| match byte {
        b'.' => at.checked_sub(1).and_then(|before| bytes.get(before)) == Some(&b'/'),
        byte => kind(*byte) == Kind::Escape,
    };
    if !bytes.iter().enumerate().any(special) {
        return Some(Cow::Borrowed(path));
    }
    let mut made = canonical(bytes)?;
    made.push_str(query);
    Some(Cow::Owned(made))
}

fn canonical(bytes: &[u8]) -> Option<String> {
    let mut made: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let dot = dot(bytes, at);
        if dot > 0 {
            at += dot;
            if made.last() != Some(&b'/') {
                made.push(b'.');
                continue;
            }
            let second = self::dot(bytes, at);
            if at == bytes.len() || is_slash(bytes, at) {
                at += 1;
            } else if second > 0 && (at + second == bytes.len() || is_slash(bytes, at + second)) {
                at += second + 1;
                up(&mut made);
            } else {
                made.push(b'.');
            }
            continue;
        }
        match byte {
            b'\\' => made.push(b'/'),
            b'%' => {
                if let Some(value) = escaped(bytes, at) {
                    // A NUL is refused.
                    if value == 0 {
                        return None;
                    }
                    if kind(value) == Kind::Plain {
                        made.push(value);
                    } else {
                        made.extend(bytes.get(at..at + 3)?);
                    }
                    at += 3;
                    continue;
                }
                made.push(b'%');
            }
            byte if kind(byte) == Kind::Escape => made.extend(format!("%{byte:02X}").bytes()),
            byte => made.push(byte),
        }
        at += 1;
    }
    String::from_utf8(made).ok()
}

/// Length of a dot here, which may be percent-encoded.
fn dot(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'.') => 1,
        Some(b'%') if escaped(bytes, at) == Some(b'.') => 3,
        _ => 0,
    }
}

fn is_slash(bytes: &[u8], at: usize) -> bool {
    matches!(bytes.get(at), Some(b'/' | b'\\'))
}

fn escaped(bytes: &[u8], at: usize) -> Option<u8> {
    let digits = std::str::from_utf8(bytes.get(at + 1..at + 3)?).ok()?;
    digits.bytes().all(|it| it.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// Takes the last part away; never the first slash.
fn up(made: &mut Vec<u8>) {
    if made.len() > 1 {
        made.pop();
        while made.len() > 1 && made.last() != Some(&b'/') {
            made.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_what_envoy_sees() {
        for (path, seen) in [
            ("/a/b?x=/../", "/a/b?x=/../"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/../../b", "/b"),
            ("/a/..", "/"),
            ("/a/.", "/a/"),
            ("/a/%2e%2E/b", "/b"),
            ("/a.b/..c", "/a.b/..c"),
            ("/.well-known/x", "/.well-known/x"),
            (r"/a\b", "/a/b"),
            ("/%41%2f%20", "/A%2f%20"),
            ("/a//b", "/a//b"),
            ("/ä", "/%C3%A4"),
            ("/a%zz", "/a%zz"),
            ("/{id}", "/%7Bid%7D"),
        ] {
            assert_eq!(normalize(path).as_deref(), Some(seen), "{path}");
        }
        for path in ["", "a", "*", "/a b", "/a#b", "/%00"] {
            assert_eq!(normalize(path), None, "{path}");
        }
    }
}

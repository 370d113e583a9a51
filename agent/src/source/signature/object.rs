//! Commits and tags taken apart into what was signed and the signature. Pure: bytes in, bytes out.

use super::Flaw;

/// An object as its signer saw it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signed {
    /// What was signed.
    pub(super) content: Vec<u8>,
    /// The armored signature.
    pub(super) signature: Option<String>,
}

fn unreadable<T>(why: &str) -> Result<T, Flaw> {
    Err(Flaw::Unreadable(why.to_owned()))
}

/// A commit: the signature is a header, `gpgsig`, continued on lines that begin with a space.
pub(super) fn commit(raw: &[u8]) -> Result<Signed, Flaw> {
    let mut content = Vec::with_capacity(raw.len());
    let mut signature: Option<Vec<u8>> = None;
    let mut rest = raw;
    let mut in_signature = false;
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        if line.is_empty() || line == b"\n" {
            content.extend_from_slice(rest);
            break;
        }
        match (line.strip_prefix(b"gpgsig "), line.strip_prefix(b" ")) {
            (Some(_), _) if signature.is_some() => return unreadable("the commit has two signatures"),
            (Some(first), _) => {
                signature = Some(first.to_vec());
                in_signature = true;
            }
            (None, Some(more)) if in_signature => signature.get_or_insert_default().extend_from_slice(more),
            (None, _) => {
                in_signature = false;
                content.extend_from_slice(line);
            }
        }
        rest = after;
    }
    Ok(Signed { content, signature: text(signature)? })
}

/// A tag: the signature is the end of its message. The tag must say the name that it is looked up by and the commit that
/// it leads to: otherwise an older signed tag could stand under a newer name.
pub(super) fn tag(raw: &[u8], name: &str, commit: &str) -> Result<Signed, Flaw> {
    let header = |key: &str| {
        let head = raw.split(|byte| *byte == b'\n').take_while(|line| !line.is_empty());
        head.filter_map(|line| line.strip_prefix(key.as_bytes())).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    if header("tag ") != [name.as_bytes()] {
        return unreadable("the tag was made under another name");
    }
    if header("type ") != [b"commit"] || header("object ") != [commit.as_bytes()] {
        return unreadable("the tag does not name the commit itself");
    }
    let begins = |line: &[u8]| {
        line.starts_with(b"-----BEGIN PGP SIGNATURE-----") || line.starts_with(b"-----BEGIN SSH SIGNATURE-----")
    };
    let mut at = 0;
    let mut start = None;
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        if begins(line) {
            start = Some(at);
        }
        at += line.len();
    }
    let Some(start) = start else { return Ok(Signed { content: raw.to_vec(), signature: None }) };
    let (content, signature) = raw.split_at(start);
    Ok(Signed { content: content.to_vec(), signature: text(Some(signature.to_vec()))? })
}

fn text(signature: Option<Vec<u8>>) -> Result<Option<String>, Flaw> {
    let Some(signature) = signature else { return Ok(None) };
    match String::from_utf8(signature) {
        Ok(text) => Ok(Some(text)),
        Err(_) => unreadable("it is not text"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{commit, tag};

    #[test]
    fn a_commit_without_its_signature_is_what_was_signed() {
        let raw = b"tree 1\nparent 2\nauthor A\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END-----\nencoding x\n\nMessage\n gpgsig no\n";
        let signed = commit(raw).unwrap();
        assert_eq!(signed.content, b"tree 1\nparent 2\nauthor A\nencoding x\n\nMessage\n gpgsig no\n");
        assert_eq!(signed.signature.unwrap(), "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END-----\n");
        let plain = b"tree 1\nmergetag object x\n type commit\n\ngpgsig in the message\n";
        assert_eq!(commit(plain).unwrap().content, plain);
        assert_eq!(commit(plain).unwrap().signature, None);
        assert!(commit(b"gpgsig a\nx y\ngpgsig b\n\n").is_err(), "two signatures");
    }

    #[test]
    fn a_tag_says_its_name_and_commit() {
        let raw = b"object abc\ntype commit\ntag v1\ntagger A\n\nMessage\n-----BEGIN SSH SIGNATURE-----\nx\n";
        let signed = tag(raw, "v1", "abc").unwrap();
        assert_eq!(signed.content, b"object abc\ntype commit\ntag v1\ntagger A\n\nMessage\n");
        assert_eq!(signed.signature.unwrap(), "-----BEGIN SSH SIGNATURE-----\nx\n");
        assert!(tag(raw, "v2", "abc").is_err() && tag(raw, "v1", "abd").is_err());
        assert!(tag(b"object abc\ntype commit\ntag v1\ntag v2\n\n", "v1", "abc").is_err());
        assert_eq!(tag(b"object abc\ntype commit\ntag v1\n\nx", "v1", "abc").unwrap().signature, None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = (commit(&bytes), tag(&bytes, "v1", "abc"));
            let _ = commit(&[b"gpgsig ", bytes.as_slice()].concat());
        }

        #[test]
        fn nothing_is_lost(bytes in "([a-z]{1,5} [a-z]{0,5}\n( [a-z]{0,3}\n){0,2}){0,5}\n[a-z\n]{0,20}") {
            prop_assume!(!bytes.contains("gpgsig "));
            prop_assert_eq!(commit(bytes.as_bytes()).unwrap().content, bytes.as_bytes());
        }
    }
}

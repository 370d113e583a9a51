//! Regular expressions as Envoy judges them: RE2, from the beginning of a text to its end.
//!
//! The `regex` crate is of the same family but another dialect. A pattern is read as RE2 reads it: what RE2 refuses is
//! refused, what both take but read differently is written anew for the crate, and what cannot be is said to be in doubt.
//! istiod checks with Go's `regexp`, which refuses what RE2 refuses.

use regex_syntax::ast::{self, AssertionKind, Ast, ClassPerlKind, ClassSetItem, Flag, FlagsItemKind, HexLiteralKind};
use std::fmt;

/// Characters that istiod takes at most.
const LONGEST: usize = 1024;
/// Times that RE2 repeats at most, the product of repetitions inside each other too.
const MOST_TIMES: u32 = 1000;

/// A pattern that Envoy takes.
#[derive(Clone, Debug)]
pub struct Regex(regex::Regex);

/// Why a pattern is not taken, or cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct RegexFault {
    /// Refused by Envoy and istiod; otherwise they take it, and only what it means is in doubt.
    pub refused: bool,
    /// What is wrong, without the pattern.
    pub reason: String,
}

impl RegexFault {
    fn refused(reason: impl fmt::Display) -> Self {
        Self { refused: true, reason: reason.to_string() }
    }

    fn doubtful(reason: impl fmt::Display) -> Self {
        Self { refused: false, reason: reason.to_string() }
    }
}

impl Regex {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When Envoy refuses it, or when it means something to RE2 that cannot be told here.
    pub fn new(pattern: &str) -> Result<Self, RegexFault> {
        let whole = format!("^(?:{})$", read(pattern)?);
        let regex = regex::Regex::new(&whole);
        // The syntax is right, so this is a limit of the crate or a class that it does not know.
        regex.map(Self).map_err(|_| RegexFault::doubtful("what it means cannot be told here"))
    }

    /// The same for what stands anywhere in a text: for rewriting.
    ///
    /// # Errors
    /// As for a whole text.
    pub fn anywhere(pattern: &str) -> Result<Self, RegexFault> {
        let regex = regex::Regex::new(&read(pattern)?);
        regex.map(Self).map_err(|_| RegexFault::doubtful("what it means cannot be told here"))
    }

    /// Is it taken? Cheaper than making it.
    ///
    /// # Errors
    /// As for making it.
    pub fn judge(pattern: &str) -> Result<(), RegexFault> {
        read(pattern).map(drop)
    }

    /// Does it describe the whole text?
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// The text with every part that it describes replaced, as RE2's `GlobalReplace` does: `\1` is the first group, `\0`
    /// the whole part.
    pub fn replace_all(&self, text: &str, by: &str) -> String {
        let replaced = self.0.replace_all(text, |found: &regex::Captures<'_>| {
            let mut new = String::new();
            let mut rest = by.chars();
            while let Some(next) = rest.next() {
                match (next, (next == '\\').then(|| rest.clone().next()).flatten()) {
                    ('\\', Some(digit)) if digit.is_ascii_digit() => {
                        rest.next();
                        let group = digit.to_digit(10).and_then(|group| found.get(group as usize));
                        new.push_str(group.map_or("", |group| group.as_str()));
                    }
                    ('\\', Some('\\')) => {
                        rest.next();
                        new.push('\\');
                    }
                    _ => new.push(next),
                }
            }
            new
        });
        replaced.into_owned()
    }
}

/// The pattern as the crate reads it.
fn read(pattern: &str) -> Result<String, RegexFault> {
    if pattern.chars().count() > LONGEST {
        return Err(RegexFault::refused(format!("it is longer than {LONGEST} characters")));
    }
    let plain = plain(pattern);
    let ast = ast::parse::Parser::new().parse(&plain);
    let ast = ast.map_err(|error| RegexFault::refused(reason(error.kind())))?;
    let walk = ast::visit(&ast, Walk::default())?;
    if times(&ast) > MOST_TIMES {
        return Err(RegexFault::refused(format!("it repeats something more than {MOST_TIMES} times")));
    }
    Ok(walk.apply(&plain))
}

/// The first line of what the parser says; it ends without a full stop.
fn reason(kind: &ast::ErrorKind) -> String {
    match kind {
        ast::ErrorKind::UnsupportedLookAround => "look-around is not supported".to_owned(),
        ast::ErrorKind::UnsupportedBackreference => "backreferences are not supported".to_owned(),
        other => other.to_string().lines().next().unwrap_or_default().trim_end_matches('.').to_owned(),
    }
}

/// Writes what only RE2 knows as what both know: `\Q…\E`, and braces that repeat nothing.
fn plain(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix("\\Q") {
            let (literal, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            text.push_str(&regex_syntax::escape(literal));
            rest = after;
            continue;
        }
        let length = match first {
            '\\' => first.len_utf8() + escaped_length(&rest[1..]),
            _ => first.len_utf8(),
        };
        match first {
            '[' if !in_class => in_class = true,
            ']' => in_class = false,
            '{' if !in_class && !repeats(rest) => text.push('\\'),
            _ => {}
        }
        let (head, tail) = rest.split_at(length.min(rest.len()));
        text.push_str(head);
        rest = tail;
        // `[]a]` and `[^]a]`: a bracket at the beginning is one of the characters.
        if first == '[' && in_class {
            let start = rest.strip_prefix('^').unwrap_or(rest);
            let length = rest.len() - start.len() + usize::from(start.starts_with(']'));
            text.push_str(&rest[..length]);
            rest = &rest[length..];
        }
    }
    text
}

/// How much after a backslash belongs to it: one character, or a class or number in braces (`\p{Greek}`, `\x{1F600}`).
fn escaped_length(after: &str) -> usize {
    let Some(first) = after.chars().next() else { return 0 };
    let in_braces = matches!(first, 'p' | 'P' | 'x') && after[1..].starts_with('{');
    match after.find('}') {
        Some(end) if in_braces => end + 1,
        _ => first.len_utf8(),
    }
}

/// Does the text begin with `{2}`, `{2,}` or `{2,3}`?
fn repeats(text: &str) -> bool {
    let Some((inner, _)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) else { return false };
    let (least, most) = inner.split_once(',').unwrap_or((inner, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

/// How often something is repeated at most: a number given, times those around it.
fn times(ast: &Ast) -> u32 {
    match ast {
        Ast::Repetition(repetition) => {
            let own = match &repetition.op.kind {
                ast::RepetitionKind::Range(
                    ast::RepetitionRange::Exactly(most) | ast::RepetitionRange::AtLeast(most),
                ) => *most,
                ast::RepetitionKind::Range(ast::RepetitionRange::Bounded(_, most)) => *most,
                _ => 1,
            };
            own.max(1).saturating_mul(times(&repetition.ast))
        }
        Ast::Group(group) => times(&group.ast),
        Ast::Alternation(all) => all.asts.iter().map(times).max().unwrap_or(1),
        Ast::Concat(all) => all.asts.iter().map(times).max().unwrap_or(1),
        _ => 1,
    }
}

/// Looks for what RE2 refuses or reads differently.
#[derive(Default)]
struct Walk {
    /// Parts to be written anew: from, to, text.
    anew: Vec<(usize, usize, &'static str)>,
}

impl Walk {
    fn instead(&mut self, span: &ast::Span, text: &'static str) {
        self.anew.push((span.start.offset, span.end.offset, text));
    }

    fn perl(&mut self, class: &ast::ClassPerl) {
        self.instead(
            &class.span,
            match (&class.kind, class.negated) {
                (ClassPerlKind::Digit, false) => "[0-9]",
                (ClassPerlKind::Digit, true) => "[^0-9]",
                (ClassPerlKind::Space, false) => "[\\t\\n\\f\\r ]",
                (ClassPerlKind::Space, true) => "[^\\t\\n\\f\\r ]",
                (ClassPerlKind::Word, false) => "[0-9A-Za-z_]",
                (ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
            },
        );
    }

    fn flags(flags: &ast::Flags) -> Result<(), RegexFault> {
        let unknown = flags
            .items
            .iter()
            .any(|item| matches!(item.kind, FlagsItemKind::Flag(Flag::Unicode | Flag::CRLF | Flag::IgnoreWhitespace)));
        if unknown { Err(RegexFault::refused("of the flags only i, m, s and U are known")) } else { Ok(()) }
    }

    fn literal(literal: &ast::Literal) -> Result<(), RegexFault> {
        match &literal.kind {
            ast::LiteralKind::HexFixed(kind) | ast::LiteralKind::HexBrace(kind) if *kind != HexLiteralKind::X => {
                Err(RegexFault::refused("\\u and \\U are not known; write \\x{…}"))
            }
            _ => Ok(()),
        }
    }

    fn assertion(&mut self, assertion: &ast::Assertion) -> Result<(), RegexFault> {
        match assertion.kind {
            AssertionKind::WordBoundary => self.instead(&assertion.span, "(?-u:\\b)"),
            AssertionKind::WordBoundaryStartAngle => self.instead(&assertion.span, "<"),
            AssertionKind::WordBoundaryEndAngle => self.instead(&assertion.span, ">"),
            AssertionKind::NotWordBoundary => {
                return Err(RegexFault::doubtful("\\B is read differently here"));
            }
            _ => {}
        }
        Ok(())
    }

    fn apply(mut self, pattern: &str) -> String {
        self.anew.sort_unstable();
        let mut text = String::with_capacity(pattern.len());
        let mut done = 0;
        for (from, to, instead) in self.anew {
            text.push_str(pattern.get(done..from).unwrap_or_default());
            text.push_str(instead);
            done = to;
        }
        text.push_str(pattern.get(done..).unwrap_or_default());
        text
    }
}

impl ast::Visitor for Walk {
    type Output = Self;
    type Err = RegexFault;

    fn finish(self) -> Result<Self, RegexFault> {
        Ok(self)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), RegexFault> {
        match ast {
            Ast::Flags(set) => Self::flags(&set.flags),
            Ast::Group(group) => group.flags().map_or(Ok(()), Self::flags),
            Ast::Literal(literal) => Self::literal(literal),
            Ast::Assertion(assertion) => self.assertion(assertion),
            Ast::ClassPerl(class) => {
                self.perl(class);
                Ok(())
            }
            Ast::Repetition(outer) if matches!(*outer.ast, Ast::Repetition(_)) => Err(RegexFault::refused(
                "two repetitions after each other (`**`, `*+`); put the first one into brackets",
            )),
            _ => Ok(()),
        }
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), RegexFault> {
        match item {
            ClassSetItem::Perl(class) => self.perl(class),
            ClassSetItem::Literal(literal) => Self::literal(literal)?,
            ClassSetItem::Range(range) => {
                Self::literal(&range.start)?;
                Self::literal(&range.end)?;
            }
            ClassSetItem::Bracketed(_) => {
                return Err(RegexFault::doubtful("a `[` inside of brackets is plain text to RE2; write `\\[`"));
            }
            _ => {}
        }
        Ok(())
    }

    fn visit_class_set_binary_op_pre(&mut self, _: &ast::ClassSetBinaryOp) -> Result<(), RegexFault> {
        Err(RegexFault::doubtful("`&&`, `--` and `~~` inside of brackets are plain text to RE2; write each once"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pattern: &str) -> &'static str {
        match Regex::new(pattern) {
            Ok(_) => "taken",
            Err(fault) if fault.refused => "refused",
            Err(_) => "doubtful",
        }
    }

    #[test]
    fn what_re2_refuses_is_refused() {
        for pattern in [
            "(?=a)",
            "(?<!a)b",
            r"(a)\1",
            "a**",
            "a*+",
            "a{2}{3}",
            "a{1001}",
            "(a{100}){11}",
            "(?x)a b",
            "(?u)a",
            r"\u0041",
            r"\C",
            r"\Z",
            "(",
            "[a",
            "*a",
            "a{3,2}",
            "[b-a]",
            "(?P<n>a)(?P<n>b)",
            &"a".repeat(1025),
        ] {
            assert_eq!(verdict(pattern), "refused", "{pattern}");
        }
    }

    #[test]
    fn what_re2_takes_is_taken() {
        for pattern in [
            "",
            "/v[0-9]+/.*",
            "a*?",
            "(?i)abc",
            "(?s:.)",
            "(?P<id>[^/]+)",
            "[[:alpha:]]+",
            r"\pL+",
            r"\p{Greek}",
            "a||b",
            r"\Qa.b(\E.*",
            "/users/{id}",
            "a{,3}",
            "a{2,}",
            "(a{100}){10}",
            "[]a]",
            "[^]a]",
            r"\x{1F600}",
            r"[\d.]+",
            "{",
        ] {
            assert_eq!(verdict(pattern), "taken", "{pattern}");
        }
        for pattern in ["[a&&b]", "[[a]]", r"a\Bb"] {
            assert_eq!(verdict(pattern), "doubtful", "{pattern}");
        }
    }

    #[test]
    fn it_describes_the_whole_text_in_ascii() {
        let is = |pattern: &str, text: &str| Regex::new(pattern).unwrap().is_match(text);
        assert!(is("/a|/b", "/b") && !is("/a|/b", "/bc") && !is("/a", "x/a"));
        assert!(is(r"/\d+", "/12") && !is(r"/\d+", "/١٢"));
        assert!(is(r"[\w-]+", "a-b_1") && !is(r"[\w-]+", "é"));
        assert!(is(r"\S\D\W", "aa-") && is(r"[^\s]", "é") && !is(r"\s", "\u{b}"));
        assert!(is(r"\ba\b.*", "a b") && is(r"\Qa.b\E", "a.b") && !is(r"\Qa.b\E", "axb"));
        assert!(is("/users/{id}", "/users/{id}") && is(r"a\<b", "a<b") && is("[{]x{2}", "{xx"));
        assert!(is(r"a\b{start}", "a{start}"));
        assert!(is("(?i)/A", "/a") && !is("a.b", "a\nb") && is("(?s)a.b", "a\nb"));
    }
}

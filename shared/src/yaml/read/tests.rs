use super::*;
use serde_json::json;

fn one(text: &str) -> Value {
    let documents = read(text.as_bytes(), &Limits::default()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert_eq!(documents.len(), 1, "{text:?}");
    Value::clone(&documents[0].value)
}

fn error(text: &str) -> String {
    match read(text.as_bytes(), &Limits::default()) {
        Ok(documents) => panic!("{text:?} was read as {documents:?}"),
        Err(error) => error.to_string(),
    }
}

/// Every line was asked of `kubectl label --local -f x.yaml k=v -o json` (1.32).
#[test]
fn scalars_are_what_kubectl_makes_of_them() {
    #[rustfmt::skip]
    let table = [
        ("yes", json!(true)), ("y", json!(true)), ("On", json!(true)), ("No", json!(false)), ("off", json!(false)),
        ("oN", json!("oN")), ("nULL", json!("nULL")), ("Null", json!(null)), ("~", json!(null)), ("", json!(null)),
        ("'on'", json!("on")), ("\"yes\"", json!("yes")),
        ("0644", json!(420)), ("-0644", json!(-420)), ("+0644", json!(420)), ("0o644", json!(420)), ("0O644", json!(420)),
        ("0o8", json!("0o8")), ("08", json!(8)), ("0899", json!(899)), ("00", json!(0)), ("0_7", json!(7)),
        ("0x1F", json!(31)), ("0X1F", json!(31)), ("-0x1F", json!(-31)), ("0x1_F", json!(31)), ("0x", json!("0x")),
        ("0b101", json!(5)), ("-0b101", json!(-5)), ("0b", json!("0b")), ("0b12", json!("0b12")),
        ("+12", json!(12)), ("-0", json!(0)), ("1_000", json!(1000)), ("1__000_", json!(1000)), ("_1", json!("_1")),
        ("-1_000", json!(-1000)), ("1_000.5", json!(1000.5)), ("1e1_0", json!(10_000_000_000_i64)),
        ("1e3", json!(1000)), ("1E3", json!(1000)), ("12e03", json!(12000)), ("1.0", json!(1)), ("1.", json!(1)),
        ("3.0e5", json!(300_000)), ("123456.789e3", json!(123_456_789)), ("-0.0", json!(0)), ("1.10", json!(1.1)),
        ("1.5e-7", json!(1.5e-7)), ("0.1e-5", json!(1e-6)), ("1e18", json!(1_000_000_000_000_000_000_i64)),
        ("1e20", json!(1e20)), ("1e21", json!(1e21)), ("1e400", json!("1e400")),
        ("9007199254740993.0", json!(9_007_199_254_740_992_i64)),
        ("1234567890123456789.0", json!(1_234_567_890_123_456_800_i64)),
        ("123456789012345678901234567890", json!(1.234_567_890_123_456_8e29)),
        ("18446744073709551615", json!(18_446_744_073_709_552_000_f64)),
        ("9223372036854775808", json!(9_223_372_036_854_775_808_f64)),
        ("-9223372036854775808", json!(i64::MIN)), ("-9223372036854775809", json!(-9_223_372_036_854_775_808_f64)),
        (".5", json!(0.5)), ("+.5", json!(0.5)), ("-.5", json!(-0.5)), (".5_5", json!(0.55)), ("5.5_5", json!(5.55)),
        ("._5", json!("._5")), (".", json!(".")), ("inf", json!("inf")), ("1:30", json!("1:30")),
        ("2001-01-01", json!("2001-01-01")), ("=", json!("=")), ("<<", json!("<<")), ("[<<]", json!(["<<"])),
        ("a#c", json!("a#c")), ("a # c", json!("a")), ("'it''s'", json!("it's")), ("\"\\u4e2d\\x41\"", json!("中A")),
        ("!custom 5", json!("5")), ("!custom yes", json!("yes")), ("! 12", json!("12")), ("!!str 5", json!("5")),
        ("!!int \"5\"", json!(5)), ("!!float 5", json!(5)), ("!!float \"1.0\"", json!(1)), ("!!bool \"yes\"", json!(true)),
        ("!!null \"\"", json!(null)), ("!!binary aGVsbG8=", json!("hello")), ("!!binary gICA", json!("\u{fffd}\u{fffd}\u{fffd}")),
        ("!!str", json!("")), ("!!str ~", json!("~")), ("!!timestamp 2001-01-01", json!("2001-01-01")),
        ("!<tag:yaml.org,2002:str> 5", json!("5")), ("!!set {a, b}", json!({"a": null, "b": null})),
        ("!foo {a: 1}", json!({"a": 1})), ("!!str {a: 1}", json!({"a": 1})),
        ("[a, b, ]", json!(["a", "b"])), ("{a, b: 1}", json!({"a": null, "b": 1})), ("\ttabbed", json!("tabbed")),
        ("|\n  a\n  b", json!("a\nb\n")), (">-\n  a\n  b\n\n  c", json!("a b\nc")),
    ];
    for (text, expected) in table {
        let value = one(&format!("v: {text}\n"));
        // Through text, because 1000 and 1000.0 are equal floats but not the same JSON.
        assert_eq!(value["v"].to_string(), expected.to_string(), "{text}");
    }
}

/// Likewise.
#[test]
fn keys_are_what_kubectl_makes_of_them() {
    let table = [
        ("{on: 3, n: 2}", json!({"true": 3, "false": 2})),
        ("{1: a, 1.5: b, 0x10: c, 1e3: e}", json!({"1": "a", "1.5": "b", "16": "c", "1000": "e"})),
        ("{\"\": 1}", json!({"": 1})),
        ("{2001-01-01: a, !custom b: 1, !!bool \"yes\" : 2}", json!({"2001-01-01": "a", "b": 1, "true": 2})),
        (
            "{1.23456789012: a, 1e30: b, 1234567.5: c, 1e5: d, 1e6: e, 0.0001: f, 0.00001: g, 123456789.5: h, .inf: i}",
            json!({"1.2345679": "a", "1e+30": "b", "1.2345675e+06": "c", "100000": "d", "1e+06": "e", "0.0001": "f",
                   "1e-05": "g", "1.2345679e+08": "h", ".inf": "i"}),
        ),
        ("{'on': 1, \"y\": 2}", json!({"on": 1, "y": 2})),
    ];
    for (text, expected) in table {
        assert_eq!(one(text), expected, "{text}");
    }
}

#[test]
fn merge_keys_are_merged() {
    let base = "b: &b {a: 2, c: 3}\nd: &d {a: 4, e: 5}\n";
    let table = [
        ("{<<: *b, a: 1}", json!({"a": 1, "c": 3})),
        ("{<<: [*b, *d]}", json!({"a": 2, "c": 3, "e": 5})),
        ("{x: 1, <<: *b}", json!({"x": 1, "a": 2, "c": 3})),
        ("{\"<<\": *b, a: 1}", json!({"<<": {"a": 2, "c": 3}, "a": 1})),
        ("{<<: {a: 1}, b: 2}", json!({"a": 1, "b": 2})),
    ];
    for (text, expected) in table {
        assert_eq!(one(&format!("{base}v: {text}\n"))["v"], expected, "{text}");
    }
}

#[test]
fn errors_have_a_place() {
    let table = [
        ("a: .inf\n", "line 1, column 4: infinity and not-a-number have no place in JSON: kubectl refuses them"),
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: the field `a` stands twice in this map, first in line 1"),
        ("a: {on: 1,\n  y: 2}\n", "line 2, column 3: the field `true` stands twice in this map, first in line 1"),
        ("a: {~: 1}\n", "line 1, column 5: the name of this field is null"),
        ("a: {[x]: 1}\n", "line 1, column 5: the name of a field must be a string, not a list or a map"),
        (
            "a: {18446744073709551615: 1}\n",
            "line 1, column 5: 18446744073709551615 is too large for the name of a field",
        ),
        ("a: {<<: 5}\n", "line 1, column 9: `<<` must stand for a map or a list of maps"),
        (
            "b: &b {a: 1}\nc:\n  a: 2\n  <<: *b\n",
            "line 4, column 3: `<<` stands below the field `a`, which it also brings: kubectl takes the one of `<<`, other tools the other",
        ),
        ("a: &a [1, *a]\n", "line 1, column 11: this alias stands inside the value that it stands for"),
        ("a: !!int abc\n", "line 1, column 10: the value tagged !!int is none"),
        ("a: *nope\n", "line 1, column 4: this alias has no anchor before it in this document"),
        ("中文: 1\n中文: 2\n", "line 2, column 1: the field `中文` stands twice in this map, first in line 1"),
    ];
    for (text, expected) in table {
        assert_eq!(error(text), expected, "{text}");
    }
    for text in ["a: %x", "a: @x", "a: `x", "a: b: c", "a: [1", "a: 'x", "{{ template }}", "\ta: 1", "a: \"\\ud83d\""] {
        error(text);
    }
    assert_eq!(
        read(b"\xff\xfea\0", &Limits::default()).unwrap_err().message,
        "the file is UTF-16 or binary, not UTF-8"
    );
    assert_eq!(read("a: ä\nb: ü\u{0}".as_bytes().split_last().unwrap().1, &Limits::default()).unwrap().len(), 1);
    assert_eq!(
        read(b"a: 1\nb: \xc3\n", &Limits::default()).unwrap_err().to_string(),
        "line 2, column 4: the file is not UTF-8"
    );
}

#[test]
fn empty_documents_are_skipped() {
    assert!(read(b"", &Limits::default()).unwrap().is_empty());
    assert!(read(b"\xef\xbb\xbf", &Limits::default()).unwrap().is_empty());
    let text = "\u{feff}# only a comment\n---\n---\na: 1\n---\n# another\n---\n~\n---\nb: 2\n...\n";
    let documents = read(text.as_bytes(), &Limits::default()).unwrap();
    let values: Vec<_> = documents.iter().map(|document| Value::clone(&document.value)).collect();
    assert_eq!(values, [json!({"a": 1}), json!({"b": 2})]);
    assert_eq!(documents[1].index, 1);
    assert_eq!(documents[1].start(), (10, 1));
}

#[test]
fn json_is_read_too() {
    assert_eq!(
        one("{\n\t\"a\": [1, 2.5, true, null],\n\t\"b\": {\"c\\n\": \"\\u4e2d/\\/\"}\n}\n"),
        json!({"a": [1, 2.5, true, null], "b": {"c\n": "中//"}})
    );
}

#[test]
fn limits_are_kept() {
    let small = Limits { bytes: 1000, documents: 2, nodes: 20, depth: 3, aliases: 10 };
    let limit = |text: &str| read(text.as_bytes(), &small).unwrap_err().limit;
    assert_eq!(limit(&"#".repeat(1001)), Some(Limit::Bytes));
    assert_eq!(limit("---\na\n---\nb\n---\nc\n"), Some(Limit::Documents));
    assert_eq!(limit(&"- 1\n".repeat(21)), Some(Limit::Nodes));
    assert_eq!(limit("[[[[1]]]]"), Some(Limit::Depth));
    assert_eq!(limit(&"[".repeat(900)), Some(Limit::Depth));
    assert_eq!(limit(&"- ".repeat(450)), Some(Limit::Depth));
    assert_eq!(limit("a: &a [1,2,3]\nb: [*a, *a, *a]"), Some(Limit::Aliases));
    read(b"[[[1]]]", &small).unwrap();

    let mut laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..9 {
        let items = vec![format!("*a{}", level - 1); 9].join(",");
        laughs.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    let error = read(laughs.as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!((error.line, error.limit), (5, Some(Limit::Aliases)));
    let error = read("[".repeat(300_000).as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(error.limit, Some(Limit::Depth));
}

#[test]
fn places_are_right() {
    let text = "\u{feff}# 注释\nkind: Foo # c\nspec:\n  名字: 中文 # x\n  list:\n  - a: 1\n    b: [x, {k: 2}]\n  - 'q'\n---\nkind: Bar\ntext: |\n  一\n  二\nlast: &x \"z\"\n";
    let documents = read(text.as_bytes(), &Limits::default()).unwrap();
    let (first, second) = (&documents[0], &documents[1]);
    assert_eq!(first.position_of("/spec/名字"), Some((4, 3)));
    assert_eq!(first.value_position_of("/spec/名字"), Some((4, 7)));
    assert_eq!(first.raw("/spec/名字", text), Some("中文"));
    assert_eq!(first.position_of("/spec/list/0/b/1/k"), Some((7, 13)));
    assert_eq!(first.position_of("/spec/list/1"), Some((8, 3)));
    assert_eq!(first.raw("/spec/list/1", text), Some("'q'"));
    assert_eq!(first.raw("/spec/list/0/b", text), Some("[x, {k: 2}]"));
    assert_eq!(first.raw("/spec/list/0", text), Some("a: 1\n    b: [x, {k: 2}]"));
    assert_eq!(first.raw("/spec/list", text), Some("- a: 1\n    b: [x, {k: 2}]\n  - 'q'"));
    assert_eq!(first.position_of("/spec/list/7/deep"), Some((5, 3)));
    assert_eq!(first.span_of("/spec/none"), None);
    assert_eq!(first.position_of(""), Some((2, 1)));
    assert_eq!(second.position_of("/kind"), Some((10, 1)));
    assert_eq!(second.raw("/text", text), Some("|\n  一\n  二"));
    assert_eq!(second.raw("/last", text), Some("\"z\""));
    assert_eq!(&text[second.key_span_of("/last").unwrap().bytes()], "last");

    let text = "- # c - d\n\n  # e\n  &x !t\n  a: 1\n-   - &y\n      q\n- *y\n- |2-\n\n\n   x\n\n# end\n";
    let document = &read(text.as_bytes(), &Limits::default()).unwrap()[0];
    assert_eq!(document.value, Arc::new(json!([{"a": "1".parse::<i64>().unwrap()}, ["q"], "q", "\n\n x"])));
    let dash = |pointer: &str| document.key_span_of(pointer).map(|span| (span.line, span.column, span.start));
    assert_eq!(dash("/0"), Some((1, 1, 0)));
    assert_eq!((dash("/1"), dash("/1/0")), (Some((6, 1, 32)), Some((6, 5, 36))));
    assert_eq!(document.raw("/3", text), Some("|2-\n\n\n   x"));
    assert_eq!(document.value_position_of("/3"), Some((9, 3)));

    let text = "a/b: {c~d: 1}\nx: &x {k: v}\nw: *x\nz:\n  <<: *x\n";
    let document = &read(text.as_bytes(), &Limits::default()).unwrap()[0];
    assert_eq!(document.raw("/a~1b/c~0d", text), Some("1"));
    assert_eq!(document.raw("/w", text), Some("*x"));
    assert_eq!(document.position_of("/w/k"), Some((2, 8)));
    assert!(document.is_aliased("/w/k") && document.is_aliased("/z/k") && !document.is_aliased("/x/k"));
    assert_eq!(document.raw("/z/k", text), Some("v"));
}

use proptest::prelude::*;

/// Text that is nearly YAML.
fn nearly_yaml() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b: ",
        "- ",
        "? ",
        ": ",
        "&x ",
        "*x",
        "<<: ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "|",
        ">-",
        "\n",
        "\n  ",
        "\n    ",
        "\r\n",
        "'",
        "\"",
        "#",
        " # c",
        "---\n",
        "...\n",
        "!!int ",
        "!t ",
        "1e3",
        "0x",
        "on",
        "\u{feff}",
        "中",
        "%YAML 1.2\n",
        "\t",
        "~",
        "\\u00",
        "\0",
        "=",
    ]);
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes, &Limits::default());
    }

    /// Every field of whatever can be read has a place inside the text, and errors have one too.
    #[test]
    fn places_are_inside_the_text(text in nearly_yaml()) {
        let small = Limits { bytes: 300, documents: 4, nodes: 20, depth: 4, aliases: 5 };
        for limits in [Limits::default(), small] {
            match read(text.as_bytes(), &limits) {
                Err(error) => {
                    prop_assert!(error.line >= 1 && error.column >= 1);
                    prop_assert!(error.line as usize <= text.split('\n').count() + text.matches('\r').count() + 1, "{}", error);
                }
                Ok(documents) => for document in documents {
                    let mut open = vec![(String::new(), &*document.value)];
                    while let Some((pointer, value)) = open.pop() {
                        let span = document.span_of(&pointer);
                        prop_assert!(span.is_some_and(|span| text.get(span.bytes()).is_some()), "{} {:?}", pointer, span);
                        match value {
                            Value::Object(map) => open.extend(map.iter().map(|(name, value)| (format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), value))),
                            Value::Array(items) => open.extend(items.iter().enumerate().map(|(index, value)| (format!("{pointer}/{index}"), value))),
                            _ => {}
                        }
                    }
                },
            }
        }
    }
}

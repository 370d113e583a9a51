use super::*;
use crate::yaml::{Limits, read};
use proptest::prelude::*;
use serde_json::{Map, json};

fn back(text: &str) -> Vec<Value> {
    let documents = read(text.as_bytes(), &Limits::default()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    documents.iter().map(|document| Value::clone(&document.value)).collect()
}

#[test]
fn only_what_needs_quotes_gets_them() {
    let plain = [
        "a",
        "docker.io/istio/x-v1:1.15.0",
        "/productpage",
        "256Mi",
        "200m",
        "100%",
        "--flag=x",
        "中文 名字",
        "a b",
        "x@y.z",
        "1.2.3-rc1",
        "$(POD_IP)",
    ];
    for plain in plain {
        assert_eq!(text(plain), plain);
    }
    let quoted = [
        "",
        "yes",
        "on",
        "y",
        "N",
        "true",
        "null",
        "~",
        "1",
        "1.0",
        "0644",
        "1_000",
        "1e3",
        "0x1F",
        ".5",
        ".inf",
        "<<",
        "=",
        "*",
        "*.example.com",
        "it's",
        "a: b",
        "key:",
        " a",
        "a ",
        "- a",
        "-",
        "---",
        "...",
        "# c",
        "a #b",
        "[a]",
        "{a}",
        "a, b",
        "&a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "1:30",
        "2001-01-01",
        "2001-01-01T00:00:00Z",
        "1.2.3",
        "10.0.0.1",
        "`x",
        "a\\b",
        "\"",
        "\u{a0}",
    ];
    for quoted in quoted {
        assert_eq!(text(quoted), single_quoted(quoted));
    }
    assert_eq!(text("a\nb\t\u{7f}\u{feff}\u{2028}\u{85}\"\\"), "\"a\\nb\\t\\x7f\\ufeff\\u2028\\x85\\\"\\\\\"");
}

#[test]
fn documents_look_as_people_write_them() {
    let value = json!({
        "spec": {"http": [{"route": [{"weight": 50, "destination": {"subset": "v1", "port": {"number": 80}, "host": "reviews"}}, {"destination": {"host": "x"}}],
                 "match": [{"uri": {"prefix": "/"}}], "name": "first"}], "gateways": ["ingress"], "hosts": ["*"]},
        "metadata": {"annotations": {"note": "one\ntwo\n", "z": "yes", "a": ""}, "labels": {}, "namespace": "default", "name": "bookinfo"},
        "kind": "VirtualService", "apiVersion": "networking.istio.io/v1", "status": null,
    });
    let service = json!({"kind": "Service", "apiVersion": "v1", "spec": {"ports": [{"targetPort": 80, "port": 80, "name": "http"}], "matrix": [[1, 2], []]}});
    insta::assert_snapshot!(write_all(&[value.clone(), service.clone()]), @r#"
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata:
      name: bookinfo
      namespace: default
      labels: {}
      annotations:
        a: ''
        note: |
          one
          two
        z: 'yes'
    spec:
      hosts:
        - '*'
      gateways:
        - ingress
      http:
        - name: first
          match:
            - uri:
                prefix: /
          route:
            - destination:
                host: reviews
                subset: v1
                port:
                  number: 80
              weight: 50
            - destination:
                host: x
    status: null
    ---
    apiVersion: v1
    kind: Service
    spec:
      ports:
        - name: http
          port: 80
          targetPort: 80
      matrix:
        - - 1
          - 2
        - []
    "#);
    assert_eq!(back(&write_all(&[value.clone(), service.clone()])), [value, service]);
}

fn strings() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z0-9:#\\-,\\[\\]{}&*!|>'\"%@`?. \n\t~=<_+]{0,12}",
        "[0-9xob_.eE+\\-:]{1,8}",
        "(a|b| |\n){0,12}",
        Just("x".repeat(1200)),
        prop::sample::select(vec![
            "yes",
            "on",
            "y",
            "n",
            "no",
            "off",
            "true",
            "null",
            "~",
            "",
            ".inf",
            "<<",
            "---",
            "...",
            "\u{feff}",
            "\u{85}",
            "中文：注释 # 不是"
        ])
        .prop_map(str::to_owned),
    ]
}

pub(in crate::yaml) fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Whole floats are read as integers.
        any::<f64>().prop_map(|float| Value::from(if float.fract() == 0.0 { 0.5 } else { float })),
        strings().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((strings(), inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(values in prop::collection::vec(values(), 1..4)) {
        let values: Vec<_> = values.into_iter().filter(|value| !value.is_null()).collect();
        prop_assert_eq!(back(&write_all(&values)), values.clone());
        let flow: Vec<_> = values.iter().map(|value| flow(value, Context::Document)).collect();
        // Not the names too long for one line: those are what block style is for.
        if !flow.iter().any(|text| text.contains(&"x".repeat(1000))) {
            let text: String = flow.iter().map(|text| format!("---\n{text}\n")).collect();
            prop_assert_eq!(back(&text), values);
        }
    }
}

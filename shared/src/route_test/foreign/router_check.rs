//! Envoy's `router_check_tool`: `input` is a request, `validate` what must come of it. Clusters have the names that istiod
//! gives them (`outbound|9080|v1|reviews.default.svc.cluster.local`).

use super::{Foreign, text};
use crate::fleet::{Position, RouteTestExpectation, RouteTestRequest};
use crate::route_test::Case;
use serde_json::Value;

/// Fields of `validate` and `input` that are read; the rest is named.
const VALIDATED: &[&str] = &[
    "cluster_name",
    "host_rewrite",
    "path_rewrite",
    "path_redirect",
    "code_redirect",
    "request_header_matches",
    "response_header_matches",
];
const INPUTS: &[&str] = &["authority", "path", "method", "ssl", "additional_request_headers", "additional_headers"];

pub(super) fn read(test: &Value, position: &Position, read: &mut Foreign) {
    let name = text(test, "/test_name").unwrap_or_default();
    let (input, validate) = (test.get("input").unwrap_or(&Value::Null), test.get("validate").unwrap_or(&Value::Null));
    for (part, known) in [(input, INPUTS), (validate, VALIDATED)] {
        for field in part.as_object().into_iter().flatten().map(|(field, _)| field) {
            if !known.contains(&field.as_str()) {
                read.ignored.push(format!("{name}: {field}"));
            }
        }
    }
    let field = |pointer: &str| text(input, pointer);
    let (Some(authority), Some(path)) =
        (field("/authority").or_else(|| field("/:authority")), field("/path").or_else(|| field("/:path")))
    else {
        read.ignored.push(format!("{name}: it has no authority or no path"));
        return;
    };
    let scheme = if input.get("ssl") == Some(&Value::Bool(true)) { "https" } else { "http" };
    let headers = ["additional_request_headers", "additional_headers"]
        .iter()
        .filter_map(|key| input.get(*key)?.as_array())
        .flatten();
    let headers = headers
        .filter_map(|header| Some((text(header, "/key").or_else(|| text(header, "/field"))?, text(header, "/value")?)));
    let request = RouteTestRequest {
        url: format!("{scheme}://{authority}{path}"),
        method: field("/method").or_else(|| field("/:method")).filter(|method| method != "GET"),
        headers: headers.collect(),
        ..RouteTestRequest::default()
    };
    let expect = expectation(validate);
    read.cases.push(Case {
        test: String::new(),
        name,
        position: Some(position.clone()),
        request,
        expect: Some(expect),
    });
}

fn expectation(validate: &Value) -> RouteTestExpectation {
    let mut expect = RouteTestExpectation::default();
    match text(validate, "/cluster_name").as_deref() {
        // No route at all, or one that does not forward.
        Some("") if validate.get("path_redirect").is_none() => expect.status = Some(404),
        Some("") | None => {}
        Some(cluster) => drop(expect.destinations.insert(destination(cluster), 100)),
    }
    expect.host = text(validate, "/host_rewrite").filter(|host| !host.is_empty());
    expect.path = text(validate, "/path_rewrite").filter(|path| !path.is_empty());
    expect.location = text(validate, "/path_redirect").filter(|path| !path.is_empty());
    expect.status = expect.status.or_else(|| text(validate, "/code_redirect")?.parse().ok());
    for (field, into) in [
        ("request_header_matches", &mut expect.request_headers),
        ("response_header_matches", &mut expect.response_headers),
    ] {
        let matches = validate.get(field).and_then(Value::as_array).into_iter().flatten();
        let exact = |it: &Value| text(it, "/string_match/exact").or_else(|| text(it, "/exact_match"));
        into.extend(matches.filter_map(|it| Some((text(it, "/name")?, exact(it)?))));
    }
    expect
}

/// `outbound|9080|v1|reviews.default.svc.cluster.local` as `reviews.default.svc.cluster.local:9080/v1`.
fn destination(cluster: &str) -> String {
    match cluster.split('|').collect::<Vec<_>>()[..] {
        [_, port, "", host] => format!("{host}:{port}"),
        [_, port, subset, host] => format!("{host}:{port}/{subset}"),
        _ => cluster.to_owned(),
    }
}

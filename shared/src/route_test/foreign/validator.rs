//! istio-config-validator: every combination of its authorities, methods, paths and headers is a request. It asks a
//! VirtualService, not a gateway: so the request goes to port 80 of whichever gateway knows the host.

use super::{Foreign, text};
use crate::fleet::{Position, RouteTestExpectation, RouteTestRequest};
use crate::object::At as _;
use crate::route_test::Case;
use serde_json::Value;
use std::collections::BTreeMap;

/// Combinations of one test at most.
const MOST: usize = 1000;

pub(super) fn read(test: &Value, position: &Position, read: &mut Foreign) {
    let name = text(test, "/description").unwrap_or_default();
    let list = |field: &str, default: &str| -> Vec<String> {
        let values = test.at(&format!("/request/{field}")).and_then(Value::as_array).into_iter().flatten();
        let values: Vec<String> = values.filter_map(Value::as_str).map(str::to_owned).collect();
        if values.is_empty() { vec![default.to_owned()] } else { values }
    };
    let headers = test.at("/request/headers").and_then(Value::as_object).into_iter().flatten();
    let headers: BTreeMap<String, String> =
        headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
    let expect = expectation(test, &name, read);
    let (hosts, methods, paths) = (list("authority", ""), list("method", "GET"), list("uri", "/"));
    let mut combinations = Vec::new();
    for host in &hosts {
        for method in &methods {
            combinations.extend(paths.iter().map(|path| (host, method, path)));
        }
    }
    for (number, (host, method, path)) in combinations.into_iter().take(MOST).enumerate() {
        if host.is_empty() {
            read.ignored.push(format!("{name}: it has no authority"));
            return;
        }
        let request = RouteTestRequest {
            url: format!("http://{host}{path}"),
            method: Some(method.clone()).filter(|method| method != "GET"),
            headers: headers.clone(),
            ..RouteTestRequest::default()
        };
        let name = if number == 0 { name.clone() } else { format!("{name} ({})", number + 1) };
        read.cases.push(Case {
            test: String::new(),
            name,
            position: Some(position.clone()),
            request,
            expect: Some(expect.clone()),
        });
    }
}

fn expectation(test: &Value, name: &str, read: &mut Foreign) -> RouteTestExpectation {
    let mut expect = RouteTestExpectation::default();
    if test.get("wantMatch") == Some(&Value::Bool(false)) {
        // Nothing of what stands in the file may take it.
        expect.status = Some(404);
        return expect;
    }
    let to: Vec<&Value> = test.get("route").and_then(Value::as_array).into_iter().flatten().collect();
    for destination in &to {
        let Some(host) = text(destination, "/destination/host") else { continue };
        let port = text(destination, "/destination/port/number").map(|port| format!(":{port}")).unwrap_or_default();
        let subset = text(destination, "/destination/subset").map(|subset| format!("/{subset}")).unwrap_or_default();
        let weight = destination.get("weight").and_then(Value::as_u64).and_then(|weight| u32::try_from(weight).ok());
        expect.destinations.insert(format!("{host}{port}{subset}"), weight.filter(|_| to.len() > 1).unwrap_or(100));
    }
    expect.path = text(test, "/rewrite/uri");
    expect.host = text(test, "/rewrite/authority");
    if let Some(redirect) = test.get("redirect") {
        expect.outcome = Some("redirect".to_owned());
        expect.status = text(redirect, "/redirectCode").and_then(|code| code.parse().ok());
    }
    expect.abort = text(test, "/fault/abort/httpStatus").and_then(|code| code.parse().ok());
    expect.delay = text(test, "/fault/delay/fixedDelay");
    for (field, into) in [("request", &mut expect.request_headers), ("response", &mut expect.response_headers)] {
        let set = test.at(&format!("/headers/{field}/set")).and_then(Value::as_object).into_iter().flatten();
        into.extend(set.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))));
    }
    if test.get("delegate").is_some() {
        read.ignored.push(format!("{name}: delegate (what it leads to is looked at, not its name)"));
    }
    if expect == RouteTestExpectation::default() {
        expect.outcome = None;
    }
    expect
}

//! A request and what must come of it.

use crate::fleet::{FleetState, Position, RouteTestCase, RouteTestExpectation, RouteTestRequest};
use crate::route::{Request, Sni};
use std::fmt::Write as _;

/// A request, perhaps with what must come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The test that it belongs to; empty for a request that is only asked.
    pub test: String,
    /// What it is about.
    pub name: String,
    /// Where it stands.
    pub position: Option<Position>,
    /// The request as it is written.
    pub request: RouteTestRequest,
    /// What must come of it; `None` when nothing is expected.
    pub expect: Option<RouteTestExpectation>,
}

/// A request that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CaseError {
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: String,
}

/// The cases of a fleet's `RouteTest` files, in their order.
pub fn cases(state: &FleetState) -> Vec<Case> {
    let of = |test: &str, at: &Position, case: &RouteTestCase| Case {
        test: test.to_owned(),
        name: case.name.clone(),
        position: Some(case.position.clone().unwrap_or_else(|| at.clone())),
        request: case.request.clone(),
        expect: Some(case.expect.clone()),
    };
    let tests = state.route_tests.iter();
    tests.flat_map(|(test, at)| test.spec.cases.iter().map(move |case| of(&test.metadata.name, at, case))).collect()
}

impl Case {
    /// A request that is only asked.
    pub fn asked(request: RouteTestRequest) -> Self {
        Self { test: String::new(), name: String::new(), position: None, request, expect: None }
    }

    /// The request as it arrives.
    pub fn request(&self) -> Result<Request, CaseError> {
        let written = &self.request;
        let headers: Vec<(String, String)> =
            written.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let read = Request::from_url(&written.url, written.method.as_deref(), &headers);
        let mut request = read.map_err(|error| CaseError { message: error.message, hint: error.hint })?;
        request.client_certificate = written.client_certificate;
        request.sni = match &written.sni {
            None => Sni::Host,
            Some(name) if name.is_empty() => Sni::Absent,
            Some(name) => Sni::Name(name.clone()),
        };
        Ok(request)
    }

    /// `GET http://shop.example.com/cart  x-user: a`, as people write it.
    pub fn told(&self) -> String {
        told(&self.request)
    }
}

/// A request in one line.
pub fn told(request: &RouteTestRequest) -> String {
    let mut text = format!("{} {}", request.method.as_deref().unwrap_or("GET"), request.url);
    for (name, value) in &request.headers {
        // Writing to a string does not fail.
        let _ = write!(text, "  {name}: {value}");
    }
    for (what, value) in
        [("from", &request.from), ("to", &request.address), ("to", &request.service), ("in", &request.cluster)]
    {
        if let Some(value) = value {
            let _ = write!(text, "  {what} {value}");
        }
    }
    text
}

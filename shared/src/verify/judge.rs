//! What an answer of a gateway means.

use super::plan::{Ask, Layer};
use schemars::JsonSchema;
use serde::Serialize;

/// What came of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The connection stands, with TLS where that was asked for; nothing more was asked.
    Connected,
    /// An answer of HTTP.
    Http {
        /// Status.
        status: u16,
        /// Headers, names in lower case.
        headers: Vec<(String, String)>,
        /// The version that answered, as the answer says it.
        version: Option<String>,
    },
    /// None.
    Failed(Failure),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The name of the address leads nowhere.
    Name(String),
    /// Nobody listens.
    Refused,
    /// Nothing came within the time; what was waited for.
    Timeout(&'static str),
    /// The connection was cut; during what.
    Cut(&'static str),
    /// TLS does not come about.
    Tls(TlsProblem),
    /// Something else.
    Other(String),
}

/// Why TLS does not come about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsProblem {
    /// The certificate has ended; when.
    Expired(String),
    /// It has not begun; when it will.
    NotYetValid(String),
    /// It is for other names.
    WrongName(Vec<String>),
    /// Nobody who is trusted has signed it; who has.
    UnknownIssuer(String),
    /// The other side does not speak TLS.
    NoTls,
    /// The other side has no certificate for the name, or wants one of the client.
    Alert(String),
    /// Something else.
    Other(String),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Not asked: something before it failed.
    Skipped,
    /// It cannot be told.
    Undecided,
    /// Not as it should be.
    Failed,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How it ended.
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
    /// What to look at next.
    pub hint: Option<String>,
}

impl Verdict {
    fn new(outcome: Outcome, found: impl Into<String>) -> Self {
        Self { outcome, found: found.into(), hint: None }
    }

    fn hinted(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// What the answer to a request means.
pub fn judge(ask: &Ask, answer: &Answer) -> Verdict {
    match answer {
        Answer::Failed(failure) => failed(ask, failure),
        Answer::Connected => Verdict::new(Outcome::Ok, if ask.layer == Layer::Tcp { "connected" } else { "trusted" }),
        Answer::Http { status, headers, .. } => http(ask, *status, headers),
    }
}

fn failed(ask: &Ask, failure: &Failure) -> Verdict {
    let gateway = &ask.gateway;
    let doctor = format!("kubectl asm doctor gateway {gateway} --live");
    let verdict = |found: String| Verdict::new(Outcome::Failed, found);
    match failure {
        Failure::Name(why) => verdict(format!("the name of the address is not known: {why}")),
        Failure::Refused => verdict("connection refused".to_owned())
            .hinted(format!("the load balancer has no listener on port {}, or no back end: {doctor}", ask.port)),
        Failure::Timeout(what) if *what == "connection" => verdict("no connection in time".to_owned())
            .hinted(format!("an access list or security group, or no healthy back end: {doctor}")),
        Failure::Timeout(what) => verdict(format!("no {what} in time")),
        Failure::Cut(what) => verdict(format!("the connection was cut during the {what}"))
            .hinted(format!("no listener of the gateway takes it, or it speaks another protocol there: {doctor}")),
        Failure::Tls(problem) => tls(ask, problem),
        Failure::Other(why) => verdict(why.clone()),
    }
}

fn tls(ask: &Ask, problem: &TlsProblem) -> Verdict {
    let name = ask.server_name.as_deref().unwrap_or("no server name");
    let (found, hint) = match problem {
        TlsProblem::Expired(when) => {
            (format!("the certificate ended on {when}"), "put a new one into the Secret of credentialName".to_owned())
        }
        TlsProblem::NotYetValid(when) => {
            (format!("the certificate counts from {when} on"), "is this machine's clock right?".to_owned())
        }
        TlsProblem::WrongName(names) if names.is_empty() => {
            ("the certificate is for no name at all".to_owned(), format!("it must name {name}"))
        }
        TlsProblem::WrongName(names) => (
            format!("the certificate is for {}, not for {name}", names.join(", ")),
            "another server of the Gateway has taken the connection, or the Secret is that of another host".to_owned(),
        ),
        TlsProblem::UnknownIssuer(issuer) => (
            format!("nobody who is trusted has signed the certificate: its issuer is {issuer}"),
            "name the authority with --ca-file FILE if it is your own".to_owned(),
        ),
        TlsProblem::NoTls => (
            "it does not speak TLS".to_owned(),
            format!("the server on port {} must have protocol HTTPS or TLS", ask.port),
        ),
        TlsProblem::Alert(alert) => (
            format!("the gateway broke TLS off: {alert}"),
            format!("it has no server for {name}, no certificate, or wants one of the client"),
        ),
        TlsProblem::Other(why) => (format!("TLS fails: {why}"), String::new()),
    };
    let verdict = Verdict::new(Outcome::Failed, found);
    if hint.is_empty() { verdict } else { verdict.hinted(hint) }
}

/// Envoy puts this on what a back end answered, and not on what it answers itself.
const FROM_UPSTREAM: &str = "x-envoy-upstream-service-time";

fn http(ask: &Ask, status: u16, headers: &[(String, String)]) -> Verdict {
    let header = |name: &str| headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    let is_envoy = header("server").is_some_and(|server| server.contains("envoy"));
    // A back end whose answers lose the header is taken for the gateway at worst with a status that is wrong anyway.
    let by_gateway = is_envoy && header(FROM_UPSTREAM).is_none();
    let found = match header("location") {
        Some(location) => format!("{status} to {location}"),
        None => status.to_string(),
    };
    if let Some(wanted) = ask.expect.status {
        if status != wanted {
            return wrong_status(ask, status, by_gateway, format!("{found}, expected {wanted}"));
        }
    } else if status >= 500 || (status == 404 && by_gateway) {
        return wrong_status(ask, status, by_gateway, found);
    }
    match &ask.expect.location {
        Some(wanted) if header("location") != Some(wanted) => {
            Verdict::new(Outcome::Failed, format!("{found}, expected a redirect to {wanted}"))
        }
        _ => Verdict::new(Outcome::Ok, found),
    }
}

fn wrong_status(ask: &Ask, status: u16, by_gateway: bool, found: String) -> Verdict {
    let verdict = Verdict::new(Outcome::Failed, found);
    let scheme = if ask.tls { "https" } else { "http" };
    match (status, by_gateway) {
        (404, true) => verdict.hinted(format!(
            "the gateway has no route for it: kubectl asm doctor route {scheme}://{}{}",
            ask.host_or("HOST"),
            ask.path
        )),
        (500..=599, true) => verdict.hinted(format!(
            "the gateway itself says so: it has no back end that answers: kubectl asm doctor route {scheme}://{}{} --live",
            ask.host_or("HOST"),
            ask.path
        )),
        (500..=599, false) => verdict.hinted("the application says so: the gateway has done its part"),
        _ => verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Expect;

    fn ask(expect: Expect) -> Ask {
        Ask {
            gateway: "edge".to_owned(),
            port: 80,
            layer: Layer::Http,
            tls: false,
            host: Some("shop.example.com".to_owned()),
            server_name: None,
            method: "GET".to_owned(),
            path: "/cart".to_owned(),
            headers: Vec::new(),
            expect,
            name: "cart".to_owned(),
            source: "tests/shop.yaml:1:1".to_owned(),
        }
    }

    fn said(status: u16, headers: &[(&str, &str)], expect: Expect) -> String {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let verdict = judge(&ask(expect), &Answer::Http { status, headers, version: None });
        format!("{:?}: {} | {}", verdict.outcome, verdict.found, verdict.hint.as_deref().unwrap_or("-"))
    }

    #[test]
    fn statuses() {
        let (envoy, upstream) = (("server", "istio-envoy"), ("x-envoy-upstream-service-time", "3"));
        let status = |status| Expect { status: Some(status), ..Expect::default() };
        let moved = Expect { location: Some("https://a/".to_owned()), ..status(301) };
        let all = [
            said(200, &[envoy, upstream], Expect::default()),
            said(404, &[envoy], Expect::default()),
            // The application's own 404.
            said(404, &[envoy, upstream], Expect::default()),
            said(404, &[], Expect::default()),
            said(503, &[envoy], Expect::default()),
            said(500, &[envoy, upstream], Expect::default()),
            said(404, &[envoy], status(404)),
            said(200, &[envoy, upstream], status(301)),
            said(301, &[envoy, ("location", "https://a/")], moved.clone()),
            said(301, &[envoy, ("location", "https://b/")], moved),
            said(302, &[envoy, ("location", "/login")], Expect::default()),
        ];
        insta::assert_snapshot!(all.join("\n"));
    }

    #[test]
    fn failures() {
        let tls = |problem| Failure::Tls(problem);
        let all = [
            Failure::Name("no such host".to_owned()),
            Failure::Refused,
            Failure::Timeout("connection"),
            Failure::Timeout("answer"),
            Failure::Cut("TLS handshake"),
            tls(TlsProblem::Expired("2026-01-01".to_owned())),
            tls(TlsProblem::NotYetValid("2027-01-01".to_owned())),
            tls(TlsProblem::WrongName(vec!["a.example.com".to_owned()])),
            tls(TlsProblem::WrongName(Vec::new())),
            tls(TlsProblem::UnknownIssuer("CN=mine".to_owned())),
            tls(TlsProblem::NoTls),
            tls(TlsProblem::Alert("unrecognised name".to_owned())),
        ];
        let told: Vec<String> = all
            .into_iter()
            .map(|failure| {
                let verdict = judge(&ask(Expect::default()), &Answer::Failed(failure));
                assert_eq!(verdict.outcome, Outcome::Failed);
                format!("{} | {}", verdict.found, verdict.hint.as_deref().unwrap_or("-"))
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}

//! Lines of Envoy's access log, as Istio writes them: the default text format, or JSON. Each becomes a request and what
//! came of it then.

use crate::fleet::RouteTestRequest;
use serde_json::Value;

/// A line that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// The request.
    pub request: RouteTestRequest,
    /// The status that the client got; 0 when none was sent.
    pub status: u16,
    /// Where Envoy sent it, as it calls it (`outbound|9080|v1|reviews.default.svc.cluster.local`); `None` for nowhere.
    pub cluster: Option<String>,
    /// What Envoy says of it (`NR`, `UF`, …); `None` for nothing.
    pub flags: Option<String>,
}

/// Reads a line; `None` when it is none of an HTTP request. `tls`: the port of the gateway's Service speaks TLS (the log
/// does not say which one that was).
pub fn read(line: &str) -> Option<Logged> {
    let line = line.trim();
    if line.starts_with('{') { json(line) } else { plain(line) }
}

fn json(line: &str) -> Option<Logged> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| -> Option<String> {
        match value.get(key)? {
            Value::String(text) => Some(text.clone()).filter(|text| text != "-" && !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    };
    let (method, authority) = (text("method")?, text("authority")?);
    let path = text("path").or_else(|| text("x_envoy_original_path"))?;
    let server_name = text("requested_server_name");
    Some(logged(
        &Fields { method: &method, path: &path, authority: &authority, server_name: server_name.as_deref() },
        text("response_code").and_then(|code| code.parse().ok()).unwrap_or_default(),
        text("upstream_cluster"),
        text("response_flags"),
    ))
}

struct Fields<'a> {
    method: &'a str,
    path: &'a str,
    authority: &'a str,
    server_name: Option<&'a str>,
}

fn logged(fields: &Fields<'_>, status: u16, cluster: Option<String>, flags: Option<String>) -> Logged {
    let scheme = if fields.server_name.is_some() { "https" } else { "http" };
    let request = RouteTestRequest {
        url: format!("{scheme}://{}{}", fields.authority, fields.path),
        method: Some(fields.method.to_owned()).filter(|method| method != "GET"),
        sni: fields.server_name.map(str::to_owned),
        ..RouteTestRequest::default()
    };
    Logged { request, status, cluster, flags }
}

/// `[time] "GET /path HTTP/1.1" 200 - via_upstream - "-" 0 11 5 4 "forwarded" "agent" "request-id" "authority" "upstream"
/// upstream_cluster local_address downstream_local downstream_remote requested_server_name route_name`.
fn plain(line: &str) -> Option<Logged> {
    let words = words(line)?;
    let start = words.iter().position(|word| word.is_quoted && word.text.split(' ').count() == 3)?;
    let mut request = words[start].text.split(' ');
    let (method, path, protocol) = (request.next()?, request.next()?, request.next()?);
    if !protocol.starts_with("HTTP/") {
        return None;
    }
    let word =
        |offset: usize| words.get(start + offset).map(|word| word.text).filter(|text| *text != "-" && !text.is_empty());
    let status = word(1).and_then(|code| code.parse().ok()).unwrap_or_default();
    // After the request: status, flags, details, transport failure, bytes, bytes, duration, service time, forwarded-for,
    // agent, request id, authority, upstream, cluster, …; four addresses later the server name.
    let quoted: Vec<(usize, &str)> = words
        .iter()
        .enumerate()
        .skip(start + 1)
        .filter(|(_, word)| word.is_quoted)
        .map(|(at, word)| (at, word.text))
        .collect();
    let (upstream, authority) = match quoted[..] {
        [.., (_, authority), (upstream, _)] => (upstream, authority),
        _ => return None,
    };
    let after = |offset: usize| words.get(upstream + offset).map(|word| word.text).filter(|text| *text != "-");
    if authority == "-" || authority.is_empty() {
        return None;
    }
    Some(logged(
        &Fields { method, path, authority, server_name: after(5) },
        status,
        after(1).map(str::to_owned),
        word(2).map(str::to_owned),
    ))
}

struct Word<'a> {
    text: &'a str,
    is_quoted: bool,
}

/// Words, and texts in quotes or brackets.
fn words(line: &str) -> Option<Vec<Word<'_>>> {
    let mut words = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let (open, close) = match first {
            ' ' => {
                rest = &rest[1..];
                continue;
            }
            '"' => (1, '"'),
            '[' => (1, ']'),
            _ => (0, ' '),
        };
        let inner = &rest[open..];
        let end = inner.find(close).or_else(|| (close == ' ').then_some(inner.len()))?;
        words.push(Word { text: &inner[..end], is_quoted: first == '"' });
        rest = inner.get(end + usize::from(close != ' ')..).unwrap_or_default();
    }
    Some(words)
}

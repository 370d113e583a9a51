//! A client that asks one question per connection: what a browser behind a load balancer looks like to a gateway.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longer answers than this are cut: nothing here is that long.
const LONGEST: u64 = 1 << 20;

/// An answer to a GET.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body if it is JSON, else its text.
    pub body: Value,
}

impl Answer {
    /// A text of the body, such as `version`.
    #[must_use]
    pub fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// A header, by its name in small letters.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Asks an address for a path of a host. No answer is an error.
pub async fn get(address: &str, host: &str, path: &str) -> Result<Answer> {
    let ip: Ipv4Addr = address.parse().with_context(|| format!("{address:?} is no address"))?;
    ask((ip, 80).into(), host, path).await
}

pub(super) async fn ask(to: SocketAddr, host: &str, path: &str) -> Result<Answer> {
    let what = || format!("http://{to}{path} (host {host})");
    timeout(PATIENCE, exchange(to, host, path))
        .await
        .with_context(|| format!("no answer within {PATIENCE:?} from {}", what()))?
        .with_context(what)
}

async fn exchange(to: SocketAddr, host: &str, path: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(to).await.context("cannot connect")?;
    stream.set_nodelay(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    parse(&answer)
}

fn parse(answer: &[u8]) -> Result<Answer> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").context("the connection ended without an answer")?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let status = status.with_context(|| format!("this is no HTTP answer: {head:?}"))?;
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(key, value)| (key.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let mut answer = Answer { status, headers, body: Value::Null };
    let chunked = answer.header("transfer-encoding").is_some_and(|how| how.eq_ignore_ascii_case("chunked"));
    let body = if chunked { unchunk(body)? } else { body.to_owned() };
    if let Some(length) = answer.header("content-length").and_then(|length| length.parse::<usize>().ok()) {
        ensure!(body.len() == length, "the answer was cut: {} of {length} bytes", body.len());
    }
    answer.body = serde_json::from_str(&body).unwrap_or(Value::String(body));
    Ok(answer)
}

/// As Envoy's admin interface answers.
fn unchunk(mut body: &str) -> Result<String> {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n").context("the answer was cut")?;
        let size = usize::from_str_radix(size.trim(), 16).context("a chunk has no size")?;
        if size == 0 {
            return Ok(whole);
        }
        whole.push_str(rest.get(..size).context("the answer was cut")?);
        body = rest.get(size + 2..).context("the answer was cut")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_or_an_error() {
        let whole = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"version\":\"v3\"}").unwrap();
        assert_eq!((whole.status, whole.text("/version"), whole.header("content-length")), (200, "v3", Some("16")));
        let plain = parse(b"HTTP/1.1 503 Service Unavailable\r\n\r\nno healthy upstream").unwrap();
        assert_eq!((plain.status, plain.body.as_str()), (503, Some("no healthy upstream")));
        assert!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").is_err());
        assert!(parse(b"").is_err());
        let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nLIV\r\n2\r\nE\n\r\n";
        let answer = parse(format!("{chunks}0\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(answer.body.as_str(), Some("LIVE\n"));
        assert!(parse(chunks.as_bytes()).is_err());
    }
}

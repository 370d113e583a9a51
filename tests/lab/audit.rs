//! Reading the API servers' audit logs: who asked for what.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Deserialize;

/// One request to an API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Who asked.
    pub user: String,
    /// As whom, by impersonation; empty for as oneself.
    pub acting_as: String,
    /// The program that asked, as it calls itself.
    pub user_agent: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for requests that are for no
    /// object, the HTTP method in small letters.
    pub verb: String,
    /// The object, if it was a request for one.
    pub resource: Option<AuditResource>,
    /// Path and query.
    pub uri: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// When the request arrived.
    pub time: Timestamp,
}

/// What a request was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditResource {
    /// API group; empty for core.
    pub group: String,
    /// Plural name.
    pub resource: String,
    /// `status`, `scale`, …; empty if none.
    pub subresource: String,
    /// Empty for cluster-scoped objects and for lists over all namespaces.
    pub namespace: String,
    /// Empty for lists and most creations.
    pub name: String,
}

impl AuditEntry {
    /// Whether it asked to change something (a dry run does not).
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
            && !self.uri.contains("dryRun=All")
            // Questions that have the form of a creation.
            && !self.resource.as_ref().is_some_and(|r| {
                matches!(r.group.as_str(), "authorization.k8s.io" | "authentication.k8s.io")
            })
    }
}

/// A place in an audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditMark(u64);

/// How many of the entries each user made.
#[must_use]
pub fn count_by_user(entries: &[AuditEntry]) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    for entry in entries {
        *count.entry(entry.user.clone()).or_insert(0) += 1;
    }
    count
}

/// A request whose URI holds this is the lab's own look at the log.
pub(crate) const BARRIER: &str = "asm-lab-barrier";

/// The requests after `from`, and where the log ends now.
pub(crate) fn read(log: &Path, from: AuditMark) -> Result<(Vec<AuditEntry>, AuditMark)> {
    let mut file = File::open(log).with_context(|| format!("cannot read the audit log {}", log.display()))?;
    file.seek(SeekFrom::Start(from.0))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    // The last line may be half written.
    let complete = text.rfind('\n').map_or(0, |end| end + 1);
    let entries = text[..complete].lines().map(parse).collect::<Result<Vec<_>>>()?;
    Ok((entries.into_iter().flatten().collect(), AuditMark(from.0 + complete as u64)))
}

/// Whether the log holds `text` after `from`.
pub(crate) fn holds(log: &Path, from: AuditMark, text: &str) -> bool {
    let mut found = String::new();
    File::open(log)
        .and_then(|mut file| {
            file.seek(SeekFrom::Start(from.0))?;
            file.read_to_string(&mut found)
        })
        .is_ok_and(|_| found.contains(text))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    stage: String,
    #[serde(rename = "requestURI")]
    uri: String,
    verb: String,
    user: RawUser,
    impersonated_user: Option<RawUser>,
    #[serde(default)]
    user_agent: String,
    object_ref: Option<RawRef>,
    response_status: Option<RawStatus>,
    request_received_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct RawUser {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct RawRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct RawStatus {
    #[serde(default)]
    code: u16,
}

fn parse(line: &str) -> Result<Option<AuditEntry>> {
    let raw: Raw = serde_json::from_str(line).with_context(|| format!("a line of the audit log is odd: {line}"))?;
    // A watch is told when it starts and when it ends; count it when it starts.
    let told = match raw.stage.as_str() {
        "ResponseStarted" => raw.verb == "watch",
        "ResponseComplete" => raw.verb != "watch",
        _ => true,
    };
    if !told || raw.uri.contains(BARRIER) {
        return Ok(None);
    }
    Ok(Some(AuditEntry {
        user: raw.user.username,
        acting_as: raw.impersonated_user.map(|user| user.username).unwrap_or_default(),
        user_agent: raw.user_agent,
        verb: raw.verb,
        resource: raw.object_ref.map(|r| AuditResource {
            group: r.api_group,
            resource: r.resource,
            subresource: r.subresource,
            namespace: r.namespace,
            name: r.name,
        }),
        uri: raw.uri,
        code: raw.response_status.map_or(0, |s| s.code),
        time: raw.request_received_timestamp,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = concat!(
        r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"1","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/a/services/x?fieldManager=m","verb":"patch","user":{"username":"asm-agent","groups":["system:masters"]},"sourceIPs":["127.0.0.1"],"userAgent":"asm-agent/0.1.0","objectRef":{"resource":"services","namespace":"a","name":"x","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-11-21T08:00:00.000001Z","stageTimestamp":"2026-11-21T08:00:00.000002Z"}"#,
        "\n",
        r#"{"auditID":"2","stage":"ResponseStarted","requestURI":"/api/v1/pods?watch=1","verb":"watch","user":{"username":"kubelet"},"objectRef":{"resource":"pods","apiVersion":"v1"},"responseStatus":{"code":200},"requestReceivedTimestamp":"2026-11-21T08:00:00Z"}"#,
        "\n",
        r#"{"auditID":"2","stage":"ResponseComplete","requestURI":"/api/v1/pods?watch=1","verb":"watch","user":{"username":"kubelet"},"objectRef":{"resource":"pods","apiVersion":"v1"},"responseStatus":{"code":200},"requestReceivedTimestamp":"2026-11-21T08:00:00Z"}"#,
        "\n",
        r#"{"auditID":"3","stage":"ResponseComplete","requestURI":"/version?asm-lab-barrier=1","verb":"get","user":{"username":"lab"},"responseStatus":{"code":200},"requestReceivedTimestamp":"2026-11-21T08:00:00Z"}"#,
        "\n{\"half",
    );

    #[test]
    fn each_request_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        std::fs::write(&log, LINES).unwrap();
        let (entries, mark) = read(&log, AuditMark::default()).unwrap();
        assert_eq!(count_by_user(&entries), BTreeMap::from([("asm-agent".into(), 1), ("kubelet".into(), 1)]));
        assert!(entries[0].is_write() && !entries[1].is_write());
        let resource = entries[0].resource.as_ref().unwrap();
        assert_eq!((resource.resource.as_str(), resource.name.as_str()), ("services", "x"));
        let (after, again) = read(&log, mark).unwrap();
        assert!(after.is_empty());
        assert_eq!(again, mark);
    }
}

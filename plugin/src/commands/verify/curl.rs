//! Asking from inside of a cluster: curl in a pod that is there already, through `kubectl exec`.

use super::Settings;
use crate::globals::GlobalArgs;
use asm_shared::verify::{Answer, Ask, Failure, Layer, TlsProblem};
use std::process::Stdio;
use std::str::FromStr;
use tokio::process::Command;

/// `--from-pod`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FromPod {
    /// The cluster of the pod.
    pub(super) cluster: String,
    namespace: String,
    pod: String,
    container: Option<String>,
}

impl FromStr for FromPod {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not CLUSTER:NAMESPACE/POD[/CONTAINER]");
        let (cluster, rest) = text.split_once(':').ok_or_else(wrong)?;
        let parts: Vec<&str> = rest.split('/').collect();
        let (namespace, pod, container) = match parts[..] {
            [namespace, pod] => (namespace, pod, None),
            [namespace, pod, container] => (namespace, pod, Some(container)),
            _ => return Err(wrong()),
        };
        // A name that begins with a dash would be a flag of kubectl.
        if [cluster, namespace, pod, container.unwrap_or("x")]
            .iter()
            .any(|part| part.is_empty() || part.starts_with('-'))
        {
            return Err(wrong());
        }
        let owned = str::to_owned;
        Ok(Self {
            cluster: owned(cluster),
            namespace: owned(namespace),
            pod: owned(pod),
            container: container.map(owned),
        })
    }
}

impl std::fmt::Display for FromPod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}/{}", self.cluster, self.namespace, self.pod)?;
        self.container.iter().try_for_each(|container| write!(f, "/{container}"))
    }
}

/// A pod with the way to it.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    pub(super) from: FromPod,
    /// Arguments of kubectl, up to the command in the pod.
    arguments: Vec<String>,
}

impl Pod {
    /// With the kubeconfig context of its cluster.
    pub(super) fn new(from: &FromPod, kube_context: &str, globals: &GlobalArgs) -> Self {
        let mut arguments = Vec::new();
        let mut flag = |name: &str, value: &str| arguments.push(format!("--{name}={value}"));
        if let Some(file) = &globals.kubeconfig {
            flag("kubeconfig", &file.to_string_lossy());
        }
        flag("context", kube_context);
        globals.impersonate.iter().for_each(|user| flag("as", user));
        globals.impersonate_groups.iter().for_each(|group| flag("as-group", group));
        flag("namespace", &from.namespace);
        arguments.push("exec".to_owned());
        arguments.push(from.pod.clone());
        arguments.extend(from.container.iter().map(|container| format!("--container={container}")));
        arguments.push("--".to_owned());
        Self { from: from.clone(), arguments }
    }

    /// Makes one request. The inner result is about the address, the outer one about the pod.
    pub(super) async fn ask(&self, settings: &Settings, address: &str, ask: &Ask) -> Result<Answer, String> {
        let output = Command::new("kubectl")
            .args(&self.arguments)
            .args(curl(settings, address, ask))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| format!("cannot run kubectl: {error}"))?;
        let told = String::from_utf8_lossy(&output.stderr);
        answer(settings, ask, output.status.code(), &output.stdout, &told)
    }
}

/// curl with everything that this request needs.
fn curl(settings: &Settings, address: &str, ask: &Ask) -> Vec<String> {
    let (to, port) = settings.route(address, ask.host_or(address), ask.port);
    let seconds = format!("{:.3}", settings.timeout.as_secs_f64());
    let bracketed =
        |host: &str| if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let scheme = if ask.tls { "https" } else { "http" };
    let host = bracketed(ask.host_or(address));
    let mut words: Vec<String> =
        ["curl", "--silent", "--show-error", "--include", "--http1.1", "--noproxy", "*", "--path-as-is", "--globoff"]
            .map(str::to_owned)
            .into();
    words.extend(["--connect-timeout".to_owned(), seconds.clone(), "--max-time".to_owned(), seconds]);
    words.extend(["--connect-to".to_owned(), format!("::{}:{port}", bracketed(&to))]);
    words.extend(["--request".to_owned(), ask.method.clone()]);
    for (name, value) in &ask.headers {
        words.extend(["--header".to_owned(), format!("{name}: {value}")]);
    }
    words.push(format!("{scheme}://{host}:{}{}", ask.port, ask.path));
    words
}

/// By curl's exit codes, which kubectl passes on.
fn answer(settings: &Settings, ask: &Ask, code: Option<i32>, stdout: &[u8], stderr: &str) -> Result<Answer, String> {
    let told = stderr.lines().find(|line| line.starts_with("curl:")).unwrap_or_default().to_owned();
    let failed = |failure| Ok(Answer::Failed(failure));
    match code {
        Some(0) if ask.layer == Layer::Http => Ok(read(settings, stdout)
            .unwrap_or_else(|| Answer::Failed(Failure::Other("the answer is no HTTP".to_owned())))),
        Some(0) => Ok(Answer::Connected),
        Some(6) => failed(Failure::Name(told)),
        Some(7) => failed(Failure::Refused),
        Some(28) => failed(Failure::Timeout(if told.contains("onnection timed out") || told.contains("connect") {
            "connection"
        } else {
            "answer"
        })),
        Some(126 | 127) => Err(format!("there is no curl in the pod: {}", first_line(stderr))),
        // It had a connection: more was not asked for.
        Some(1 | 35 | 51 | 52 | 56 | 60) if ask.layer == Layer::Tcp && !told.is_empty() => Ok(Answer::Connected),
        Some(52 | 56) if ask.layer == Layer::Tls && !told.is_empty() => Ok(Answer::Connected),
        Some(52 | 56) if !told.is_empty() => failed(Failure::Cut("answer")),
        Some(35 | 51 | 60) if !told.is_empty() => failed(Failure::Tls(TlsProblem::Other(told))),
        Some(_) if !told.is_empty() => failed(Failure::Other(told)),
        _ => Err(format!("kubectl exec fails: {}", first_line(stderr))),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it says nothing")
}

/// Status line, headers and body as curl prints them; answers before the last (`100 Continue`) are skipped.
fn read(settings: &Settings, mut text: &[u8]) -> Option<Answer> {
    loop {
        let end = text.windows(4).position(|window| window == b"\r\n\r\n")?;
        let (head, body) = (String::from_utf8_lossy(&text[..end]).into_owned(), &text[end + 4..]);
        let mut lines = head.lines();
        let status: u16 = lines.next()?.strip_prefix("HTTP/")?.split(' ').nth(1)?.parse().ok()?;
        if (100..200).contains(&status) {
            text = body;
            continue;
        }
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let version = settings.version_from.read(&headers, body);
        return Some(Answer::Http { status, headers, version });
    }
}

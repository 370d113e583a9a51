//! The program as a process, against an API server that knows Leases and little else: options, exit codes, signals.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::sync::watch;

#[derive(Default)]
struct Api {
    leases: BTreeMap<String, Value>,
    version: u64,
    /// What became of Leases, with the version it made.
    events: Vec<(u64, Value)>,
    news: watch::Sender<()>,
    agents: Vec<String>,
    /// Leases are not answered any more.
    silent: bool,
}

/// A fake API server on a runtime of its own.
struct Host {
    api: Arc<Mutex<Api>>,
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Host {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let api = Arc::<Mutex<Api>>::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&api));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await });
        let folder = tempfile::tempdir().unwrap();
        write_kubeconfig(&folder.path().join("config"), address);
        Self { api, folder, _runtime: runtime }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    fn holder(&self) -> Option<String> {
        let api = self.api.lock().unwrap();
        let holder = api.leases.get("asm-agent")?["spec"]["holderIdentity"].as_str()?;
        (!holder.is_empty()).then(|| holder.to_owned())
    }
}

impl Host {
    /// Holders of the Leases of replicas.
    fn members(&self) -> Vec<String> {
        let api = self.api.lock().unwrap();
        let of_replicas = api.leases.iter().filter(|(name, _)| name.starts_with("pod-1"));
        let holders = of_replicas.filter_map(|(_, lease)| lease["spec"]["holderIdentity"].as_str());
        holders.filter(|holder| !holder.is_empty()).map(str::to_owned).collect()
    }
}

fn write_kubeconfig(path: &std::path::Path, address: SocketAddr) {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "host",
        "clusters": [{"name": "host", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "host", "user": {}}],
        "contexts": [{"name": "host", "context": {"cluster": "host", "user": "host"}}],
    });
    std::fs::write(path, config.to_string()).unwrap();
}

async fn answer(State(shared): State<Arc<Mutex<Api>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let leases = "/apis/coordination.k8s.io/v1/namespaces/fleets/leases";
    if !path.starts_with(leases) {
        if parts.uri.query().is_some_and(|query| query.contains("watch=true")) {
            std::future::pending::<()>().await;
        }
        if path.ends_with("/fleetsyncs") {
            let list = json!({"apiVersion": "kubectl-asm.io/v1alpha1", "kind": "FleetSyncList", "items": [],
                              "metadata": {"resourceVersion": "1"}});
            return axum_json(StatusCode::OK, &list);
        }
        return failure(404, "NotFound", &format!("{path} not found"));
    }
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let silent = shared.lock().unwrap().silent;
    if silent {
        std::future::pending::<()>().await;
    }
    let mut api = shared.lock().unwrap();
    let agent = parts.headers.get(header::USER_AGENT).and_then(|name| name.to_str().ok()).unwrap_or_default();
    api.agents.push(agent.to_owned());
    let name = path[leases.len()..].trim_start_matches('/').to_owned();
    let query = parts.uri.query().unwrap_or_default();
    if parts.method == Method::GET && name.is_empty() {
        if query.contains("watch=true") {
            let from = query.split('&').find_map(|part| part.strip_prefix("resourceVersion="));
            let from = from.and_then(|version| version.parse().ok()).unwrap_or(0);
            return watched(from, api.news.subscribe(), shared.clone());
        }
        let items: Vec<&Value> = api.leases.values().collect();
        let list = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "LeaseList", "items": items,
                          "metadata": {"resourceVersion": api.version.to_string()}});
        return axum_json(StatusCode::OK, &list);
    }
    let known = api.leases.get(&name).cloned();
    if parts.method == Method::GET {
        return known.map_or_else(
            || failure(404, "NotFound", &format!("leases {name:?} not found")),
            |lease| axum_json(StatusCode::OK, &lease),
        );
    }
    let sent: Value = serde_json::from_slice(&body).unwrap();
    if parts.method == Method::DELETE {
        let wanted = &sent["preconditions"]["resourceVersion"];
        return match known {
            Some(lease) if *wanted == lease["metadata"]["resourceVersion"] => {
                api.leases.remove(&name);
                let gone = api.stamp(lease);
                api.tell("DELETED", &gone);
                axum_json(StatusCode::OK, &gone)
            }
            Some(_) => failure(409, "Conflict", "changed"),
            None => failure(404, "NotFound", "gone"),
        };
    }
    let name = sent["metadata"]["name"].as_str().unwrap().to_owned();
    let known = api.leases.get(&name).map(|lease| lease["metadata"]["resourceVersion"].clone());
    let fits = match parts.method {
        Method::POST => known.is_none(),
        _ => known.as_ref() == Some(&sent["metadata"]["resourceVersion"]),
    };
    if !fits {
        return failure(409, "Conflict", "changed");
    }
    let lease = api.stamp(sent);
    let kind = if known.is_none() { "ADDED" } else { "MODIFIED" };
    api.leases.insert(name, lease.clone());
    api.tell(kind, &lease);
    axum_json(StatusCode::OK, &lease)
}

impl Api {
    fn stamp(&mut self, mut lease: Value) -> Value {
        self.version += 1;
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        lease
    }

    fn tell(&mut self, kind: &str, lease: &Value) {
        self.events.push((self.version, json!({"type": kind, "object": lease})));
        self.news.send_replace(());
    }
}

/// A watch of Leases from a version on.
fn watched(from: u64, news: watch::Receiver<()>, api: Arc<Mutex<Api>>) -> Response {
    let next = move |(from, mut news): (u64, watch::Receiver<()>)| {
        let api = api.clone();
        async move {
            loop {
                news.borrow_and_update();
                let (lines, last) = {
                    let api = api.lock().unwrap();
                    let later = api.events.iter().filter(|(version, _)| *version > from);
                    (later.map(|(_, event)| format!("{event}\n")).collect::<String>(), api.version)
                };
                if !lines.is_empty() {
                    return Some((Ok::<_, std::io::Error>(lines), (last, news)));
                }
                news.changed().await.ok()?;
            }
        }
    };
    let lines = futures::stream::unfold((from, news), next);
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(lines)).into_response()
}

fn failure(code: u16, reason: &str, message: &str) -> Response {
    let status = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason,
                        "message": message});
    axum_json(StatusCode::from_u16(code).unwrap(), &status)
}

fn axum_json(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// The program, without anything of this process's environment that it reads.
fn agent(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_asm-agent"));
    command.args(arguments).env_clear().env("POD_NAME", "pod-1").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ended(arguments: &[&str]) -> (i32, String) {
    let Output { status, stdout, stderr } = agent(arguments).output().unwrap();
    (status.code().unwrap(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// A running agent; its log is read along, so that it never waits for a full pipe.
struct Running {
    child: Child,
    log: mpsc::Receiver<Value>,
    http: SocketAddr,
}

impl Running {
    fn start(host: &Host, more: &[&str]) -> Self {
        let kubeconfig = host.kubeconfig();
        let mut arguments = vec!["--kubeconfig", kubeconfig.to_str().unwrap(), "--namespace", "fleets"];
        arguments.extend(["--http-address", "127.0.0.1:0", "--log-format", "json"]);
        arguments.extend(more);
        let mut child = agent(&arguments).spawn().unwrap();
        let (sender, log) = mpsc::channel();
        let stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        let first = |log: &mpsc::Receiver<Value>| loop {
            let line = log.recv_timeout(Duration::from_secs(10)).expect("the agent says where it listens");
            if let Some(address) = line["address"].as_str() {
                return address.parse().unwrap();
            }
        };
        let http = first(&log);
        Self { child, log, http }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.http).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// What its metric says of who writes the status. The help text of the metric begins as a value of 1 would: only the whole
    /// line counts.
    fn leads(&self) -> bool {
        let answer = self.get("/metrics");
        let told: Vec<&str> = answer.lines().filter(|line| line.starts_with("asm_agent_leader ")).collect();
        assert!(told == ["asm_agent_leader 0"] || told == ["asm_agent_leader 1"], "{answer}");
        told == ["asm_agent_leader 1"]
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    fn wait(&mut self, at_most: Duration) -> i32 {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap();
            }
            assert!(started.elapsed() < at_most, "still running; log: {:?}", self.log.try_iter().collect::<Vec<_>>());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let started = Instant::now();
    while !check() {
        assert!(started.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn options_and_their_exit_codes() {
    let (code, text) = ended(&["--help"]);
    assert_eq!(code, 0);
    assert!(text.contains("Exit codes:") && text.contains("ASM_AGENT_NAMESPACE"), "{text}");
    assert_eq!(ended(&["--version"]), (0, format!("asm-agent {}\n", env!("CARGO_PKG_VERSION"))));
    for wrong in [
        &["--no-such-option"][..],
        &["--lease-renew", "20s"],
        &["--log-level", "a=b=c"],
        &["--kubeconfig", "/does/not/exist"],
        // Neither in a cluster nor told where one is.
        &[],
    ] {
        let (code, text) = ended(wrong);
        assert_eq!(code, 2, "{wrong:?}: {text}");
        assert!(!text.trim().is_empty() && !text.contains("panicked"), "{text}");
    }
}

#[test]
fn leads_answers_and_ends_in_order() {
    let host = Host::start();
    let mut running = Running::start(&host, &[]);
    eventually("it is ready", || running.get("/readyz").starts_with("HTTP/1.1 200"));
    eventually("it leads", || running.leads());
    // The number comes after the answer of the API server, so the Lease says it by then.
    let holder = host.holder().unwrap();
    assert!(holder.starts_with("pod-1_"), "{holder}");
    assert!(running.get("/healthz").starts_with("HTTP/1.1 200"));
    let agents = host.api.lock().unwrap().agents.clone();
    assert!(agents.iter().all(|name| name.starts_with("asm-agent/")), "{agents:?}");

    // A second one shares the work, and does not write the status.
    let second = Running::start(&host, &[]);
    eventually("the second has joined", || second.get("/readyz").starts_with("HTTP/1.1 200"));
    assert!(!second.leads());
    assert_eq!(host.holder().as_ref(), Some(&holder));

    running.signal("-TERM");
    assert_eq!(running.wait(Duration::from_secs(5)), 0);
    let said: Vec<_> = running.log.try_iter().map(|line| line["message"].clone()).collect();
    assert!(said.contains(&json!("the member Lease is given back")), "{said:?}");
    eventually("the second leads", || second.leads());
    assert!(host.holder().is_some_and(|now| now != holder), "{:?}", host.holder());
}

#[test]
fn a_second_signal_does_not_wait() {
    let host = Host::start();
    let mut running = Running::start(&host, &["--lease-duration", "90s", "--lease-renew", "30s"]);
    eventually("it leads", || host.holder().is_some());
    host.api.lock().unwrap().silent = true;
    running.signal("-INT");
    std::thread::sleep(Duration::from_millis(500));
    assert!(running.child.try_wait().unwrap().is_none(), "it tries to give the Lease back");
    running.signal("-INT");
    running.wait(Duration::from_secs(2));
}

#[test]
fn once_says_what_is_in_the_way() {
    let host = Host::start();
    let kubeconfig = host.kubeconfig();
    let base =
        ["--kubeconfig", kubeconfig.to_str().unwrap(), "--namespace", "fleets", "--timeout", "2s", "--once", "fleet"];
    let (code, text) = ended(&base);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("FleetSync fleet: ") && text.contains("not found"), "{text}");
    assert_eq!(host.members(), Vec::<String>::new(), "the Lease is given back");

    let running = Running::start(&host, &[]);
    eventually("the other one has joined", || !host.members().is_empty());
    let (code, text) = ended(&base);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("the agent pod-1_") && text.contains("writes already"), "{text}");
    drop(running);

    let closed = host.folder.path().join("closed");
    write_kubeconfig(&closed, ([127, 0, 0, 1], 1).into());
    let (code, text) = ended(&[&["--kubeconfig", closed.to_str().unwrap()], &base[2..]].concat());
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("Connection refused"), "{text}");
}

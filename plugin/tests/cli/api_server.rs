//! A scripted API server: objects by path, GET, LIST with the label of a set, merge patches, and watches that tell what the
//! test says. Just enough for the commands that read clusters; what an API server really does is tested in the lab.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct State {
    /// Objects by URL path.
    objects: BTreeMap<String, Value>,
    /// Paths that are answered with 403.
    forbidden: Vec<String>,
    /// Paths that are answered with 404.
    hidden: Vec<String>,
    requests: Vec<String>,
    /// How many requests are still answered; then connections are cut.
    answers_left: Option<usize>,
    /// Every header line of every request.
    headers: Vec<String>,
}

/// What happens to an object right after it was patched, as an agent would do it.
type Reaction = Box<dyn Fn(&mut Value) + Send + Sync>;

pub(crate) struct ApiServer {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl ApiServer {
    pub(crate) fn start() -> Self {
        Self::reacting(Box::new(|_| {}))
    }

    pub(crate) fn reacting(reaction: Reaction) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state: Arc<Mutex<State>> = Arc::default();
        let (shared, reaction) = (state.clone(), Arc::new(reaction));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, reaction) = (shared.clone(), reaction.clone());
                std::thread::spawn(move || serve(stream, &state, &reaction));
            }
        });
        Self { port, state }
    }

    /// Puts an object at its URL.
    pub(crate) fn put(&self, plural: &str, object: Value) {
        let api_version = object["apiVersion"].as_str().unwrap();
        let root =
            if api_version.contains('/') { format!("/apis/{api_version}") } else { format!("/api/{api_version}") };
        let namespace =
            object["metadata"]["namespace"].as_str().map(|name| format!("/namespaces/{name}")).unwrap_or_default();
        let path = format!("{root}{namespace}/{plural}/{}", object["metadata"]["name"].as_str().unwrap());
        self.put_at(&path, object);
    }

    /// Puts an object at any path.
    pub(crate) fn put_at(&self, path: &str, object: Value) {
        self.state.lock().unwrap().objects.insert(path.to_owned(), object);
    }

    /// Cuts every connection after this many more answers.
    pub(crate) fn die_after(&self, answers: usize) {
        self.state.lock().unwrap().answers_left = Some(answers);
    }

    /// Answers 404 to everything below a path.
    pub(crate) fn hide(&self, path: &str) {
        self.state.lock().unwrap().hidden.push(path.to_owned());
    }

    pub(crate) fn forbid(&self, path: &str) {
        self.state.lock().unwrap().forbidden.push(path.to_owned());
    }
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Did a request carry this header line?
    pub(crate) fn saw_header(&self, line: &str) -> bool {
        self.state.lock().unwrap().headers.iter().any(|header| header.eq_ignore_ascii_case(line))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// An address at which nobody listens. A free port would soon be that of another test's server.
pub(crate) const NOBODY: &str = "http://127.0.0.1:1";

/// A kubeconfig with one context per API server; the first one is current.
pub(crate) fn kubeconfig(servers: &[(&str, &str)]) -> String {
    let each =
        |make: &dyn Fn(&str, &str) -> Value| servers.iter().map(|(name, url)| make(name, url)).collect::<Value>();
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": servers[0].0,
        "clusters": each(&|name, url| json!({"name": name, "cluster": {"server": url}})),
        "contexts": each(&|name, _| json!({"name": name, "context": {"cluster": name, "user": "me"}})),
        "users": [{"name": "me", "user": {"token": "t"}}]
    })
    .to_string()
}

fn serve(stream: TcpStream, state: &Mutex<State>, reaction: &Reaction) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let (method, target) = (line.split(' ').next().unwrap().to_owned(), line.split(' ').nth(1).unwrap().to_owned());
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            if header.trim().is_empty() {
                break;
            }
            state.lock().unwrap().headers.push(header.trim().to_owned());
            if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        if let Some(left) = &mut state.lock().unwrap().answers_left {
            if *left == 0 {
                return;
            }
            *left -= 1;
        }
        let (code, answer) = answer(&method, &target, &body, state, reaction);
        let head =
            format!("HTTP/1.1 {code} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", answer.len());
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(answer.as_bytes())).is_err() {
            return;
        }
    }
}

fn failure(code: u16, reason: &str, message: &str) -> (u16, String) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message});
    (code, status.to_string())
}

fn answer(method: &str, target: &str, body: &[u8], state: &Mutex<State>, reaction: &Reaction) -> (u16, String) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut state = state.lock().unwrap();
    state.requests.push(format!("{method} {path}"));
    if state.forbidden.iter().any(|forbidden| path.starts_with(forbidden)) {
        return failure(403, "Forbidden", "User \"me\" cannot do this.");
    }
    if state.hidden.iter().any(|hidden| path.starts_with(hidden)) {
        return failure(404, "NotFound", "404 page not found");
    }
    if method == "PATCH" {
        let Some(object) = state.objects.get_mut(path) else { return failure(404, "NotFound", "not found") };
        merge(object, &serde_json::from_slice(body).unwrap());
        let answer = object.to_string();
        // The agent comes after the answer.
        reaction(object);
        return (200, answer);
    }
    if let Some(object) = state.objects.get(path) {
        return (200, object.to_string());
    }
    // A list: everything below the path, in any namespace.
    let is_list = path.rsplit('/').next().is_some_and(|last| last.ends_with('s'));
    let (root, plural) = path.rsplit_once('/').unwrap();
    let items: Vec<&Value> = state
        .objects
        .iter()
        .filter(|(url, _)| url.starts_with(root) && url.rsplit('/').nth(1) == Some(plural))
        .map(|(_, object)| object)
        .filter(|object| parameter(query, "labelSelector").is_none_or(|selector| selects(&selector, object)))
        .collect();
    if query.contains("watch=true") {
        return (
            200,
            items.iter().map(|object| json!({"type": "MODIFIED", "object": object}).to_string() + "\n").collect(),
        );
    }
    if is_list
        && (!items.is_empty()
            || !path.contains("/namespaces/")
            || plural.contains("sync")
            || plural.contains("report")
            || ["pods", "events", "daemonsets"].contains(&plural))
    {
        let number = |name| parameter(query, name).and_then(|text| text.parse::<usize>().ok());
        let from = number("continue").unwrap_or(0);
        let page: Vec<_> = items.iter().skip(from).take(number("limit").unwrap_or(usize::MAX)).collect();
        let next = from + page.len();
        let mut metadata = json!({"resourceVersion": "1"});
        if next < items.len() {
            metadata["continue"] = next.to_string().into();
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": page});
        return (200, list.to_string());
    }
    failure(404, "NotFound", &format!("{path} not found"))
}

/// A parameter of a query, as far as the tests' queries need decoding.
fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.into_iter().find_map(|(key, value)| (key == name).then_some(value))?;
    Some(value.replace("%2F", "/").replace("%3D", "=").replace("%2C", ","))
}

/// `key` and `key=value`, several with commas between them.
fn selects(selector: &str, object: &Value) -> bool {
    selector.split(',').all(|part| {
        let (key, value) = part.split_once('=').map_or((part, None), |(key, value)| (key, Some(value)));
        object["metadata"]["labels"][key].as_str().is_some_and(|found| value.is_none_or(|value| value == found))
    })
}

fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else { return *target = patch.clone() };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        merge(&mut target[key], value);
    }
}

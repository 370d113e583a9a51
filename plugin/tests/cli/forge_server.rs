//! Servers that answer as the forges' documents say: pull requests of one repository, found, opened and changed, with the
//! fields, names and refusals of each kind. What a forge really does is tested with a real Gitea in the lab.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The organization of Codeup.
pub(crate) const ORGANIZATION: &str = "60d54f3daccf2bbd6659f3ad";

/// One kind of forge, as its users meet it.
pub(crate) struct Flavor {
    /// The word for `--forge`.
    pub(crate) word: &'static str,
    /// What stands in `git remote --verbose`.
    pub(crate) remote: &'static str,
    /// Path of the repository, and of somebody's fork of it.
    pub(crate) paths: [&'static str; 2],
    /// The variable with the token.
    pub(crate) variable: &'static str,
    /// The header that carries it, with `TOKEN` for the token.
    header: &'static str,
    /// Where pull requests are.
    root: &'static str,
    /// Names of fields: number, body, head, base, address.
    names: [&'static str; 5],
    /// How an open and a closed one are called.
    states: [&'static str; 2],
    /// How changes are sent.
    change: &'static str,
    /// Most characters of title and body.
    pub(crate) limits: [usize; 2],
    /// The refusal of a second one.
    duplicate: u16,
    /// Has it drafts, and how are they seen?
    pub(crate) draft: Option<&'static str>,
}

pub(crate) const FLAVORS: &[Flavor] = &[
    Flavor {
        word: "github",
        remote: "https://forge.example/shop/fleet.git",
        variable: "GH_TOKEN",
        header: "authorization: Bearer TOKEN",
        paths: ["shop/fleet", "me/fleet"],
        root: "/api/v3/repos/shop/fleet/pulls",
        names: ["number", "body", "head", "base", "html_url"],
        states: ["open", "closed"],
        change: "PATCH",
        limits: [256, 65_536],
        duplicate: 422,
        draft: Some("draft"),
    },
    Flavor {
        word: "gitlab",
        remote: "https://forge.example/shop/mesh/sub/fleet.git",
        variable: "GITLAB_TOKEN",
        header: "authorization: Bearer TOKEN",
        paths: ["shop/mesh/sub/fleet", "me/fleet"],
        root: "/api/v4/projects/shop%2Fmesh%2Fsub%2Ffleet/merge_requests",
        names: ["iid", "description", "source_branch", "target_branch", "web_url"],
        states: ["opened", "closed"],
        change: "PUT",
        limits: [255, 1_048_576],
        duplicate: 409,
        draft: Some("Draft: "),
    },
    Flavor {
        word: "gitea",
        remote: "https://forge.example/shop/fleet.git",
        variable: "GITEA_TOKEN",
        header: "authorization: token TOKEN",
        paths: ["shop/fleet", "me/fleet"],
        root: "/api/v1/repos/shop/fleet/pulls",
        names: ["number", "body", "head", "base", "html_url"],
        states: ["open", "closed"],
        change: "PATCH",
        limits: [255, 65_536],
        duplicate: 409,
        draft: Some("WIP: "),
    },
    Flavor {
        word: "gitee",
        remote: "https://forge.example/shop/fleet.git",
        variable: "GITEE_TOKEN",
        header: "authorization: Bearer TOKEN",
        paths: ["shop/fleet", "me/fleet"],
        root: "/api/v5/repos/shop/fleet/pulls",
        names: ["number", "body", "head", "base", "html_url"],
        states: ["open", "closed"],
        change: "PATCH",
        limits: [255, 65_536],
        duplicate: 400,
        draft: Some("draft"),
    },
    Flavor {
        word: "codeup",
        remote: "https://forge.example/60d54f3daccf2bbd6659f3ad/mesh/fleet.git",
        variable: "YUNXIAO_TOKEN",
        header: "x-yunxiao-token: TOKEN",
        paths: ["60d54f3daccf2bbd6659f3ad/mesh/fleet", "60d54f3daccf2bbd6659f3ad/me/fleet"],
        root: "/oapi/v1/codeup/organizations/60d54f3daccf2bbd6659f3ad/repositories/60d54f3daccf2bbd6659f3ad%2Fmesh%2Ffleet/changeRequests",
        names: ["localId", "description", "sourceBranch", "targetBranch", "detailUrl"],
        states: ["UNDER_REVIEW", "CLOSED"],
        change: "PUT",
        limits: [256, 10_000],
        duplicate: 409,
        draft: None,
    },
];

/// How the server treats requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Mode {
    #[default]
    Ok,
    /// This status for requests with this method, and these header lines.
    Status(&'static str, u16, Vec<String>),
    /// A page for people.
    Html,
    /// Takes requests and never answers.
    Hang,
}

/// The numbers of both repositories, where a forge calls them by numbers.
const NUMBERS: [u64; 2] = [2_813_489, 2_813_490];

/// A pull request, under the names that the test uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Request {
    pub(crate) head: String,
    /// Is that a branch of the fork?
    pub(crate) is_from_fork: bool,
    pub(crate) base: String,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) is_open: bool,
    pub(crate) is_merged: bool,
    pub(crate) draft: bool,
    pub(crate) reviewers: Vec<String>,
}

#[derive(Default)]
struct State {
    mode: Mode,
    requests: Vec<Request>,
    /// `METHOD path`, of everything that was asked.
    calls: Vec<String>,
    /// All that was received, the header with the token left out.
    received: String,
}

pub(crate) struct ForgeServer {
    flavor: &'static Flavor,
    port: u16,
    state: Arc<Mutex<State>>,
}

impl ForgeServer {
    pub(crate) fn start(flavor: &'static Flavor, token: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state: Arc<Mutex<State>> = Arc::default();
        let (shared, header) = (state.clone(), flavor.header.replace("TOKEN", token));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, header) = (shared.clone(), header.clone());
                std::thread::spawn(move || serve(&stream, flavor, &header, &state));
            }
        });
        Self { flavor, port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.state.lock().unwrap().mode = mode;
    }

    /// The one with this number, counted from 1.
    pub(crate) fn request(&self, number: usize) -> Request {
        self.state.lock().unwrap().requests[number - 1].clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.state.lock().unwrap().requests.len()
    }

    pub(crate) fn change(&self, number: usize, change: impl FnOnce(&mut Request)) {
        change(&mut self.state.lock().unwrap().requests[number - 1]);
    }

    /// Calls that change something.
    pub(crate) fn writes(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.calls.iter().filter(|call| !call.starts_with("GET")).cloned().collect()
    }

    pub(crate) fn calls(&self) -> usize {
        self.state.lock().unwrap().calls.len()
    }

    /// Everything that came in, but for the one header with the token: addresses, headers, bodies.
    pub(crate) fn received(&self) -> String {
        self.state.lock().unwrap().received.clone()
    }

    /// The page of a pull request.
    pub(crate) fn page(&self, number: usize) -> String {
        page(self.flavor, number)
    }
}

fn page(flavor: &Flavor, number: usize) -> String {
    format!("https://forge.example/{}/{number}", flavor.word)
}

fn serve(stream: &TcpStream, flavor: &Flavor, header: &str, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut words = line.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let (mut length, mut is_known) = (0, false);
        loop {
            let mut text = String::new();
            reader.read_line(&mut text).unwrap();
            if text.trim().is_empty() {
                break;
            }
            if text.trim().eq_ignore_ascii_case(header) {
                is_known = true;
                continue;
            }
            if let Some(value) = text.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            state.lock().unwrap().received.push_str(&text);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let mode = {
            let mut state = state.lock().unwrap();
            state.calls.push(format!("{method} {target}"));
            state.received.push_str(&format!("{method} {target}\n{}\n", String::from_utf8_lossy(&body)));
            state.mode.clone()
        };
        let (code, headers, answer) = match mode {
            Mode::Hang => loop {
                std::thread::park();
            },
            Mode::Html => (200, vec!["content-type: text/html".to_owned()], "<html>log in</html>".to_owned()),
            Mode::Status(only, code, headers) if only == method || only == "*" => {
                (code, headers, json!({"message": "the test wants it so"}).to_string())
            }
            _ if !is_known => (401, Vec::new(), json!({"message": "Bad credentials"}).to_string()),
            _ => {
                let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let (code, answer) = answer(flavor, &method, &target, &body, &mut state.lock().unwrap().requests);
                (code, vec!["content-type: application/json".to_owned()], answer.to_string())
            }
        };
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let head = format!("HTTP/1.1 {code} X\r\n{headers}content-length: {}\r\n\r\n", answer.len());
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(answer.as_bytes())).is_err() {
            return;
        }
    }
}

fn decoded(text: &str) -> String {
    text.replace("%3A", ":").replace("%2F", "/").replace("%20", " ")
}

fn shown(flavor: &Flavor, number: usize, request: &Request) -> Value {
    let [id, body, head, base, url] = flavor.names;
    let state = match request {
        Request { is_merged: true, .. } if flavor.word == "gitlab" || flavor.word == "gitee" => "merged",
        Request { is_merged: true, .. } if flavor.word == "codeup" => "MERGED",
        Request { is_open: true, .. } => flavor.states[0],
        _ => flavor.states[1],
    };
    let field = if flavor.word == "codeup" { "status" } else { "state" };
    let mut shown =
        json!({id: number, "title": request.title, body: request.body, field: state, url: page(flavor, number)});
    let from = usize::from(request.is_from_fork);
    let user = |name: &String| json!({"login": name, "username": name, "userId": name});
    let reviewers: Vec<_> = request.reviewers.iter().map(user).collect();
    match flavor.word {
        "gitlab" => {
            (shown[head], shown[base]) = (request.head.clone().into(), request.base.clone().into());
            (shown["source_project_id"], shown["target_project_id"]) = (NUMBERS[from].into(), NUMBERS[0].into());
            shown["reviewers"] = reviewers.into();
        }
        "codeup" => {
            (shown[head], shown[base]) = (request.head.clone().into(), request.base.clone().into());
            (shown["sourceProjectId"], shown["targetProjectId"]) = (NUMBERS[from].into(), NUMBERS[0].into());
            shown["reviewers"] = reviewers.into();
        }
        _ => {
            (shown[head], shown[base]) =
                (json!({"ref": request.head, "repo": {"full_name": flavor.paths[from]}}), json!({"ref": request.base}));
            shown[if flavor.word == "gitee" { "assignees" } else { "requested_reviewers" }] = reviewers.into();
            shown["merged_at"] = if request.is_merged { "2026-03-01T12:00:00Z".into() } else { Value::Null };
        }
    }
    shown
}

fn refuse(code: u16, why: &str) -> (u16, Value) {
    (code, json!({"message": why}))
}

fn answer(flavor: &Flavor, method: &str, target: &str, body: &Value, requests: &mut Vec<Request>) -> (u16, Value) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query: BTreeMap<&str, String> =
        query.split('&').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (key, decoded(value))).collect();
    if method == "GET" && matches!(flavor.word, "codeup" | "gitlab") {
        let asked = decoded(path.rsplit('/').next().unwrap());
        if let Some(place) = flavor.paths.iter().position(|path| *path == asked) {
            return (200, json!({"id": NUMBERS[place], "name": "fleet"}));
        }
    }
    let requests_of_all = format!("/oapi/v1/codeup/organizations/{ORGANIZATION}/changeRequests");
    if flavor.word == "codeup" && method == "GET" && path == requests_of_all {
        assert_eq!(query["projectIds"], "2813489");
        let page = if query["page"] == "1" { &requests[..] } else { &[] };
        // The list is shorter than the whole.
        let list = page.iter().enumerate().map(|(place, request)| {
            let mut shown = shown(flavor, place + 1, request);
            shown.as_object_mut().unwrap().remove("description");
            shown
        });
        return (200, list.collect());
    }
    if flavor.word == "gitlab" && path == "/api/v4/users" {
        return (200, if query["username"] == "nobody" { json!([]) } else { json!([{"id": 5}]) });
    }
    // It is the fork that asks to be merged.
    if flavor.word == "gitlab" && method == "POST" && path == "/api/v4/projects/me%2Ffleet/merge_requests" {
        assert_eq!(body["target_project_id"], NUMBERS[0]);
        return create(flavor, body, requests);
    }
    let Some(rest) = path.strip_prefix(flavor.root) else { return refuse(404, "404 Not Found") };
    let rest: Vec<&str> = rest.split('/').skip(1).collect();
    match (method, &rest[..]) {
        ("GET", []) => (200, list(flavor, &query, requests)),
        ("POST", []) => create(flavor, body, requests),
        ("GET", [base, head @ ..]) if flavor.word == "gitea" => {
            let head = decoded(&head.join("/"));
            let (is_from_fork, head) = match head.strip_prefix("me/fleet:") {
                Some(head) => (true, head),
                None => (false, head.as_str()),
            };
            let open = requests.iter().position(|found| {
                found.is_open && found.head == head && found.is_from_fork == is_from_fork && found.base == *base
            });
            open.map_or_else(|| refuse(404, "not found"), |place| (200, shown(flavor, place + 1, &requests[place])))
        }
        (method, [number, rest @ ..]) => {
            let number: usize = number.parse().unwrap();
            let Some(request) = requests.get_mut(number - 1) else { return refuse(404, "404 Not Found") };
            let changed = change(flavor, method, rest, body, request);
            changed.unwrap_or_else(|| (200, shown(flavor, number, request)))
        }
        _ => refuse(405, "method not allowed"),
    }
}

fn list(flavor: &Flavor, query: &BTreeMap<&str, String>, requests: &[Request]) -> Value {
    let is_asked_for = |request: &Request| match flavor.word {
        "github" => {
            let owner = if request.is_from_fork { "me" } else { "shop" };
            format!("{owner}:{}", request.head) == query["head"] && request.base == query["base"]
        }
        "gitlab" => request.head == query["source_branch"] && request.base == query["target_branch"],
        "gitee" => {
            let owner = if request.is_from_fork { "me:" } else { "" };
            format!("{owner}{}", request.head) == query["head"] && request.base == query["base"]
        }
        // Gitea cannot filter.
        _ => query["page"] == "1",
    };
    assert_eq!(query["state"], "all");
    let found = requests.iter().enumerate().filter(|(_, request)| is_asked_for(request));
    found.map(|(place, request)| shown(flavor, place + 1, request)).collect()
}

/// What a text of a call is, if it is not longer than the forge takes.
fn sound(flavor: &Flavor, body: &Value) -> Result<(), (u16, Value)> {
    for (field, limit) in ["title", flavor.names[1]].into_iter().zip(flavor.limits) {
        if body[field].as_str().is_some_and(|text| text.chars().count() > limit) {
            return Err(refuse(422, &format!("{field} is too long (maximum is {limit} characters)")));
        }
    }
    Ok(())
}

fn create(flavor: &Flavor, body: &Value, requests: &mut Vec<Request>) -> (u16, Value) {
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    if let Err(refusal) = sound(flavor, body) {
        return refusal;
    }
    let [_, description, head, base, _] = flavor.names;
    let (head, base) = (text(head), text(base));
    if text("title").is_empty() || head.is_empty() || base.is_empty() {
        return refuse(422, "title, head or base is missing");
    }
    if flavor.word == "codeup" && body["targetProjectId"] != NUMBERS[0] {
        return refuse(400, "unknown project");
    }
    let (is_from_fork, head) = match (flavor.word, head.strip_prefix("me:")) {
        ("gitlab", _) => (body["target_project_id"].is_u64(), head),
        ("codeup", _) => (body["sourceProjectId"] == NUMBERS[1], head),
        (_, Some(branch)) => (true, branch.to_owned()),
        (_, None) => (false, head),
    };
    let is_same = |known: &Request| {
        known.head == head && known.base == base && known.is_from_fork == is_from_fork && known.is_open
    };
    if requests.iter().any(is_same) {
        return refuse(flavor.duplicate, "there is one already");
    }
    let reviewers = match (&body["assignees"], &body["reviewerUserIds"]) {
        (Value::String(names), _) => names.split(',').map(str::to_owned).collect(),
        (_, Value::Array(names)) => names.iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
        _ => Vec::new(),
    };
    let title = text("title");
    let draft = match flavor.draft {
        Some("draft") => body["draft"] == true,
        Some(prefix) => title.starts_with(prefix),
        None => false,
    };
    requests.push(Request {
        head,
        is_from_fork,
        base,
        title,
        body: text(description),
        is_open: true,
        is_merged: false,
        draft,
        reviewers,
    });
    (201, shown(flavor, requests.len(), &requests[requests.len() - 1]))
}

fn change(flavor: &Flavor, method: &str, rest: &[&str], body: &Value, request: &mut Request) -> Option<(u16, Value)> {
    match (method, rest) {
        ("GET", []) => None,
        (method, []) if method == flavor.change => {
            if let Err(refusal) = sound(flavor, body) {
                return Some(refusal);
            }
            if let Some(title) = body["title"].as_str() {
                title.clone_into(&mut request.title);
            }
            if let Some(text) = body[flavor.names[1]].as_str() {
                // Forges keep text with the line ends of the web.
                request.body = text.replace('\n', "\r\n");
            }
            if body["reviewer_ids"].is_array() {
                request.reviewers = vec!["alice".to_owned()];
            }
            let reopens = body["state"] == "open" && flavor.word != "gitlab" || body["state_event"] == "reopen";
            if reopens && flavor.word != "codeup" {
                request.is_open = true;
            }
            // Codeup says whether it did, and nothing more.
            (flavor.word == "codeup").then(|| (200, json!({"result": true})))
        }
        ("POST", ["reopen"]) if flavor.word == "codeup" => {
            request.is_open = true;
            Some((200, json!({"result": true})))
        }
        ("POST", ["requested_reviewers"]) if matches!(flavor.word, "github" | "gitea") => {
            let names = body["reviewers"].as_array().unwrap();
            if names.iter().any(|name| name == "nobody") {
                return Some(refuse(422, "Reviews may only be requested from collaborators"));
            }
            request.reviewers.extend(names.iter().map(|name| name.as_str().unwrap().to_owned()));
            None
        }
        ("POST", ["assignees"]) if flavor.word == "gitee" => {
            request.reviewers.extend(body["assignees"].as_str().unwrap().split(',').map(str::to_owned));
            None
        }
        _ => Some(refuse(405, "method not allowed")),
    }
}

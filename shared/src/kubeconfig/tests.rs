use base64::Engine as _;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{sanitize, sanitize_value};

const CANARY: &str = "c4n4ry";

fn pem(label: &str) -> String {
    let text = format!("-----BEGIN {label}-----\n{CANARY}\n-----END {label}-----\n");
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn good() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": "admin@fleet",
        "clusters": [{"name": "fleet", "cluster": {
            "server": "https://10.0.0.1:6443", "certificate-authority-data": pem("CERTIFICATE"),
            "tls-server-name": "kubernetes", "disable-compression": true,
        }}],
        "users": [{"name": "admin", "user": {
            "token": format!("{CANARY}-token"), "username": "admin", "password": format!("{CANARY}-password"),
            "client-certificate-data": pem("CERTIFICATE"), "client-key-data": pem("RSA PRIVATE KEY"),
        }}],
        "contexts": [{"name": "admin@fleet", "context": {"cluster": "fleet", "user": "admin", "namespace": "x"}}],
    })
}

/// All texts of all problems; checks that no secret is in them.
fn refused(config: &Value) -> String {
    let problems = sanitize_value(config).expect_err("it should have been refused");
    let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let text = texts.join("\n");
    assert!(!text.contains(CANARY) && !format!("{problems:?}").contains(CANARY), "{text}");
    assert!(!problems.is_empty() && problems.iter().all(|problem| !problem.hint.is_empty()));
    text
}

#[test]
fn takes_what_it_needs() {
    let safe = sanitize_value(&good()).unwrap();
    assert_eq!(safe.server, "https://10.0.0.1:6443");
    assert_eq!(safe.tls_server_name.as_deref(), Some("kubernetes"));
    assert!(safe.disable_compression);
    assert!(safe.certificate_authority.as_ref().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(safe.token.as_ref().unwrap().expose(), format!("{CANARY}-token"));
    assert_eq!(safe.basic.as_ref().unwrap().0, "admin");
    assert!(safe.client_certificate.as_ref().unwrap().1.expose().contains("RSA PRIVATE KEY"));
    assert!(!format!("{:?} {:?}", safe.token, safe.basic).contains(CANARY));
}

#[test]
fn reads_what_the_ack_console_gives() {
    let text = format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    server: https://47.96.1.2:6443\n    \
         certificate-authority-data: {ca}\n  name: kubernetes\ncontexts:\n- context:\n    cluster: kubernetes\n    \
         user: \"2123\"\n  name: 2123-c1\ncurrent-context: 2123-c1\nkind: Config\npreferences: {{}}\nusers:\n\
         - name: \"2123\"\n  user:\n    client-certificate-data: {ca}\n    client-key-data: {key}\n",
        ca = pem("CERTIFICATE"),
        key = pem("EC PRIVATE KEY"),
    );
    assert_eq!(sanitize(&text).unwrap().server, "https://47.96.1.2:6443");
}

#[test]
fn only_the_current_context_counts() {
    let mut config = good();
    config["users"].as_array_mut().unwrap().push(json!({"name": "other", "user": {"exec": {"command": "sh"}}}));
    config["clusters"].as_array_mut().unwrap().push(json!({"name": "other", "cluster": {"server": "http://x"}}));
    assert!(sanitize_value(&config).is_ok());
    for list in ["clusters", "users", "contexts"] {
        let mut twice = config.clone();
        let first = twice[list][0].clone();
        twice[list].as_array_mut().unwrap().push(first);
        assert!(refused(&twice).contains("several entries of this name"));
        let mut gone = config.clone();
        gone[list] = json!([]);
        assert!(refused(&gone).contains("no entry of this name"));
    }
    config.as_object_mut().unwrap().remove("current-context");
    assert!(refused(&config).contains("kubectl config use-context"));
}

/// Every forbidden field, what its value may be, and what the problem must say.
fn forbidden() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    let canary = || json!(format!("/{CANARY}"));
    vec![
        ("users", "exec", json!({"apiVersion": "v1", "command": CANARY}), "run a program"),
        ("users", "auth-provider", json!({"name": CANARY}), "login server"),
        ("users", "tokenFile", canary(), "read a file"),
        ("users", "client-certificate", canary(), "read a file"),
        ("users", "client-key", canary(), "read a file"),
        ("users", "as", canary(), "act as somebody else"),
        ("users", "as-uid", canary(), "act as somebody else"),
        ("users", "as-groups", json!(["system:masters", CANARY]), "act as somebody else"),
        ("users", "as-user-extra", json!({"a": [CANARY]}), "act as somebody else"),
        ("users", "extensions", json!([{"name": CANARY}]), "does not take"),
        ("users", "impersonate", canary(), "does not take"),
        ("clusters", "certificate-authority", canary(), "read a file"),
        ("clusters", "proxy-url", json!(format!("socks5://{CANARY}@100.100.100.200")), "proxy"),
        ("clusters", "insecure-skip-tls-verify", json!(true), "would not be verified"),
        ("clusters", "insecure-skip-tls-verify", json!("false"), "would not be verified"),
        ("clusters", "extensions", json!([{"name": "client.authentication.k8s.io/exec"}]), "does not take"),
        ("clusters", "api-version", canary(), "does not take"),
        ("contexts", "extensions", json!([{"name": CANARY}]), "does not take"),
    ]
}

fn inner(list: &str) -> &str {
    list.trim_end_matches('s')
}

#[test]
fn every_forbidden_field_is_refused_by_name() {
    for (list, field, value, reason) in forbidden() {
        let mut config = good();
        config[list][0][inner(list)][field] = value;
        let text = refused(&config);
        assert!(text.contains(&format!(".{}.{field}: ", inner(list))) && text.contains(reason), "{field}: {text}");
    }
}

#[test]
fn servers_without_https_or_with_tricks_are_refused() {
    for server in [
        "http://10.0.0.1:6443",
        "10.0.0.1:6443",
        "https://",
        "https://user:c4n4ry@10.0.0.1",
        "https://10.0.0.1/?c4n4ry",
        "https://10.0.0.1:0",
        "https://10.0.0.1:99999",
        "https://a b",
        "https://[::1",
        "https://[c4n4ry]",
        "unix:///var/run/c4n4ry.sock",
        "HTTPS://10.0.0.1",
        "https://100.100.100.200",
        "https://[::ffff:100.100.100.200]:443/latest/meta-data",
    ] {
        let mut config = good();
        config["clusters"][0]["cluster"]["server"] = json!(server);
        assert!(refused(&config).contains("clusters[fleet].cluster.server: "), "{server}");
    }
    let mut config = good();
    config["clusters"][0]["cluster"]["server"] = json!("https://[fd00::1]:6443/k8s/clusters/c-1");
    assert!(sanitize_value(&config).is_ok());
}

#[test]
fn credentials_must_be_whole() {
    for (field, other) in [
        ("client-certificate-data", "client-key-data"),
        ("client-key-data", "client-certificate-data"),
        ("username", "password"),
        ("password", "username"),
    ] {
        let mut config = good();
        config["users"][0]["user"].as_object_mut().unwrap().remove(field);
        assert!(refused(&config).contains(&format!("user.{field}: it is not set although {other} is")));
    }
    let mut config = good();
    config["users"][0]["user"] = json!({});
    assert!(refused(&config).contains("there are no credentials"));
    for (field, value) in [
        ("token", json!("c4n4ry\r\nHost: evil")),
        ("token", json!(["c4n4ry"])),
        ("client-key-data", json!("c4n4ry")),
        ("client-key-data", json!(pem("CERTIFICATE"))),
        ("password", json!(12345)),
    ] {
        let mut config = good();
        config["users"][0]["user"][field] = value;
        assert!(refused(&config).contains(&format!("users[admin].user.{field}: ")), "{field}");
    }
}

#[test]
fn texts_that_are_no_kubeconfig_are_refused() {
    for (text, reason) in [
        ("", "empty"),
        ("c4n4ry", "not a map"),
        ("a: b: c4n4ry", "line 1"),
        ("token: 'c4n4ry", "cannot be read"),
        ("a: &x [c4n4ry]\nb: *x\n", "cannot be read"),
        ("a: 1\n---\nb: 2\n", "several documents"),
        ("apiVersion: v1\nkind: Secret\n", "kind: it is not that of a kubeconfig"),
        ("\u{0}\u{1}", "cannot be read"),
    ] {
        let problems = sanitize(text).unwrap_err();
        let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let said = said.join("\n");
        assert!(said.contains(reason) && !said.contains("c4n4ry"), "{text:?}: {said}");
    }
}

proptest! {
    /// A single field that is not on the list, of whatever name and value, anywhere in what is used.
    #[test]
    fn any_field_that_is_not_on_the_list_is_refused(
        place in 0..4_usize,
        known in proptest::option::of(0..18_usize),
        name in "[a-zA-Z-]{1,20}|[^\\x00]{1,90}",
        value in prop_oneof![Just(json!(CANARY)), Just(json!(true)), Just(json!([CANARY])), Just(json!({"a": CANARY}))],
    ) {
        let mut config = good();
        let (target, name, value) = match known.and_then(|at| forbidden().into_iter().nth(at)) {
            Some((list, field, value, _)) => (&mut config[list][0][inner(list)], field.to_owned(), value),
            None => {
                let target = match place {
                    0 => &mut config["users"][0]["user"],
                    1 => &mut config["clusters"][0]["cluster"],
                    2 => &mut config["contexts"][0]["context"],
                    _ => &mut config,
                };
                (target, name, value)
            }
        };
        let fields = target.as_object_mut().unwrap();
        prop_assume!(!fields.contains_key(&name));
        // `namespace` is on the list of contexts and in `good`.
        fields.insert(name, value);
        refused(&config);
    }

    /// Whatever the text is: no panic, and no secret in what is said.
    #[test]
    fn garbage_is_refused_without_being_repeated(cut in 0..2000_usize, junk in ".{0,6}") {
        let mut text = serde_json::to_string_pretty(&good()).unwrap();
        let at = (0..=cut.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.insert_str(at, &junk);
        if let Err(problems) = sanitize(&text) {
            let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
            prop_assert!(!said.join("\n").contains(CANARY), "{said:?}");
        }
    }
}

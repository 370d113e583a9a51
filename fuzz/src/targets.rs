//! The readers. Each gives back the shape of its answer, or says what it must never do.

use asm_agent::{http, source};
use asm_shared::drift::{Verdict, judge};
use asm_shared::fleet::{FleetState, MemoryTree};
use asm_shared::kubeconfig::sanitize;
use asm_shared::object::GroupKind;
use asm_shared::yaml::{self, Limits};
use serde_json::Value;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Stands for a secret in the corpus: no answer may hold it.
const CANARY: &str = "c4n4ry";

/// One reader.
#[derive(Debug)]
pub struct Target {
    /// As on the command line; the folder of its corpus.
    pub name: &'static str,
    /// What means something to it.
    pub words: &'static [&'static [u8]],
    /// Reads an input.
    pub read: fn(&[u8]) -> Result<u64, String>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "yaml",
        words: &[
            b"<<: *a",
            b"&a ",
            b"*a",
            b"!!binary ",
            b"!!str ",
            b"|-\n  ",
            b">+\n",
            b"---\n",
            b"? ",
            b"\xef\xbb\xbf",
            b"%YAML 1.1\n",
        ],
        read: read_yaml,
    },
    Target {
        name: "fields_v1",
        words: &[
            b"\"f:spec\":{}",
            b"\"k:{\\\"name\\\":\\\"a\\\"}\":{}",
            b"\"v:1\":{}",
            b"\"i:0\":{}",
            b"\".\":{}",
            b"null",
            b"[]",
            b"\"asm-agent\"",
        ],
        read: read_fields,
    },
    Target {
        name: "kubeconfig",
        words: &[
            b"exec: {command: c4n4ry}",
            b"tokenFile: /c4n4ry",
            b"server: https://",
            b"current-context: ",
            b"insecure-skip-tls-verify: true",
            b"proxy-url: ",
        ],
        read: read_kubeconfig,
    },
    Target {
        name: "webhook",
        words: &[
            b"x-hub-signature-256: sha256=",
            b"x-gitlab-token: ",
            b"x-gitea-signature: ",
            b"x-gitee-token: ",
            b"x-gitee-timestamp: 1700000000000",
            b"\n\n",
        ],
        read: read_hint,
    },
    Target { name: "git_pack", words: &[b"PACK", b"0008NAK\n", b"0000", b"\x01", b"\x78\x9c"], read: read_pack },
    Target {
        name: "git_object",
        words: &[
            b"gpgsig ",
            b"-----BEGIN PGP SIGNATURE-----\n",
            b"-----BEGIN SSH SIGNATURE-----\n",
            b"tag v1\n",
            b"type commit\n",
            b"tree ",
            b"ssh-ed25519 AAAA",
        ],
        read: read_object,
    },
    Target {
        name: "patch",
        words: &[b"op: test", b"path: /spec/", b"path: \"\"", b"json6902:", b"merge:", b"~1", b"/-", b"value: null"],
        read: read_patch,
    },
    Target {
        name: "url",
        words: &[b"https://", b"ssh://", b"git@", b"ext::", b"@", b"%2e%2e/", b"[::1]", b"-oProxyCommand="],
        read: read_url,
    },
];

/// Numbers are left out: another line is no other shape.
fn shape(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>().hash(&mut hasher);
    hasher.finish()
}

fn limits() -> Limits {
    Limits { bytes: 64 << 10, documents: 100, nodes: 20_000, depth: 64, aliases: 1_000 }
}

/// What is read can be written and read again as the same.
fn read_yaml(input: &[u8]) -> Result<u64, String> {
    let documents = match yaml::read(input, &limits()) {
        Ok(documents) => documents,
        Err(error) => return Ok(shape(&error.to_string().split('`').step_by(2).collect::<String>())),
    };
    for document in &documents {
        let written = yaml::write(&document.value);
        let again =
            yaml::read(written.as_bytes(), &Limits::default()).map_err(|error| format!("{error}:\n{written}"))?;
        // A document of nothing counts as none.
        let same = again.first().map_or(document.value.is_null(), |again| again.value == document.value);
        if !same {
            return Err(format!("written, it is read otherwise:\n{written}"));
        }
    }
    let sizes: Vec<usize> =
        documents.iter().map(|document| document.value.to_string().len().ilog2() as usize).collect();
    Ok(shape(&format!("{} {}", "d".repeat(documents.len().min(9)), "s".repeat(sizes.iter().sum::<usize>().min(99)))))
}

/// managedFields of a live object, as an API server that lies would give them.
fn read_fields(input: &[u8]) -> Result<u64, String> {
    let Ok(fields) = serde_json::from_slice::<Value>(input) else { return Ok(0) };
    let object = |extra: Value| {
        serde_json::json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "b", "managedFields": extra},
            "spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}], "selector": {"app": "x"}},
        })
    };
    let mut wanted = object(Value::Null);
    wanted["spec"]["ports"][1]["port"] = 82.into();
    wanted["metadata"]["labels"] = serde_json::json!({"a": "b"});
    // Once as the list of entries, once as the fields of one.
    let entry = serde_json::json!([{"manager": "asm-agent", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields}]);
    let mut told = String::new();
    for live in [object(fields.clone()), object(entry)] {
        match judge(&GroupKind::new("", "Service"), &wanted, &live) {
            Verdict::InSync => told.push('='),
            Verdict::Modified(fields) => fields.iter().for_each(|field| told.push_str(&format!("{field:?}"))),
        }
    }
    Ok(shape(&told))
}

fn read_kubeconfig(input: &[u8]) -> Result<u64, String> {
    let Ok(text) = std::str::from_utf8(input) else { return Ok(1) };
    match sanitize(text) {
        Ok(safe) => {
            if !safe.server.starts_with("https://") {
                return Err(format!("taken without https: {}", safe.server));
            }
            // Names, servers and contexts may be shown; credentials may not.
            let shown = format!("{:?} {:?}", safe.token, safe.client_certificate.map(|(_, key)| key));
            if shown.contains(CANARY) { Err("a credential is shown".to_owned()) } else { Ok(2) }
        }
        Err(problems) => {
            let told: String = problems
                .iter()
                .map(|problem| format!("{}: {}; {}", problem.field, problem.reason, problem.hint))
                .collect();
            // Of a value nothing may be told; the names of contexts, clusters, users and fields are.
            let values =
                problems.iter().any(|problem| problem.reason.contains(CANARY) || problem.hint.contains(CANARY));
            if values { Err(format!("a value is told: {told}")) } else { Ok(shape(&told)) }
        }
    }
}

fn read_hint(input: &[u8]) -> Result<u64, String> {
    // A token that no input has.
    if http::fuzzing::hint(input, "6a1f7c2e-it-is-nowhere-in-the-corpus") {
        Err("it proves itself".to_owned())
    } else {
        Ok(0)
    }
}

fn read_pack(input: &[u8]) -> Result<u64, String> {
    Ok(source::fuzzing::pack(input).map_or_else(|why| shape(&why), |()| 1))
}

fn read_object(input: &[u8]) -> Result<u64, String> {
    Ok(source::fuzzing::object(input, input).map_or_else(|why| shape(&why), |()| 1))
}

fn read_patch(input: &[u8]) -> Result<u64, String> {
    const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: a}\nspec:\n  mesh: {}\n  clusters: [{name: c}]\n  groups: [{name: g, clusters: [c]}]\n";
    const OBJECT: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: a}\nspec: {ports: [{port: 80}, {port: 81}], selector: {app: x}}\n";
    let mut tree: MemoryTree = [("fleet.yaml", FLEET), ("groups/g/web.yaml", OBJECT)].into_iter().collect();
    tree.insert("clusters/c/patches/p.yaml", input);
    let state = FleetState::read(&tree);
    let told: String =
        state.problems.iter().map(|problem| problem.message.split('`').step_by(2).collect::<String>()).collect();
    Ok(shape(&format!("{told}{}", "m".repeat(state.manifests.len()))))
}

/// What is taken stays what it is, and has no option for a program in it.
fn read_url(input: &[u8]) -> Result<u64, String> {
    let Ok(text) = std::str::from_utf8(input) else { return Ok(1) };
    match source::fuzzing::url(text) {
        Ok(shown)
            if ["https://", "http://", "ssh://"].iter().any(|scheme| shown.starts_with(scheme))
                || shown.contains('@') =>
        {
            let host = shown.split("://").last().unwrap_or_default();
            if host.starts_with('-') { Err(format!("{shown} begins like an option")) } else { Ok(2) }
        }
        Ok(shown) => Err(format!("taken: {shown}")),
        Err(why) => Ok(shape(why.split('`').next().unwrap_or_default())),
    }
}

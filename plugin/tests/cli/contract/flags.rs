//! Flags that kubectl users type by reflex: taken at every place of the command line, in every spelling, with one meaning,
//! by every verb.

use super::stage::Stage;
use super::verbs::{Case, VERBS};
use crate::api_server::ApiServer;
use clap::FromArgMatches as _;
use kubectl_asm::cli::{Cli, Invocation};
use std::process::Command;

/// A flag, and a value that is not its default. Without a value it is a switch.
struct Flag {
    long: &'static str,
    short: Option<char>,
    value: Option<&'static str>,
}

const fn flag(long: &'static str, value: &'static str) -> Flag {
    Flag { long, short: None, value: Some(value) }
}

const fn switch(long: &'static str) -> Flag {
    Flag { long, short: None, value: None }
}

impl Flag {
    const fn or(self, short: char) -> Self {
        Self { short: Some(short), ..self }
    }

    /// Every way to write it.
    fn spellings(&self) -> Vec<Vec<String>> {
        let long = self.long;
        let Some(value) = self.value else {
            let short = self.short.iter().flat_map(|short| [vec![format!("-{short}")], vec![format!("-{short}=true")]]);
            return [vec![format!("--{long}")], vec![format!("--{long}=true")]].into_iter().chain(short).collect();
        };
        let short = self.short.iter().flat_map(|short| {
            [
                vec![format!("-{short}"), value.to_owned()],
                vec![format!("-{short}{value}")],
                vec![format!("-{short}={value}")],
            ]
        });
        [vec![format!("--{long}"), value.to_owned()], vec![format!("--{long}={value}")]]
            .into_iter()
            .chain(short)
            .collect()
    }
}

/// What `kubectl options` lists, and the flags of `kubectl get` that every verb here takes.
const FLAGS: &[Flag] = &[
    flag("as", "me"),
    flag("as-group", "g"),
    flag("as-uid", "7"),
    flag("cache-dir", "/tmp/cache"),
    flag("certificate-authority", "ca.crt"),
    flag("client-certificate", "me.crt"),
    flag("client-key", "me.key"),
    flag("cluster", "other"),
    flag("context", "other"),
    switch("disable-compression"),
    switch("insecure-skip-tls-verify"),
    flag("kubeconfig", "/tmp/config"),
    flag("log-flush-frequency", "1s"),
    switch("match-server-version"),
    flag("namespace", "shop").or('n'),
    flag("password", "hunter2"),
    flag("profile", "cpu"),
    flag("profile-output", "x.pprof"),
    flag("request-timeout", "3s"),
    flag("server", "https://x").or('s'),
    flag("tls-server-name", "x"),
    flag("token", "t"),
    flag("user", "u"),
    flag("username", "me"),
    flag("v", "3").or('v'),
    flag("vmodule", "a=3"),
    switch("warnings-as-errors"),
    // Not in `kubectl options`, but just as common.
    flag("output", "json").or('o'),
    switch("all-namespaces").or('A'),
    switch("no-headers"),
    // Our own.
    flag("repo", "/tmp/fleet"),
    flag("color", "never"),
    switch("no-pager"),
    switch("no-input"),
];

/// The command line as it is understood: the flags of every command, and the verb with its own arguments.
fn understood(words: &[String]) -> Result<(String, String), String> {
    let mut invocation = Invocation::new(std::iter::once("kubectl-asm".into()).chain(words.iter().map(Into::into)));
    let matches = invocation.parse().map_err(|error| error.to_string())?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.to_string())?;
    Ok((format!("{:?}", cli.globals), format!("{:?}", cli.command)))
}

#[test]
fn every_flag_at_every_place_of_every_verb() {
    let mut failures = Vec::new();
    for verb in VERBS {
        let (Case::Args(args) | Case::After(_, args)) = verb.clean else {
            panic!("{}: `clean` never happens", verb.path)
        };
        let words: Vec<String> = verb.words().into_iter().chain(args.split_whitespace()).map(str::to_owned).collect();
        let plain = understood(&words).unwrap_or_else(|error| panic!("{}: {error}", verb.path));
        let command = verb.command();
        // Where another word may stand: not between a flag of the verb and its value.
        let places: Vec<_> =
            (0..=words.len()).filter(|place| *place == 0 || !words[place - 1].starts_with("--")).collect();
        for flag in FLAGS {
            // Its own flag of this name, with its own meaning, hides it behind the verb.
            if command.get_arguments().any(|arg| arg.get_long() == Some(flag.long) && !arg.is_global_set()) {
                assert_eq!(flag.long, "cluster", "{}: --{} means something else in kubectl", verb.path, flag.long);
                continue;
            }
            // `-A` and `-n` exclude each other.
            if flag.long == "all-namespaces" && words.iter().any(|word| word == "-n") {
                continue;
            }
            let spellings = flag.spellings();
            let is_given_twice = flag.long == "namespace" && words.iter().any(|word| word == "-n");
            if is_given_twice {
                continue;
            }
            let mut meaning: Option<String> = None;
            for (place, spelling) in places.iter().flat_map(|place| spellings.iter().map(move |s| (*place, s))) {
                let mut line = words.clone();
                line.splice(place..place, spelling.iter().cloned());
                match understood(&line) {
                    Err(error) => failures.push(format!("{}\n  {error}", line.join(" "))),
                    Ok((globals, command)) => {
                        if command != plain.1 {
                            failures
                                .push(format!("{}\n  the verb's own arguments are not what they were", line.join(" ")));
                        } else if globals == plain.0 {
                            failures.push(format!("{}\n  has no effect", line.join(" ")));
                        } else if *meaning.get_or_insert_with(|| globals.clone()) != globals {
                            failures.push(format!("{}\n  means something else at this place", line.join(" ")));
                        }
                    }
                }
            }
        }
    }
    let count = failures.len();
    failures.truncate(20);
    assert!(failures.is_empty(), "{count} command lines\n\n{}", failures.join("\n"));
}

/// Switches can be switched off, as in kubectl.
#[test]
fn a_switch_may_be_false() {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let plain = understood(&words("version")).unwrap();
    for name in
        ["all-namespaces", "disable-compression", "insecure-skip-tls-verify", "match-server-version", "no-headers"]
    {
        assert_eq!(understood(&words(&format!("version --{name}=false"))), Ok(plain.clone()), "{name}");
    }
}

/// `--cluster` names clusters of the fleet where the verb says so, wherever it stands.
#[test]
fn a_verb_with_its_own_cluster_flag_keeps_it() {
    for (line, clusters) in [
        ("gateway create x --cluster m1c1", "cluster: [\"m1c1\"]"),
        ("gateway create --cluster=m1c1 x", "cluster: [\"m1c1\"]"),
        ("--cluster m1c1 gateway create x", "cluster: [\"m1c1\"]"),
        ("gateway -n istio-system --cluster=m1c1 create x", "cluster: [\"m1c1\"]"),
        ("--cluster m1c1 gateway --no-headers create x --cluster m1c2", "cluster: [\"m1c1\", \"m1c2\"]"),
    ] {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        let (_, command) = understood(&words).unwrap();
        assert!(command.contains(clusters), "{line}: {command}");
    }
    let words: Vec<_> = "--cluster m1c1 gateway create x --serverless".split(' ').map(str::to_owned).collect();
    assert!(understood(&words).unwrap_err().contains("cannot be used with"));
}

/// The table against the kubectl of this machine, where there is one.
#[test]
fn the_table_has_what_kubectl_has() {
    let Ok(output) = Command::new("kubectl").arg("options").output() else { return };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let listed = text.lines().filter_map(|line| line.trim().split("--").nth(1)?.split('=').next());
    let missing: Vec<_> = listed.filter(|name| !FLAGS.iter().any(|flag| flag.long == *name)).collect();
    assert!(missing.is_empty(), "kubectl has more options: {missing:?}");
}

fn places(words: &str, flag: &str) -> Vec<String> {
    let words: Vec<_> = words.split_whitespace().collect();
    (0..=words.len()).map(|place| [&words[..place], &[flag], &words[place..]].concat().join(" ")).collect()
}

/// The same effect wherever it stands, seen from outside.
#[test]
fn effects_that_can_be_seen() {
    let stage = Stage::new();
    let other = ApiServer::start();
    let run = |line: &str| stage.world.run(&line.split_whitespace().collect::<Vec<_>>()).to_string();
    let elsewhere = Stage::new();
    elsewhere.world.ok(&["cluster", "add", "more"]);
    let repo = elsewhere.world.root().to_string_lossy().into_owned();
    let expect = |words: &str, flag: &str, seen: &str| {
        let lines = places(words, flag);
        let first = run(&lines[0]);
        assert!(first.contains(seen), "{}: no {seen}\n{first}", lines[0]);
        for line in &lines[1..] {
            assert_eq!(run(line), first, "{line}");
        }
    };
    expect("cluster list", "-ojson", "\"kind\": \"ClusterList\"");
    expect("cluster list", "--output=yaml", "kind: ClusterList");
    expect("cluster list", "--no-headers", "m1c1");
    expect("cluster list", &format!("--repo={repo}"), "more");
    expect("status shop", "-n=other", "there is no FleetSync shop in namespace other of context host");
    expect("status shop", "-A", "fleetsync.kubectl-asm.io/shop in asm-system");
    expect("status shop", "--context=m1c1", "fleetsync.kubectl-asm.io/shop");
    expect("status shop", "--context=nowhere", "the kubeconfig has no context nowhere");
    expect("status shop", "--kubeconfig=/no/such/file", "cannot read kubeconfig /no/such/file");
    expect("status shop", &format!("--server={}", other.url()), "there is no FleetSync");
    expect("status shop", "--request-timeout=soon", "not a duration");
    for (place, flags) in places("status shop", "--as=me --as-group=g --as-uid=7 --token=SECRET").iter().enumerate() {
        let stage = Stage::new();
        stage.world.ok(&flags.split_whitespace().collect::<Vec<_>>());
        for header in
            ["impersonate-user: me", "impersonate-group: g", "impersonate-uid: 7", "authorization: Bearer SECRET"]
        {
            assert!(stage.host.saw_header(header), "{place}: {header}");
        }
    }
    stage.world.ok(&["status", "shop", "--username=me", "--password", "x"]);
    assert!(stage.host.saw_header("authorization: Basic bWU6eA=="));
}

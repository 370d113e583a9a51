//! Every verb of the command line with arguments for each way in which it can end: the data that the tests of this folder
//! go through. A new verb gets a row in [`VERBS`]; `every_verb_is_in_the_table` says which one is missing.

use super::stage::{
    Stage, begin_replacement, bind_to_nothing, change_files, grant_nothing, hold_back, keep_source_addresses,
    open_door, report_drift,
};

/// One verb.
pub(crate) struct Verb {
    /// The words after `kubectl asm`.
    pub(crate) path: &'static str,
    /// Its output formats besides that for people.
    pub(crate) formats: &'static [&'static str],
    /// Does the same state give the same output? Not where the time or a new name is told.
    pub(crate) repeatable: bool,
    /// It did its work, nothing to report: 0.
    pub(crate) clean: Case,
    /// It did its work and found something: 1.
    pub(crate) findings: Case,
    /// A file, an object or a name is wrong: 2. (A wrong flag is tried with every verb.)
    pub(crate) input: Case,
    /// Nobody listens at any address of the kubeconfig: 3.
    pub(crate) unreachable: Case,
}

/// How to bring an outcome about. The fleet is that of [`Stage::new`].
pub(crate) enum Case {
    /// With these arguments.
    Args(&'static str),
    /// With these arguments, after something was done to the stage.
    After(fn(&Stage), &'static str),
    /// This verb never ends so; why.
    Never(#[expect(dead_code, reason = "for who reads the table")] &'static str),
}

use Case::{After, Args, Never};

const WRITES: &[&str] = &["json", "yaml", "name"];
const LISTS: &[&str] = &["wide", "json", "yaml", "name"];
const NO_FINDINGS: Case = Never("it reports nothing");
const NO_SERVER: Case = Never("it asks no server");

/// A verb that writes files of the fleet: clean with the first arguments, wrong input with the second.
const fn writing(path: &'static str, clean: &'static str, input: &'static str) -> Verb {
    let (clean, input) = (Args(clean), Args(input));
    Verb { path, formats: WRITES, repeatable: false, clean, findings: NO_FINDINGS, input, unreachable: NO_SERVER }
}

pub(crate) const VERBS: &[Verb] = &[
    writing("init", "shop --dir ../new", "shop"),
    Verb { unreachable: Args(""), ..writing("import", "", "--without Gatway") },
    writing("cluster add", "m1c3 --region cn-hangzhou --group all", "m1c1"),
    Verb {
        path: "cluster list",
        formats: LISTS,
        repeatable: true,
        clean: Args(""),
        findings: NO_FINDINGS,
        input: Args("--repo ../elsewhere"),
        unreachable: NO_SERVER,
    },
    writing("cluster remove", "spare", "m1c9"),
    writing("gateway create", "second --serverless", "ingressgateway --serverless"),
    Verb {
        path: "gateway list",
        formats: LISTS,
        repeatable: true,
        clean: Args(""),
        findings: NO_FINDINGS,
        input: Args("--repo ../elsewhere"),
        unreachable: NO_SERVER,
    },
    Verb {
        path: "gateway show",
        formats: WRITES,
        repeatable: true,
        clean: Args("ingressgateway"),
        findings: NO_FINDINGS,
        input: Args("ingresgateway"),
        unreachable: Args("ingressgateway --live"),
    },
    Verb {
        unreachable: Args("edge --address-type internet --allow-address-loss --live"),
        ..writing("gateway edit", "ingressgateway --replicas 3", "ingresgateway --replicas 3")
    },
    Verb {
        unreachable: Args("edge --live --confirm edge"),
        ..writing(
            "gateway delete",
            "edge --address 198.51.100.7 --confirm edge",
            "edg --address 198.51.100.7 --confirm edg",
        )
    },
    writing(
        "gateway share",
        "ingressgateway edge --label team=shop --gateway bookinfo-gateway",
        "ingressgateway nobody --label team=shop --gateway bookinfo-gateway",
    ),
    writing("clb add", "--gateway edge --internet", "--gateway nobody --internet"),
    Verb {
        path: "clb list",
        formats: LISTS,
        repeatable: true,
        clean: Args(""),
        findings: NO_FINDINGS,
        input: Args("--cluster m1c9"),
        unreachable: Args("--live"),
    },
    Verb {
        path: "clb show",
        formats: WRITES,
        repeatable: true,
        clean: Args("istio-edge-2"),
        findings: NO_FINDINGS,
        input: Args("istio-edge-9"),
        unreachable: Args("istio-edge-2 --live"),
    },
    Verb {
        unreachable: Args("istio-edge-2 --live --confirm istio-edge-2"),
        ..writing(
            "clb remove",
            "istio-edge-2 --address 198.51.100.7 --confirm istio-edge-2",
            "istio-edge-9 --address 198.51.100.7 --confirm istio-edge-9",
        )
    },
    Verb {
        unreachable: After(begin_replacement, "istio-edge-2 --finish --live --confirm istio-edge-2"),
        ..writing("clb replace", "istio-edge-2 --internet", "istio-edge-9 --internet")
    },
    writing("app add", "bookinfo --preset single --clusters spare", "bookinfo --preset split --clusters m1c1,m1c9"),
    writing("app place", "reviews-v3=spare", "reviews-v3=m1c9"),
    writing("app move", "reviews-v3 --to spare", "reviews-v9 --to spare"),
    writing("app remove", "reviews-v3", "reviews-v9"),
    Verb {
        path: "route list",
        formats: LISTS,
        repeatable: true,
        clean: Args(""),
        findings: NO_FINDINGS,
        input: Args("--repo ../elsewhere"),
        unreachable: NO_SERVER,
    },
    Verb {
        path: "route show",
        formats: WRITES,
        repeatable: true,
        clean: Args("reviews"),
        findings: NO_FINDINGS,
        input: Args("revews"),
        unreachable: NO_SERVER,
    },
    writing("route add", "second --host ratings --to ratings:9080", "reviews --to nobody:9080"),
    writing("route set", "reviews --to reviews@v3", "revews --to reviews@v3"),
    writing("route weight", "reviews v1=90 v2=10", "reviews v1=90 v2=20"),
    writing("route split", "reviews --to v1=10,v2=90", "nobody --to v1=10,v2=90"),
    writing("route mirror", "reviews --to reviews@v3", "reviews --to reviews@v9"),
    writing("route fault", "reviews --delay 5s", "revews --delay 5s"),
    writing(
        "route redirect",
        "details --rule-name old --first --match exact:/books --to-path /productpage",
        "details --rule gamma --to-path /productpage",
    ),
    writing(
        "route rewrite",
        "details --rule alpha --authority shop.internal",
        "details --rule gamma --authority shop.internal",
    ),
    writing("route move", "details beta --first", "details gamma --first"),
    writing("route remove", "details --rule alpha", "details --rule gamma"),
    Verb {
        path: "lint",
        formats: &["json", "yaml", "name", "sarif", "junit", "github", "gitlab", "markdown"],
        repeatable: true,
        clean: Args("--severity warning"),
        findings: After(bind_to_nothing, ""),
        input: Args("--rule no-such-rule"),
        unreachable: NO_SERVER,
    },
    Verb {
        path: "route test",
        formats: &["wide", "json", "yaml", "junit"],
        repeatable: true,
        clean: Args("http://shop.example.com/productpage --gateway ingressgateway"),
        findings: Args("http://shop.example.com:81/productpage --gateway ingressgateway"),
        input: Args("shop.example.com/productpage"),
        unreachable: NO_SERVER,
    },
    Verb {
        path: "explain",
        formats: LISTS,
        repeatable: true,
        clean: Args("destination-host"),
        findings: NO_FINDINGS,
        input: Args("destination-hots"),
        unreachable: NO_SERVER,
    },
    Verb {
        path: "graph",
        formats: &["wide", "json", "yaml", "mermaid", "dot", "svg"],
        repeatable: true,
        clean: Args(""),
        findings: After(change_files, "--base HEAD"),
        input: Args("--gateway nobody"),
        unreachable: NO_SERVER,
    },
    Verb {
        path: "diff",
        formats: &["json", "yaml", "name", "markdown", "patch"],
        repeatable: true,
        clean: Args("HEAD"),
        findings: After(change_files, ""),
        input: Args("no-such-branch"),
        unreachable: Args("--live"),
    },
    Verb {
        path: "doctor gateway",
        formats: &["json", "yaml"],
        repeatable: true,
        clean: Args("ingressgateway"),
        // No Gateway selects its pods.
        findings: Args("edge"),
        input: Args("edg"),
        unreachable: Args("edge --live"),
    },
    Verb {
        path: "doctor route",
        formats: &["json", "yaml"],
        repeatable: true,
        clean: Args("http://shop.example.com/cart --gateway ingressgateway"),
        findings: Args("http://shop.example.com/cart --gateway edge"),
        input: Args("ftp://shop.example.com/"),
        unreachable: Args("http://shop.example.com/cart --gateway ingressgateway --live"),
    },
    Verb {
        path: "doctor clb-access",
        formats: &["json", "yaml"],
        repeatable: true,
        clean: Args("edge --offline"),
        findings: After(keep_source_addresses, "edge --offline"),
        input: Args("edg --offline"),
        unreachable: Args("edge"),
    },
    Verb {
        path: "verify",
        formats: &["json", "yaml"],
        repeatable: true,
        clean: After(open_door, "edge --address 127.0.0.1"),
        findings: Args("edge --address 127.0.0.1"),
        input: Args("edg --address 127.0.0.1"),
        unreachable: Args("edge"),
    },
    Verb {
        path: "pr create",
        formats: &["json", "yaml"],
        repeatable: true,
        clean: Args(""),
        findings: NO_FINDINGS,
        input: Args("--base no-such-branch"),
        unreachable: Never("it asks no API server; forges that cannot be reached are in pull_requests.rs"),
    },
    Verb {
        path: "rbac",
        formats: &["json", "yaml"],
        repeatable: true,
        clean: Args(""),
        findings: After(grant_nothing, "--check"),
        input: Args("--target m1c9"),
        unreachable: Args("--check"),
    },
    Verb {
        path: "status",
        formats: LISTS,
        repeatable: true,
        clean: Args("shop"),
        findings: After(hold_back, "shop"),
        input: Args("shopp"),
        unreachable: Args("shop"),
    },
    Verb {
        path: "drift",
        formats: LISTS,
        // The age of a change is told.
        repeatable: false,
        clean: Args("shop"),
        findings: After(report_drift, "shop"),
        input: Args("shop --target m1c9"),
        unreachable: Args("shop"),
    },
    Verb {
        // A clean run has nothing to take over.
        path: "adopt",
        formats: WRITES,
        repeatable: false,
        clean: Args("--all"),
        findings: NO_FINDINGS,
        input: Args("mesh/VirtualService/default/nobody"),
        unreachable: Args("--all"),
    },
    Verb {
        path: "revert",
        formats: WRITES,
        repeatable: false,
        clean: Args("mesh/VirtualService/default/reviews"),
        findings: Args("mesh/IstioGateway/istio-system/held"),
        input: Args("mesh/VirtualService/default/nobody"),
        unreachable: Args("mesh/VirtualService/default/reviews"),
    },
    Verb {
        unreachable: Args("VirtualService/reviews --reason x"),
        ..writing(
            "freeze",
            "mesh/VirtualService/default/reviews --field spec.http[0].timeout --reason slow",
            "VirtualService/revews --field spec.hosts --reason x",
        )
    },
    writing("unfreeze", "VirtualService/details", "VirtualService/reviews"),
    Verb {
        path: "sync",
        formats: WRITES,
        repeatable: false,
        clean: Args("shop"),
        findings: After(hold_back, "shop"),
        input: Args("shopp"),
        unreachable: Args("shop"),
    },
    Verb {
        path: "suspend",
        formats: WRITES,
        repeatable: false,
        clean: Args("shop"),
        findings: NO_FINDINGS,
        input: Args("shopp"),
        unreachable: Args("shop"),
    },
    Verb {
        path: "resume",
        formats: WRITES,
        repeatable: false,
        clean: Args("shop"),
        findings: NO_FINDINGS,
        input: Args("shopp"),
        unreachable: Args("shop"),
    },
    Verb {
        path: "version",
        formats: &["json", "yaml"],
        repeatable: true,
        clean: Args(""),
        findings: NO_FINDINGS,
        input: Never("it reads nothing"),
        unreachable: NO_SERVER,
    },
    Verb {
        path: "completion",
        formats: &[],
        repeatable: true,
        clean: Args("bash"),
        findings: NO_FINDINGS,
        input: Args("tcsh"),
        unreachable: NO_SERVER,
    },
];

impl Verb {
    /// The words of the verb itself.
    pub(crate) fn words(&self) -> Vec<&'static str> {
        self.path.split_whitespace().collect()
    }

    /// Its definition.
    pub(crate) fn command(&self) -> clap::Command {
        let mut root = kubectl_asm::cli::command("kubectl-asm".as_ref());
        root.build();
        self.words().iter().fold(root, |command, word| {
            command.find_subcommand(word).unwrap_or_else(|| panic!("there is no verb {}", self.path)).clone()
        })
    }

    /// Has it a `--dry-run`?
    pub(crate) fn has_dry_run(&self) -> bool {
        self.command().get_arguments().any(|arg| arg.get_long() == Some("dry-run"))
    }
}

/// The path of every verb that can be run, hidden ones left out.
pub(crate) fn paths_of_the_command_line() -> Vec<String> {
    fn visit(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
            let path = format!("{path} {}", inner.get_name()).trim().to_owned();
            if inner.has_subcommands() { visit(inner, &path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    visit(&kubectl_asm::cli::command("kubectl-asm".as_ref()), "", &mut found);
    found
}

#[test]
fn every_verb_is_in_the_table() {
    let found = paths_of_the_command_line();
    let missing: Vec<_> = found.iter().filter(|path| VERBS.iter().all(|verb| verb.path != path.as_str())).collect();
    let rows: String = missing
        .iter()
        .map(|path| {
            format!(
                "    // if it writes files and asks no server:\n    writing(\"{path}\", \"ARGUMENTS THAT WORK\", \"ARGUMENTS THAT NAME SOMETHING WRONG\"),\n    \
                 // otherwise:\n    Verb {{ path: \"{path}\", formats: LISTS, repeatable: true, clean: Args(\"\"), findings: NO_FINDINGS, input: Args(\"\"), \
                 unreachable: NO_SERVER }},\n"
            )
        })
        .collect();
    assert!(
        missing.is_empty(),
        "add to VERBS in plugin/tests/cli/contract/verbs.rs (the fleet that the arguments meet is that of Stage::new):\n{rows}"
    );
    for verb in VERBS {
        assert!(found.iter().any(|path| path == verb.path), "there is no verb {} any more: remove its row", verb.path);
    }
}

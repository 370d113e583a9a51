//! `kubectl asm pr create` against a real Gitea. Other forges are in `plugin/tests/cli/pull_requests.rs`, by their documents.

use anyhow::{Context as _, Result, ensure};
use asm_lab::{Forge, binaries};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const ROUTE: &str = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews]
  http:
  - route:
    - {destination: {host: reviews, subset: v1}, weight: 90}
    - {destination: {host: reviews, subset: v2}, weight: 10}
";

/// How the plugin and Git are let in.
#[derive(Clone, Copy, PartialEq)]
enum Door {
    /// A token in the environment; Git has a credential helper.
    Token,
    /// Git's credential helper alone, with a password.
    Helper,
    /// A header for Git alone: nothing that could be found for the API.
    GitOnly,
}

/// A clone of a repository of its own.
struct Clone<'a> {
    forge: &'a Forge,
    dir: TempDir,
    name: &'static str,
    door: Door,
}

/// What a run came to.
#[derive(Debug)]
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl<'a> Clone<'a> {
    /// A fleet on `main`, pushed, with a route.
    fn new(forge: &'a Forge, name: &'static str, door: Door) -> Result<Self> {
        let clone = Self { forge, dir: tempfile::tempdir()?, name, door };
        forge.ask("POST", "/user/repos", Some(json!({"name": name, "default_branch": "main"})))?;
        let fleet = clone.dir.path().join("fleet");
        std::fs::create_dir_all(fleet.join("mesh"))?;
        let text = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: shop}\nspec: {mesh: {}, clusters: [{name: m1c1}]}\n";
        std::fs::write(fleet.join("fleet.yaml"), text)?;
        std::fs::write(fleet.join("mesh/route.yaml"), ROUTE)?;
        std::fs::write(fleet.join("notes.txt"), "notes\n")?;
        let address = format!("{}/shop/{name}.git", forge.url());
        clone.git(&["init", "--quiet", "--initial-branch=main"])?;
        clone.git(&["config", "--global", "user.name", "me"])?;
        clone.git(&["config", "--global", "user.email", "me@example.com"])?;
        if door == Door::GitOnly {
            let header = format!("Authorization: token {}", forge.token());
            clone.git(&["config", "--global", "http.extraHeader", &header])?;
        } else {
            let host = forge.url_with_password("x");
            std::fs::write(clone.dir.path().join(".git-credentials"), host.trim_end_matches("/x.git"))?;
            clone.git(&["config", "--global", "credential.helper", "store"])?;
        }
        clone.git(&["remote", "add", "origin", &address])?;
        clone.git(&["config", "asm.forge", "gitea"])?;
        clone.git(&["add", "."])?;
        clone.git(&["commit", "--quiet", "--message=base"])?;
        clone.git(&["push", "--quiet", "--set-upstream", "origin", "main"])?;
        // Until then it takes no pull requests.
        forge.ask_until(&format!("/repos/shop/{name}"), |repo| repo["empty"] == false)?;
        Ok(clone)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.dir.path().join("fleet")).env_clear().stdin(Stdio::null());
        command.env("HOME", self.dir.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
        command
    }

    fn git(&self, args: &[&str]) -> Result<String> {
        let output = self.command("git").args(args).output()?;
        ensure!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// Lets the first version take this share.
    fn weights(&self, first: u32) -> Result<()> {
        let route = ROUTE.replace("90", &first.to_string()).replace("10}", &format!("{}}}", 100 - first));
        Ok(std::fs::write(self.dir.path().join("fleet/mesh/route.yaml"), route)?)
    }

    /// A run; neither the token nor the password is in what it shows.
    fn create(&self, args: &[&str]) -> Result<Run> {
        let mut command = self.command(&binaries()?.plugin);
        command.args(["pr", "create"]).args(args);
        if self.door == Door::Token {
            command.env("GITEA_TOKEN", self.forge.token());
        }
        let output = command.output()?;
        let run = Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        };
        let messages = self.git(&["log", "--all", "--format=%B%D"])?;
        for secret in [self.forge.token(), self.forge.password()] {
            ensure!(!format!("{run:?}{messages}").contains(secret), "a secret is shown: {run:?}");
        }
        Ok(run)
    }

    /// A run that must succeed: what it says on stderr, and the pull request whose address it prints, once it has HEAD.
    fn ok(&self, args: &[&str]) -> Result<(String, Value)> {
        let run = self.create(args)?;
        ensure!(run.code == Some(0), "{args:?} {run:?}");
        let number = run.stdout.trim_end().rsplit('/').next().context("no address")?;
        ensure!(run.stdout == format!("{}/shop/{}/pulls/{number}\n", self.forge.url(), self.name), "{run:?}");
        Ok((run.stderr, self.request(number)?))
    }

    /// A run that must be refused with these words, and leave the working tree and the branches as they were.
    fn refused(&self, args: &[&str], code: i32, words: &[&str]) -> Result<()> {
        let all = || Ok::<_, anyhow::Error>((self.git(&["status", "--porcelain=v2", "--branch"])?, self.heads()?));
        let before = all()?;
        let run = self.create(args)?;
        ensure!(run.code == Some(code) && run.stdout.is_empty(), "{run:?}");
        for word in words {
            ensure!(run.stderr.contains(word), "{word}: {run:?}");
        }
        ensure!(all()? == before, "something has changed: {run:?}");
        Ok(())
    }

    fn heads(&self) -> Result<String> {
        Ok(self.git(&["for-each-ref", "refs/heads"])? + &self.git(&["ls-remote", "origin", "refs/heads/*"])?)
    }

    fn request(&self, number: &str) -> Result<Value> {
        let head = self.git(&["rev-parse", "HEAD"])?;
        let path = format!("/repos/shop/{}/pulls/{number}", self.name);
        // Looking for conflicts comes later still, and touches the time of the last change.
        let mut request = self.forge.ask_until(&path, |request| {
            request["head"]["sha"] == head.as_str() && (request["mergeable"] == true || request["draft"] == true)
        })?;
        // Counters of the repository move by themselves.
        (request["base"]["repo"], request["head"]["repo"], request["user"]) = (Value::Null, Value::Null, Value::Null);
        for secret in [self.forge.token(), self.forge.password()] {
            ensure!(!request.to_string().contains(secret), "a secret is in the pull request");
        }
        Ok(request)
    }

    fn close(&self, request: &Value) -> Result<()> {
        let path = format!("/repos/shop/{}/pulls/{}", self.name, request["number"]);
        self.forge.ask("PATCH", &path, Some(json!({"state": "closed"}))).map(drop)
    }
}

#[test]
fn on_a_real_gitea() -> Result<()> {
    if std::env::var_os("KUBECTL_ASM_FULL").is_none() && !Forge::is_built() {
        let why = "skipped: building Gitea takes some minutes; the full run does it (KUBECTL_ASM_FULL=1)";
        writeln!(std::io::stderr(), "pull_request::on_a_real_gitea {why}")?;
        return Ok(());
    }
    let forge = Forge::start()?;
    for (name, door) in [("token", Door::Token), ("helper", Door::Helper)] {
        let clone = Clone::new(&forge, name, door)?;
        opened_updated_closed(&clone).with_context(|| format!("door {name}"))?;
        contradicted(&clone).with_context(|| format!("door {name}"))?;
        protected(&clone).with_context(|| format!("door {name}"))?;
    }
    from_a_fork(&Clone::new(&forge, "forked", Door::Token)?).context("fork")?;
    by_push_alone(&Clone::new(&forge, "agit", Door::GitOnly)?)
}

/// The branch is in a repository of its own, and the pull request where that one was made from.
fn from_a_fork(clone: &Clone<'_>) -> Result<()> {
    let (forge, fork) = (clone.forge, format!("mine/{}", clone.name));
    forge.ask("POST", "/orgs", Some(json!({"username": "mine"})))?;
    forge.ask("POST", &format!("/repos/shop/{}/forks", clone.name), Some(json!({"organization": "mine"})))?;
    forge.ask_until(&format!("/repos/{fork}"), |repo| repo["empty"] == false)?;
    clone.git(&["remote", "rename", "origin", "upstream"])?;
    clone.git(&["remote", "add", "origin", &format!("{}/{fork}.git", forge.url())])?;
    clone.git(&["fetch", "--quiet", "--all"])?;
    clone.weights(80)?;
    let (told, request) = clone.ok(&[])?;
    ensure!(told.contains(&format!("from the fork {fork} (origin) to shop/{} (upstream)", clone.name)), "{told}");
    ensure!(told.contains("opened pull request 1") && request["base"]["ref"] == "main", "{told}\n{request}");
    let head = &forge.ask("GET", &format!("/repos/shop/{}/pulls/1", clone.name), None)?["head"];
    ensure!(head["repo"]["full_name"] == fork.as_str(), "{head}");
    ensure!(clone.git(&["ls-remote", "upstream", "refs/heads/*"])?.lines().count() == 1, "a branch was pushed");

    let (told, again) = clone.ok(&[])?;
    ensure!(told.contains("unchanged: pull request 1") && again == request, "{told}\n{again}");
    clone.weights(70)?;
    let (told, updated) = clone.ok(&[])?;
    ensure!(told.contains("updated pull request 1"), "{told}");
    clone.close(&updated)?;
    clone.refused(&[], 2, &["was closed without being merged"])?;
    ensure!(clone.ok(&["--reopen"])?.0.contains("opened pull request 1 again"));
    let path = format!("/repos/shop/{}/pulls/1/merge", clone.name);
    forge.ask("POST", &path, Some(json!({"Do": "merge"})))?;
    let run = clone.create(&[])?;
    ensure!(run.code == Some(0) && run.stderr.contains("nothing to propose"), "{run:?}");
    Ok(())
}

fn opened_updated_closed(clone: &Clone<'_>) -> Result<()> {
    clone.weights(80)?;
    std::fs::write(clone.dir.path().join("fleet/notes.txt"), "mine\n")?;
    let (told, request) = clone.ok(&[])?;
    ensure!(told.contains("opened pull request 1"), "{told}");
    ensure!(request["state"] == "open" && request["base"]["ref"] == "main", "{request}");
    ensure!(request["title"] == "asm(route): change VirtualService default/reviews on mesh", "{request}");
    let body = request["body"].as_str().unwrap_or_default();
    ensure!(body.contains("Asm-Change-Id: ") && body.contains("default/reviews"), "{body}");
    ensure!(request["changed_files"] == 1, "{request}");
    ensure!(clone.git(&["status", "--porcelain"])? == " M notes.txt");

    // Nothing happens.
    let (told, again) = clone.ok(&[])?;
    ensure!(told.contains("unchanged: pull request 1") && again == request, "{told}\n{again}");

    clone.weights(60)?;
    let (told, updated) = clone.ok(&[])?;
    ensure!(told.contains("updated pull request 1"), "{told}");
    ensure!(updated["body"] != request["body"] && updated["title"] == request["title"], "{updated}");

    clone.close(&updated)?;
    clone.refused(&[], 2, &["pull request 1 for asm/reviews-", "was closed without being merged", "--reopen"])?;
    let (told, reopened) = clone.ok(&["--reopen"])?;
    ensure!(told.contains("opened pull request 1 again") && reopened["state"] == "open", "{told}\n{reopened}");
    ensure!(clone.ok(&[])?.0.contains("unchanged"));

    // Merged: nothing is left, and the next change is another pull request.
    let path = format!("/repos/shop/{}/pulls/1/merge", clone.name);
    clone.forge.ask("POST", &path, Some(json!({"Do": "squash"})))?;
    let run = clone.create(&[])?;
    ensure!(run.code == Some(0) && run.stderr.contains("nothing to propose"), "{run:?}");
    clone.git(&["checkout", "--quiet", "notes.txt"])?;
    clone.git(&["switch", "--quiet", "main"])?;
    clone.git(&["pull", "--quiet"])?;
    clone.weights(55)?;
    let (told, draft) = clone.ok(&["--draft", "--title", "to be tried"])?;
    ensure!(told.contains("opened pull request 2") && draft["draft"] == true, "{told}\n{draft}");
    ensure!(draft["title"] == "WIP: to be tried", "{draft}");
    clone.git(&["switch", "--quiet", "main"])?;
    Ok(())
}

/// The base gets another change of the same lines.
fn contradicted(clone: &Clone<'_>) -> Result<()> {
    clone.weights(50)?;
    let (_, request) = clone.ok(&["--branch", "mine"])?;
    clone.git(&["switch", "--quiet", "main"])?;
    clone.weights(40)?;
    clone.git(&["commit", "--quiet", "--all", "--message=somebody else's"])?;
    clone.git(&["push", "--quiet", "origin", "main"])?;
    clone.git(&["switch", "--quiet", "mine"])?;
    clone.refused(&[], 2, &["contradicts what main of origin has", "mesh/route.yaml", "git pull --rebase"])?;
    clone.git(&["rebase", "--quiet", "--strategy-option=theirs", "main"])?;
    // A rebased branch is not what is there, and nothing is ever pushed by force.
    clone.refused(&[], 2, &["has commits that are not here"])?;
    clone.git(&["push", "--quiet", "--force", "origin", "mine"])?;
    let (told, after) = clone.ok(&[])?;
    ensure!(told.contains("updated") && after["number"] == request["number"], "{after}");
    clone.git(&["switch", "--quiet", "main"])?;
    Ok(())
}

fn protected(clone: &Clone<'_>) -> Result<()> {
    let path = format!("/repos/shop/{}/branch_protections", clone.name);
    clone.forge.ask("POST", &path, Some(json!({"rule_name": "asm/**", "enable_push": false})))?;
    clone.weights(20)?;
    clone.refused(&[], 2, &["origin refuses the push to asm/reviews-", "protected branch", "--branch NAME"])?;
    clone.ok(&["--branch", "not-protected"])?;
    Ok(())
}

/// AGit: the forge keeps the branch, and the push opens the pull request.
fn by_push_alone(clone: &Clone<'_>) -> Result<()> {
    clone.weights(80)?;
    let (told, request) = clone.ok(&["--title", "by push"])?;
    ensure!(told.contains("no token for Gitea") && told.contains("opened pull request 1"), "{told}");
    ensure!(request["title"] == "by push" && request["state"] == "open", "{request}");
    ensure!(request["body"].as_str().is_some_and(|body| body.contains("Asm-Change-Id: ")), "{request}");
    ensure!(clone.git(&["ls-remote", "origin", "refs/heads/*"])?.lines().count() == 1, "a branch was pushed");
    let (told, again) = clone.ok(&[])?;
    ensure!(told.contains("unchanged: pull request 1") && again == request, "{told}");
    clone.weights(70)?;
    let (told, updated) = clone.ok(&[])?;
    ensure!(told.contains("updated pull request 1"), "{told}");
    clone.close(&updated)?;
    clone.refused(&[], 2, &["was closed without being merged"])
}

//! What Git does over the network: look at a remote, fetch from it, push to it.

use super::Git;
use super::call::{Call, told};
use crate::error::CommandError;
use crate::forge::secret::{Redactor, Secret};
use crate::forge::token::Login;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a remote may be silent when `--request-timeout` does not say.
const SILENCE: Duration = Duration::from_secs(60);

/// The refs of a remote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RemoteRefs {
    /// The branch that HEAD stands for.
    pub(crate) default: Option<String>,
    /// Commits by ref.
    pub(crate) refs: BTreeMap<String, String>,
}

impl RemoteRefs {
    /// The commit of a branch.
    pub(crate) fn branch(&self, name: &str) -> Option<&str> {
        self.refs.get(&format!("refs/heads/{name}")).map(String::as_str)
    }

    /// The names of branches.
    pub(crate) fn branches(&self) -> impl Iterator<Item = &str> {
        self.refs.keys().filter_map(|name| name.strip_prefix("refs/heads/"))
    }

    /// The highest number among `refs/pull/<number>/head` that is this commit.
    pub(crate) fn request_of(&self, pattern: &str, commit: &str) -> Option<u64> {
        let (before, after) = pattern.split_once('*')?;
        let ours = self.refs.iter().filter(|(_, id)| *id == commit);
        ours.filter_map(|(name, _)| name.strip_prefix(before)?.strip_suffix(after)?.parse().ok()).max()
    }
}

/// What a push came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// What the remote said.
    pub(crate) told: String,
}

/// The remote of a call, and what its words are cleaned with.
pub(crate) struct Network<'a> {
    pub(crate) remote: &'a str,
    pub(crate) redactor: &'a Redactor,
    pub(crate) timeout: Option<Duration>,
    /// May Git ask on the terminal?
    pub(crate) may_ask: bool,
}

impl Git<'_> {
    fn far(&self, network: &Network<'_>, args: &[&str]) -> Call {
        let silence = network.timeout.unwrap_or(SILENCE).as_secs().max(1);
        // A remote that takes the request and says nothing; whoever has set their own limit keeps it.
        let limits = [("http.lowSpeedLimit", 1), ("http.lowSpeedTime", silence)];
        let limits = limits.iter().filter(|(name, _)| self.config(name).is_none());
        let settings: Vec<_> = limits.flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]).collect();
        let call = self.call(settings.iter().map(String::as_str).chain(args.iter().copied()));
        if network.may_ask {
            call
        } else {
            call.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "").env("SSH_ASKPASS", "")
        }
    }

    /// The branches of a remote, and its refs of another kind.
    pub(crate) fn remote_refs(&self, network: &Network<'_>, pattern: Option<&str>) -> Result<RemoteRefs, CommandError> {
        let mut args = vec!["ls-remote", "--symref", "--", network.remote, "HEAD", "refs/heads/*"];
        args.extend(pattern);
        let output = self.far(network, &args).output()?;
        if !output.status.success() {
            let what = format!("cannot read the remote {}", network.remote);
            return Err(unreached(&what, &network.redactor.clean(&told(&output)), network.remote));
        }
        let mut refs = RemoteRefs::default();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            match line.split_once('\t') {
                Some((target, "HEAD")) => {
                    if let Some(branch) = target.strip_prefix("ref: refs/heads/") {
                        refs.default = Some(branch.to_owned());
                    }
                }
                Some((id, name)) => drop(refs.refs.insert(name.to_owned(), id.to_owned())),
                None => {}
            }
        }
        Ok(refs)
    }

    /// Gets a branch's commits, unless this clone has them.
    pub(crate) fn get(&self, network: &Network<'_>, branch: &str, commit: &str) -> Result<(), CommandError> {
        if self.resolve(commit).is_some() {
            return Ok(());
        }
        let output = self
            .far(network, &["fetch", "--quiet", "--no-tags", "--", network.remote, &format!("refs/heads/{branch}")])
            .output()?;
        if output.status.success() && self.resolve(commit).is_some() {
            return Ok(());
        }
        let what = format!("cannot fetch {branch} from the remote {}", network.remote);
        Err(unreached(&what, &network.redactor.clean(&told(&output)), network.remote))
    }

    /// Pushes a commit to a ref of the remote; never by force.
    pub(crate) fn push(
        &self,
        network: &Network<'_>,
        commit: &str,
        target: &str,
        options: &[String],
    ) -> Result<Pushed, CommandError> {
        let refspec = format!("{commit}:{target}");
        let mut args = vec!["push", "--porcelain", "--no-follow-tags"];
        for option in options {
            args.extend(["-o", option]);
        }
        args.extend(["--", network.remote, &refspec]);
        let output = self.far(network, &args).output()?;
        let clean = |text: &[u8]| network.redactor.clean(&String::from_utf8_lossy(text));
        if output.status.success() {
            return Ok(Pushed { told: clean(&output.stderr) });
        }
        let branch = target.trim_start_matches("refs/heads/");
        let why = network.redactor.clean(&told(&output));
        let report = clean(&output.stdout);
        let refused = report.lines().find_map(|line| line.strip_prefix("!\t")?.split('\t').nth(1)).map(str::to_owned);
        Err(match refused {
            Some(reason) => rejected(network.remote, branch, &reason, &why),
            None => unreached(&format!("cannot push to the remote {}", network.remote), &why, network.remote)
                .hinted("nothing was pushed, and your files and branches are as they were"),
        })
    }

    /// The user and the password that Git's credential helpers have for an address, without asking anybody.
    pub(crate) fn credential(&self, url: &str) -> Option<Login> {
        let call =
            self.call(["-c", "credential.interactive=false", "credential", "fill"]).input(format!("url={url}\n\n"));
        let call = call.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "").env("SSH_ASKPASS", "");
        let answer = call.maybe()?;
        let value = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let password = value("password=").filter(|password| !password.is_empty())?;
        Some((value("username="), Secret::new(password)))
    }
}

/// The remote could not be reached or did not let us in.
fn unreached(what: &str, why: &str, remote: &str) -> CommandError {
    let error = CommandError::unreachable(what).because(why);
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    if says(&["Authentication failed", "could not read Username", "could not read Password", "403", "401"]) {
        error.hinted(format!("Git has no valid credentials for it; try: git fetch {remote}"))
    } else if says(&["Permission denied (publickey", "Host key verification failed"]) {
        error.hinted(format!("SSH does not let Git in; try: git fetch {remote}"))
    } else {
        error.hinted(format!("try what Git says to: git fetch {remote}, and look at: git remote --verbose"))
    }
}

/// The remote said no to the branch.
fn rejected(remote: &str, branch: &str, reason: &str, why: &str) -> CommandError {
    if reason.contains("fetch first") || reason.contains("non-fast-forward") || reason.contains("stale info") {
        return CommandError::input(format!("{branch} on {remote} has commits that are not here: nothing was pushed"))
            .hinted(format!("bring them here: git pull --rebase --autostash {remote} {branch}"))
            .hinted("or choose another branch with --branch NAME");
    }
    let reason = reason.trim_start_matches("[remote rejected]").trim_start_matches("[rejected]").trim();
    CommandError::input(format!("{remote} refuses the push to {branch} {reason}: nothing was pushed"))
        .because(why)
        .hinted("is the branch protected? choose another one with --branch NAME, or ask who looks after the repository")
}

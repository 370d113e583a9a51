//! Which remote is pushed to, and which one the change is for: the same, unless the first is a fork.

use super::args::CreateArgs;
use crate::error::CommandError;
use crate::forge::remote::RemoteUrl;
use crate::forge::secret::Redactor;
use crate::forge::{Kind, Place};
use crate::git::{Git, Stand};
use asm_shared::pull_request::plain;
use clap::ValueEnum as _;

/// How a fork and what it was made from are called: `gh`, `glab` and people do so.
const ORIGIN: &str = "origin";
const UPSTREAM: &str = "upstream";

/// Both sides of a pull request, as far as remotes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remotes {
    /// The remote that is pushed to.
    pub(super) head: String,
    /// The remote that the change is for.
    pub(super) base: String,
    /// The address of the one that the change is for.
    pub(super) address: RemoteUrl,
    /// The forge, and the repository that the change is for.
    pub(super) place: Place,
    /// Did the user say where the forge is?
    pub(super) is_place_given: bool,
    /// The path of the repository that is pushed to, if it is another one.
    pub(super) fork: Option<String>,
}

/// Chooses both.
pub(super) fn choose(
    git: &Git<'_>,
    args: &CreateArgs,
    stand: &Stand,
    redactor: &Redactor,
) -> Result<Remotes, CommandError> {
    let look = Look { git, args, branch: stand.branch.as_deref(), remotes: git.remotes(), redactor };
    let head = look.head()?;
    let address = look.address(&head)?;
    let settled = look.settled_base()?;
    let base = match &settled {
        Some(name) => name.clone(),
        None => look.parent(&head, &address).unwrap_or_else(|| head.clone()),
    };
    let (place, is_place_given) = look.place(&address)?;
    if base == head {
        return Ok(Remotes { head, base, address, place, is_place_given, fork: None });
    }
    let other = look.address(&base)?;
    if !address.is_beside(&other) {
        return Err(CommandError::input(format!(
            "{} ({}) and {} ({}) are on different forges: no pull request can go from one to the other",
            plain(&head),
            address.host,
            plain(&base),
            other.host
        ))
        .hinted("choose the remote to push to with --remote NAME, and the one that the change is for with --base-remote NAME"));
    }
    let (target, _) = look.place(&other)?;
    // Two names of one repository are no fork.
    let fork = (!place.path.eq_ignore_ascii_case(&target.path)).then_some(place.path);
    // What stands in one of the addresses lets in at the other: it is the same forge.
    let other = if other.password.is_none() && address.web() == other.web() {
        RemoteUrl { user: address.user, password: address.password, ..other }
    } else {
        other
    };
    Ok(Remotes { head, base, address: other, place: target, is_place_given, fork })
}

/// May one be what the other was forked from: another repository of the same forge?
fn is_parent(parent: &RemoteUrl, fork: &RemoteUrl) -> bool {
    fork.is_beside(parent) && !fork.path.eq_ignore_ascii_case(&parent.path)
}

struct Look<'a> {
    git: &'a Git<'a>,
    args: &'a CreateArgs,
    branch: Option<&'a str>,
    remotes: Vec<String>,
    redactor: &'a Redactor,
}

impl Look<'_> {
    fn listed(&self) -> String {
        self.remotes.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", ")
    }

    fn has(&self, name: &str) -> bool {
        self.remotes.iter().any(|known| known == name)
    }

    /// A setting of the current branch.
    fn of_branch(&self, what: &str) -> Option<String> {
        self.git.config(&format!("branch.{}.{what}", self.branch?))
    }

    /// The remote that the branch follows.
    fn followed(&self) -> Option<String> {
        self.of_branch("remote").filter(|name| name != ".")
    }

    /// Where Git pushes to, when that is set apart from what the branch follows.
    fn pushed(&self) -> Option<String> {
        self.of_branch("pushRemote").or_else(|| self.git.config("remote.pushDefault")).filter(|name| name != ".")
    }

    fn existing(&self, name: String, option: &str) -> Result<String, CommandError> {
        if self.has(&name) {
            return Ok(name);
        }
        Err(CommandError::input(format!("there is no remote {}", plain(&name)))
            .hinted(format!("choose one of {} with {option} NAME", self.listed())))
    }

    /// The remote that was named, set, pushed to, followed, or is the only one to push to.
    fn head(&self) -> Result<String, CommandError> {
        if self.remotes.is_empty() {
            return Err(CommandError::input("this repository has no remote to push to")
                .hinted("add the forge's: git remote add origin URL"));
        }
        let named = self.args.remote.clone().or_else(|| self.git.config("asm.remote")).or_else(|| self.pushed());
        if let Some(name) = named {
            return self.existing(name, "--remote");
        }
        let said = self.said_base()?;
        let followed = self.followed();
        let found = match &said {
            // What the change is for is not where it is pushed to, unless there is nothing else.
            Some(base) => followed.filter(|name| name != base).or_else(|| {
                let others: Vec<_> = self.remotes.iter().filter(|name| *name != base).collect();
                (others.len() < 2).then(|| others.first().copied().unwrap_or(base).clone())
            }),
            None if followed.as_deref().is_none_or(|name| name == UPSTREAM) && self.has_fork() => {
                Some(ORIGIN.to_owned())
            }
            None => followed.or_else(|| (self.remotes.len() == 1).then(|| self.remotes[0].clone())),
        };
        match found {
            Some(name) => self.existing(name, "--remote"),
            None => Err(CommandError::input(format!("there are {} remotes: {}", self.remotes.len(), self.listed()))
                .hinted("choose the one to push to with --remote NAME, or for good: git config asm.remote NAME")
                .hinted("if that is a fork, say what the change is for with --base-remote NAME")),
        }
    }

    /// Is `origin` a fork of `upstream`, as far as their names and addresses tell?
    fn has_fork(&self) -> bool {
        let address = |name: &str| self.has(name).then(|| self.address(name).ok()).flatten();
        address(ORIGIN).is_some_and(|origin| address(UPSTREAM).is_some_and(|parent| is_parent(&parent, &origin)))
    }

    /// The remote that somebody said the change is for: here, in an earlier run on this branch, or in a setting.
    fn said_base(&self) -> Result<Option<String>, CommandError> {
        let said = self.args.base_remote.clone();
        let named = said.or_else(|| self.of_branch("asm-base-remote")).or_else(|| self.git.config("asm.base-remote"));
        named.map(|name| self.existing(name, "--base-remote")).transpose()
    }

    /// The same, or what somebody told `gh` or `glab`.
    fn settled_base(&self) -> Result<Option<String>, CommandError> {
        if let Some(name) = self.said_base()? {
            return Ok(Some(name));
        }
        let resolved = |name: &&String| {
            let is = |tool: &str| self.git.config(&format!("remote.{name}.{tool}-resolved")).as_deref() == Some("base");
            is("gh") || is("glab")
        };
        Ok(self.remotes.iter().find(resolved).cloned())
    }

    /// The remote that a fork was probably made from: the one that the branch follows when Git pushes elsewhere, or
    /// `upstream`; of the same forge, and of another repository.
    fn parent(&self, head: &str, address: &RemoteUrl) -> Option<String> {
        let followed = self.followed().filter(|_| self.pushed().is_some());
        let candidates = followed.into_iter().chain([UPSTREAM.to_owned()]);
        candidates
            .filter(|name| name != head && self.has(name))
            .find(|name| self.address(name).is_ok_and(|other| is_parent(&other, address)))
    }

    /// The address of a remote, which a forge must have.
    fn address(&self, remote: &str) -> Result<RemoteUrl, CommandError> {
        let addresses = self.git.addresses(remote);
        let address = addresses.iter().find_map(|address| RemoteUrl::parse(address)).ok_or_else(|| {
            let told = || "it has no address".to_owned();
            CommandError::input(format!("the remote {remote} is no address of a forge"))
                .because(addresses.first().map_or_else(told, |address| self.redactor.clean(address)))
                .hinted("choose another remote with --remote NAME, or set its address: git remote set-url NAME URL")
        })?;
        if let Some(password) = &address.password {
            self.redactor.add(address.user.as_deref(), password);
        }
        Ok(address)
    }

    /// The repository behind an address, and whether the user said where its forge is.
    fn place(&self, address: &RemoteUrl) -> Result<(Place, bool), CommandError> {
        let kind = match (self.args.forge, self.git.config("asm.forge")) {
            (Some(kind), _) => Some(kind),
            (None, Some(word)) => Some(Kind::from_str(&word, true).map_err(|_| {
                CommandError::input(format!("git config asm.forge is {}, which is no kind of forge", plain(&word)))
                    .hinted("set it to github, gitlab, gitea, gitee or codeup")
            })?),
            (None, None) => None,
        };
        let url = self.args.forge_url.clone().or_else(|| self.git.config("asm.forge-url"));
        Ok((Place::of(address, kind, url.as_deref())?, url.is_some()))
    }
}

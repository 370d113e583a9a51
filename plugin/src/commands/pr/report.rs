//! What was done, for people and for machines.

use super::survey::Survey;
use crate::context::Context;
use crate::error::CommandError;
use crate::forge::Kind;
use crate::output::{self, Document, OutputFormat};
use asm_shared::text::printable;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write as _;

/// What became of the pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// There is a new one.
    Opened,
    /// There was one, and it got commits, a title or a body.
    Updated,
    /// A closed one is open again.
    Reopened,
    /// It was as it should be.
    Unchanged,
    /// Nothing of the fleet differs from the base.
    Nothing,
}

/// What was done about a pull request, or would be.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    /// What became of it; with --dry-run what would, were there none yet.
    pub(super) action: Action,
    /// Was nothing done?
    pub(super) dry_run: bool,
    /// The kind of forge.
    pub(super) forge: Kind,
    /// The repository there that the change is for.
    pub(super) repository: String,
    /// The repository that holds the branch, when it is a fork.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fork: Option<String>,
    /// Address of the pull request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    /// Its number there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<u64>,
    /// The remote that was pushed to.
    pub(super) remote: String,
    /// The remote that the change is for.
    pub(super) base_remote: String,
    /// The branch that the change is for.
    pub(super) base: String,
    /// The branch that holds the change.
    pub(super) branch: String,
    /// The commit that is proposed; not with --dry-run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) commit: Option<String>,
    /// Were commits pushed?
    pub(super) pushed: bool,
    /// Follows from the changed files alone: the same change has the same.
    pub(super) change_id: String,
    /// Did the user commit on the base branch itself?
    #[serde(skip)]
    pub(super) base_is_ahead: bool,
    /// Files of the fleet that differ from the base.
    pub(super) files: Vec<String>,
    /// Message of the commit that would be made; with --dry-run only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    /// Title of the pull request; with --dry-run only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    /// Its body; with --dry-run only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
    /// Pushes and calls, in their order; with --dry-run only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) calls: Vec<String>,
}

impl Document for Outcome {
    const KIND: &'static str = "PullRequest";
}

impl Outcome {
    pub(super) fn of(survey: &Survey, action: Action) -> Self {
        Self {
            action,
            dry_run: false,
            forge: survey.remotes.place.kind,
            repository: survey.remotes.place.path.clone(),
            fork: survey.remotes.fork.clone(),
            url: None,
            number: None,
            remote: survey.remotes.head.clone(),
            base_remote: survey.remotes.base.clone(),
            base: survey.base.clone(),
            branch: survey.branch.clone(),
            commit: None,
            pushed: false,
            change_id: survey.set.id(),
            base_is_ahead: !survey.is_elsewhere
                && survey.stand.branch.as_ref() == Some(&survey.base)
                && survey.merge_base != survey.stand.head,
            files: survey.set.files().iter().map(|file| file.path.clone()).collect(),
            message: None,
            title: None,
            body: None,
            calls: Vec::new(),
        }
    }

    pub(super) fn show(&self, context: &Context, format: OutputFormat) -> Result<(), CommandError> {
        let ui = context.ui();
        if format.is_document() {
            return output::print(ui, format, &output::of(self)?);
        }
        if self.action == Action::Nothing {
            ui.status(&format!("nothing to propose: the fleet is as {} of {} has it", self.base, self.base_remote));
            return Ok(());
        }
        if self.dry_run {
            ui.data(&self.rehearsal());
            ui.hint("nothing was committed or pushed (dry run); next: kubectl asm pr create");
            return Ok(());
        }
        let request = self.forge.about().request;
        let number = self.number.map(|number| format!(" {number}")).unwrap_or_default();
        let what = match self.action {
            Action::Opened => format!("opened {request}{number}"),
            Action::Updated => format!("updated {request}{number}"),
            Action::Reopened => format!("opened {request}{number} again"),
            Action::Unchanged | Action::Nothing => format!("unchanged: {request}{number} says so already"),
        };
        ui.status(&format!("{what}: {} → {} on {}", self.branch, self.base, self.base_remote));
        match &self.url {
            Some(url) => ui.line(&printable(url)),
            None => ui.warning(&format!("the forge did not tell the address of the {request}")),
        }
        if self.base_is_ahead {
            let (base, remote) = (&self.base, &self.base_remote);
            ui.hint(&format!(
                "{base} has the same commits here; put it back with: git branch --force {base} {remote}/{base}"
            ));
        }
        if matches!(self.action, Action::Opened | Action::Updated | Action::Reopened) {
            ui.hint("next: once it is merged, kubectl asm status shows how it goes");
        }
        Ok(())
    }

    fn rehearsal(&self) -> String {
        let mut page = format!(
            "Branch: {} → {} of {} ({} {})\n",
            self.branch,
            self.base,
            self.base_remote,
            self.forge.about().name,
            self.repository
        );
        let mut part = |name: &str, text: &str| {
            let text: String = text.trim_end().lines().fold(String::new(), |all, line| {
                if line.is_empty() { all + "\n" } else { format!("{all}  {}\n", printable(line)) }
            });
            // Writing to a string does not fail.
            let _ = write!(page, "\n{name}:\n{text}");
        };
        match &self.message {
            Some(message) => part("Commit message", message),
            None => part("Commits", "those of the branch; no new one"),
        }
        part("Title", self.title.as_deref().unwrap_or_default());
        part("Body", self.body.as_deref().unwrap_or_default());
        part("Calls", &self.calls.join("\n"));
        page
    }
}

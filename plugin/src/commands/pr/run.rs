//! One run of the command: what every step of it needs.

use super::args::CreateArgs;
use crate::context::Context;
use crate::forge::secret::Redactor;
use crate::git::{Git, Network};
use std::sync::Arc;

/// One run of the command.
pub(super) struct Run<'a> {
    pub(super) context: &'a Context,
    pub(super) args: &'a CreateArgs,
    pub(super) git: Git<'a>,
    pub(super) root: &'a std::path::Path,
    pub(super) redactor: Arc<Redactor>,
    pub(super) timeout: Option<std::time::Duration>,
}

impl Run<'_> {
    pub(super) fn network<'n>(&'n self, remote: &'n str) -> Network<'n> {
        let may_ask = !self.context.globals.no_input;
        Network { remote, redactor: &self.redactor, timeout: self.timeout, may_ask }
    }
}

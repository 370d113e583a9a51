//! A branch may only move forward: going back or being rewritten would roll the fleet back (promise 2).

use super::SourceError;
use super::remote::Head;

/// Whether the head may follow the commit that was applied last.
pub(super) fn check(head: &Head, last_applied: Option<&str>, accept: Option<&str>) -> Result<(), SourceError> {
    let Some(from) = last_applied else { return Ok(()) };
    if from == head.revision || accept == Some(&head.revision) {
        return Ok(());
    }
    let broken = |error: git2::Error| SourceError::Corrupt {
        url: head.url.clone(),
        reason: super::remote::clean(error.message(), 300),
    };
    let repository = git2::Repository::open_bare(&head.repository).map_err(broken)?;
    let refused =
        |went_back| SourceError::NotFastForward { from: from.to_owned(), to: head.revision.clone(), went_back };
    let to = git2::Oid::from_str(&head.revision).map_err(broken)?;
    // A commit that is not even there cannot be an ancestor: the store holds the branch's whole history.
    let Some(known) = git2::Oid::from_str(from).ok().filter(|from| repository.find_commit(*from).is_ok()) else {
        return Err(refused(false));
    };
    if repository.graph_descendant_of(to, known).map_err(broken)? {
        return Ok(());
    }
    Err(refused(repository.graph_descendant_of(known, to).unwrap_or(false)))
}

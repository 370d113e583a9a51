//! Objects of Git as written by hand, for tests: names may be what libgit2 would refuse to write.

use git2::{ObjectType, Oid, Repository, Signature};

/// A tree of entries: mode, name, object.
pub(super) fn tree(repository: &Repository, entries: &[(&str, &[u8], Oid)]) -> Oid {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(mode.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(id.as_bytes());
    }
    repository.odb().unwrap().write(ObjectType::Tree, &bytes).unwrap()
}

/// A commit of a tree, and the branch of `HEAD` with it.
pub(super) fn commit(repository: &Repository, tree: Oid) -> Oid {
    let author = Signature::new("a", "a@example.com", &git2::Time::new(0, 0)).unwrap();
    let tree = repository.find_tree(tree).unwrap();
    let parent = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
    repository.commit(Some("HEAD"), &author, &author, "x", &tree, &parent.iter().collect::<Vec<_>>()).unwrap()
}

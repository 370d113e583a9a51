//! Commits made to escape from a tree, or to make its reader work without end. `docs/security.md` names these tests.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod raw;

use asm_io::tree::CommitTree;
use asm_shared::fleet::{FleetState, Tree as _};
use git2::{Oid, Repository};

const FILE: &str = "100644";
const LINK: &str = "120000";
const FOLDER: &str = "40000";
const MODULE: &str = "160000";

struct Evil {
    _folder: tempfile::TempDir,
    repository: Repository,
}

impl Evil {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        Self { _folder: folder, repository }
    }

    fn blob(&self, content: &[u8]) -> Oid {
        self.repository.blob(content).unwrap()
    }

    fn tree(&self, entries: &[(&str, &[u8], Oid)]) -> Oid {
        raw::tree(&self.repository, entries)
    }

    fn commit(&self, tree: Oid) -> Oid {
        raw::commit(&self.repository, tree)
    }

    /// What the fleet makes of a `mesh/` folder with these entries: file names, or why the commit is not read.
    fn mesh(&self, entries: &[(&str, &[u8], Oid)]) -> Result<(Vec<String>, FleetState), String> {
        let fleet = self.blob(
            b"apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: a}\nspec: {mesh: {}, clusters: []}\n",
        );
        let inner = self.tree(entries);
        let commit = self.commit(self.tree(&[(FILE, b"fleet.yaml", fleet), (FOLDER, b"mesh", inner)]));
        let tree = CommitTree::of(&self.repository, commit, "").map_err(|error| error.to_string())?;
        let names = tree.list().unwrap().iter().map(ToString::to_string).filter(|name| name != "fleet.yaml").collect();
        Ok((names, FleetState::read(&tree)))
    }
}

/// §1: names that lead out of a checkout, or that two systems read as one.
#[test]
fn attack_names_that_leave_the_tree_are_refused() {
    let evil = Evil::new();
    let blob = evil.blob(b"apiVersion: v1\nkind: Namespace\nmetadata: {name: evil}\n");
    let long = vec![b'a'; 4096];
    // The whole commit is refused: no Git client writes these.
    for name in [&b".."[..], b".", b".git", b".GIT", b".gIt", b"a/b", b"/etc", b"../../x.yaml", b""] {
        let refused = evil.mesh(&[(FILE, name, blob)]).err().unwrap();
        assert!(refused.contains("Git forbids") || refused.contains("cannot read"), "{name:?}: {refused}");
    }
    // One file each is refused, with its name and no control character.
    let evils: [&[u8]; 5] = [b"back\\slash.yaml", b"new\nline.yaml", b"esc\x1b[31m.yaml", b"not-\xff-utf8.yaml", &long];
    for name in evils {
        let (_, state) = evil.mesh(&[(FILE, name, blob)]).unwrap();
        let told: String = state.problems.iter().map(ToString::to_string).collect();
        assert!(!told.contains(['\n', '\x1b']), "{told:?}");
        // Whatever a name is, an object has to be told of or applied; never both dropped in silence and half read.
        assert!(state.manifests.len() + state.problems.len() <= 1, "{told}");
    }
    // `.git ` and `.git.` are `.git` on some file systems; here a folder is only a name, and one with a dot is ignored.
    for name in [&b".git "[..], b".git.", b".git::$INDEX_ALLOCATION", b"GIT~1"] {
        let inner = evil.tree(&[(FILE, b"config.yaml", blob)]);
        let (names, _) = evil.mesh(&[(FOLDER, name, inner)]).unwrap();
        assert!(names.iter().all(|file| file.starts_with("mesh/GIT~1/")), "{names:?}");
    }
    // Two files that are one elsewhere: by case, and by the form of a letter.
    let (_, state) = evil.mesh(&[(FILE, b"Case.yaml", blob), (FILE, b"case.yaml", blob)]).unwrap();
    assert!(state.manifests.is_empty() && state.problems.iter().all(|problem| problem.message.contains("case only")));
    let both = [(FILE, "e\u{301}.yaml".as_bytes(), blob), (FILE, "\u{e9}.yaml".as_bytes(), blob)];
    let (_, state) = evil.mesh(&both).unwrap();
    assert!(state.manifests.is_empty() && !state.problems.is_empty(), "the same object in both is told");
}

/// §2: symbolic links are no files, wherever they lead, and a link beside a folder of the same name is no folder.
#[test]
fn attack_symbolic_links_are_never_followed() {
    let evil = Evil::new();
    let secret = evil.blob(b"apiVersion: v1\nkind: Namespace\nmetadata: {name: stolen}\n");
    let inner = evil.tree(&[(FILE, b"passwd.yaml", secret)]);
    for to in ["/etc/passwd", "..", ".", "self.yaml", "../../../../proc/self/environ", "mesh", "/dev/zero"] {
        let link = evil.blob(to.as_bytes());
        let (names, state) = evil.mesh(&[(LINK, b"self.yaml", link)]).unwrap();
        assert!(names.is_empty() && state.manifests.is_empty(), "{to}: {names:?}");
    }
    let link = evil.blob(b"/etc");
    let refused = evil.mesh(&[(LINK, b"etc", link), (FOLDER, b"etc", inner)]).err().unwrap();
    assert!(refused.contains("twice"), "{refused}");
    let names: Vec<String> = (0..10_000).map(|n| format!("{n:05}.yaml")).collect();
    let links: Vec<_> = names.iter().map(|name| (LINK, name.as_bytes(), link)).collect();
    assert_eq!(evil.mesh(&links).unwrap().0, Vec::<String>::new());
    // As the folder of the fleet, too.
    let commit = evil.commit(evil.tree(&[(LINK, b"fleet", link)]));
    assert!(CommitTree::of(&evil.repository, commit, "fleet").is_err());
    assert!(CommitTree::of(&evil.repository, commit, "fleet/../../etc").is_err());
}

/// §3: submodules and what `.gitmodules` says are nothing to this reader. (URLs: `refuses_everything_else_and_says_why`.)
#[test]
fn attack_submodules_are_never_fetched() {
    let evil = Evil::new();
    let modules = evil
        .blob(b"[submodule \"x\"]\n\tpath = mesh/x\n\turl = ext::sh -c id\n\tupdate = !id\n\turl = --upload-pack=id\n");
    let id = Oid::from_str("0123456789012345678901234567890123456789").unwrap();
    let (names, state) =
        evil.mesh(&[(FILE, b".gitmodules", modules), (MODULE, b"x", id), (MODULE, b"y.yaml", id)]).unwrap();
    assert!(names.iter().all(|name| name == "mesh/.gitmodules"), "{names:?}");
    assert!(state.manifests.is_empty());
}

/// §4, the part of it that a tree can do: folders in folders, one folder many times over.
#[test]
fn attack_a_tree_that_multiplies_is_cut() {
    let evil = Evil::new();
    let blob = evil.blob(b"a: 1\n");
    // 10 entries in each of 30 levels, all the same object: 10^30 files out of 30 objects.
    let names: Vec<String> = (0..10).map(|n| format!("d{n}")).collect();
    let mut level = evil.tree(&[(FILE, b"a.yaml", blob)]);
    for _ in 0..30 {
        let entries: Vec<_> = names.iter().map(|name| (FOLDER, name.as_bytes(), level)).collect();
        level = evil.tree(&entries);
    }
    let commit = evil.commit(level);
    let refused = CommitTree::of(&evil.repository, commit, "").err().unwrap();
    assert!(refused.reason.contains("than") || refused.reason.contains("many"), "{refused}");
}

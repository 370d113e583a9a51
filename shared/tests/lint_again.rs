//! Whoever watches a fleet is told what a fresh look would tell: files of all fixtures come, go and change, and after each change the
//! look that remembers the one before finds the same as one that remembers nothing.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on panics; fixtures are files"
)]

use asm_shared::fleet::{self, FleetState, MemoryTree, Tree as _};
use asm_shared::lint::{self, Assumptions, Look, all, lint_again};
use proptest::prelude::*;
use proptest::sample::Index;
use std::path::Path;

const FLEETS: [&str; 3] = [
    "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: shop}\nspec:\n  mesh: {}\n  clusters: [{name: m1c1, id: \
     c11111111111111111111111111111111}, {name: m1c2, id: c22222222222222222222222222222222}]\n  groups: [{name: all, clusters: [m1c1, \
     m1c2]}]\n",
    "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: shop}\nspec:\n  mesh: {version: '1.20'}\n  clusters: [{name: m1c1}, \
     {name: m1c2, id: c11111111111111111111111111111111}]\n  groups: [{name: all, clusters: [m1c2]}]\n  lint: {ignore: [{rule: schema, \
     path: mesh/**, reason: why not}], severity: {weights: error}}\n",
    "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: shop}\nspec: {mesh: {}, clusters: [{name: m1c2, kubernetesVersion: \
     '1.28'}]}\n",
];

/// The files of all fixtures, with their paths.
fn pieces() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint");
    let mut cases: Vec<_> = std::fs::read_dir(folder).unwrap().map(|rule| rule.unwrap().path()).collect();
    cases.sort();
    let mut found = Vec::new();
    for rule in cases {
        let mut files: Vec<_> = std::fs::read_dir(rule).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        for file in files.into_iter().filter(|path| path.extension().is_some_and(|it| it == "txtar")) {
            let text = std::fs::read_to_string(file).unwrap();
            let mut path = None::<String>;
            for line in text.lines() {
                if let Some(name) = line.strip_prefix("-- ").and_then(|line| line.strip_suffix(" --")) {
                    path = Some(name.strip_prefix("base:").unwrap_or(name).to_owned());
                    found.push((path.clone().unwrap_or_default(), String::new()));
                } else if let (Some(_), Some((_, content))) = (&path, found.last_mut()) {
                    content.push_str(line);
                    content.push('\n');
                }
            }
        }
    }
    found.retain(|(path, _)| path != "fleet.yaml");
    assert!(found.len() > 400, "{}", found.len());
    found
}

/// What somebody does to the files.
#[derive(Clone, Debug)]
enum Edit {
    /// Files of fixtures are written, over what is there or beside it.
    Write(Vec<(Index, bool)>),
    Remove(Index),
    /// A line at the beginning: everything moves.
    Shift(Index, bool),
    Fleet(usize),
    /// Nothing but time passes.
    Nothing,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        6 => prop::collection::vec((any::<Index>(), any::<bool>()), 1..5).prop_map(Edit::Write),
        2 => any::<Index>().prop_map(Edit::Remove),
        2 => (any::<Index>(), any::<bool>()).prop_map(|(index, ignores)| Edit::Shift(index, ignores)),
        1 => (0..FLEETS.len()).prop_map(Edit::Fleet),
        1 => Just(Edit::Nothing),
    ];
    prop::collection::vec(edit, 2..9)
}

fn make(tree: &mut MemoryTree, pieces: &[(String, String)], edit: &Edit) {
    let mut paths: Vec<String> = tree.list().unwrap().iter().map(ToString::to_string).collect();
    paths.retain(|path| path != "fleet.yaml");
    match edit {
        Edit::Write(which) => {
            for (index, beside) in which {
                let (path, text) = index.get(pieces);
                let beside = beside.then(|| path.replace(".yaml", "-2.yaml"));
                tree.insert(beside.as_deref().unwrap_or(path), text);
            }
        }
        Edit::Remove(index) if !paths.is_empty() => {
            let path: &String = index.get(&paths);
            tree.remove(path);
        }
        Edit::Shift(index, ignores) if !paths.is_empty() => {
            let path = index.get(&paths);
            let text = String::from_utf8(tree.read(path).unwrap()).unwrap();
            let line = if *ignores { "# asm-lint: ignore[schema, destination-host] it is right" } else { "# more" };
            tree.insert(path, format!("{line}\n{text}"));
        }
        Edit::Fleet(number) => tree.insert("fleet.yaml", FLEETS[*number]),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_look_that_remembers_finds_what_a_fresh_one_finds(edits in edits(), complete: bool) {
        let (pieces, rules) = (pieces(), all().collect::<Vec<_>>());
        let base = FleetState::read(&[("fleet.yaml", FLEETS[0])].into_iter().collect::<MemoryTree>());
        let mut tree: MemoryTree = [("fleet.yaml", FLEETS[0])].into_iter().collect();
        let (mut files, mut memory) = (fleet::Memory::default(), lint::Memory::default());
        for (step, edit) in edits.iter().enumerate() {
            make(&mut tree, &pieces, edit);
            // Time passes, and a base may be asked for.
            let now = jiff::Timestamp::from_second(1_800_000_000 + i64::try_from(step).unwrap_or(0) * 86_400).ok();
            let look = Look {
                base: (step % 3 == 1).then_some(&base),
                rules: if step % 4 == 3 { &rules[..rules.len() / 2] } else { &rules },
                assumptions: Assumptions { complete, now },
                paths: &[],
            };
            let remembered = lint_again(&tree, &FleetState::read_again(&tree, &mut files), &look, &mut memory);
            let fresh = lint_again(&tree, &FleetState::read(&tree), &look, &mut lint::Memory::once());
            prop_assert_eq!(&remembered.found, &fresh.found, "after {:?}", edit);
            prop_assert_eq!(&remembered.ignored, &fresh.ignored, "after {:?}", edit);
        }
    }
}

//! Every rule against its fixtures: `tests/lint/<rule>/<case>.txtar` holds the files of a small fleet.
//!
//! * `fires*.txtar`: the rule finds something. The snapshot shows what, and for each fix what it changes; afterwards the
//!   finding must be gone.
//! * `silent*.txtar`: a near miss. The rule says nothing.
//!
//! A case without a `fleet.yaml` gets one with the clusters m1c1 and m1c2. The rule is run alone. Files named `base:PATH` make
//! up the fleet before the change, for rules about changes.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on panics; fixtures are files"
)]

use asm_shared::fleet::{FleetState, MemoryTree, Tree as _};
use asm_shared::lint::{Assumptions, Finding, RULES, Rule, Severity, mend, run, run_since};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata:\n  name: shop\nspec:\n  mesh: {}\n  \
                     clusters:\n    - name: m1c1\n      id: c11111111111111111111111111111111\n    - name: m1c2\n      id: \
                     c22222222222222222222222222222222\n  groups:\n    - name: all\n      clusters: [m1c1, m1c2]\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint")
}

/// The files of a case: each begins with a line `-- path --`, as in Go's txtar.
fn files(text: &str) -> MemoryTree {
    let mut tree: MemoryTree = [("fleet.yaml", FLEET)].into_iter().collect();
    let mut path: Option<&str> = None;
    let mut content = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("-- ").and_then(|line| line.strip_suffix(" --")) {
            if let Some(path) = path.replace(name) {
                tree.insert(path, &content);
            }
            content.clear();
        } else if path.is_some() {
            content.push_str(line);
            content.push('\n');
        }
    }
    if let Some(path) = path {
        tree.insert(path, &content);
    }
    tree
}

/// The files of a case, and those of the fleet before, when it has any.
fn both(text: &str) -> (MemoryTree, Option<MemoryTree>) {
    let (mut now, mut before) = (MemoryTree::default(), None);
    let all = files(text);
    for path in all.list().unwrap() {
        let content = String::from_utf8(all.read(&path).unwrap()).unwrap();
        match path.strip_prefix("base:") {
            None => now.insert(&path, &content),
            Some(path) => before
                .get_or_insert_with(|| [("fleet.yaml", FLEET)].into_iter().collect::<MemoryTree>())
                .insert(path, &content),
        }
    }
    (now, before)
}

fn findings(tree: &MemoryTree, base: Option<&MemoryTree>, rule: &'static Rule) -> Vec<Finding> {
    let state = FleetState::read(tree);
    assert!(state.fleet.is_some(), "{:?}", state.problems);
    let base = base.map(|base| FleetState::read(base));
    // Some day in 2027, for certificates.
    let now = jiff::Timestamp::from_second(1_800_000_000).ok();
    run_since(&state, base.as_ref(), &[rule], Assumptions { now, ..Assumptions::default() })
}

/// As the terminal shows it, without colour.
fn shown(finding: &Finding) -> String {
    let mut text = format!("{}: {}[{}] {}", finding.place.position, finding.severity, finding.rule, finding.message);
    let object = finding.place.object.as_ref().map(ToString::to_string).unwrap_or_default();
    let _ = write!(text, "\n  {object} {}", finding.place.path);
    let targets: Vec<&str> = finding.targets.iter().map(|target| target.name()).collect();
    let _ = write!(text, "\n  on {}", targets.join(", "));
    for related in &finding.related {
        let _ = write!(text, "\n  {}: {}", related.place.position, related.label);
    }
    finding.hint.iter().for_each(|hint| _ = write!(text, "\n  hint: {hint}"));
    text + "\n"
}

/// Makes the fixes until nothing changes; what they change, as lines.
fn fixed(tree: &MemoryTree, base: Option<&MemoryTree>, rule: &'static Rule) -> String {
    let mut now = tree.clone();
    let mut titles = Vec::new();
    for _ in 0..10 {
        let found = findings(&now, base, rule);
        let mended = mend(&now, &found, true);
        assert!(mended.refused.is_empty(), "{:?}", mended.refused);
        if mended.made.is_empty() {
            assert!(found.iter().all(|finding| finding.fixes.is_empty()), "a fix that is never made: {found:#?}");
            break;
        }
        for finding in mended.made.iter().map(|index| &found[*index]) {
            let fix = &finding.fixes[0];
            titles.push(format!("fix{}: {}\n", if fix.safe { "" } else { " (unsafe)" }, fix.title));
        }
        mended.files.iter().for_each(|(path, text)| now.insert(path, text));
    }
    let mut text = titles.concat();
    for path in tree.list().unwrap() {
        let (before, after) = (tree.read(&path).unwrap(), now.read(&path).unwrap());
        let (before, after) = (String::from_utf8(before).unwrap(), String::from_utf8(after).unwrap());
        if before != after {
            let diff = similar::TextDiff::from_lines(&before, &after);
            let _ = write!(text, "{}", diff.unified_diff().context_radius(0).header(&path, &path));
        }
    }
    text
}

fn cases(rule: &Rule, prefix: &str) -> Vec<(String, String)> {
    cases_in(&folder().join(rule.id), prefix)
}

fn cases_in(folder: &Path, prefix: &str) -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut cases: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "txtar"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&path).unwrap()))
        .filter(|(name, _)| name.starts_with(prefix))
        .collect();
    cases.sort();
    cases
}

#[test]
fn every_rule_finds_what_it_is_for() {
    let mut missing = Vec::new();
    for rule in RULES {
        let cases = cases(rule, "fires");
        if cases.is_empty() {
            missing.push(rule.id);
        }
        let mut fixes = false;
        for (name, text) in cases {
            let (tree, base) = both(&text);
            let found = findings(&tree, base.as_ref(), rule);
            assert!(!found.is_empty(), "{}/{name}: nothing found; {:?}", rule.id, FleetState::read(&tree).problems);
            assert!(found.iter().all(|finding| finding.severity <= rule.severity), "{}/{name}", rule.id);
            assert!(found.iter().all(|f| !f.targets.is_empty()), "{}/{name}: for which cluster?", rule.id);
            let mut page: String = found.iter().map(shown).collect::<Vec<_>>().join("\n");
            if found.iter().any(|finding| !finding.fixes.is_empty()) {
                fixes = true;
                page += "\n";
                page += &fixed(&tree, base.as_ref(), rule);
            }
            insta::with_settings!({ snapshot_path => folder().join(rule.id), prepend_module_to_snapshot => false,
                description => rule.summary, omit_expression => true }, {
                insta::assert_snapshot!(name, page);
            });
        }
        assert_eq!(fixes, rule.fixes, "{}: does a fixture show a fix, and does the rule say so?", rule.id);
    }
    assert!(missing.is_empty(), "no fixture fires for {missing:?}");
}

#[test]
fn every_rule_is_silent_on_two_near_misses() {
    for rule in RULES {
        let cases = cases(rule, "silent");
        assert!(cases.len() >= 2, "{}: {} near misses", rule.id, cases.len());
        for (name, text) in cases {
            let (tree, base) = both(&text);
            let problems = FleetState::read(&tree).problems;
            assert!(problems.is_empty(), "{}/{name}: {problems:?}", rule.id);
            let found = findings(&tree, base.as_ref(), rule);
            assert!(found.is_empty(), "{}/{name}: {}", rule.id, found.iter().map(shown).collect::<String>());
        }
    }
}

/// A finding that `--fix` mends is worth more than one that is only told.
#[test]
fn most_rules_have_a_fix() {
    let fixes = RULES.iter().filter(|rule| rule.fixes).count();
    assert!(fixes * 100 >= RULES.len() * 60, "{fixes} of {} rules", RULES.len());
}

#[test]
fn every_folder_of_fixtures_has_a_rule() {
    let folders = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let known: BTreeSet<String> = RULES.iter().map(|rule| rule.id.to_owned()).collect();
    let unknown: Vec<String> = folders.filter(|folder| !known.contains(folder)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(RULES.iter().any(|rule| rule.severity == Severity::Error));
}

/// `tests/lint-clean`: fleets as the vendor's documents and Istio's samples have them.
#[test]
fn fleets_that_work_have_no_finding_of_warning_or_above() {
    let cases = cases_in(&folder().with_file_name("lint-clean"), "");
    assert!(cases.len() >= 5, "{cases:?}");
    for (name, text) in cases {
        let state = FleetState::read(&files(&text));
        assert!(state.problems.is_empty(), "{name}: {:?}", state.problems);
        let found = run(&state, RULES, Assumptions::default());
        let found: String = found.iter().filter(|finding| finding.severity > Severity::Info).map(shown).collect();
        assert!(found.is_empty(), "{name}: {found}");
    }
}

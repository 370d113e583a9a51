//! Findings that are left out by comments and by `fleet.yaml`, and what is said when that goes wrong.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

use asm_shared::fleet::{FleetState, MemoryTree};
use asm_shared::lint::{Assumptions, Findings, compare, fix, lint, rules_of};

const FLEET: &str = "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata:\n  name: shop\nspec:\n  mesh: {}\n";

const ROUTE: &str = "\
# About this route.
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
  namespace: shop
spec:
  gateways:
    - nowhere
  hosts:
    - reviews.example.com
  http:
    - match:
        - gateways: [elsewhere]
      route:
        - destination:
            host: reviews
    - name: text
      directResponse:
        status: 200
        body:
          string: |
            # asm-lint: ignore[virtual-service-gateway] this is text
";

fn tree(route: &str, lint: &str) -> MemoryTree {
    [("fleet.yaml", format!("{FLEET}{lint}")), ("mesh/route.yaml", route.to_owned())].into_iter().collect()
}

fn judged(tree: &MemoryTree, only: &[&str]) -> Findings {
    let only: Vec<String> = only.iter().map(|id| (*id).to_owned()).collect();
    lint(tree, &FleetState::read(tree), None, &rules_of(&only, &[]).unwrap(), Assumptions::default())
}

/// What is found, as `line rule`, and how much is ignored.
fn told(tree: &MemoryTree) -> (Vec<String>, usize) {
    let findings = judged(tree, &[]);
    let line = |finding: &asm_shared::lint::Finding| format!("{} {}", finding.place.position.line, finding.rule);
    (findings.found.iter().map(line).collect(), findings.ignored.len())
}

/// The route with a comment put in before a line, or at its end.
fn with(line: usize, comment: &str) -> String {
    let mut lines: Vec<String> = ROUTE.lines().map(str::to_owned).collect();
    match comment.strip_prefix('^') {
        Some(above) => lines.insert(line - 1, above.to_owned()),
        None => lines[line - 1] = format!("{} {comment}", lines[line - 1]),
    }
    lines.join("\n") + "\n"
}

const WHY: &str = "# asm-lint: ignore[virtual-service-gateway] the platform team makes it";

#[test]
fn without_a_comment_both_are_found() {
    assert_eq!(told(&tree(ROUTE, "")).0, ["9 virtual-service-gateway", "14 virtual-service-gateway"]);
}

#[test]
fn a_comment_holds_for_its_line_or_for_what_stands_directly_below() {
    for (line, comment, left) in [
        (9, WHY.to_owned(), vec!["14 virtual-service-gateway"]),
        // Above the item, the list, its sibling; above the document and above its first field.
        (9, format!("^    {WHY}"), vec!["15 virtual-service-gateway"]),
        (8, format!("^  {WHY}"), vec!["15 virtual-service-gateway"]),
        (12, format!("^  {WHY}"), vec!["9 virtual-service-gateway"]),
        (7, format!("^{WHY}"), vec![]),
        (1, format!("^{WHY}"), vec![]),
        (2, format!("^{WHY}"), vec![]),
        (1, format!("^{WHY}\n---"), vec![]),
        // More comments may stand between.
        (9, format!("^    {WHY}\n    # and more"), vec!["16 virtual-service-gateway"]),
        // Not on the line of the finding, and not directly above.
        (8, WHY.to_owned(), vec!["8 ignore-unused", "9 virtual-service-gateway", "14 virtual-service-gateway"]),
        (
            9,
            format!("^    {WHY}\n"),
            vec!["9 ignore-unused", "11 virtual-service-gateway", "16 virtual-service-gateway"],
        ),
        (24, format!("^{WHY}"), vec!["9 virtual-service-gateway", "14 virtual-service-gateway", "24 ignore-unused"]),
    ] {
        let (found, ignored) = told(&tree(&with(line, &comment), ""));
        assert_eq!(found, left, "{line}: {comment}");
        let unused = left.iter().filter(|left| left.contains("unused")).count();
        assert_eq!(ignored, 2 + unused - left.len(), "{line}: {comment}");
    }
}

#[test]
fn a_comment_that_is_wrong_has_no_effect_and_is_found() {
    for (comment, rule, message) in [
        (
            "# asm-lint: ignore[virtual-service-gateway]",
            "ignore-syntax",
            "this comment has no effect: it gives no reason",
        ),
        (
            "# asm-lint: ignore[virtual-service-gateway] --",
            "ignore-syntax",
            "this comment has no effect: it gives no reason",
        ),
        ("# asm-lint: ignore[] because", "ignore-syntax", "this comment has no effect: it names no rule"),
        ("#asm-lint: off", "ignore-syntax", "this comment has no effect: lint knows only `ignore[RULE, …] reason`"),
        (
            "# asm-lint: ignore[virtual-service-gatewy] because",
            "ignore-unknown",
            "there is no rule `virtual-service-gatewy`",
        ),
        ("# asm-lint: ignore[fleet] because", "ignore-unknown", "`fleet` cannot be ignored here"),
    ] {
        let findings = judged(&tree(&with(9, comment), ""), &[]);
        let note = findings.found.iter().find(|finding| finding.rule.starts_with("ignore")).unwrap();
        assert_eq!((note.rule, note.message.as_str()), (rule, message), "{comment}");
        assert_eq!((note.place.position.line, note.place.position.column), (9, 15), "{comment}");
        assert_eq!(findings.found.len(), 3, "{comment}: {:?}", findings.found);
    }
    // One ID that is known and one that is not.
    let both = with(9, "# asm-lint: ignore[nonsense, virtual-service-gateway] because");
    assert_eq!(
        told(&tree(&both, "")),
        (vec!["9 ignore-unknown".to_owned(), "14 virtual-service-gateway".to_owned()], 1)
    );
}

#[test]
fn what_did_not_run_is_not_unused() {
    let tree = tree(&with(8, WHY), "");
    assert_eq!(judged(&tree, &["ignore-unused"]).found.len(), 0);
    assert_eq!(judged(&tree, &["ignore-unused", "virtual-service-gateway"]).found.len(), 3);
    assert_eq!(judged(&tree, &["virtual-service-gateway"]).found.len(), 2);
}

#[test]
fn settings_of_the_fleet() {
    let entry = |more: &str| {
        format!(
            "  lint:\n    ignore:\n      - rule: virtual-service-gateway\n{more}        reason: the platform team makes it\n"
        )
    };
    for (more, ignored) in [
        ("", 2),
        ("        object: VirtualService/shop/reviews\n", 2),
        ("        object: VirtualService/*/rev*\n", 2),
        ("        object: '**/reviews'\n        path: mesh/**\n", 2),
        ("        object: VirtualService/reviews\n", 0),
        ("        path: mesh\n", 0),
        ("        path: 'clusters/**'\n", 0),
    ] {
        let tree = tree(ROUTE, &entry(more));
        let findings = judged(&tree, &[]);
        assert_eq!(findings.ignored.len(), ignored, "{more}: {:?}", FleetState::read(&tree).problems);
        let unused: Vec<_> = findings.found.iter().filter(|finding| finding.rule == "ignore-unused").collect();
        assert_eq!(unused.len(), usize::from(ignored == 0), "{more}");
        assert!(unused.iter().all(|note| note.place.position.to_string() == "fleet.yaml:9:7"), "{unused:?}");
    }
    for (lint, expected) in [
        ("  lint: {ignore: [{rule: nonsense, reason: because}]}\n", "fleet.yaml:7:20: there is no rule `nonsense`"),
        (
            "  lint: {ignore: [{rule: subset-pods, reason: ''}]}\n",
            "fleet.yaml:7:39: the entry for `subset-pods` has no effect: it gives no reason",
        ),
        (
            "  lint: {ignore: [{rule: subset-pods, path: 'a{', reason: because}]}\n",
            "fleet.yaml:7:39: the entry for `subset-pods` has no effect: error parsing glob 'a{': unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)",
        ),
        ("  lint:\n    severity:\n      nonsense: info\n", "fleet.yaml:9:7: there is no rule `nonsense`"),
    ] {
        let findings = judged(&tree(ROUTE, lint), &[]);
        let told: Vec<_> = findings.found.iter().map(|f| format!("{}: {}", f.place.position, f.message)).collect();
        assert_eq!(told[0], expected);
        assert_eq!(told.len(), 3);
    }
}

#[test]
fn severities_of_the_fleet() {
    let tree = tree(ROUTE, "  lint:\n    severity:\n      virtual-service-gateway: info\n");
    let words: Vec<_> = judged(&tree, &[]).found.iter().map(|finding| finding.severity.word()).collect();
    assert_eq!(words, ["info", "info"]);
}

#[test]
fn what_cannot_be_read_is_found_beside_the_rest() {
    let mut tree = tree(ROUTE, "");
    tree.insert("mesh/broken.yaml", "a: [1\n");
    tree.insert("clusters/m9/x.yaml", "a: 1\n");
    let findings = judged(&tree, &[]).found;
    let told: Vec<_> = findings.iter().map(|f| format!("{} {} {}", f.place.position, f.severity, f.rule)).collect();
    assert_eq!(
        told,
        [
            "clusters/m9/x.yaml:1:1 error fleet",
            "mesh/broken.yaml:1:4 error fleet",
            "mesh/route.yaml:9:5 error virtual-service-gateway",
            "mesh/route.yaml:14:22 error virtual-service-gateway"
        ]
    );
}

#[test]
fn a_finding_that_moved_is_not_new() {
    let base = judged(&tree(ROUTE, ""), &[]).found;
    let moved = judged(&tree(&format!("# one\n# more\n{ROUTE}"), ""), &[]).found;
    let compared = compare(&base, &moved);
    assert_eq!((compared.new, compared.fixed), (vec![false, false], 0));
    let other = judged(&tree(&ROUTE.replace("- nowhere", "- anywhere"), ""), &[]).found;
    let compared = compare(&base, &other);
    assert_eq!((compared.new, compared.fixed), (vec![true, false], 1));
    // Twice the same counts twice.
    let twice: Vec<_> = base.iter().chain(&base).cloned().collect();
    assert_eq!(compare(&base, &twice).new, [false, false, true, true]);
}

#[test]
fn rounds_of_fixes_keep_every_other_byte() {
    let gateway = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata:\n  name: nowhere\n  namespace: istio-system\nspec:\n  \
                   selector: {istio: x}\n  servers: []\n";
    let mut tree = tree(ROUTE, "");
    tree.insert("mesh/gateway.yaml", gateway);
    let judge = |tree: &dyn asm_shared::fleet::Tree| {
        let rules = rules_of(&["virtual-service-gateway".to_owned()], &[]).unwrap();
        lint(tree, &FleetState::read(tree), None, &rules, Assumptions::default()).found
    };
    let safe_only = fix(&tree, false, judge);
    assert!(safe_only.edits.is_empty() && safe_only.settled && safe_only.left.len() == 2);
    let fixed = fix(&tree, true, judge);
    assert!(fixed.settled && fixed.refused.is_empty());
    assert_eq!(fixed.left.len(), 1, "there is no Gateway like elsewhere");
    let [edit] = &fixed.edits[..] else { panic!("{:?}", fixed.edits) };
    assert_eq!(edit.before.as_deref(), Some(ROUTE));
    assert_eq!(edit.after.as_deref(), Some(&*ROUTE.replace("- nowhere", "- istio-system/nowhere")));
    assert_eq!(fixed.made[0].title, "name the Gateway istio-system/nowhere");
}

/// A later look, with what is known from the one before, says what a first look at the same files would say.
#[cfg(feature = "schema")]
#[test]
fn a_second_look_sees_what_a_first_one_would() {
    use asm_shared::fleet::Memory;
    use asm_shared::lint::{Look, lint_again};

    let ignore = "  lint:\n    ignore:\n      - rule: unknown-field\n        path: mesh/other.yaml\n        reason: it is a test\n";
    let mut files = tree(ROUTE, ignore);
    files.insert("mesh/other.yaml", ROUTE.replace("reviews", "other").replace("gateways:", "gatways:"));
    let rules = rules_of(&[], &[]).unwrap();
    let (mut memory, mut verdicts) = (Memory::default(), asm_shared::lint::Memory::default());
    let mut look = |files: &MemoryTree, paths: &[&str]| {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        let state = FleetState::read_again(files, &mut memory);
        let about = Look { base: None, rules: &rules, assumptions: Assumptions::default(), paths: &paths };
        let found = lint_again(files, &state, &about, &mut verdicts);
        let inside =
            |finding: &asm_shared::lint::Finding| paths.iter().any(|path| **path == *finding.place.position.file);
        found.found.into_iter().filter(|finding| paths.is_empty() || inside(finding)).collect::<Vec<_>>()
    };
    assert_eq!(look(&files, &[]), judged(&files, &[]).found);
    // Wrong now, and right again; a file that is gone.
    files.insert("mesh/route.yaml", ROUTE.replace("hosts:", "hots:"));
    let wrong = judged(&files, &[]).found;
    assert!(wrong.iter().any(|finding| finding.rule == "unknown-field"), "{wrong:#?}");
    assert_eq!(look(&files, &[]), wrong);
    assert!(look(&files, &["mesh/route.yaml"]).iter().all(|finding| wrong.contains(finding)));
    // What the fleet file ignores is somewhere else, and not needless for that.
    assert_eq!(look(&files, &["fleet.yaml"]), Vec::new());
    files.insert("mesh/route.yaml", ROUTE);
    assert_eq!(look(&files, &[]), judged(&files, &[]).found);
    files.remove("mesh/other.yaml");
    assert_eq!(look(&files, &[]), judged(&files, &[]).found);
}

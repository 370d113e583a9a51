//! The page is small enough, complete in what matters, and harmless whatever stands in the repository.

use super::*;
use asm_shared::diff::{diff, diff_literally};
use asm_shared::fleet::{FleetState, MemoryTree};
use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser};
use serde_json::{Value, json};

/// Bodies of pull requests: GitHub and Gitea, GitLab, Gitee and Codeup.
const LIMITS: [usize; 3] = [65_536, 1_048_576, 10_000];

fn fleet(clusters: usize) -> String {
    let clusters: Vec<Value> = (0..clusters).map(|n| json!({"name": format!("m1c{n}")})).collect();
    json!({"apiVersion": "kubectl-asm.io/v1alpha1", "kind": "Fleet", "metadata": {"name": "shop"}, "spec": {"mesh": {}, "clusters": clusters}})
        .to_string()
}

fn state(clusters: usize, files: &[(String, String)]) -> FleetState {
    let mut tree: MemoryTree = files.iter().map(|(path, text)| (path, text)).collect();
    tree.insert("fleet.yaml", fleet(clusters));
    FleetState::read(&tree)
}

fn comparison(before: &FleetState, after: &FleetState) -> Comparison {
    Comparison {
        before: "main (4f1c2aa)".to_owned(),
        after: "feature (9be0d41)".to_owned(),
        right: Right::Commit("9be0d41".to_owned()),
        is_live: false,
        is_literal: false,
        diff: diff(before, after),
        unreached: Vec::new(),
        lint: None,
        traffic: None,
        standing: Default::default(),
    }
}

fn config_map(name: &str, value: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {"a": value}})
        .to_string()
}

fn load_balancer(kind: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "clb-2", "namespace": "istio-system", "annotations": {
            "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type": kind
        }},
        "spec": {"type": "LoadBalancer", "ports": [{"name": "http", "port": 80}]}
    })
    .to_string()
}

fn route(weights: [u32; 2]) -> String {
    let to = |subset: &str, weight| json!({"destination": {"host": "reviews", "subset": subset}, "weight": weight});
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "reviews", "namespace": "default"},
        "spec": {"hosts": ["reviews"], "http": [{"name": "exact pages", "route": [to("v1", weights[0]), to("v2", weights[1])]}]}
    })
    .to_string()
}

fn file(path: &str, text: String) -> (String, String) {
    (path.to_owned(), text)
}

fn example() -> Comparison {
    let before = state(
        2,
        &[
            file("mesh/reviews.yaml", route([90, 10])),
            file("clusters/m1c0/clb.yaml", load_balancer("internet")),
            file("clusters/m1c0/map.yaml", config_map("settings", "1")),
            file("clusters/m1c1/map.yaml", config_map("settings", "1")),
        ],
    );
    let after = state(
        2,
        &[
            file("mesh/reviews.yaml", route([80, 20])),
            file("clusters/m1c0/clb.yaml", load_balancer("intranet")),
            file("clusters/m1c0/other.yaml", config_map("other", "```\n@everyone <script>")),
        ],
    );
    comparison(&before, &after)
}

#[test]
fn a_comment() {
    insta::assert_snapshot!(example().markdown(65_536));
}

#[test]
fn nothing_differs() {
    let state = state(2, &[]);
    insta::assert_snapshot!(comparison(&state, &state).markdown(65_536), @r"
    ### asm diff · mesh and 2 clusters

    <code>main (4f1c2aa)</code> → <code>feature (9be0d41)</code>

    No differences.

    <!-- asm-diff:v1 head=9be0d41 -->
    ");
}

/// That many objects on 4 clusters, 10 of them to be destroyed, one to be replaced.
fn large(count: usize) -> Comparison {
    let files = |value: &str, count: usize| -> Vec<(String, String)> {
        let map = |n: usize| file(&format!("clusters/m1c{}/{n}.yaml", n % 4), config_map(&format!("map-{n}"), value));
        (0..count).map(map).collect()
    };
    let (mut before, mut after) = (files(&"a".repeat(60), count), files(&"b".repeat(60), count - 10));
    before.push(file("clusters/m1c0/clb.yaml", load_balancer("internet")));
    after.push(file("clusters/m1c0/clb.yaml", load_balancer("intranet")));
    comparison(&state(4, &before), &state(4, &after))
}

#[test]
fn the_page_stays_under_every_limit_and_says_what_it_left_out() {
    let large = large(5_000);
    for limit in LIMITS {
        let page = large.markdown(limit);
        assert!(page.len() <= limit && page.chars().count() <= limit, "{} > {limit}", page.len());
        assert!(page.contains("**Needs a human:**\n\n- replaces <code>Service istio-system/clb-2</code> on"), "{page}");
        assert_eq!(page.matches("\n- destroys ").count(), 10);
        assert!(page.ends_with("<!-- asm-diff:v1 head=9be0d41 -->\n"), "{page}");
        let shown = page.matches("<details>").count();
        let total = large.diff.changes.len();
        let left = page
            .split("for lack of room:** ")
            .nth(1)
            .map_or(0, |rest| rest.split(' ').next().unwrap().parse().unwrap());
        assert_eq!(shown + left, total, "{limit}: {shown} shown, {left} left out of {total}");
        assert!(left == 0 || page.contains("objects on <code>m1c"));
        // Changes that are left out are those that matter least.
        assert!(left == 0 || page.contains("-/+ <code>Service"));
    }
}

#[test]
fn any_budget_is_kept() {
    for comparison in [example(), large(40)] {
        for budget in (0..4_000).step_by(37) {
            let page = comparison.markdown(budget);
            assert!(page.len() <= budget, "{} > {budget}", page.len());
        }
    }
}

#[test]
fn the_page_grows_with_the_changes_and_not_with_the_clusters() {
    let page = |clusters: usize| {
        let files = |value: &str| -> Vec<_> {
            (0..clusters).map(|n| file(&format!("clusters/m1c{n}/map.yaml"), config_map("settings", value))).collect()
        };
        comparison(&state(clusters, &files("1")), &state(clusters, &files("2"))).markdown(65_536)
    };
    let lines: Vec<usize> = [3, 5, 20].map(|clusters| page(clusters).lines().count()).to_vec();
    assert!(lines.iter().all(|count| *count == lines[0]), "{lines:?}");
}

/// Block structure and HTML of a page, without texts.
fn skeleton(page: &str) -> (Vec<String>, Vec<String>) {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS | Options::ENABLE_FOOTNOTES;
    let (mut blocks, mut html) = (Vec::new(), Vec::new());
    let mut is_code = false;
    for event in Parser::new_ext(page, options) {
        match event {
            Event::Start(tag) => {
                is_code = matches!(tag, pulldown_cmark::Tag::CodeBlock(_));
                blocks.push(format!("{:?}", tag.to_end()));
            }
            Event::End(tag) => {
                is_code = false;
                blocks.push(format!("/{tag:?}"));
            }
            Event::Html(text) | Event::InlineHtml(text) => {
                assert!(!is_code);
                html.extend(tags(&text));
            }
            Event::Text(_) | Event::SoftBreak => {}
            other => blocks.push(format!("{other:?}")),
        }
    }
    blocks.dedup();
    (blocks, html)
}

/// The tags and comments in a piece of HTML.
fn tags(html: &str) -> Vec<String> {
    html.split('<').skip(1).map(|rest| format!("<{}>", rest.split('>').next().unwrap())).collect()
}

/// Names and values that mean something to Markdown, HTML, forges and terminals, between anything else.
fn evil() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "</code></summary></details><script>alert(1)</script>",
        "`",
        "```",
        "````\n",
        "~~~",
        "\n\n# heading\n",
        "\n- [ ] task",
        "| a | b |",
        "@everyone",
        "#123",
        "!1",
        "[x](javascript:a)",
        "![x](http://example.com/x.png)",
        "<!-- -->",
        "-->",
        "<img src=x onerror=y>",
        "&lt;",
        "&#60;",
        "\u{1b}[31m",
        "\u{202e}",
        "\r\n",
        "www.example.com",
        "https://example.com",
        "a@example.com",
        "**b**",
        "__",
        "\\",
        "$$",
        "^[1]",
        ":tada:",
        "\u{2028}",
        "{{7*7}}",
        "  \n",
        "\t",
        ">",
    ]);
    prop::collection::vec(prop_oneof![known.prop_map(str::to_owned), any::<String>(), "[a-z]{1,5}"], 1..5)
        .prop_map(|parts| parts.concat())
        .prop_filter("a name is not empty", |name| !name.is_empty())
}

/// One object of each op, with these names and values.
fn page_of(name: &str, namespace: &str, value: &str, key: &str) -> Option<String> {
    let map = |name: &str, value: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace, "labels": {key: value}},
            "data": {key: value, "fixed": format!("{value}!")}
        })
        .to_string()
    };
    let kind = |group: &str| {
        json!({"apiVersion": format!("{group}/v1"), "kind": "Thing", "metadata": {"name": name}, "spec": {key: value}})
            .to_string()
    };
    let before = state(
        1,
        &[
            file("clusters/m1c0/a.yaml", map(name, "before")),
            file("clusters/m1c0/b.yaml", map(&format!("{name}-gone"), value)),
            file("clusters/m1c0/c.yaml", load_balancer("internet")),
        ],
    );
    let after = state(
        1,
        &[
            file("clusters/m1c0/a.yaml", map(name, value)),
            file("clusters/m1c0/d.yaml", kind("example.com")),
            file("clusters/m1c0/c.yaml", load_balancer(value)),
        ],
    );
    if !before.problems.is_empty() || !after.problems.is_empty() {
        return None;
    }
    let mut comparison = comparison(&before, &after);
    comparison.diff = diff_literally(&before, &after);
    comparison.before = name.to_owned();
    comparison.after = value.to_owned();
    Some(comparison.markdown(usize::MAX))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_from_the_repository_has_a_meaning(name in evil(), namespace in evil(), value in evil(), key in evil()) {
        let Some(page) = page_of(&name, &namespace, &value, &key) else { return Ok(()) };
        let plain = page_of("name", "namespace", "value", "key").unwrap();
        prop_assert_eq!(skeleton(&page), skeleton(&plain), "{}", page);
        prop_assert!(!page.chars().any(|c| c.is_control() && c != '\n'), "{page:?}");
        // Nobody is called: outside of fences no such sign is left.
        let mut fence = None;
        for line in page.lines() {
            match fence {
                Some(ref end) if line == end => fence = None,
                None if line.starts_with("```") => fence = Some(line.trim_end_matches("diff").to_owned()),
                None => prop_assert!(!line.contains('@'), "{line}"),
                Some(_) => {}
            }
        }
    }
}

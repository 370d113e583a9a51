//! Contexts come from kubeconfig files by kubectl's rules.

use super::world::World;

fn config(contexts: &[&str], api_version: &str) -> String {
    let each = |template: &str| contexts.iter().map(|name| template.replace("NAME", name)).collect::<String>();
    format!(
        "apiVersion: {api_version}\nkind: Config\nclusters:\n{}users:\n{}contexts:\n{}",
        each("- {name: NAME, cluster: {server: 'https://127.0.0.1:1'}}\n"),
        each("- {name: NAME, user: {token: secret}}\n"),
        each("- {name: NAME, context: {cluster: NAME, user: NAME}}\n"),
    )
}

#[test]
fn lists_skip_missing_files_and_tolerate_other_versions() {
    let mut world = World::with_fleet();
    world.write("a", &config(&["one"], "v1"));
    world.write("b", &config(&["one", "two"], "v2"));
    let contexts = |world: &World| world.ok(&["__complete", "cluster", "add", "x", "--context", ""]).stdout;
    assert_eq!(contexts(&world), ":4\n");
    world.env.push(("KUBECONFIG".to_owned(), "missing:a::b".to_owned()));
    assert_eq!(contexts(&world), "one\ntwo\n:4\n");
}

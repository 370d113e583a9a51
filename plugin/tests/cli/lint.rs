//! `lint` and `explain`: what is shown, chosen, compared and mended, in every format.

use crate::world::{Run, World};
use serde_json::Value;
use std::process::Command;

const GATEWAY: &str = "\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: shop
  namespace: istio-system
spec:
  selector:
    istio: ingressgateway
  servers:
    - port: {number: 80, name: http, protocol: HTTP}
      hosts: ['shop.example.com']
";

const ROUTE: &str = "\
# Where requests of the shop go.
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: front
  namespace: shop
spec:
  hosts:
    - shop.example.com
    - www.example.com
  gateways:
    - istio-system/shop
  http:
    - route:
        - destination:
            host: front # the shop's own
";

/// The rules that the fleets of these tests are made for, so that more rules do not change what is shown.
const ONLY: &str = "--rule=virtual-service-gateway,virtual-service-host";

/// A gateway, a route with a host that the gateway does not take (a warning), and nothing else.
fn fleet() -> World {
    let world = World::with_fleet();
    world.ok(&["gateway", "create", "ingressgateway", "--serverless"]);
    world.write("mesh/gateway.yaml", GATEWAY);
    world.write("mesh/routes/front.yaml", ROUTE);
    world
}

/// The same with a route that is bound to a Gateway of the wrong namespace (an error, with a fix that is not safe).
fn broken() -> World {
    let world = fleet();
    world.write("mesh/routes/front.yaml", &ROUTE.replace("istio-system/shop", "shop"));
    world
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}\n{run}"))
}

fn git(world: &World, args: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(args).current_dir(world.root());
    git.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", world.root().join(".."));
    assert!(git.output().unwrap().status.success(), "git {args:?}");
}

fn commit(world: &World) {
    git(world, &["init", "--quiet", "-b", "main"]);
    git(world, &["add", "--all"]);
    git(world, &["commit", "--quiet", "-m", "fleet"]);
}

#[test]
fn findings_are_shown_with_their_lines() {
    let world = broken();
    world.write("mesh/broken.yaml", "a: [1\n");
    insta::assert_snapshot!(world.run(&["lint", ONLY]), @"
    error[fleet]: unclosed bracket '['
     --> mesh/broken.yaml:1:4
      |
    1 | a: [1
      |    ^^
      |
      = note: for mesh

    error[virtual-service-gateway]: there is no Gateway `shop` in the namespace shop: the routes are not bound to it
      --> mesh/routes/front.yaml:12:5
       |
    12 |     - shop
       |     ^^^^^^
       |
       = note: VirtualService shop/front, spec.gateways[0]; for mesh
       = help: Did you mean `istio-system/shop`?
       = help: --fix --unsafe-fixes would name the Gateway istio-system/shop

    2 errors in 2 files; 1 can be mended with --fix --unsafe-fixes
    ! hint: why it is bad: kubectl asm explain fleet
    [1]
    ");
    insta::assert_snapshot!(fleet().run(&["lint", ONLY]), @"
    warning[virtual-service-host]: no server of the Gateway istio-system/shop accepts the host www.example.com: it answers 404
      --> mesh/routes/front.yaml:10:5
       |
    10 |     - www.example.com
       |     ^^^^^^^^^^^^^^^^^
       |
      ::: mesh/gateway.yaml:9:3
       |
     9 |   servers:
       |   -------- its servers accept shop.example.com
       |
       = note: VirtualService shop/front, spec.hosts[1]; for mesh
       = help: Add the host to a server of the Gateway, or correct it

    1 warning in 1 file
    ! hint: why it is bad: kubectl asm explain virtual-service-host
    [1]
    ");
    insta::assert_snapshot!(fleet().run(&["lint", ONLY, "--severity", "error"]), @"
    nothing found in 3 objects by 3 rules
    ! hint: see what the working tree changes with: kubectl asm diff
    [0]
    ");
}

#[test]
fn every_format_of_other_tools() {
    let world = broken();
    world.write("mesh/broken.yaml", "a: [1\n");
    for format in ["junit", "github", "gitlab", "markdown", "name", "json"] {
        insta::assert_snapshot!(format!("lint_{format}"), world.run(&["lint", ONLY, "-o", format]));
    }
}

#[test]
fn what_is_chosen() {
    let world = broken();
    world.write(
        "mesh/routes/other.yaml",
        &ROUTE.replace("name: front", "name: other").replace("shop.example", "a.example"),
    );
    let rules = |args: &[&str]| {
        let run = world.run(&[&["lint", "-o", "json"], args].concat());
        let found = json(&run)["findings"].as_array().unwrap().clone();
        let told = found.iter().map(|finding| {
            let (rule, file) = (finding["rule"].as_str().unwrap(), finding["file"].as_str().unwrap());
            format!("{} {rule}", file.trim_start_matches("mesh/routes/"))
        });
        (told.collect::<Vec<_>>(), run.code.unwrap())
    };
    let gateway = "front.yaml virtual-service-gateway".to_owned();
    let hosts = || vec!["other.yaml virtual-service-host".to_owned()];
    assert_eq!(rules(&["--rule", "virtual-service-gateway"]), (vec![gateway.clone()], 1));
    assert_eq!(rules(&["--rule", "virtual-service-host"]), (hosts(), 1));
    assert_eq!(
        rules(&["--rule", "virtual-service-host,virtual-service-gateway", "--severity", "error"]),
        (vec![gateway.clone()], 1)
    );
    assert_eq!(rules(&["--rule=virtual-service-host", "--severity", "error"]), (vec![], 0));
    assert_eq!(rules(&["--rule=virtual-service-gateway", "--ignore", "virtual-service-gateway"]), (vec![], 0));
    assert_eq!(rules(&["--rule=virtual-service-gateway", "mesh/gateway.yaml"]), (vec![], 0));
    assert_eq!(rules(&["--rule=virtual-service-gateway", "mesh"]), (vec![gateway.clone()], 1));
    assert_eq!(rules(&["--rule=virtual-service-gateway", "."]), (vec![gateway.clone()], 1));
    assert_eq!(rules(&["--rule=virtual-service-gateway", "--target", "mesh"]), (vec![gateway], 1));
    assert_eq!(rules(&["--rule=virtual-service-gateway", "--target", "m1c1"]), (vec![], 0));
    for (args, error) in [
        (&["--target", "m1c9"][..], "fleet.yaml has no target m1c9"),
        (&["no/such/file"], "cannot read no/such/file"),
        (&[".."], "is outside of the fleet repository"),
        (&["--ignore", "virtual-service-hosts"], "there is no rule virtual-service-hosts"),
        (&["--base", "main"], "not in a Git repository"),
        (&["--new-only"], "--base"),
        (&["--unsafe-fixes"], "--fix"),
    ] {
        let run = world.run(&[&["lint"], args].concat());
        assert!(run.code == Some(2) && run.stderr.contains(error), "{args:?}\n{run}");
    }
}

#[test]
fn a_fleet_file_that_cannot_be_used_is_an_input_error_with_its_findings() {
    let world = broken();
    world.write("fleet.yaml", "kind: [\n");
    for format in [&[][..], &["-o", "json"], &["-o", "github"], &["--rule", "subset-pods"]] {
        let run = world.run(&[&["lint"], format].concat());
        assert_eq!(run.code, Some(2), "{run}");
        assert!(run.stdout.contains("fleet.yaml") && run.stderr.contains("no other file was judged"), "{run}");
    }
}

#[test]
fn ignores_count_and_their_faults_are_found() {
    let world = fleet();
    let with = |comment: &str| ROUTE.replace("- www.example.com", &format!("- www.example.com # {comment}"));
    world.write("mesh/routes/front.yaml", &with("asm-lint: ignore[virtual-service-host] moved away next week"));
    let run = world.run(&["lint", "--rule", "virtual-service-host"]);
    assert!(run.code == Some(0) && run.stdout.contains("; 1 ignored"), "{run}");
    world.write("mesh/routes/front.yaml", &with("asm-lint: ignore[virtual-service-host]"));
    let run = world.run(&["lint", "--rule", "virtual-service-host,ignore-syntax"]);
    assert!(run.code == Some(1) && run.stdout.contains("1 warning") || run.stdout.contains("2 warnings"), "{run}");
}

#[test]
fn what_is_new_since_a_base() {
    let world = fleet();
    commit(&world);
    world.write("mesh/routes/front.yaml", &format!("# moved\n{}", ROUTE.replace("istio-system/shop", "shop")));
    let run = world.run(&["lint", ONLY, "--base", "HEAD"]);
    assert!(run.stdout.contains("since HEAD (") && run.stdout.contains("1 introduced, 1 fixed, 0 unchanged"), "{run}");
    world.write("mesh/routes/second.yaml", &ROUTE.replace("name: front", "name: second"));
    world.write("mesh/routes/front.yaml", &format!("# moved\n{ROUTE}"));
    let run = world.run(&["lint", ONLY, "--base", "main...", "-o", "json"]);
    let report = json(&run);
    assert_eq!(
        (&report["base"]["introduced"], &report["base"]["fixed"], &report["base"]["unchanged"]),
        (&1.into(), &0.into(), &1.into())
    );
    let new: Vec<_> = report["findings"].as_array().unwrap().iter().map(|finding| finding["new"].clone()).collect();
    assert_eq!(new, [false, true]);
    let run = world.run(&["lint", ONLY, "--base", "main", "--new-only", "-o", "json"]);
    let found = json(&run)["findings"].clone();
    assert_eq!((run.code, found.as_array().unwrap().len()), (Some(1), 1));
    assert_eq!(found[0]["object"]["name"], "second");
    // Nothing new: clean, although there are findings.
    std::fs::remove_file(world.root().join("mesh/routes/second.yaml")).unwrap();
    let run = world.run(&["lint", ONLY, "--base", "main", "--new-only"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(world.run(&["lint", "--base", "no-such-branch"]).code == Some(2));
}

#[test]
fn mending_shows_then_writes_and_keeps_every_other_byte() {
    let world = broken();
    let before = world.files();
    let lint = |args: &[&str]| world.run(&[&["lint", "--rule=virtual-service-gateway", "--fix"], args].concat());
    // The fix is not safe: nothing is done unless it is asked for.
    assert_eq!(lint(&[]).code, Some(1));
    assert_eq!(world.files(), before);
    insta::assert_snapshot!(lint(&["--unsafe-fixes", "--dry-run"]), @"
    mesh/routes/front.yaml:12:5: name the Gateway istio-system/shop (unsafe, virtual-service-gateway) (dry run)
    --- a/mesh/routes/front.yaml
    +++ b/mesh/routes/front.yaml
    @@ -9,7 +9,7 @@
         - shop.example.com
         - www.example.com
       gateways:
    -    - shop
    +    - istio-system/shop
       http:
         - route:
             - destination:

    nothing found in 3 objects by 2 rules; 1 would be mended in 1 file
    ! hint: mend it with the same command without --dry-run
    [0]
    ");
    let document = json(&lint(&["--unsafe-fixes", "--dry-run", "-o", "json"]));
    assert_eq!(document["mended"]["files"][0]["path"], "mesh/routes/front.yaml");
    assert!(document["mended"]["files"][0]["diff"].as_str().unwrap().contains("+    - istio-system/shop"));
    assert_eq!(world.files(), before);
    insta::assert_snapshot!(lint(&["--unsafe-fixes"]), @"
    mesh/routes/front.yaml:12:5: name the Gateway istio-system/shop (unsafe, virtual-service-gateway)

    nothing found in 3 objects by 2 rules; 1 mended in 1 file
    ! hint: see what was mended with: git diff
    [0]
    ");
    assert_eq!(world.read("mesh/routes/front.yaml"), ROUTE);
}

#[test]
fn no_value_of_a_secret_is_shown() {
    let world = broken();
    world.write(
        "mesh/routes/front.yaml",
        &format!(
            "{}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: x, namespace: shop}}\nstringData: {{a: hunter2}}\n",
            ROUTE.replace("istio-system/shop", "shop")
        ),
    );
    world.write(
        "clusters/m1c1/secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: y, namespace: shop}\nstringData:\n  a: hunter2: x\n",
    );
    for args in [&[][..], &["--fix", "--unsafe-fixes", "--dry-run"]] {
        for format in ["human", "text", "json", "yaml", "sarif", "junit", "github", "gitlab", "markdown"] {
            let run = world.run(&[&["lint", "-o", format], args].concat());
            assert!(run.code == Some(1) && !run.to_string().contains("hunter2"), "{format} {args:?}\n{run}");
        }
    }
}

#[test]
fn files_are_named_from_the_root_of_git_where_forges_read_them() {
    let world = broken();
    let inner = world.root();
    git(&world, &["init", "--quiet", "-b", "main", ".."]);
    let prefix = inner.file_name().unwrap().to_string_lossy().into_owned();
    let only = "--rule=virtual-service-gateway";
    assert!(
        world
            .run(&["lint", only, "-o", "github"])
            .stdout
            .starts_with(&format!("::error file={prefix}/mesh/routes/front.yaml,line=12,"))
    );
    let report = json(&world.run(&["lint", only, "-o", "gitlab"]));
    assert_eq!(report[0]["location"]["path"], format!("{prefix}/mesh/routes/front.yaml"));
}

/// What the schema of SARIF 2.1.0 and the upload to code scanning ask for.
#[test]
fn sarif_has_what_readers_of_it_need() {
    let world = broken();
    world.write("mesh/broken.yaml", "a: [1\n");
    world.write("mesh/a file.yaml", &ROUTE.replace("name: front", "name: second"));
    let log = json(&world.run(&["lint", ONLY, "-o", "sarif"]));
    assert_eq!((&log["version"], log["$schema"].is_string()), (&"2.1.0".into(), true));
    let [run] = &log["runs"].as_array().unwrap()[..] else { panic!() };
    let driver = &run["tool"]["driver"];
    assert!(driver["name"].is_string() && driver["semanticVersion"].is_string());
    let rules = driver["rules"].as_array().unwrap();
    let levels = ["none", "note", "warning", "error"];
    for rule in rules {
        assert!(
            rule["id"].is_string() && rule["shortDescription"]["text"].is_string() && rule["help"]["text"].is_string()
        );
        assert!(rule["helpUri"].as_str().unwrap().starts_with("https://"));
        assert!(levels.contains(&rule["defaultConfiguration"]["level"].as_str().unwrap()));
    }
    let results = run["results"].as_array().unwrap();
    let mut fingerprints = std::collections::BTreeSet::new();
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(levels.contains(&result["level"].as_str().unwrap()) && result["message"]["text"].is_string());
        let related = result["relatedLocations"].as_array().into_iter().flatten();
        for location in result["locations"].as_array().unwrap().iter().chain(related) {
            let physical = &location["physicalLocation"];
            let uri = physical["artifactLocation"]["uri"].as_str().unwrap();
            assert!(!uri.starts_with('/') && !uri.contains(' '), "{uri}");
            let region = &physical["region"];
            assert!(region["startLine"].as_u64() >= Some(1) && region["startColumn"].as_u64() >= Some(1));
            assert!(region["endColumn"].is_null() || region["endColumn"].as_u64() >= region["startColumn"].as_u64());
        }
        assert!(fingerprints.insert(result["partialFingerprints"]["kubectlAsm/v1"].as_str().unwrap().to_owned()));
    }
    assert!(results.iter().any(|result| result["relatedLocations"].is_array()), "no rule had a related place");
    let fixes: Vec<_> = results.iter().filter_map(|result| result["fixes"].as_array()).flatten().collect();
    let [fix] = &fixes[..] else { panic!("{fixes:?}") };
    assert!(fix["description"]["text"].is_string());
    let change = &fix["artifactChanges"][0];
    assert_eq!(change["artifactLocation"]["uri"], "mesh/routes/front.yaml");
    assert_eq!(
        change["replacements"],
        serde_json::json!([{
            "deletedRegion": {"startLine": 12, "startColumn": 1, "endLine": 13, "endColumn": 1},
            "insertedContent": {"text": "    - istio-system/shop\n"}
        }])
    );
}

#[test]
fn registry_pages_and_explain_hold_the_same_rules() {
    let world = World::new();
    let run = world.ok(&["explain", "-o", "name"]);
    let explained: Vec<&str> = run.stdout.lines().filter_map(|line| line.strip_prefix("rule/")).collect();
    let known: Vec<&str> = asm_shared::lint::all().map(|rule| rule.id).collect();
    assert_eq!(explained, known);
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules");
    let mut pages: Vec<_> =
        std::fs::read_dir(&docs).unwrap().map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    pages.retain(|page| page != "README.md");
    pages.sort();
    let mut expected: Vec<_> = known.iter().map(|id| format!("{id}.md")).collect();
    expected.sort();
    assert_eq!(pages, expected, "run `cargo xtask gen`");
    let index = std::fs::read_to_string(docs.join("README.md")).unwrap();
    for id in known {
        let page = std::fs::read_to_string(docs.join(format!("{id}.md"))).unwrap();
        let (_, page) = page.split_once('\n').unwrap();
        assert_eq!(world.ok(&["explain", id]).stdout, page, "{id}");
        assert!(index.contains(&format!("| [{id}]({id}.md) |")), "{id}");
    }
}

#[test]
fn a_rule_is_explained_by_its_id_or_by_the_code_of_another_tool() {
    let world = World::new();
    insta::assert_snapshot!(world.run(&["explain", "virtual-service-host"]), @"
    # virtual-service-host

    *warning · since 0.1.0 · `lint --fix` mends some of it · istioctl: IST0132*

    ## What it finds

    A Gateway that a VirtualService is bound to although no server of it accepts any of its hosts, and a host that none of
    its Gateways accepts. Each host is judged by itself: a VirtualService with one good host and one bad one is dead for the
    bad one.

    ## Why it is bad

    istiod makes a route only where the VirtualService's host and the server's host have a name in common (either may begin
    with a wildcard; a server's `NAMESPACE/HOST` takes VirtualServices of that namespace only). Requests to the host answer
    404.

    ## How to mend it

    Add the host to a server of the Gateway, or correct it.
    ! hint: look for it with: kubectl asm lint --rule virtual-service-host
    [0]
    ");
    let by_code = world.ok(&["explain", "IST0132", "-o", "name"]);
    assert_eq!(by_code.stdout, "rule/virtual-service-host\n");
    insta::assert_snapshot!(world.run(&["explain", "virtual-service-hots"]), @"
    ! error: there is no rule virtual-service-hots
    ! hint: did you mean virtual-service-host?
    ! hint: list the rules with: kubectl asm explain
    [2]
    ");
    let table = world.ok(&["explain"]).stdout;
    assert!(table.starts_with("RULE ") && table.lines().count() == asm_shared::lint::all().count() + 1, "{table}");
}

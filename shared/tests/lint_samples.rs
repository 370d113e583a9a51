//! Istio's own Bookinfo samples, as its documents put them together: nothing of warning or above. And those of its cases for
//! `istioctl analyze` that take other files than one cluster's routes: several clusters, annotations.
//!
//! They are read from the module of Istio where Go has it already, or from the folder that ISTIO_MODULE names
//! (`cargo xtask test --full` downloads it).

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that reads somebody else's files and says when they are not there"
)]

use asm_shared::fleet::{FleetState, LooseFolder, MemoryTree, ONLY_CLUSTER};
use asm_shared::lint::{Assumptions, RULES, Severity, run};
use std::path::{Path, PathBuf};

/// The version that the samples are taken from.
const MODULE: &str = "istio.io/istio@v0.0.0-20260827124520-eed52ebb66ad";

/// What ASM makes of an IstioGateway stands in for Istio's own ingress gateway: port 80 in front, 8080 in the pod.
const INGRESS: &str = "\
apiVersion: istio.alibabacloud.com/v1beta1
kind: IstioGateway
metadata: {name: ingressgateway, namespace: istio-system}
spec:
  gatewayType: ingress
  clusterIds: [c11111111111111111111111111111111]
  serviceType: LoadBalancer
  ports:
    - {name: http, port: 80, targetPort: 8080}
";

/// The folder of the module, if it is there.
fn module(inner: &str) -> Option<PathBuf> {
    let cache = || {
        let named = std::env::var_os("GOMODCACHE").map(PathBuf::from);
        let home = || {
            std::env::var_os("GOPATH")
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join("go")))
        };
        named.or_else(|| Some(home()?.join("pkg/mod")))
    };
    let module = std::env::var_os("ISTIO_MODULE").map(PathBuf::from).or_else(|| Some(cache()?.join(MODULE)))?;
    let folder = module.join(inner);
    if !folder.is_dir() {
        eprintln!("skipped: Istio's module is not in Go's module cache; get it with: go mod download {MODULE}");
        return None;
    }
    Some(folder)
}

/// What is found in these files of the samples together.
fn found(samples: &Path, files: &[&str]) -> Vec<String> {
    let mut tree: MemoryTree = [("ingress.yaml", INGRESS)].into_iter().collect();
    for file in files {
        tree.insert(file, std::fs::read_to_string(samples.join(file)).unwrap());
    }
    let folder = LooseFolder { tree: &tree, name: "", cluster: None };
    let state = FleetState::read_loose(&[folder], &[ONLY_CLUSTER]);
    let problems = state.problems.iter().map(ToString::to_string);
    let found = run(&state, RULES, Assumptions::default());
    let found = found.iter().filter(|finding| finding.severity >= Severity::Warning);
    problems
        .chain(found.map(|finding| format!("{}: {} {}", finding.place.position, finding.rule, finding.message)))
        .collect()
}

fn names(samples: &Path, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(samples.join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| format!("{folder}/{}", name.to_string_lossy())).collect();
    names.retain(|name| name.ends_with(".yaml"));
    names.sort();
    names
}

const APPLICATION: &str = "platform/kube/bookinfo.yaml";
const GATEWAY: &str = "networking/bookinfo-gateway.yaml";
const RULES_OF_ALL: &str = "networking/destination-rule-all.yaml";

/// What a route's or a rule's document tells to deploy with it.
fn needs(file: &str) -> &'static [&'static str] {
    match file.rsplit('/').next().unwrap_or_default() {
        "virtual-service-details-v2.yaml" => &[RULES_OF_ALL, "platform/kube/bookinfo-details-v2.yaml"],
        "virtual-service-ratings-db.yaml" => {
            &[RULES_OF_ALL, "platform/kube/bookinfo-ratings-v2.yaml", "platform/kube/bookinfo-db.yaml"]
        }
        "virtual-service-ratings-mysql.yaml" => {
            &[RULES_OF_ALL, "platform/kube/bookinfo-ratings-v2-mysql.yaml", "platform/kube/bookinfo-mysql.yaml"]
        }
        "virtual-service-ratings-mysql-vm.yaml" => &[RULES_OF_ALL, "platform/kube/bookinfo-ratings-v2-mysql-vm.yaml"],
        name if name.starts_with("virtual-service-") => &[RULES_OF_ALL],
        _ => &[],
    }
}

#[test]
fn bookinfo_has_no_finding_of_warning_or_above() {
    let Some(samples) = module("samples/bookinfo") else { return };
    let mut wrong = Vec::new();
    let mut sets = 0;
    let mut judge = |files: &[&str]| {
        sets += 1;
        let found = found(&samples, files);
        if !found.is_empty() {
            wrong.push(format!("{}\n  {}", files.join(" + "), found.join("\n  ")));
        }
    };
    for file in names(&samples, "networking") {
        let mut set = vec![APPLICATION, GATEWAY, file.as_str()];
        set.extend(needs(&file));
        set.sort_unstable();
        set.dedup();
        judge(&set);
    }
    // Parts of the application, or the whole in another way: with the rest only where they add to it.
    for file in names(&samples, "platform/kube") {
        judge(&[&file]);
    }
    for file in names(&samples, "gateway-api") {
        judge(&[APPLICATION, "platform/kube/bookinfo-versions.yaml", "gateway-api/bookinfo-gateway.yaml", &file]);
    }
    for file in names(&samples, "policy") {
        judge(&[APPLICATION, GATEWAY, &file]);
    }
    eprintln!("{sets} sets of samples");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(sets > 40, "{sets} sets");
}

const CASES: &str = "pkg/config/analysis/analyzers/testdata";

/// Code, kind and name of what has a code of Istio's among these, sorted.
fn codes(state: &FleetState, wanted: &[&str]) -> Vec<String> {
    let found = run(state, RULES, Assumptions::default());
    let told = found.iter().filter_map(|finding| {
        let (code, object) = (finding.code?, finding.place.object.as_ref()?);
        wanted.contains(&code).then(|| format!("{code} {} {}", object.group_kind.kind, object.name))
    });
    let mut all: Vec<String> = told.collect();
    all.sort();
    all
}

/// `testGrid`, the cases `misannoted` and `alpha`.
#[test]
fn annotations_are_judged_as_istio_judges_them() {
    let Some(cases) = module(CASES) else { return };
    let text = std::fs::read_to_string(cases.join("misannotated.yaml")).unwrap();
    let tree: MemoryTree = [("misannotated.yaml", text)].into_iter().collect();
    let state = FleetState::read_loose(&[LooseFolder { tree: &tree, name: "", cluster: None }], &[ONLY_CLUSTER]);
    let annotations = ["IST0107", "IST0108", "IST0125", "IST0135", "IST0136"];
    assert_eq!(
        codes(&state, &annotations),
        [
            "IST0107 Deployment fortio-deploy",
            "IST0107 Namespace staging",
            "IST0107 Pod grafana-test",
            "IST0108 Service httpbin",
            "IST0125 Pod invalid-annotations",
            "IST0135 Deployment fortio-deploy",
            "IST0136 Deployment fortio-deploy",
            "IST0136 Pod anno-not-set-by-default",
            "IST0136 Pod anno-not-set-by-default",
            "IST0136 Pod anno-not-set-by-default",
            "IST0136 Pod anno-not-set-by-default",
            "IST0136 Pod invalid-annotations",
            "IST0136 Pod invalid-annotations",
            "IST0136 Service httpbin",
        ]
    );
}

/// `TestMultiClusterAnalyzers`.
#[test]
fn services_that_differ_between_clusters_are_those_that_istio_finds() {
    let Some(cases) = module(CASES) else { return };
    let trees: Vec<MemoryTree> = [1, 2]
        .map(|number| format!("inconsistent-service-{number}.yaml"))
        .iter()
        .map(|file| {
            [(file.as_str(), std::fs::read_to_string(cases.join("multicluster").join(file)).unwrap())]
                .into_iter()
                .collect()
        })
        .collect();
    let folders: Vec<LooseFolder<'_>> = trees
        .iter()
        .zip(["cluster1", "cluster2"])
        .map(|(tree, cluster)| LooseFolder { tree, name: cluster, cluster: Some(cluster) })
        .collect();
    let state = FleetState::read_loose(&folders, &[]);
    // Istio tells each Service once; so do we, though it stands in two files.
    let names = ["extra-port", "inconsistent-port-name", "mixed-mode", "mixed-port-protocol", "mixed-type"];
    assert_eq!(codes(&state, &["IST0170"]), names.map(|name| format!("IST0170 Service {name}")));
}

//! Istio's own Bookinfo samples, as its documents put them together: nothing of warning or above.
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

fn samples() -> Option<PathBuf> {
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
    let folder = module.join("samples/bookinfo");
    folder.is_dir().then_some(folder)
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
    let Some(samples) = samples() else {
        eprintln!("skipped: Istio's samples are not in Go's module cache; get them with: go mod download {MODULE}");
        return;
    };
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

//! Where the vendor's documents are at hand, their manifests are linted with every rule: what a vendor shows as good may be
//! worth a remark, but not a warning. What a document leaves to its reader (an IstioGateway that exists already, its
//! clusters) is added here.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on panics; documents are files"
)]

use asm_shared::fleet::{FleetState, MemoryTree, Target};
use asm_shared::lint::{Assumptions, RULES, Severity, run};
use std::path::Path;

/// The folder with documents, beside the project.
const FOLDER: &str = "../../shared/seeds";
const CLUSTERS: [(&str, &str); 2] =
    [("m1c1", "c11111111111111111111111111111111"), ("m1c2", "c22222222222222222222222222222222")];

/// The manifests between the prose, each with the cluster of the file that was named last: indented blocks that begin with
/// `apiVersion`. Lines of dots stand for what is left out.
fn manifests(text: &str) -> Vec<(&'static str, String)> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    let (mut cluster, mut block) = ("m1c1", None::<(usize, String)>);
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let trimmed = line.trim();
        if let Some((depth, yaml)) = &mut block {
            let top = line.get(*depth..).unwrap_or_default();
            let goes_on =
                trimmed.is_empty() || indent > *depth || top.split_once(':').is_some_and(|(key, _)| !key.contains(' '));
            if indent >= *depth && goes_on || trimmed.is_empty() || trimmed == "---" {
                if trimmed != "...." {
                    yaml.push_str(top);
                    yaml.push('\n');
                }
                continue;
            }
            found.extend(block.take().map(|(_, yaml)| (cluster, yaml)));
        }
        if let Some((name, _)) = CLUSTERS.iter().find(|(name, _)| trimmed.contains(&format!("-{name}.yaml"))) {
            cluster = name;
        }
        if trimmed.starts_with("apiVersion:") {
            block = Some((indent, format!("{trimmed}\n")));
        }
    }
    found.extend(block.map(|(_, yaml)| (cluster, yaml)));
    found
}

fn fleet() -> MemoryTree {
    let clusters: Vec<String> =
        CLUSTERS.iter().map(|(name, id)| format!("    - name: {name}\n      id: {id}\n")).collect();
    let text = format!(
        "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata:\n  name: shop\nspec:\n  mesh: {{}}\n  clusters:\n{}",
        clusters.concat()
    );
    [("fleet.yaml", text.as_str())].into_iter().collect()
}

fn gateway(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: istio.alibabacloud.com/v1beta1\nkind: IstioGateway\nmetadata:\n  name: {name}\n  namespace: istio-system\n\
         spec:\n  clusterIds: [{}]\n{spec}  ports:\n    - {{name: http-0, port: 80, targetPort: 80}}\n    - {{name: https-2, port: \
         443, targetPort: 443}}\n",
        CLUSTERS[0].1
    )
}

#[test]
fn the_manifests_of_the_documents_give_no_warning() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
    let Ok(files) = std::fs::read_dir(&folder) else {
        #[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
        {
            eprintln!("skipped: the vendor's documents are not beside the project");
        }
        return;
    };
    let mut objects = 0;
    for file in files.map(|file| file.unwrap().path()) {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut tree = fleet();
        let shown = manifests(&text);
        // A document that only changes a gateway, or uses it, does not show the whole of it.
        let shows_gateway = shown.iter().any(|(_, yaml)| yaml.contains("kind: IstioGateway"));
        if !shows_gateway && !shown.is_empty() {
            let labels = if text.contains("key1: value1") { "  podLabels: {key1: value1}\n" } else { "" };
            tree.insert("mesh/ingressgateway.yaml", gateway("ingressgateway", labels));
        }
        let mut last = None;
        for (index, (cluster, yaml)) in shown.iter().enumerate() {
            let serverless = yaml.contains("managed-by-asm");
            if yaml.contains("kind: IstioGateway") && !serverless {
                // Several states of one gateway: the last one, with the clusters that the document leaves out.
                last = Some(yaml.replacen("spec:\n", &format!("spec:\n  clusterIds: [{}]\n", CLUSTERS[0].1), 1));
                continue;
            }
            let in_mesh = yaml.contains("istio.io/") || yaml.contains("istio.alibabacloud.com/v");
            let folder = if in_mesh { "mesh".to_owned() } else { format!("clusters/{cluster}") };
            tree.insert(&format!("{folder}/{index}.yaml"), yaml);
        }
        if let Some(yaml) = last {
            tree.insert("mesh/gateway.yaml", yaml);
        }
        let state = FleetState::read(&tree);
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        assert!(state.problems.is_empty(), "{name}: {:#?}", state.problems);
        objects += state.manifests.len();
        let found = run(&state, RULES, Assumptions::default());
        let bad: Vec<_> = found.iter().filter(|finding| finding.severity >= Severity::Warning).collect();
        assert!(bad.is_empty(), "{name}: {bad:#?}");
        assert!(state.targets().contains(&Target::Mesh));
    }
    assert!(objects > 25, "the documents show {objects} objects only");
}

//! What is asked of what: the fleet or loose manifests, and the requests.

use super::TestArgs;
use crate::commands::diff;
use crate::context::Context;
use crate::error::CommandError;
use crate::loose::Given;
use asm_shared::fleet::{FleetState, MemoryTree, RouteTestRequest};
use asm_shared::route_test::{self, Case, read_foreign};
use asm_shared::yaml;
use std::path::Path;
use std::sync::Arc;

/// Everything that was read.
pub(super) struct Scene {
    /// What the files say.
    pub(super) state: FleetState,
    /// What they said, and what that is called.
    pub(super) before: Option<(String, Arc<FleetState>)>,
    /// Cases of `--tests`.
    foreign: Vec<Case>,
    /// What of other tools' tests means nothing here.
    pub(super) ignored: Vec<String>,
}

impl Scene {
    pub(super) fn read(context: &Context, args: &TestArgs) -> Result<Self, CommandError> {
        let (state, before) = if args.manifests.is_empty() {
            let repo = context.repo()?;
            repo.fleet()?;
            let before = args.base.as_deref().map(|base| diff::base(&repo.root, base)).transpose()?;
            (repo.state, before)
        } else {
            (manifests(args)?, None)
        };
        for problem in &state.problems {
            // A file that cannot be read may be the one that decides.
            context.ui().warning(&format!("{problem}"));
        }
        let mut scene = Self { state, before, foreign: Vec::new(), ignored: Vec::new() };
        for file in &args.tests {
            scene.foreign(file)?;
        }
        Ok(scene)
    }

    /// What is to be asked.
    pub(super) fn cases(&self, args: &TestArgs) -> Result<Vec<Case>, CommandError> {
        if let Some(url) = &args.url {
            let case = Case::asked(request(url, args)?);
            // Says what is wrong with the URL before anything else.
            case.request().map_err(wrong)?;
            return Ok(vec![case]);
        }
        let cases = match (&self.before, args.tests.is_empty()) {
            (_, false) => self.foreign.clone(),
            (Some((_, before)), true) => route_test::of_both(before, &self.state),
            (None, true) => route_test::cases(&self.state),
        };
        if cases.is_empty() {
            return Err(CommandError::input(if args.tests.is_empty() {
                "there are no route tests: the fleet has no RouteTest in tests/"
            } else {
                "the files of --tests hold no case"
            })
            .hinted("ask for one request: kubectl asm route test http://HOST/PATH")
            .hinted("a RouteTest is described in docs/schemas/routetest.json"));
        }
        Ok(cases)
    }

    fn foreign(&mut self, path: &Path) -> Result<(), CommandError> {
        let shown = path.display().to_string();
        let failed = |why: String| CommandError::input(format!("{shown}: {why}"));
        let text = std::fs::read_to_string(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
        let file: Arc<str> = shown.as_str().into();
        let documents =
            yaml::read(text.as_bytes(), &yaml::Limits::default()).map_err(|error| failed(error.to_string()))?;
        let mut found = false;
        for document in &documents {
            if let Some(read) = read_foreign(document, &file) {
                found = true;
                self.foreign.extend(read.cases);
                self.ignored.extend(read.ignored.into_iter().map(|told| format!("{shown}: {told}")));
            }
        }
        if found {
            return Ok(());
        }
        // Our own kind, outside of a fleet.
        let tree: MemoryTree = [("fleet.yaml", FLEET), ("tests/file.yaml", &text)].into_iter().collect();
        let mut state = FleetState::read(&tree);
        state.problems.retain(|it| it.position.as_ref().is_some_and(|place| &*place.file == "tests/file.yaml"));
        if let Some(problem) = state.problems.first() {
            let at = problem.position.as_ref().map(|place| format!("{}:{}", place.line, place.column));
            let at = at.unwrap_or_default();
            return Err(failed(format!("{at}: {}", problem.message)).hinted_with(problem.hint.clone()).hinted(
                "--tests takes RouteTest, istio-config-validator's testCases, and tests of Envoy's router_check_tool",
            ));
        }
        self.foreign.extend(route_test::cases(&state).into_iter().map(|mut case| {
            if let Some(position) = &mut case.position {
                position.file = file.clone();
            }
            case
        }));
        Ok(())
    }
}

/// A fleet around a test that has none.
const FLEET: &str =
    "apiVersion: kubectl-asm.io/v1alpha1\nkind: Fleet\nmetadata: {name: x}\nspec: {mesh: {}, clusters: []}\n";

fn manifests(args: &TestArgs) -> Result<FleetState, CommandError> {
    let given = Given::read(&args.manifests, &args.cluster)?.in_one_cluster_at_least();
    given.refuse_fleets("it is asked by: kubectl asm route test")?;
    given.state()
}

fn request(url: &str, args: &TestArgs) -> Result<RouteTestRequest, CommandError> {
    let header = |text: &String| match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err(CommandError::usage(format!("-H {text}: not NAME: VALUE")).hinted("write it as -H 'x-user: a'")),
    };
    let (from, cluster) = sender(args.from.as_deref());
    Ok(RouteTestRequest {
        url: url.to_owned(),
        method: args.method.clone(),
        headers: args.headers.iter().map(header).collect::<Result<_, _>>()?,
        gateway: args.gateway.clone(),
        address: args.address.clone(),
        service: args.clb.clone(),
        from,
        cluster,
        sni: args.sni.clone(),
        client_certificate: args.client_cert,
    })
}

/// `--from`: a cluster, or a workload (and its cluster).
fn sender(from: Option<&str>) -> (Option<String>, Option<String>) {
    match from {
        Some(workload) if workload.contains('/') => match workload.split_once('@') {
            Some((workload, cluster)) => (Some(workload.to_owned()), Some(cluster.to_owned())),
            None => (Some(workload.to_owned()), None),
        },
        cluster => (None, cluster.map(str::to_owned)),
    }
}

pub(super) fn wrong(error: route_test::CaseError) -> CommandError {
    CommandError::input(error.message).hinted(error.hint)
}

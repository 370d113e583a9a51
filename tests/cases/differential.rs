//! The simulator against the real thing: made-up meshes and requests, answered by `asm_shared::route` and by the judge
//! (Istio's own compiler and a stock Envoy). Part of the full run (`KUBECTL_ASM_FULL=1`).
//!
//! | variable | is |
//! |---|---|
//! | `KUBECTL_ASM_DIFFERENTIAL` | how many requests; setting it runs the test without the full run |
//! | `KUBECTL_ASM_DIFFERENTIAL_SEED` | where to begin; a difference says which seed makes its mesh |
//!
//! A difference is shrunk, shown, and written to a file that can go to `shared/tests/judged/`: the units then ask the same
//! without a judge.

mod gateways;
#[path = "../../shared/tests/judged/mod.rs"]
mod judged;
mod requests;
mod routes;
mod shrink;
mod world;

use anyhow::{Context as _, Result, ensure};
use asm_lab::Judge;
use judged::Answer;
use serde::Deserialize;
use std::{env, fs, io::Write as _, path::PathBuf};
use world::World;

/// Requests of one made-up mesh: compiling it costs the judge as much as some hundred of them.
const PER_MESH: usize = 80;
const REQUESTS: usize = 10_000;
const SEED: u64 = 20_260_101;
/// How many differences are shrunk and shown.
const SHOWN: usize = 6;
/// How often the judge is asked to make one smaller.
const TRIES: usize = 250;

/// What the judge says of a case.
#[derive(Debug, Deserialize)]
struct Verdict {
    #[serde(default)]
    invalid: Vec<String>,
    answers: Vec<Answer>,
    #[serde(default)]
    gateways: Vec<Compiled>,
}

/// What istiod made of a gateway.
#[derive(Debug, Deserialize)]
struct Compiled {
    /// Why Envoy refused it.
    #[serde(default)]
    envoy: String,
}

/// A mesh, one of its requests, and what both say.
struct Difference {
    seed: u64,
    world: World,
    found: Vec<String>,
}

fn number(variable: &str) -> Result<Option<u64>> {
    let value = env::var(variable).ok();
    value.map(|text| text.parse().with_context(|| format!("{variable} is no number: {text}"))).transpose()
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[test]
fn the_simulator_answers_as_istio_and_envoy_do() -> Result<()> {
    let asked = number("KUBECTL_ASM_DIFFERENTIAL")?;
    if asked.is_none() && env::var_os("KUBECTL_ASM_FULL").is_none() {
        say("skipped: the full run asks the judge (KUBECTL_ASM_FULL=1, or KUBECTL_ASM_DIFFERENTIAL=1000)");
        return Ok(());
    }
    let requests = asked.map_or(Ok(REQUESTS), usize::try_from)?;
    let first = number("KUBECTL_ASM_DIFFERENTIAL_SEED")?.unwrap_or(SEED);
    let mut judge = Judge::start()?;
    let meshes = requests.div_ceil(PER_MESH);
    say(&format!("{requests} requests in {meshes} meshes from seed {first}"));
    let mut differences: Vec<Difference> = Vec::new();
    let (mut wrong, mut refused) = (0, 0);
    let mut outcomes = std::collections::BTreeMap::new();
    for seed in (first..).take(meshes) {
        let mut world = world::world(seed, PER_MESH.min(requests));
        let verdict = valid(&mut judge, &mut world)?;
        refused += verdict.gateways.iter().filter(|gateway| !gateway.envoy.is_empty()).count();
        for answer in &verdict.answers {
            *outcomes.entry(answer.outcome.clone()).or_insert(0) += 1;
        }
        for (index, found) in world.case().differences(world.requests.iter().zip(&verdict.answers)) {
            wrong += 1;
            let alone = World { requests: vec![world.requests[index].clone()], ..world.clone() };
            if !differences.iter().any(|known| kind(&known.found) == kind(&found)) {
                differences.push(Difference { seed, world: alone, found });
            }
        }
    }
    say(&format!("the judge: {outcomes:?}; refused configurations: {refused}; different: {wrong}"));
    for difference in &differences {
        say(&format!("seed {}: {}", difference.seed, difference.found.join("; ")));
    }
    for difference in differences.iter_mut().take(SHOWN) {
        show(&mut judge, difference)?;
    }
    ensure!(wrong == 0, "{wrong} of {requests} requests are answered differently, in {} ways", differences.len());
    Ok(())
}

/// What differs, without how.
fn kind(found: &[String]) -> &str {
    found.first().and_then(|line| line.split(':').next()).unwrap_or_default()
}

/// The judge's answers, after what Istio's validation refuses has been left out: no API server would have it.
fn valid(judge: &mut Judge, world: &mut World) -> Result<Verdict> {
    loop {
        let verdict: Verdict = judge.ask(&world.case())?;
        if verdict.invalid.is_empty() {
            return Ok(verdict);
        }
        let before = world.mesh.len();
        world.mesh.retain(|object| {
            let metadata = &object["metadata"];
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let name =
                format!("{} {}/{}:", text(&object["kind"]), text(&metadata["namespace"]), text(&metadata["name"]));
            !verdict.invalid.iter().any(|told| told.contains(&name))
        });
        ensure!(world.mesh.len() < before, "Istio refuses {:?}", verdict.invalid);
    }
}

/// What differs in a mesh of one request; `None` when Istio refuses an object, or the fleet has a problem.
fn judge_one(judge: &mut Judge, world: &World) -> Result<Option<(Vec<String>, Answer)>> {
    let case = world.case();
    // A mesh that istiod cannot take is no smaller case.
    let Ok(verdict) = judge.ask::<Verdict>(&case) else { return Ok(None) };
    if !verdict.invalid.is_empty() || !case.state().problems.is_empty() {
        return Ok(None);
    }
    let found = case.differences(world.requests.iter().zip(&verdict.answers));
    let answer = verdict.answers.into_iter().next().context("the judge has no answer")?;
    Ok(Some((found.into_iter().next().map(|(_, found)| found).unwrap_or_default(), answer)))
}

/// Makes a difference as small as it gets, shows it and writes it to a file.
fn show(judge: &mut Judge, difference: &mut Difference) -> Result<()> {
    let of = kind(&difference.found).to_owned();
    let world = difference.world.clone();
    let small = shrink::shrink(world, TRIES, |world| {
        Ok(judge_one(judge, world)?.is_some_and(|(found, _)| !found.is_empty() && kind(&found) == of))
    })?;
    let Some((found, answer)) = judge_one(judge, &small)? else { return Ok(()) };
    let mut case = small.case();
    case.about = found.join("; ");
    case.requests[0].answer = Some(answer);
    let text = serde_saphyr::to_string(&case)?;
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!(
        "judged-{}-{}.yaml",
        difference.seed,
        of.replace(' ', "-")
    ));
    fs::write(&file, &text)?;
    say(&format!("── seed {}: {}\n{text}── {}", difference.seed, found.join("\n   "), file.display()));
    Ok(())
}

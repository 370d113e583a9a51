//! A run of one target.

use crate::memory::measured;
use crate::mutate::mutated;
use crate::targets::Target;
use anyhow::{Context as _, Result};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest that one input may take. Far above what any of them needs, so that a busy machine makes no failures.
const SLOWEST: Duration = Duration::from_secs(20);
/// Most memory that one input may cost: so much, and so many times its length.
const MEMORY: (usize, usize) = (16 << 20, 2_000);
/// Inputs that are mutated further.
const POOL: usize = 2_000;

/// What is wrong with an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The reader panicked.
    Panic,
    /// It took longer than this.
    Slow(Duration),
    /// It used this many bytes.
    Memory(usize),
    /// It gave what it never may.
    Wrong(String),
}

/// An input that makes a reader fail.
#[derive(Debug)]
pub struct Found {
    /// The shortest that was found.
    pub input: Vec<u8>,
    /// How.
    pub failure: Failure,
}

/// The corpus of a target: files in the order of their names. Inputs that once failed stand there too.
pub fn corpus(target: &Target) -> Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let told = || format!("corpus of {}: {}", target.name, folder.display());
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).with_context(told)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    files.iter().map(|file| std::fs::read(file).with_context(told)).collect()
}

/// Runs a target on its corpus, then on mutations while `goes_on` (it is given their number). Gives back how many inputs there
/// were, or the first that fails.
pub fn run(
    target: &Target,
    seed: u64,
    mut goes_on: impl FnMut(u64) -> bool,
) -> Result<std::result::Result<u64, Found>> {
    let mut pool = corpus(target)?;
    let mut random = StdRng::seed_from_u64(seed);
    let mut shapes = HashSet::new();
    for input in &pool {
        match judge(target, input) {
            Ok(shape) => _ = shapes.insert(shape),
            Err(failure) => return Ok(Err(shortest(target, input.clone(), failure))),
        }
    }
    let mut count = 0;
    while goes_on(count) {
        let input = mutated(&pool, target.words, &mut random);
        count += 1;
        match judge(target, &input) {
            Ok(shape) => {
                if shapes.insert(shape) && pool.len() < POOL {
                    pool.push(input);
                }
            }
            Err(failure) => return Ok(Err(shortest(target, input, failure))),
        }
    }
    Ok(Ok(count))
}

/// The shape of the answer, or what is wrong.
fn judge(target: &Target, input: &[u8]) -> std::result::Result<u64, Failure> {
    let started = Instant::now();
    let (answer, used) = measured(|| catch_unwind(AssertUnwindSafe(|| (target.read)(input))));
    let took = started.elapsed();
    let answer = answer.map_err(|_| Failure::Panic)?.map_err(Failure::Wrong)?;
    if took > SLOWEST {
        return Err(Failure::Slow(took));
    }
    if used > MEMORY.0 + MEMORY.1 * input.len() {
        return Err(Failure::Memory(used));
    }
    Ok(answer)
}

/// Takes pieces away as long as it fails in the same way.
fn shortest(target: &Target, mut input: Vec<u8>, failure: Failure) -> Found {
    let same = |other: &Failure| std::mem::discriminant(other) == std::mem::discriminant(&failure);
    let mut piece = input.len() / 2;
    // Slow ones are told as they are: each try takes as long.
    while piece > 0 && !matches!(failure, Failure::Slow(_)) {
        let mut at = 0;
        while at < input.len() {
            let mut shorter = input.clone();
            shorter.drain(at..(at + piece).min(input.len()));
            if judge(target, &shorter).is_err_and(|found| same(&found)) {
                input = shorter;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    Found { input, failure }
}

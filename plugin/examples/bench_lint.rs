//! How long one look takes while somebody edits a fleet (`lint --watch`), and what the agent's look at a commit takes. Measured in one
//! process, as both run in one. Called by `cargo xtask bench lint` with the folder of a fleet, a number of runs and files of the fleet.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, reason = "a program for developers that measures")]

use asm_io::tree::DirTree;
use asm_shared::fleet::{self, FleetState};
use asm_shared::lint::{self, Assumptions, Look, errors, hold_back, lint_again, rules_of};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

/// As the plugin.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, runs, files @ ..] = arguments.as_slice() else { panic!("FOLDER RUNS FILE…") };
    let runs: u32 = runs.parse().unwrap();
    let tree = DirTree::new(Path::new(folder));
    let pages: Vec<Value> = files.iter().map(|file| pages(&tree, &Path::new(folder).join(file), runs)).collect();
    let mut commits = Vec::new();
    for _ in 0..runs {
        let mut state = FleetState::read(&tree);
        let started = Instant::now();
        let found = errors(&tree, &state, Assumptions::default());
        hold_back(&mut state, &found);
        commits.push(nanoseconds(started));
    }
    println!("{}", json!({"pages": pages, "commits": commits}));
}

/// Looks, each after a save of a file. The first one, which knows nothing, is left out.
fn pages(tree: &DirTree, path: &Path, runs: u32) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    let rules = rules_of(&[], &[]).unwrap();
    let (mut files, mut memory) = (fleet::Memory::default(), lint::Memory::default());
    let (mut whole, mut reading) = (Vec::new(), Vec::new());
    let mut found = 0;
    for run in 0..=runs {
        // Other bytes each time, as after a save.
        std::fs::write(path, format!("{text}# {run}\n")).unwrap();
        let started = Instant::now();
        let state = FleetState::read_again(tree, &mut files);
        let read = nanoseconds(started);
        let look = Look { base: None, rules: &rules, assumptions: Assumptions::default(), paths: &[] };
        let judged = lint_again(tree, &state, &look, &mut memory);
        found = judged.found.len();
        drop(state);
        if run > 0 {
            reading.push(read);
            whole.push(nanoseconds(started));
        }
    }
    std::fs::write(path, text).unwrap();
    json!({"whole": whole, "reading": reading, "found": found})
}

fn nanoseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e9
}

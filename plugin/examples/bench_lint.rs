//! How long one look takes while somebody edits a fleet (`lint --watch`), and what the agent's look at a commit takes. Measured in one
//! process, as both run in one. Called by `cargo xtask bench lint` with the folder of a fleet, a file of it and a number of runs.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, reason = "a program for developers that measures")]

use asm_io::tree::DirTree;
use asm_shared::fleet::{self, FleetState};
use asm_shared::lint::{self, Assumptions, Look, errors, hold_back, lint_again, rules_of};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, file, runs] = arguments.as_slice() else { panic!("FOLDER FILE RUNS") };
    let runs: u32 = runs.parse().unwrap();
    let (tree, path) = (DirTree::new(Path::new(folder)), Path::new(folder).join(file));
    let text = std::fs::read_to_string(&path).unwrap();
    let rules = rules_of(&[], &[]).unwrap();
    let (mut files, mut verdicts) = (fleet::Memory::default(), lint::Memory::default());
    let mut pages = Vec::new();
    let mut found = 0;
    for run in 0..=runs {
        // Other bytes each time, as after a save.
        std::fs::write(&path, format!("{text}# {run}\n")).unwrap();
        let started = Instant::now();
        let state = FleetState::read_again(&tree, &mut files);
        let look = Look { base: None, rules: &rules, assumptions: Assumptions::default(), paths: &[] };
        let judged = lint_again(&tree, &state, &look, &mut verdicts);
        found = judged.found.len();
        drop(state);
        // The first look knows nothing.
        if run > 0 {
            pages.push(started.elapsed().as_secs_f64() * 1e9);
        }
    }
    std::fs::write(&path, text).unwrap();
    let mut commits = Vec::new();
    for _ in 0..runs {
        let mut state = FleetState::read(&tree);
        let started = Instant::now();
        let found = errors(&tree, &state, Assumptions::default());
        hold_back(&mut state, &found);
        commits.push(started.elapsed().as_secs_f64() * 1e9);
    }
    println!("{}", json!({"pages": pages, "found": found, "commits": commits}));
}

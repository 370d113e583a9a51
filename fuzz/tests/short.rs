//! A short run of every target, the same each time: part of `cargo xtask test`.

use asm_fuzz::{TARGETS, corpus, run};

/// Inputs for each target: a few seconds without optimisation.
const INPUTS: u64 = 1_500;

/// One test for all: what an input allocates is measured for the whole process.
#[test]
fn no_reader_panics_hangs_or_fills_the_memory() {
    for target in TARGETS {
        assert!(corpus(target).unwrap().len() >= 3, "{} needs examples", target.name);
        match run(target, 1, |count| count < INPUTS).unwrap() {
            Ok(count) => assert_eq!(count, INPUTS),
            Err(found) => {
                let input = String::from_utf8_lossy(&found.input);
                panic!("{}: {:?}\n{input:?}", target.name, found.failure);
            }
        }
    }
}

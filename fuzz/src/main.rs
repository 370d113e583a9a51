//! `cargo xtask fuzz`: runs targets for a time, and keeps an input that makes one fail.

use anyhow::{Result, bail};
use asm_fuzz::{TARGETS, Target, run};
use clap::Parser;
use std::path::Path;
use std::time::{Duration, Instant};

#[derive(Parser)]
struct Args {
    /// Only this target
    target: Option<String>,
    /// How long each target is run
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Another seed makes another run
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let chosen: Vec<&Target> =
        TARGETS.iter().filter(|target| args.target.as_ref().is_none_or(|name| name == target.name)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        bail!("there is no such target; there are: {}", names.join(", "));
    }
    // What a panic says stands in the way of the count; the input says it all.
    std::panic::set_hook(Box::new(|_| ()));
    let mut failed = false;
    for target in chosen {
        let end = Instant::now() + Duration::from_secs(args.seconds);
        match run(target, args.seed, |_| Instant::now() < end)? {
            Ok(count) => eprintln!("{:12} {count} inputs, nothing found", target.name),
            Err(found) => {
                failed = true;
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
                let file = folder.join(format!("found-{:016x}", fingerprint(&found.input)));
                std::fs::write(&file, &found.input)?;
                eprintln!(
                    "{:12} {:?}: {} bytes, kept as {}",
                    target.name,
                    found.failure,
                    found.input.len(),
                    file.display()
                );
            }
        }
    }
    if failed {
        bail!("mend what was found; the inputs stay in the corpus and are run first from now on");
    }
    Ok(())
}

fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

//! What the agent costs on real API servers, beside the cheapest that is possible: a loop of server-side applies.
//!
//! Prints its figures as JSON on standard output and what it does on standard error; `cargo xtask bench agent` makes the
//! tables. Everything shares one machine: etcd, the API servers, the controller manager, the Git server, the agent.

mod bare;
mod commits;
mod fleet;
mod isolation;
mod scale;
mod sizes;
mod soak;
mod watched;
mod wide;
mod workload;

use anyhow::{Result, bail};
use serde_json::{Map, Value};

/// The parts, in the order in which they are measured.
const PARTS: &[&str] = &["apps", "maps", "wide", "commits", "scale", "isolation"];

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<()> {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    if let [part, minutes] = chosen.as_slice()
        && part == "soak"
    {
        return soak::run(minutes.parse()?).await.map(drop);
    }
    if let Some(wrong) = chosen.iter().find(|part| !PARTS.contains(&part.as_str())) {
        bail!("{wrong} is no part of this bench; there are {}", PARTS.join(", "));
    }
    let mut figures = Map::new();
    for part in PARTS {
        // Benches of their own: the lab's API servers have no part in them.
        let asked = if chosen.is_empty() {
            !matches!(*part, "scale" | "isolation")
        } else {
            chosen.iter().any(|name| name == part)
        };
        if !asked {
            continue;
        }
        say(&format!("── {part}"));
        let measured = match *part {
            "apps" => sizes::apps().await?,
            "maps" => watched::maps().await?,
            "wide" => wide::run().await?,
            "scale" => scale::run().await?,
            "isolation" => isolation::run().await?,
            _ => commits::run().await?,
        };
        figures.insert((*part).to_owned(), measured);
    }
    #[expect(clippy::print_stdout, reason = "the figures are for the program that runs this")]
    {
        println!("{}", Value::Object(figures));
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a person may be watching")]
fn say(text: &str) {
    eprintln!("{text}");
}

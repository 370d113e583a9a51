//! Live traffic: istiod, Envoy gateways and sidecars, load-balancer addresses, requests. Only in the full run
//! (`cargo xtask test --full`, or `KUBECTL_ASM_FULL=1`): each needs 1.5 GB and up to some minutes.

#![allow(clippy::print_stdout, reason = "the figures, for whoever runs them with --nocapture")]

mod bookinfo;
mod changes;
mod several_clbs;
mod shared_gateway;

use anyhow::{Context as _, Result, ensure};
use asm_lab::Lab;
use asm_lab::dataplane::enclosure::{self, Output};
use asm_lab::dataplane::traffic::Question;
use asm_lab::story::PATIENCE;
use std::ffi::OsString;
use std::future::Future;
use std::io::Write as _;

/// Runs a case in namespaces of its own, by running its test once more in there. `module` is the `module_path!()` of the
/// test `name`.
fn live<F: Future<Output = Result<()>>>(module: &str, name: &str, case: impl FnOnce() -> F) -> Result<()> {
    if enclosure::is_inside() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        return runtime.block_on(case());
    }
    let test = format!("{}::{name}", module.split_once("::").map_or(module, |(_, path)| path));
    let why = if std::env::var_os("KUBECTL_ASM_FULL").is_none() {
        Some("traffic is for the full run (KUBECTL_ASM_FULL=1)")
    } else {
        enclosure::unavailable()
    };
    if let Some(why) = why {
        writeln!(std::io::stderr(), "{test} skipped: {why}")?;
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let log = dir.path().join("log");
    let args = [&*test, "--exact", "--nocapture", "--test-threads", "1"].map(OsString::from);
    let status = enclosure::again(&args, Output::Log(&log))?;
    let told = std::fs::read_to_string(&log).context("the test inside wrote nothing")?;
    println!("{told}");
    // A name that no test has would be a success as well.
    ensure!(status.success() && told.contains("1 passed"), "{test} failed in its own namespaces ({status})");
    Ok(())
}

/// Waits until a question is answered.
async fn answered(question: &Question) -> Result<String> {
    let what = format!("http://{}{} is answered", question.address, question.path);
    asm_lab::wait_for(what, PATIENCE, || async { Ok(Some(question.ask().await?.0)) }).await
}

/// The address of a Service's load balancer.
fn address(lab: &Lab, cluster: &str, service: &str) -> Result<String> {
    let found = lab.cloud(cluster).load_balancer_of("istio-system", service);
    Ok(found.with_context(|| format!("{service} in {cluster} has no load balancer"))?.address)
}

//! Istio's part of the lab: istiod and the judge of routes in one binary, built once from Istio's own Go module.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::controlplane::{cache_dir, go, key, no_go, once, write_sources};

/// What the binary is built from. Part of the test binary, so that a build does not depend on where the checkout is.
const SOURCES: [(&str, &str); 13] = [
    ("main.go", include_str!("meshplane/main.go")),
    ("judge.go", include_str!("meshplane/judge.go")),
    ("run.go", include_str!("meshplane/run.go")),
    ("load.go", include_str!("meshplane/load.go")),
    ("complete.go", include_str!("meshplane/complete.go")),
    ("compile.go", include_str!("meshplane/compile.go")),
    ("chain.go", include_str!("meshplane/chain.go")),
    ("cluster.go", include_str!("meshplane/cluster.go")),
    ("upstream.go", include_str!("meshplane/upstream.go")),
    ("ask.go", include_str!("meshplane/ask.go")),
    ("envoy.go", include_str!("meshplane/envoy.go")),
    ("go.mod", include_str!("meshplane/go.mod")),
    ("go.sum", include_str!("meshplane/go.sum")),
];

/// Where the binary is, once it is built.
pub(crate) fn place(cache: &Path) -> PathBuf {
    cache.join(format!("meshplane-{}", key(&SOURCES)))
}

/// The binary: `istiod …` and `judge …`. Built the first time, which takes some minutes. Blocks.
pub fn meshplane() -> Result<PathBuf> {
    let target = place(&cache_dir()?);
    once(&target, |dir| {
        let _ = writeln!(std::io::stderr(), "Building istiod and the judge of routes (once; takes some minutes)…");
        write_sources(dir, &SOURCES)?;
        let binary = dir.join("meshplane");
        let status =
            go(dir).args(["build", "-ldflags", "-s -w", "-o"]).arg(&binary).arg(".").status().map_err(no_go)?;
        ensure!(status.success(), "go build of Istio failed ({status}); its messages are above");
        fs::rename(&binary, &target).with_context(|| format!("cannot move the build to {}", target.display()))
    })?;
    Ok(target)
}

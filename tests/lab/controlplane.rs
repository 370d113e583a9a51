//! The programs of the control plane: built once from Kubernetes' own Go module, or taken from `KUBEBUILDER_ASSETS`.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

/// The Kubernetes version that `controlplane/go.mod` pins; shown by the API servers as theirs.
const KUBERNETES_VERSION: &str = "v1.34.4";

/// What the binary is built from. Part of the test binary, so that a build does not depend on where the checkout is.
const SOURCES: [(&str, &str); 3] = [
    ("main.go", include_str!("controlplane/main.go")),
    ("go.mod", include_str!("controlplane/go.mod")),
    ("go.sum", include_str!("controlplane/go.sum")),
];

/// Pins the module that Istio's CRDs are read from.
const ISTIO_MODULE: [(&str, &str); 2] =
    [("go.mod", include_str!("controlplane/istio/go.mod")), ("go.sum", include_str!("controlplane/istio/go.sum"))];

const ISTIO_CRDS: &str = "kubernetes/customresourcedefinitions.gen.yaml";

/// One of the three programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// etcd
    Etcd,
    /// kube-apiserver
    ApiServer,
    /// kube-controller-manager
    ControllerManager,
}

impl Program {
    /// The name of its binary, and of the subcommand in ours.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
        }
    }
}

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct ControlPlane {
    /// The multi-call binary; always needed, as it supervises programs that are not ours.
    ours: PathBuf,
    assets: Option<PathBuf>,
}

impl ControlPlane {
    /// Finds the programs, building them the first time. Blocks: some minutes when nothing is in the cache.
    pub fn prepare() -> Result<Self> {
        Ok(Self { ours: build(&cache_dir()?)?, assets: assets(env::var_os("KUBEBUILDER_ASSETS").as_deref()) })
    }

    /// A command that runs `program` and that ends when its standard input ends.
    #[must_use]
    pub fn command(&self, program: Program) -> Command {
        match self.assets.as_ref().map(|dir| dir.join(program.name())).filter(|path| path.is_file()) {
            Some(path) => self.supervise(path, None),
            None => {
                let mut command = Command::new(&self.ours);
                command.arg(program.name());
                command
            }
        }
    }

    /// A command that runs any other program and ends it when standard input ends. `pid_file` gets the program's own
    /// process ID, which is not that of the command.
    #[must_use]
    pub fn supervise(&self, program: impl AsRef<OsStr>, pid_file: Option<&Path>) -> Command {
        let mut command = Command::new(&self.ours);
        command.arg("run");
        if let Some(file) = pid_file {
            command.arg("-pid-file").arg(file);
        }
        command.arg("--").arg(program);
        command
    }
}

/// The directory of `KUBEBUILDER_ASSETS` if it holds what envtest puts there.
fn assets(dir: Option<&OsStr>) -> Option<PathBuf> {
    let dir = PathBuf::from(dir?);
    [Program::Etcd, Program::ApiServer].iter().all(|p| dir.join(p.name()).is_file()).then_some(dir)
}

/// `$KUBECTL_ASM_CACHE`, else `kubectl-asm` in the user's cache directory.
pub fn cache_dir() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let dir = if let Some(dir) = set("KUBECTL_ASM_CACHE") {
        dir
    } else if let Some(dir) = set("XDG_CACHE_HOME") {
        dir.join("kubectl-asm")
    } else if let Some(home) = set("HOME") {
        home.join(".cache").join("kubectl-asm")
    } else {
        bail!("no place for the cache: set KUBECTL_ASM_CACHE, XDG_CACHE_HOME or HOME");
    };
    fs::create_dir_all(&dir).with_context(|| format!("cannot create the cache directory {}", dir.display()))?;
    Ok(dir)
}

/// A short name for exactly these sources.
pub(crate) fn key(sources: &[(&str, &str)]) -> String {
    let mut hash = Sha256::new();
    for (name, text) in sources {
        // Lengths keep ("ab", "c") and ("a", "bc") apart.
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    crate::hex(&hash.finalize())[..16].to_owned()
}

/// Runs `make` unless `target` is there, with a lock around it: two tests that start together build once.
pub(crate) fn once(target: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if target.exists() {
        return Ok(());
    }
    let dir = target.parent().context("a cache file has a directory")?;
    let lock = File::create(target.with_extension("lock"))?;
    lock.lock().with_context(|| format!("cannot lock the cache in {}", dir.display()))?;
    if target.exists() {
        return Ok(());
    }
    let work = tempfile::Builder::new().prefix("build-").tempdir_in(dir)?;
    make(work.path())
}

pub(crate) fn write_sources(dir: &Path, sources: &[(&str, &str)]) -> Result<()> {
    for (name, text) in sources {
        fs::write(dir.join(name), text)?;
    }
    Ok(())
}

fn build(cache: &Path) -> Result<PathBuf> {
    let target = cache.join(format!("controlplane-{}", key(&SOURCES)));
    once(&target, |dir| {
        let _ = writeln!(
            std::io::stderr(),
            "Building etcd, kube-apiserver and kube-controller-manager {KUBERNETES_VERSION} (once; takes some minutes)…"
        );
        write_sources(dir, &SOURCES)?;
        let binary = dir.join("controlplane");
        let status = go(dir)
            .args(["build", "-ldflags"])
            .arg(format!("-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}"))
            .arg("-o")
            .arg(&binary)
            .arg(".")
            .status()
            .map_err(no_go)?;
        ensure!(status.success(), "go build of the control plane failed ({status}); its messages are above");
        fs::rename(&binary, &target).with_context(|| format!("cannot move the build to {}", target.display()))
    })?;
    Ok(target)
}

/// The version of Istio whose CRDs the lab serves.
#[must_use]
pub fn istio_version() -> Option<&'static str> {
    let module = ISTIO_MODULE.iter().find(|(file, _)| *file == "go.mod")?;
    module.1.lines().find_map(|line| line.strip_prefix("require istio.io/api ")).map(str::trim)
}

/// Istio's CRDs as JSON objects.
pub fn istio_crds() -> Result<Vec<serde_json::Value>> {
    // Kept as JSON: parsing a megabyte of YAML takes a second in a debug build, at each start of a lab.
    let target = cache_dir()?.join(format!("istio-crds-{}.json", key(&ISTIO_MODULE)));
    once(&target, |dir| {
        write_sources(dir, &ISTIO_MODULE)?;
        let output = go(dir)
            .args(["mod", "download", "-json", "istio.io/api"])
            .stderr(Stdio::inherit())
            .output()
            .map_err(no_go)?;
        let answer: serde_json::Value =
            serde_json::from_slice(&output.stdout).context("`go mod download -json` does not answer in JSON")?;
        if let Some(error) = answer["Error"].as_str() {
            bail!("cannot download the module of Istio's CRDs: {error}");
        }
        let file =
            Path::new(answer["Dir"].as_str().context("`go mod download -json` names no directory")?).join(ISTIO_CRDS);
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let crds = crate::apply::documents(&text).with_context(|| format!("cannot parse {}", file.display()))?;
        let json = dir.join("crds.json");
        fs::write(&json, serde_json::to_vec(&crds)?)?;
        fs::rename(&json, &target).with_context(|| format!("cannot move the CRDs to {}", target.display()))
    })?;
    let text = fs::read(&target).with_context(|| format!("cannot read {}", target.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is damaged: delete it", target.display()))
}

pub(crate) fn go(dir: &Path) -> Command {
    let mut command = Command::new("go");
    // GOFLAGS and workspaces of the caller would change what is built.
    command.current_dir(dir).env("GOWORK", "off").env_remove("GOFLAGS").stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

pub(crate) fn no_go(error: std::io::Error) -> anyhow::Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        anyhow::anyhow!(
            "`go` is not on the PATH. The lab builds its API servers from source: install Go 1.24 or newer \
             (https://go.dev/doc/install)"
        )
    } else {
        anyhow::Error::new(error).context("cannot run `go`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_follows_names_and_texts() {
        let one = key(&[("a", "bc")]);
        assert_eq!(one.len(), 16);
        assert_eq!(one, key(&[("a", "bc")]));
        assert_ne!(one, key(&[("ab", "c")]));
        assert_ne!(one, key(&[("a", "bd")]));
    }

    #[test]
    fn assets_must_hold_both_programs() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(assets(None), None);
        assert_eq!(assets(Some(dir.path().as_os_str())), None);
        fs::write(dir.path().join("etcd"), "").unwrap();
        assert_eq!(assets(Some(dir.path().as_os_str())), None);
        fs::write(dir.path().join("kube-apiserver"), "").unwrap();
        assert_eq!(assets(Some(dir.path().as_os_str())), Some(dir.path().to_owned()));
    }

    #[test]
    fn what_is_there_is_not_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("thing");
        once(&target, |_| Ok(fs::write(&target, "1")?)).unwrap();
        once(&target, |_| panic!("made twice")).unwrap();
    }
}

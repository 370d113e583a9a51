//! Loose manifests on disk: folders, or single files, without a `fleet.yaml`.

use crate::tree::DirTree;
use asm_shared::fleet::{FleetState, LooseFolder, Tree, TreeError, loose_path};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder or a file of manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// The cluster that everything in it goes to; by kind when absent.
    pub cluster: Option<String>,
}

/// Folders of manifests, opened. As a tree, its paths are those that problems and places tell.
pub struct Manifests(Vec<Opened>);

struct Opened {
    tree: Box<dyn Tree>,
    /// What stands before its paths.
    name: String,
    cluster: Option<String>,
}

impl Manifests {
    /// Opens them; nothing is read yet.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn open(folders: &[Folder]) -> Result<Self, TreeError> {
        let one = |folder: &Folder| {
            let (tree, name) = open(&folder.path)?;
            Ok(Opened { tree, name, cluster: folder.cluster.clone() })
        };
        folders.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// What they say: see [`FleetState::read_loose`].
    pub fn state(&self, clusters: &[&str]) -> FleetState {
        let named = self.0.iter().map(|opened| LooseFolder {
            tree: &*opened.tree,
            name: &opened.name,
            cluster: opened.cluster.as_deref(),
        });
        FleetState::read_loose(&named.collect::<Vec<_>>(), clusters)
    }
}

impl Tree for Manifests {
    fn list(&self) -> Result<Vec<Arc<str>>, TreeError> {
        let mut all = Vec::new();
        for opened in &self.0 {
            all.extend(opened.tree.list()?.iter().map(|path| Arc::from(loose_path(&opened.name, path))));
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        let mut failed = TreeError { path: path.to_owned(), reason: "is in none of the folders".to_owned() };
        for opened in &self.0 {
            let name = opened.name.trim_end_matches('/');
            let inner = match name {
                "" => Some(path),
                name => path.strip_prefix(name).and_then(|rest| rest.strip_prefix('/')),
            };
            match inner.map(|inner| opened.tree.read(inner)) {
                Some(Ok(text)) => return Ok(text),
                Some(Err(error)) => failed.reason = error.reason,
                None => {}
            }
        }
        Err(failed)
    }
}

/// Reads them all: see [`FleetState::read_loose`].
///
/// # Errors
/// When one of them cannot be read at all. What is wrong inside is in the state's problems.
pub fn read(folders: &[Folder], clusters: &[&str]) -> Result<FleetState, TreeError> {
    Ok(Manifests::open(folders)?.state(clusters))
}

/// The files behind a path, and what stands before their names.
fn open(path: &Path) -> Result<(Box<dyn Tree>, String), TreeError> {
    let shown = path.display().to_string();
    let failed = |reason: String| TreeError { path: shown.clone(), reason };
    let metadata = path.metadata().map_err(|error| failed(format!("cannot be read: {error}")))?;
    if metadata.is_dir() {
        return Ok((Box::new(DirTree::new(path)), if shown == "." { String::new() } else { shown }));
    }
    let name = path.file_name().ok_or_else(|| failed("is no file".to_owned()))?.to_string_lossy();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let tree = OneFile { tree: DirTree::new(parent.unwrap_or(Path::new("."))), name: Arc::from(&*name) };
    Ok((Box::new(tree), parent.map(|parent| parent.display().to_string()).unwrap_or_default()))
}

/// One file of a directory.
struct OneFile {
    tree: DirTree,
    name: Arc<str>,
}

impl Tree for OneFile {
    fn list(&self) -> Result<Vec<Arc<str>>, TreeError> {
        Ok(vec![self.name.clone()])
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        self.tree.read(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_files() {
        let root = tempfile::tempdir().unwrap();
        let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: x}}\n");
        std::fs::create_dir_all(root.path().join("dir/inner")).unwrap();
        std::fs::write(root.path().join("dir/inner/a.yaml"), map("a")).unwrap();
        std::fs::write(root.path().join("b.yaml"), map("b")).unwrap();
        std::fs::write(root.path().join("c.yaml"), map("c")).unwrap();
        let folder = |path: &str, cluster: Option<&str>| Folder {
            path: root.path().join(path),
            cluster: cluster.map(str::to_owned),
        };
        let state = read(&[folder("dir", None), folder("b.yaml", Some("m1c2"))], &["m1c1"]).unwrap();
        assert_eq!(state.problems, vec![]);
        let told: Vec<String> = state.manifests.iter().map(|m| format!("{} {}", m.target, m.id.name)).collect();
        assert_eq!(told, ["m1c1 a", "m1c2 b"]);
        assert!(state.manifests[0].position.file.ends_with("dir/inner/a.yaml"));
        let opened = Manifests::open(&[folder("dir", None), folder("b.yaml", None)]).unwrap();
        let listed = opened.list().unwrap();
        assert_eq!(listed.len(), 2);
        assert_eq!(opened.read(&state.manifests[0].position.file).unwrap(), map("a").into_bytes());
        assert!(listed.iter().all(|path| opened.read(path).is_ok()) && opened.read("c.yaml").is_err());
        let missing = read(&[folder("none", None)], &[]).unwrap_err();
        assert!(missing.path.ends_with("none") && missing.reason.contains("No such file"), "{missing}");
    }
}

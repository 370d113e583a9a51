//! Paths of a fleet: what a path means, and which paths are refused.

use std::collections::HashMap;
use std::sync::Arc;

/// What a path means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area<'path> {
    /// `fleet.yaml`.
    Fleet,
    /// Objects of the mesh control plane.
    Mesh,
    /// Objects of every cluster of a group.
    Group(&'path str),
    /// Objects of one cluster.
    Cluster(&'path str),
    /// Patches of one cluster.
    Patches(&'path str),
    /// Approvals.
    Approvals,
    /// Route tests.
    Tests,
    /// Directly under `clusters/` or `groups/`, so for nobody; the folder is given.
    Stray(&'path str),
    /// None of the fleet's business.
    Ignored,
}

/// What a path means. Only YAML and JSON files mean anything, and nothing whose name or folder begins with a dot.
pub fn classify(path: &str) -> Area<'_> {
    if path == super::layout::FLEET_FILE {
        return Area::Fleet;
    }
    let file = path.rsplit('/').next().unwrap_or_default();
    let named = file.rsplit_once('.').is_some_and(|(_, extension)| matches!(extension, "yaml" | "yml" | "json"));
    if !named || path.split('/').any(|part| part.starts_with('.')) {
        return Area::Ignored;
    }
    let parts: Vec<&str> = path.split('/').collect();
    match *parts {
        ["mesh", _, ..] => Area::Mesh,
        [folder @ ("groups" | "clusters"), _] => Area::Stray(folder),
        ["groups", name, _, ..] => Area::Group(name),
        ["clusters", name, "patches", _, ..] => Area::Patches(name),
        ["clusters", name, _, ..] => Area::Cluster(name),
        ["approvals", _, ..] => Area::Approvals,
        ["tests", _, ..] => Area::Tests,
        _ => Area::Ignored,
    }
}

/// A path that is refused (control characters replaced), why, and what to do.
pub(super) type Refused = (Arc<str>, String, String);

/// Sorts paths into those that can be read and those that are refused, with message and hint. Of two paths that differ in
/// case only, both are refused: on another file system they are one file.
pub(super) fn sound(paths: Vec<Arc<str>>) -> (Vec<Arc<str>>, Vec<Refused>) {
    let mut odd = Vec::new();
    let mut folded: HashMap<String, Vec<Arc<str>>> = HashMap::new();
    for path in paths {
        match refused(&path) {
            Some(message) => {
                let printable: String = path.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
                odd.push((printable.into(), message, "Rename the file".to_owned()));
            }
            None => folded.entry(path.to_lowercase()).or_default().push(path),
        }
    }
    let mut sound = Vec::with_capacity(folded.len());
    for twins in folded.into_values() {
        match &*twins {
            [first, others @ ..] if !others.is_empty() && classify(first) != Area::Ignored => {
                for other in others {
                    let message = format!("the path differs from {first} in upper and lower case only");
                    odd.push((
                        other.clone(),
                        message,
                        "Rename one of the two: on some file systems they are one file".to_owned(),
                    ));
                }
                let message = format!("the path differs from {} in upper and lower case only", others.join(", "));
                odd.push((
                    first.clone(),
                    message,
                    "Rename one of the two: on some file systems they are one file".to_owned(),
                ));
            }
            _ => sound.extend(twins),
        }
    }
    sound.sort();
    (sound, odd)
}

/// Why a path is refused. Inside the fleet's own folders names must also be printable.
fn refused(path: &str) -> Option<String> {
    if path.starts_with('/') || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Some("the path is absolute or leaves the fleet".to_owned());
    }
    if classify(path) == Area::Ignored {
        return None;
    }
    path.chars().find_map(|c| match c {
        '\\' => Some("the path contains a backslash".to_owned()),
        '\u{fffd}' => Some("the path is not UTF-8".to_owned()),
        c if c.is_control() => Some(format!("the path contains the control character U+{:04X}", c as u32)),
        _ => None,
    })
}

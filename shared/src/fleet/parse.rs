//! Files of objects, parsed side by side: parsing is nearly all of what reading a fleet costs, and no file needs another.

use super::objects::{self, Object};
use super::{FileError, Tree};
use crate::yaml::{self, Document, Limits};
use std::num::NonZero;
use std::thread;

/// Texts held at the same time.
const BATCH: usize = 1024;
/// Fewer files than this per thread are not worth one.
const WORTH_A_THREAD: usize = 16;

/// The objects of one file, each with its document or what is wrong with it; or why there are none.
pub(super) type Objects = Result<Vec<Result<(Object, Document), Vec<FileError>>>, FileError>;

/// One file.
pub(super) struct Parsed {
    pub(super) objects: Objects,
    /// Does it perhaps hold a comment for lint? So that lint need not read every file again.
    pub(super) marked: bool,
}

/// What comments for lint begin with.
pub(crate) const MARK: &str = "asm-lint:";

/// Does the text hold [`MARK`]?
pub(super) fn is_marked(text: &[u8]) -> bool {
    let mark = MARK.as_bytes();
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'#') {
        rest = rest.get(at + 1..).unwrap_or_default();
        if rest.trim_ascii_start().starts_with(mark) {
            return true;
        }
    }
    false
}

/// Parses files; `take` gets them in their order.
pub(super) fn files<T: AsRef<str>>(tree: &dyn Tree, paths: &[T], mut take: impl FnMut(&T, Parsed)) {
    for paths in paths.chunks(BATCH) {
        let texts: Vec<Result<Vec<u8>, FileError>> = paths.iter().map(|path| text(tree, path.as_ref())).collect();
        for (path, parsed) in paths.iter().zip(side_by_side(texts)) {
            take(path, parsed);
        }
    }
}

/// The content of one file.
pub(super) fn text(tree: &dyn Tree, path: &str) -> Result<Vec<u8>, FileError> {
    tree.read(path).map_err(|error| FileError { line: 1, column: 1, message: error.reason, hint: None })
}

fn side_by_side(texts: Vec<Result<Vec<u8>, FileError>>) -> Vec<Parsed> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(texts.len() / WORTH_A_THREAD);
    if threads < 2 {
        return texts.into_iter().map(parse).collect();
    }
    let share = texts.len().div_ceil(threads);
    let mut texts = texts.into_iter();
    let shares: Vec<Vec<_>> = (0..threads).map(|_| texts.by_ref().take(share).collect()).collect();
    thread::scope(|scope| {
        let work = |share: Vec<_>| scope.spawn(|| share.into_iter().map(parse).collect::<Vec<Parsed>>());
        let running: Vec<_> = shares.into_iter().map(work).collect();
        // A panic of a thread goes on in this one, as it would have without threads.
        let ended =
            running.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.flatten().collect()
    })
}

fn parse(text: Result<Vec<u8>, FileError>) -> Parsed {
    let marked = text.as_deref().is_ok_and(is_marked);
    Parsed { objects: text.and_then(|text| objects_of(&text)), marked }
}

fn objects_of(text: &[u8]) -> Objects {
    let documents = yaml::read(text, &Limits::default())?;
    let objects = documents.into_iter().flat_map(Document::unfold);
    Ok(objects.map(|document| Ok((objects::check(&document)?, document))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::MemoryTree;

    #[test]
    fn every_file_comes_once_and_in_order_however_many_there_are() {
        for count in [0, 1, 2 * WORTH_A_THREAD + 3, BATCH + 7] {
            let name = |n: usize| format!("mesh/{n:06}.yaml");
            let text =
                |n: usize| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: map-{n}, namespace: x}}\n");
            let tree: MemoryTree = (0..count).map(|n| (name(n), text(n))).collect();
            let paths: Vec<String> = (0..count).map(name).collect();
            let mut seen = Vec::new();
            files(&tree, &paths, |path, parsed| {
                let objects = parsed.objects.map_err(|error| error.message).unwrap();
                let names = objects.into_iter().filter_map(Result::ok).map(|(object, _)| object.id.name.to_string());
                seen.push((path.clone(), names.collect::<Vec<_>>()));
            });
            let wanted: Vec<_> = (0..count).map(|n| (name(n), vec![format!("map-{n}")])).collect();
            assert_eq!(seen, wanted);
        }
    }
}

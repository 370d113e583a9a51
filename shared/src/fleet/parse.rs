//! Files of objects, parsed side by side: parsing is nearly all of what reading a fleet costs, and no file needs another.

use super::memory::Memory;
use super::objects::{self, Object};
use super::{FileError, Tree, TreeError};
use crate::yaml::{self, Document, Limits};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

/// Texts held at the same time.
const BATCH: usize = 1024;
/// Fewer files than this per thread are not worth one.
const WORTH_A_THREAD: usize = 16;

/// The objects of one file, each with its document or what is wrong with it; or why there are none.
pub(super) type Objects = Result<Vec<Result<(Object, Arc<Document>), Vec<FileError>>>, FileError>;

/// One file.
#[derive(Clone)]
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

/// Parses files; `take` gets them in their order. What is in the memory is not parsed again.
pub(super) fn files<T: AsRef<str>>(
    tree: &dyn Tree,
    paths: &[T],
    mut memory: Option<&mut Memory>,
    mut take: impl FnMut(&T, Parsed),
) {
    for paths in paths.chunks(BATCH) {
        let names: Vec<&str> = paths.iter().map(AsRef::as_ref).collect();
        let texts: Vec<Text> = tree.read_all(&names).into_iter().map(|read| read.map_err(unread)).collect();
        let mut known: Vec<Option<Parsed>> = Vec::new();
        if let Some(memory) = &mut memory {
            let both = paths.iter().zip(&texts);
            known = both.map(|(path, text)| memory.take(path.as_ref(), text.as_deref().ok()?)).collect();
        }
        known.resize_with(texts.len(), || None);
        let open: Vec<&Text> =
            texts.iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(text, _)| text).collect();
        let mut parsed = side_by_side(&open).into_iter();
        for ((path, text), known) in paths.iter().zip(texts).zip(known) {
            let is_known = known.is_some();
            let Some(found) = known.or_else(|| parsed.next()) else { continue };
            if let (false, Some(memory), Ok(text)) = (is_known, &mut memory, text) {
                memory.keep(path.as_ref(), text, &found);
            }
            take(path, found);
        }
    }
    memory.into_iter().for_each(Memory::end);
}

/// The content of a file, or why there is none.
type Text = Result<Vec<u8>, FileError>;

/// The content of one file.
pub(super) fn text(tree: &dyn Tree, path: &str) -> Result<Vec<u8>, FileError> {
    tree.read(path).map_err(unread)
}

fn unread(error: TreeError) -> FileError {
    FileError { line: 1, column: 1, message: error.reason, hint: None }
}

fn side_by_side(texts: &[&Text]) -> Vec<Parsed> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(texts.len() / WORTH_A_THREAD);
    if threads < 2 {
        return texts.iter().map(|text| parse(text)).collect();
    }
    thread::scope(|scope| {
        let work = |share: &'_ [&Text]| share.iter().map(|text| parse(text)).collect::<Vec<Parsed>>();
        let shares = texts.chunks(texts.len().div_ceil(threads));
        let running: Vec<_> = shares.map(|share| scope.spawn(move || work(share))).collect();
        // A panic of a thread goes on in this one, as it would have without threads.
        let ended =
            running.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.flatten().collect()
    })
}

fn parse(text: &Text) -> Parsed {
    let marked = text.as_deref().is_ok_and(is_marked);
    Parsed { objects: text.as_deref().map_err(Clone::clone).and_then(objects_of), marked }
}

fn objects_of(text: &[u8]) -> Objects {
    let documents = yaml::read(text, &Limits::default())?;
    let objects = documents.into_iter().flat_map(Document::unfold);
    Ok(objects.map(|document| Ok((objects::check(&document)?, Arc::new(document)))).collect())
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
            files(&tree, &paths, None, |path, parsed| {
                let objects = parsed.objects.map_err(|error| error.message).unwrap();
                let names = objects.into_iter().filter_map(Result::ok).map(|(object, _)| object.id.name.to_string());
                seen.push((path.clone(), names.collect::<Vec<_>>()));
            });
            let wanted: Vec<_> = (0..count).map(|n| (name(n), vec![format!("map-{n}")])).collect();
            assert_eq!(seen, wanted);
        }
    }

    #[test]
    fn what_is_known_is_what_would_be_parsed_and_nothing_else_is_kept() {
        let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: x}}\n");
        let mut tree: MemoryTree =
            [("a.yaml", map("a")), ("b.yaml", map("b")), ("broken.yaml", "a: [".to_owned())].into_iter().collect();
        let mut memory = Memory::default();
        let mut read = |tree: &MemoryTree, paths: &[&str]| {
            let mut seen = Vec::new();
            files(tree, paths, Some(&mut memory), |path, parsed| {
                let named = |(object, _): (Object, Arc<Document>)| {
                    (object.id.name.to_string(), Arc::as_ptr(&object.value).addr())
                };
                let objects =
                    parsed.objects.map(|all| all.into_iter().filter_map(Result::ok).map(named).collect::<Vec<_>>());
                seen.push(((*path).to_owned(), objects.map_err(|error| error.message)));
            });
            seen
        };
        let all = ["a.yaml", "b.yaml", "broken.yaml"];
        let first = read(&tree, &all);
        // The very same objects, and what was wrong with a file.
        assert_eq!(read(&tree, &all), first);
        tree.insert("a.yaml", map("other"));
        let second = read(&tree, &all);
        assert_eq!((&second[0].1.as_ref().unwrap()[0].0[..], &second[1..]), ("other", &first[1..]));
        // Gone for one reading, and forgotten.
        read(&tree, &["a.yaml"]);
        assert_eq!(format!("{memory:?}"), "1 files");
    }
}

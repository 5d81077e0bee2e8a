//! Which libraries load the same objects in every program, so that a program that needs only such ones need not be put together.
//!
//! Where no object of a process has a search path, flags or names that bend the search, and each library was found by its own soname, a name
//! means the same file whoever asks and in whatever order. All that such a library needs was told when it was first loaded.

use super::context::LoaderContext;
use super::ids::FileId;
use super::interner::Symbol;
use super::loader::LoaderId;
use super::object::DepTag;
use super::observer::LookupObserver;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct StableLibraries {
    /// The loader under which a file is settled, by the number of the file.
    files: Vec<Option<LoaderId>>,
    /// Names that settled files ask for, by their numbers.
    asked: Vec<bool>,
}

impl StableLibraries {
    /// Learns from a process without peculiarities: its program first, then all that it loads.
    pub(super) fn record(
        &mut self,
        files: impl Iterator<Item = FileId>,
        tools: &mut LoaderContext<'_, '_>,
    ) {
        for (at, file) in files.enumerate() {
            let Some(facts) = tools.tree.elf(file) else {
                continue;
            };
            let spoken = tools.names.of(tools.tree.file(file).body, facts);
            if at == 0 {
                // A root with a soname answers to it, where another file might elsewhere.
                if spoken.soname.is_some() {
                    return;
                }
                continue;
            }
            let slot = slot(&mut self.files, file.0, None);
            if slot.replace(tools.loader) == Some(tools.loader) {
                continue;
            }
            for (_, Symbol(name)) in &spoken.needs {
                *self::slot(&mut self.asked, *name, false) = true;
            }
        }
    }

    /// Tells what a program asks for, if all of it is settled and so nothing else is to be told.
    pub(super) fn replay(
        &self,
        root: FileId,
        tools: &mut LoaderContext<'_, '_>,
        witness: &mut impl LookupObserver,
    ) -> bool {
        let Some(own) = tools
            .tree
            .elf(root)
            .filter(|own| !own.is_context_dependent(tools.wishes))
        else {
            return false;
        };
        let spoken = tools.names.of(tools.tree.file(root).body, own);
        let loader = tools.loaders.get(tools.loader);
        let linker = loader
            .file
            .and_then(|file| Some((file, tools.tree.elf(file)?)));
        let linker = linker.and_then(|(file, facts)| {
            let spoken = tools.names.of(tools.tree.file(file).body, facts);
            Some((file, spoken.soname?))
        });
        let is_settled =
            |file: FileId| self.files.get(file.0 as usize) == Some(&Some(tools.loader));
        let is_own = |name: Symbol| Some(name) == spoken.soname;
        let answers = spoken
            .soname
            .is_some_and(|Symbol(name)| self.asked.get(name as usize) == Some(&true));
        let is_plain = |(ask, name): &(DepTag, Symbol)| {
            let known = match linker {
                Some((file, soname)) if soname == *name => is_settled(file),
                _ => loader
                    .known_hit(*name)
                    .is_some_and(|hit| is_settled(hit.file)),
            };
            *ask == DepTag::Needed && !is_own(*name) && known
        };
        if answers || loader.is_musl() || !spoken.needs.iter().all(is_plain) {
            return false;
        }
        for (_, name) in &spoken.needs {
            match linker {
                Some((file, soname)) if soname == *name => witness.reused(root, *name, file),
                _ => {
                    if let Some(hit) = loader.known_hit(*name) {
                        witness.found(root, *name, hit);
                    }
                }
            }
        }
        true
    }
}

/// The place of a number in a list that grows to hold it.
fn slot<T: Clone>(list: &mut Vec<T>, number: u32, empty: T) -> &mut T {
    let at = number as usize;
    if list.len() <= at {
        list.resize(at + 64, empty);
    }
    &mut list[at]
}

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
    needed: Vec<bool>,
}

impl StableLibraries {
    /// Learns from a process without peculiarities: its program first, then all that it loads.
    pub(super) fn record(
        &mut self,
        files: impl Iterator<Item = FileId>,
        context: &mut LoaderContext<'_, '_>,
    ) {
        for (at, file) in files.enumerate() {
            let Some(info) = context.fs.elf(file) else {
                continue;
            };
            let symbols = context.names.of(context.fs.file(file).inode, info);
            if at == 0 {
                // A root with a soname answers to it, where another file might elsewhere.
                if symbols.soname.is_some() {
                    return;
                }
                continue;
            }
            let slot = slot(&mut self.files, file.0, None);
            if slot.replace(context.loader) == Some(context.loader) {
                continue;
            }
            for (_, Symbol(name)) in &symbols.needs {
                *self::slot(&mut self.needed, *name, false) = true;
            }
        }
    }

    /// Tells what a program asks for, if all of it is settled and so nothing else is to be told.
    pub(super) fn replay(
        &self,
        root: FileId,
        context: &mut LoaderContext<'_, '_>,
        observer: &mut impl LookupObserver,
    ) -> bool {
        let Some(own) = context
            .fs
            .elf(root)
            .filter(|own| !own.is_context_dependent(context.dlopen))
        else {
            return false;
        };
        let symbols = context.names.of(context.fs.file(root).inode, own);
        let loader = context.loaders.get(context.loader);
        let ld_so = loader
            .file
            .and_then(|file| Some((file, context.fs.elf(file)?)));
        let ld_so = ld_so.and_then(|(file, info)| {
            let symbols = context.names.of(context.fs.file(file).inode, info);
            Some((file, symbols.soname?))
        });
        let is_stable =
            |file: FileId| self.files.get(file.0 as usize) == Some(&Some(context.loader));
        let is_own = |name: Symbol| Some(name) == symbols.soname;
        let answers = symbols
            .soname
            .is_some_and(|Symbol(name)| self.needed.get(name as usize) == Some(&true));
        let is_plain = |(tag, name): &(DepTag, Symbol)| {
            let known = match ld_so {
                Some((file, soname)) if soname == *name => is_stable(file),
                _ => loader
                    .known_hit(*name)
                    .is_some_and(|hit| is_stable(hit.file)),
            };
            *tag == DepTag::Needed && !is_own(*name) && known
        };
        if answers || loader.is_musl() || !symbols.needs.iter().all(is_plain) {
            return false;
        }
        for (_, name) in &symbols.needs {
            match ld_so {
                Some((file, soname)) if soname == *name => observer.reused(root, *name, file),
                _ => {
                    if let Some(hit) = loader.known_hit(*name) {
                        observer.found(root, *name, hit);
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

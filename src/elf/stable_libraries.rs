//! Libraries that load the same objects in every program, so that the link map of a program that
//! needs only such libraries need not be built.
//!
//! If no object of a process has a search path, flags or names that affect the search, and each
//! library was found by its own soname, a name resolves to the same file for every object and in
//! every order. All needs of such a library were reported when it was first loaded.

use super::context::LoaderContext;
use super::ids::FileId;
use super::interner::Symbol;
use super::loader::LoaderId;
use super::object::DepTag;
use super::observer::LookupObserver;

/// Libraries and names that are known to be stable.
#[derive(Debug, Default)]
pub(super) struct StableLibraries {
    /// Loader under which a file is stable, by the number of the file.
    files: Vec<Option<LoaderId>>,
    /// Whether stable files need a name, by the number of the name.
    needed: Vec<bool>,
}

impl StableLibraries {
    /// Records the files of a process that is not context-dependent: its program first, then all
    /// that it loads.
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
                // A program with a soname satisfies that name, for which other programs may find
                // another file.
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

    /// Reports the needs of a program, if all of them are stable and nothing else is to be
    /// reported. Returns whether it did.
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

/// Element of a list that grows to hold it.
fn slot<T: Clone>(list: &mut Vec<T>, number: u32, empty: T) -> &mut T {
    let at = number as usize;
    if list.len() <= at {
        list.resize(at + 64, empty);
    }
    &mut list[at]
}

//! State of one process: its loaded objects, and the names and inodes under which it knows them.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::super::context::LoaderContext;
use super::super::ids::{FileId, InodeId};
use super::super::interner::Symbol;
use super::super::missing::MissingReason;
use super::super::search::FoundLibrary;
use super::super::stable_libraries::StableLibraries;

/// Most objects of one process. Real ones have a few hundred; each search may use the search paths
/// of all objects before.
pub(super) const MAX_OBJECTS: usize = 4096;

/// Most directories that are searched for one process on behalf of search paths. Real ones need
/// some thousands.
pub(super) const MAX_STEPS: usize = 500_000;

/// A loaded object.
#[derive(Debug)]
pub(super) struct LoadedObject {
    pub(super) file: FileId,
    /// Path by which the object was opened: the base of `$ORIGIN`, compared with names that contain
    /// a slash.
    pub(super) opened: Arc<Path>,
    /// Number of the object that needed it first.
    pub(super) by: Option<usize>,
    /// Whether the object or one that loaded it has an `RPATH` that counts for its needs.
    pub(super) inherits: bool,
    /// Whether musl knows the object by the last component of the path by which it was opened.
    pub(super) has_short_name: bool,
}

/// Result of the lookup of a name.
pub(super) enum Lookup {
    /// An object is loaded under that name.
    Known(usize),
    /// An object is loaded under another name, and the search for this one found it.
    Alias(usize, Rc<FoundLibrary>),
    /// The file is to be loaded, under the name with its tokens expanded.
    New(Symbol, Rc<FoundLibrary>),
    /// No file is to be loaded: the name is that of the program itself, or of the object that the
    /// kernel maps.
    There,
}

/// State of the current process, whose memory is reused for the next one.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is about the process that runs, and none excludes another"
)]
pub(in crate::elf) struct LinkMap {
    pub(super) generation: u32,
    pub(super) loaded: Vec<LoadedObject>,
    /// Number of directories that were searched.
    pub(super) search_steps: usize,
    /// Generation and object of each name, by the number of the name. Entries of another generation
    /// are void.
    pub(super) by_name: Vec<(u32, usize)>,
    /// Generation and object of each inode, likewise.
    pub(super) by_inode: Vec<(u32, usize)>,
    /// Whether the objects that the process loads depend on more than their names.
    pub(super) is_context_dependent: bool,
    /// Whether the program found a library by `$ORIGIN`.
    pub(super) uses_origin: bool,
    /// Program's search path without the elements that contain `$ORIGIN`, if that path had the last
    /// hit.
    pub(super) without_origin: Option<Vec<u8>>,
    /// Whether the process exceeded [`MAX_STEPS`], and this was reported for a dlopen entry.
    pub(super) gave_up: bool,
    /// Whether a search path of the last search has relative elements.
    pub(super) was_relative: bool,
    pub(super) stable: StableLibraries,
    /// Changes to the tables above since dlopen entries are loaded, to be rolled back.
    pub(super) rollback: Option<RollbackLog>,
}

/// Changes to the tables of a process.
#[derive(Debug, Default)]
pub(super) struct RollbackLog {
    /// Names that were bound.
    pub(super) names: Vec<Symbol>,
    /// Inodes that were added.
    pub(super) inodes: Vec<InodeId>,
    /// Objects that were bound to a short name.
    pub(super) short_names: Vec<usize>,
}

impl LinkMap {
    /// Binds a library that musl searched for to the last component of the first path by which it
    /// was opened.
    pub(super) fn bind_soname(&mut self, at: usize, context: &mut LoaderContext<'_, '_>) {
        let loaded = &mut self.loaded[at];
        if let Some(short) = loaded.opened.file_name()
            && !std::mem::replace(&mut loaded.has_short_name, true)
        {
            if let Some(rollback) = &mut self.rollback {
                rollback.short_names.push(at);
            }
            let short = context.names.intern(short.as_bytes());
            self.bind_name(short, at);
        }
    }

    pub(super) fn add(
        &mut self,
        file: FileId,
        opened: Arc<Path>,
        by: Option<usize>,
        context: &mut LoaderContext<'_, '_>,
    ) -> usize {
        let at = self.loaded.len();
        let inode = context.fs.file(file).inode;
        let musl = context.loaders.get(context.loader).is_musl();
        let info = context.fs.elf(file);
        self.is_context_dependent |=
            info.is_none_or(|info| info.is_context_dependent(context.dlopen));
        let own = info.is_some_and(|info| info.inherited_rpath(musl).is_some());
        let inherits = own || by.is_some_and(|by| self.loaded[by].inherits);
        self.loaded.push(LoadedObject {
            file,
            opened,
            by,
            inherits,
            has_short_name: false,
        });
        if self.by_inode.len() <= inode.0 as usize {
            self.by_inode.resize(inode.0 as usize + 64, (0, 0));
        }
        let slot = &mut self.by_inode[inode.0 as usize];
        if slot.0 != self.generation {
            *slot = (self.generation, at);
            if let Some(rollback) = &mut self.rollback {
                rollback.inodes.push(inode);
            }
        }
        if !musl && let Some(info) = info {
            let symbols = context.names.of(inode, info);
            if let Some(soname) = symbols.soname {
                self.bind_name(soname, at);
            }
        }
        at
    }

    /// Directory of an object, the value of `$ORIGIN`.
    pub(super) fn origin(&self, at: usize) -> &Path {
        self.loaded[at].opened.parent().unwrap_or(Path::new("/"))
    }

    pub(super) fn bind_name(&mut self, name: Symbol, at: usize) {
        if self.by_name.len() <= name.0 as usize {
            self.by_name.resize(name.0 as usize + 256, (0, 0));
        }
        let slot = &mut self.by_name[name.0 as usize];
        if slot.0 != self.generation {
            *slot = (self.generation, at);
            if let Some(rollback) = &mut self.rollback {
                rollback.names.push(name);
            }
        }
    }

    pub(super) fn loaded_as(&self, name: Symbol) -> Option<usize> {
        let (generation, at) = *self.by_name.get(name.0 as usize)?;
        (generation == self.generation).then_some(at)
    }

    pub(super) fn loaded_from(
        &self,
        file: FileId,
        context: &LoaderContext<'_, '_>,
    ) -> Option<usize> {
        let InodeId(inode) = context.fs.file(file).inode;
        let (generation, at) = *self.by_inode.get(inode as usize)?;
        (generation == self.generation).then_some(at)
    }

    /// Removes all objects from number `start` on, with their names and inodes.
    pub(super) fn truncate(&mut self, start: usize) {
        self.loaded.truncate(start);
        let Some(rollback) = &mut self.rollback else {
            return;
        };
        for name in rollback.names.drain(..) {
            self.by_name[name.0 as usize] = (0, 0);
        }
        for inode in rollback.inodes.drain(..) {
            self.by_inode[inode.0 as usize] = (0, 0);
        }
        for at in rollback.short_names.drain(..) {
            if let Some(loaded) = self.loaded.get_mut(at) {
                loaded.has_short_name = false;
            }
        }
    }
}

pub(super) fn too_many_steps() -> Rc<MissingReason> {
    MissingReason::TooManySteps(MAX_STEPS).into()
}

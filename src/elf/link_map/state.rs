//! State of one process: the objects that it has loaded, and the names and inodes under which it
//! knows them.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::super::context::LoaderContext;
use super::super::ids::{FileId, InodeId};
use super::super::interner::Symbol;
use super::super::missing::MissingReason;
use super::super::search::FoundLibrary;
use super::super::stable::StableLibraries;

/// Most objects of one process. Real ones have a few hundred; each search may go by the search paths of all before.
pub(super) const MAX_OBJECTS: usize = 4096;

/// Most directories that are looked into for one process on behalf of search paths. Real ones need some thousands.
pub(super) const MAX_STEPS: usize = 500_000;

/// An object of the process.
#[derive(Debug)]
pub(super) struct LoadedObject {
    pub(super) file: FileId,
    /// The path by which it was opened: what `$ORIGIN` and names with a slash go by.
    pub(super) opened: Arc<Path>,
    /// Who asked for it first.
    pub(super) by: Option<usize>,
    /// It or one that asked for it has an `RPATH` that counts for what it asks.
    pub(super) inherits: bool,
    /// musl knows it by the last component of the path by which it was opened.
    pub(super) has_short_name: bool,
}

/// What comes of asking for a name.
pub(super) enum Lookup {
    /// It is loaded under that name.
    Known(usize),
    /// It is loaded under another name, and was found by this one.
    Alias(usize, Rc<FoundLibrary>),
    /// It is to be loaded, under the name with its tokens put in.
    New(Symbol, Rc<FoundLibrary>),
    /// It is there, and no file is to be loaded for it: the program itself, or what the kernel brings.
    There,
}

/// Room for processes, used for one after the other.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is about the process that runs, and none excludes another"
)]
pub(in crate::elf) struct LinkMap {
    pub(super) generation: u32,
    pub(super) loaded: Vec<LoadedObject>,
    /// Directories looked into so far.
    pub(super) search_steps: usize,
    /// What is loaded under a name, by the name's number: the turn it is valid for, and which.
    pub(super) by_name: Vec<(u32, usize)>,
    /// The same by inode.
    pub(super) by_inode: Vec<(u32, usize)>,
    /// Something about the process makes what it loads depend on more than its names.
    pub(super) is_context_dependent: bool,
    /// The program found something by `$ORIGIN`.
    pub(super) uses_origin: bool,
    /// What is left of the program's search path without elements that name its own place, where that path led to the last hit.
    pub(super) without_origin: Option<Vec<u8>>,
    /// There were more steps than there may be, and it was told for a wish.
    pub(super) gave_up: bool,
    /// A search path that the last search went by has elements that are relative.
    pub(super) was_relative: bool,
    pub(super) stable: StableLibraries,
    /// What was entered above since the process is running, where that is to be taken back.
    pub(super) rollback: Option<RollbackLog>,
}

/// What a process has learnt since it runs.
#[derive(Debug, Default)]
pub(super) struct RollbackLog {
    /// Names.
    pub(super) names: Vec<Symbol>,
    /// Inodes.
    pub(super) inodes: Vec<InodeId>,
    /// Which objects got a short name.
    pub(super) short_names: Vec<usize>,
}

impl LinkMap {
    /// musl knows a library that was searched for by the last component of the first path that led to it.
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

    /// The object's directory, as `$ORIGIN` has it.
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

    /// Makes the process what it was when it had so many objects.
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

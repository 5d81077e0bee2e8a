//! One program as its loader puts it together: breadth first, what is already loaded used again, each library searched for on behalf of the
//! object that asks for it.
//!
//! glibc: `_dl_map_object_deps` of elf/dl-deps.c and the head of `_dl_map_object` of elf/dl-load.c. musl: `load_deps` of ldso/dynlink.c.

mod dlopen;
mod search;

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::dlopen_note::{DlopenEntry, Priority};
use super::dst;
use super::fs_cache::{FileId, FsCache, InodeId};
use super::glibc::{FoundBy, FoundLibrary, SearchResult};
use super::interner::{Interner, Symbol};
use super::loader::{LoaderId, Loaders};
use super::musl::Musl;
use super::object::{DepTag, ElfInfo, FileFormat};
use super::stable::StableLibraries;
use dlopen::RollbackLog;

/// Most objects of one process. Real ones have a few hundred; each search may go by the search paths of all before.
const OBJECTS: usize = 4096;

/// Most directories that are looked into for one process on behalf of search paths. Real ones need some thousands.
const STEPS: usize = 500_000;

/// What is told of each request, in the order in which the loader meets them.
pub(super) trait LookupObserver {
    /// `by` asked for `name` and got `hit`.
    fn found(&mut self, by: FileId, name: Symbol, hit: &Rc<FoundLibrary>);
    /// `by` asked for `name` and got an object that was there already.
    fn reused(&mut self, by: FileId, name: Symbol, file: FileId);
    /// `by` asked for `name` and there is none, and why, where there is more to say.
    fn missed(&mut self, by: FileId, name: Symbol, why: Option<Rc<str>>);
    /// `by` may load the first of the wish's names, which is `hit`.
    fn dlopen_wanted(&mut self, by: FileId, wish: &Arc<DlopenEntry>, hit: &Rc<FoundLibrary>);
    /// A program finds libraries by its own place.
    fn uses_origin(&mut self, program: FileId);
    /// None of the names of a required wish is there, or it was not looked for, and why.
    fn unfulfilled(&mut self, by: FileId, wish: &Arc<DlopenEntry>, why: Option<Rc<str>>);
}

/// An object of the process.
#[derive(Debug)]
struct LoadedObject {
    file: FileId,
    /// The path by which it was opened: what `$ORIGIN` and names with a slash go by.
    opened: Arc<Path>,
    /// Who asked for it first.
    by: Option<usize>,
    /// It or one that asked for it has an `RPATH` that counts for what it asks.
    inherits: bool,
    /// musl knows it by the last component of the path by which it was opened.
    has_short_name: bool,
}

/// What comes of asking for a name.
enum Lookup {
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
pub(super) struct LinkMap {
    turn: u32,
    loaded: Vec<LoadedObject>,
    /// Directories looked into so far.
    steps: usize,
    /// What is loaded under a name, by the name's number: the turn it is valid for, and which.
    by_name: Vec<(u32, usize)>,
    /// The same by inode.
    by_body: Vec<(u32, usize)>,
    /// Something about the process makes what it loads depend on more than its names.
    is_peculiar: bool,
    /// The program found something by `$ORIGIN`.
    by_itself: bool,
    /// What is left of the program's search path without elements that name its own place, where that path led to the last hit.
    without_origin: Option<Vec<u8>>,
    /// There were more steps than there may be, and it was told for a wish.
    gave_up: bool,
    /// A search path that the last search went by has elements that are relative.
    was_relative: bool,
    settled: StableLibraries,
    /// What was entered above since the process is running, where that is to be taken back.
    trail: Option<RollbackLog>,
}

/// What a process is made with.
#[derive(Debug)]
pub(super) struct Tools<'a, 'v> {
    /// The host's tree.
    pub(super) tree: &'a mut FsCache<'v>,
    /// The names.
    pub(super) names: &'a mut Interner,
    /// The loaders.
    pub(super) loaders: &'a mut Loaders,
    /// The loader of this process.
    pub(super) loader: LoaderId,
    /// Which wishes count.
    pub(super) wishes: Option<Priority>,
}

impl LinkMap {
    /// Puts together the process of a program, or of a library as if it were one.
    pub(super) fn run(
        &mut self,
        root: FileId,
        tools: &mut Tools<'_, '_>,
        witness: &mut impl LookupObserver,
    ) {
        if self.settled.replay(root, tools, witness) {
            return;
        }
        self.turn += 1;
        self.loaded.clear();
        self.steps = 0;
        self.by_itself = false;
        self.gave_up = false;
        self.is_peculiar = tools.loaders.get(tools.loader).is_musl();
        let path = Arc::clone(&tools.tree.file(root).path);
        self.add(root, path, None, tools);
        let loader = tools.loaders.get(tools.loader);
        if let Some(file) = loader.file.filter(|file| *file != root) {
            let path = loader.path.as_path().into();
            self.add(file, path, None, tools);
        }
        let mut order = vec![0];
        self.load(&mut order, 0, tools, witness);
        let by_itself = self.by_itself;
        self.load_dlopen_entries(tools, witness);
        if by_itself && facts(tools.tree, root).is_some_and(|own| own.interpreter.is_some()) {
            witness.uses_origin(root);
        }
        if !self.is_peculiar {
            let files = self.loaded.iter().map(|loaded| loaded.file);
            self.settled.record(files, tools);
        }
    }

    /// Loads what the objects of `order` from `start` on need, and adds it to the order.
    fn load(
        &mut self,
        order: &mut Vec<usize>,
        start: usize,
        tools: &mut Tools<'_, '_>,
        witness: &mut impl LookupObserver,
    ) {
        let mut done = vec![false; self.loaded.len()];
        let mut queued = vec![false; self.loaded.len()];
        for at in order.iter() {
            queued[*at] = true;
        }
        for at in &order[..start] {
            done[*at] = true;
        }
        let mut run = start;
        while let Some(&current) = order.get(run) {
            if std::mem::replace(&mut done[current], true) {
                run += 1;
                continue;
            }
            let file = self.loaded[current].file;
            let FileFormat::Elf(facts) = tools.tree.content(file) else {
                continue;
            };
            let spoken = tools.names.of(tools.tree.file(file).body, facts);
            self.is_peculiar |= spoken.needs.iter().any(|(ask, _)| *ask != DepTag::Needed);
            let is_musl = tools.loaders.get(tools.loader).is_musl();
            // Where the current object stands, behind the auxiliary ones that are put before it.
            let mut place = run;
            for (ask, name) in &spoken.needs {
                // musl knows no filters.
                if is_musl && *ask != DepTag::Needed {
                    continue;
                }
                let Some(got) = self.load_one(current, *name, *ask, tools, witness) else {
                    continue;
                };
                done.resize(self.loaded.len(), false);
                queued.resize(self.loaded.len(), false);
                let seen = std::mem::replace(&mut queued[got], true);
                match (ask, seen) {
                    (DepTag::Needed, false) => order.push(got),
                    (DepTag::Needed, true) => {}
                    (DepTag::Auxiliary | DepTag::Filter, false) => {
                        order.insert(place, got);
                        place += 1;
                    }
                    (DepTag::Auxiliary | DepTag::Filter, true) => {
                        let later = order[place..].iter().position(|at| *at == got);
                        if let Some(later) = later.filter(|later| *later > 0) {
                            order.remove(place + later);
                            order.insert(place, got);
                            place += 1;
                        }
                    }
                }
            }
        }
    }

    /// Finds what `by` asks for and loads it if it is new.
    fn load_one(
        &mut self,
        by: usize,
        name: Symbol,
        ask: DepTag,
        tools: &mut Tools<'_, '_>,
        witness: &mut impl LookupObserver,
    ) -> Option<usize> {
        let asker = self.loaded[by].file;
        match self.lookup(by, name, tools) {
            Ok(Lookup::Known(at)) => {
                witness.reused(asker, name, self.loaded[at].file);
                Some(at)
            }
            Ok(Lookup::Alias(at, hit)) => {
                self.is_peculiar = true;
                witness.found(asker, name, &hit);
                Some(at)
            }
            Ok(Lookup::There) => {
                self.is_peculiar = true;
                None
            }
            Ok(Lookup::New(..)) if self.loaded.len() >= OBJECTS => {
                let why = format!("the program loads more than {OBJECTS} objects");
                witness.missed(asker, name, Some(why.into()));
                None
            }
            Ok(Lookup::New(as_name, hit)) => {
                witness.found(asker, name, &hit);
                Some(self.load_object(by, as_name, &hit, tools))
            }
            Err(_) if ask == DepTag::Auxiliary => None,
            Err(why) => {
                self.is_peculiar = true;
                witness.missed(asker, name, why);
                None
            }
        }
    }

    fn lookup(
        &mut self,
        by: usize,
        name: Symbol,
        tools: &mut Tools<'_, '_>,
    ) -> Result<Lookup, Option<Rc<str>>> {
        if let Some(at) = self.known(name) {
            return Ok(Lookup::Known(at));
        }
        if self.steps > STEPS {
            return Err(Some(too_many_steps()));
        }
        let text = tools.names.text(name);
        let loader = tools.loaders.get(tools.loader);
        let is_musl = loader.is_musl();
        if is_musl && Musl::is_libc_alias(&text) {
            let own = loader.file.and_then(|file| self.of_file(file, tools));
            return own.map(Lookup::Known).ok_or(None);
        }
        let vdso = facts(tools.tree, self.loaded[0].file).map(|own| own.abi.vdso().as_bytes());
        if !is_musl && (text.is_empty() || vdso == Some(&*text)) {
            // The program itself has no name to glibc, and so the empty one.
            return Ok(Lookup::There);
        }
        let mut name = name;
        let mut text = text;
        let mut names_origin = false;
        if text.contains(&b'$') {
            let expanded = loader
                .expand_name(&text, self.origin(by))
                .filter(|text| !text.is_empty())
                .ok_or_else(|| Some("a token in it has no value".into()))?;
            names_origin = !is_musl && by == 0 && dst::has_origin(&text);
            name = tools.names.intern(&expanded);
            text = expanded.into();
            if let Some(at) = self.known(name) {
                return Ok(Lookup::Known(at));
            }
        }
        tools.tree.refused = None;
        self.was_relative = false;
        let outcome = if text.contains(&b'/') {
            self.steps += 1 + self.loaded.len() / 64;
            let opened = |loaded: &LoadedObject| loaded.opened.as_os_str().as_bytes() == &*text;
            if let Some(at) = self.loaded.iter().position(opened).filter(|at| *at > 0) {
                return Ok(Lookup::Known(at));
            }
            tools.loaders.get(tools.loader).open(tools.tree, &text)
        } else {
            self.search(by, name, &text, tools)
        };
        self.by_itself |= names_origin && matches!(outcome, SearchResult::Hit(_));
        match outcome {
            SearchResult::Hit(hit) => Ok(match self.of_file(hit.file, tools) {
                // musl does not look at the program itself.
                Some(at) if at > 0 || !is_musl => {
                    if !is_musl {
                        self.bind_name(name, at);
                    } else if hit.via != FoundBy::Path {
                        self.bind_soname(at, tools);
                    }
                    Lookup::Alias(at, hit)
                }
                _ => Lookup::New(name, hit),
            }),
            SearchResult::Miss(why) => Err(why.or_else(|| tools.tree.refusal()).or_else(|| {
                let why = "a search path has elements that are relative to the directory that the program is started in";
                self.was_relative.then(|| why.into())
            })),
        }
    }

    /// musl knows a library that was searched for by the last component of the first path that led to it.
    fn bind_soname(&mut self, at: usize, tools: &mut Tools<'_, '_>) {
        let loaded = &mut self.loaded[at];
        if let Some(short) = loaded.opened.file_name()
            && !std::mem::replace(&mut loaded.has_short_name, true)
        {
            if let Some(trail) = &mut self.trail {
                trail.short_names.push(at);
            }
            let short = tools.names.intern(short.as_bytes());
            self.bind_name(short, at);
        }
    }

    /// Loads an object.
    fn load_object(
        &mut self,
        by: usize,
        name: Symbol,
        hit: &Rc<FoundLibrary>,
        tools: &mut Tools<'_, '_>,
    ) -> usize {
        let at = self.add(hit.file, Arc::clone(&hit.opened), Some(by), tools);
        if tools.loaders.get(tools.loader).is_musl() {
            if hit.via != FoundBy::Path {
                self.bind_soname(at, tools);
            }
        } else {
            let facts = facts(tools.tree, hit.file);
            let text = tools.names.text(name);
            self.is_peculiar |= facts.is_none_or(|facts| facts.soname.as_deref() != Some(&*text));
            self.bind_name(name, at);
        }
        at
    }

    fn add(
        &mut self,
        file: FileId,
        opened: Arc<Path>,
        by: Option<usize>,
        tools: &mut Tools<'_, '_>,
    ) -> usize {
        let at = self.loaded.len();
        let body = tools.tree.file(file).body;
        let musl = tools.loaders.get(tools.loader).is_musl();
        let facts = facts(tools.tree, file);
        self.is_peculiar |= facts.is_none_or(|facts| is_context_dependent(facts, tools.wishes));
        let own = facts.is_some_and(|facts| inherited_rpath(facts, musl).is_some());
        let inherits = own || by.is_some_and(|by| self.loaded[by].inherits);
        self.loaded.push(LoadedObject {
            file,
            opened,
            by,
            inherits,
            has_short_name: false,
        });
        if self.by_body.len() <= body.0 as usize {
            self.by_body.resize(body.0 as usize + 64, (0, 0));
        }
        let slot = &mut self.by_body[body.0 as usize];
        if slot.0 != self.turn {
            *slot = (self.turn, at);
            if let Some(trail) = &mut self.trail {
                trail.bodies.push(body);
            }
        }
        if !musl && let Some(facts) = facts {
            let spoken = tools.names.of(body, facts);
            if let Some(soname) = spoken.soname {
                self.bind_name(soname, at);
            }
        }
        at
    }

    /// The object's directory, as `$ORIGIN` has it.
    fn origin(&self, at: usize) -> &Path {
        self.loaded[at].opened.parent().unwrap_or(Path::new("/"))
    }

    fn bind_name(&mut self, name: Symbol, at: usize) {
        if self.by_name.len() <= name.0 as usize {
            self.by_name.resize(name.0 as usize + 256, (0, 0));
        }
        let slot = &mut self.by_name[name.0 as usize];
        if slot.0 != self.turn {
            *slot = (self.turn, at);
            if let Some(trail) = &mut self.trail {
                trail.names.push(name);
            }
        }
    }

    fn known(&self, name: Symbol) -> Option<usize> {
        let (turn, at) = *self.by_name.get(name.0 as usize)?;
        (turn == self.turn).then_some(at)
    }

    fn of_file(&self, file: FileId, tools: &Tools<'_, '_>) -> Option<usize> {
        let InodeId(body) = tools.tree.file(file).body;
        let (turn, at) = *self.by_body.get(body as usize)?;
        (turn == self.turn).then_some(at)
    }
}

fn too_many_steps() -> Rc<str> {
    format!("the search takes more than {STEPS} steps").into()
}

/// Whether what an object loads depends on more than the names that it asks for.
pub(super) fn is_context_dependent(facts: &ElfInfo, wishes: Option<Priority>) -> bool {
    facts.rpath.is_some()
        || facts.runpath.is_some()
        || facts.no_default
        || (wishes.is_some() && !facts.wishes.is_empty())
}

pub(super) fn facts<'t>(tree: &'t FsCache<'_>, file: FileId) -> Option<&'t ElfInfo> {
    match tree.content(file) {
        FileFormat::Elf(facts) => Some(facts),
        _ => None,
    }
}

/// The search path that counts for what an object asks for and for all below it: `DT_RPATH`, and in musl `DT_RUNPATH` before it.
fn inherited_rpath(facts: &ElfInfo, musl: bool) -> Option<&[u8]> {
    let path = match (&facts.runpath, musl) {
        (Some(runpath), true) => Some(runpath),
        (Some(_), false) => None,
        (None, _) => facts.rpath.as_ref(),
    };
    path.map(AsRef::as_ref)
        .filter(|path: &&[u8]| !path.is_empty())
}

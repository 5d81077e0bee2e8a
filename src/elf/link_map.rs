//! One program as its loader puts it together: breadth first, what is already loaded used again, each library searched for on behalf of the
//! object that asks for it.
//!
//! glibc: `_dl_map_object_deps` of elf/dl-deps.c and the head of `_dl_map_object` of elf/dl-load.c. musl: `load_deps` of ldso/dynlink.c.

mod dlopen;
mod search;
mod state;

use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;
use std::sync::Arc;

use super::context::LoaderContext;
use super::dst;
use super::ids::FileId;
use super::interner::Symbol;
use super::missing::MissingReason;
use super::musl::Musl;
use super::object::{DepTag, FileFormat};
use super::observer::LookupObserver;
use super::search::{FoundBy, FoundLibrary, SearchResult};
use state::{LoadedObject, Lookup, OBJECTS, STEPS, too_many_steps};

pub(super) use state::LinkMap;

impl LinkMap {
    /// Puts together the process of a program, or of a library as if it were one.
    pub(super) fn run(
        &mut self,
        root: FileId,
        tools: &mut LoaderContext<'_, '_>,
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
        if by_itself
            && tools
                .tree
                .elf(root)
                .is_some_and(|own| own.interpreter.is_some())
        {
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
        tools: &mut LoaderContext<'_, '_>,
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
        tools: &mut LoaderContext<'_, '_>,
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
                let why = MissingReason::TooManyObjects(OBJECTS);
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
        tools: &mut LoaderContext<'_, '_>,
    ) -> Result<Lookup, Option<Rc<MissingReason>>> {
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
        let vdso = tools
            .tree
            .elf(self.loaded[0].file)
            .map(|own| own.abi.vdso().as_bytes());
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
                .ok_or_else(|| Some(MissingReason::UnknownToken.into()))?;
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
                self.was_relative
                    .then(|| MissingReason::RelativeSearchPath.into())
            })),
        }
    }

    /// Loads an object.
    fn load_object(
        &mut self,
        by: usize,
        name: Symbol,
        hit: &Rc<FoundLibrary>,
        tools: &mut LoaderContext<'_, '_>,
    ) -> usize {
        let at = self.add(hit.file, Arc::clone(&hit.opened), Some(by), tools);
        if tools.loaders.get(tools.loader).is_musl() {
            if hit.via != FoundBy::Path {
                self.bind_soname(at, tools);
            }
        } else {
            let facts = tools.tree.elf(hit.file);
            let text = tools.names.text(name);
            self.is_peculiar |= facts.is_none_or(|facts| facts.soname.as_deref() != Some(&*text));
            self.bind_name(name, at);
        }
        at
    }
}

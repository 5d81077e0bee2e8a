//! Link map of one program, built as its loader builds it: breadth first, objects that are already
//! loaded are reused, and each library is searched for on behalf of the object that needs it.
//!
//! glibc: `_dl_map_object_deps` of elf/dl-deps.c and the beginning of `_dl_map_object` of
//! elf/dl-load.c. musl: `load_deps` of ldso/dynlink.c.

mod dlopen;
mod search;
mod state;

use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;
use std::sync::Arc;

use super::context::LoaderContext;
use super::dynamic_token;
use super::ids::FileId;
use super::interner::Symbol;
use super::missing::MissingReason;
use super::musl::Musl;
use super::object::{DepTag, FileFormat};
use super::observer::LookupObserver;
use super::search::{FoundBy, FoundLibrary, SearchResult};
use state::{LoadedObject, Lookup, MAX_OBJECTS, MAX_STEPS, too_many_steps};

pub(super) use state::LinkMap;

impl LinkMap {
    /// Loads a program, or a library as if it were one, and all that it needs, and reports every
    /// lookup to the observer.
    pub(super) fn run(
        &mut self,
        root: FileId,
        context: &mut LoaderContext<'_, '_>,
        observer: &mut impl LookupObserver,
    ) {
        if self.stable.replay(root, context, observer) {
            return;
        }
        self.generation += 1;
        self.loaded.clear();
        self.search_steps = 0;
        self.uses_origin = false;
        self.gave_up = false;
        self.is_context_dependent = context.loaders.get(context.loader).is_musl();
        let path = Arc::clone(&context.fs.file(root).path);
        self.add(root, path, None, context);
        let loader = context.loaders.get(context.loader);
        if let Some(file) = loader.file.filter(|file| *file != root) {
            let path = loader.path.as_path().into();
            self.add(file, path, None, context);
        }
        let mut order = vec![0];
        self.load(&mut order, 0, context, observer);
        let uses_origin = self.uses_origin;
        self.load_dlopen_entries(context, observer);
        if uses_origin
            && context
                .fs
                .elf(root)
                .is_some_and(|own| own.interpreter.is_some())
        {
            observer.uses_origin(root);
        }
        if !self.is_context_dependent {
            let files = self.loaded.iter().map(|loaded| loaded.file);
            self.stable.record(files, context);
        }
    }

    /// Loads the needs of the objects of `order` from `start` on, and appends them to the order.
    fn load(
        &mut self,
        order: &mut Vec<usize>,
        start: usize,
        context: &mut LoaderContext<'_, '_>,
        observer: &mut impl LookupObserver,
    ) {
        let mut done = vec![false; self.loaded.len()];
        let mut queued = vec![false; self.loaded.len()];
        for at in order.iter() {
            queued[*at] = true;
        }
        for at in &order[..start] {
            done[*at] = true;
        }
        let mut next = start;
        while let Some(&current) = order.get(next) {
            if std::mem::replace(&mut done[current], true) {
                next += 1;
                continue;
            }
            let file = self.loaded[current].file;
            let FileFormat::Elf(info) = context.fs.content(file) else {
                continue;
            };
            let symbols = context.names.of(context.fs.file(file).inode, info);
            self.is_context_dependent |=
                symbols.needs.iter().any(|(tag, _)| *tag != DepTag::Needed);
            let is_musl = context.loaders.get(context.loader).is_musl();
            // Position of the current object, after the auxiliary ones that are inserted before it.
            let mut insert_at = next;
            for (tag, name) in &symbols.needs {
                // musl ignores filters.
                if is_musl && *tag != DepTag::Needed {
                    continue;
                }
                let Some(found) = self.load_one(current, *name, *tag, context, observer) else {
                    continue;
                };
                done.resize(self.loaded.len(), false);
                queued.resize(self.loaded.len(), false);
                let seen = std::mem::replace(&mut queued[found], true);
                match (tag, seen) {
                    (DepTag::Needed, false) => order.push(found),
                    (DepTag::Needed, true) => {}
                    (DepTag::Auxiliary | DepTag::Filter, false) => {
                        order.insert(insert_at, found);
                        insert_at += 1;
                    }
                    (DepTag::Auxiliary | DepTag::Filter, true) => {
                        let later = order[insert_at..].iter().position(|at| *at == found);
                        if let Some(later) = later.filter(|later| *later > 0) {
                            order.remove(insert_at + later);
                            order.insert(insert_at, found);
                            insert_at += 1;
                        }
                    }
                }
            }
        }
    }

    /// Finds a library that `by` needs and loads it if it is new. Returns its number.
    fn load_one(
        &mut self,
        by: usize,
        name: Symbol,
        tag: DepTag,
        context: &mut LoaderContext<'_, '_>,
        observer: &mut impl LookupObserver,
    ) -> Option<usize> {
        let requester = self.loaded[by].file;
        match self.lookup(by, name, context) {
            Ok(Lookup::Known(at)) => {
                observer.reused(requester, name, self.loaded[at].file);
                Some(at)
            }
            Ok(Lookup::Alias(at, hit)) => {
                self.is_context_dependent = true;
                observer.found(requester, name, &hit);
                Some(at)
            }
            Ok(Lookup::There) => {
                self.is_context_dependent = true;
                None
            }
            Ok(Lookup::New(..)) if self.loaded.len() >= MAX_OBJECTS => {
                let why = MissingReason::TooManyObjects(MAX_OBJECTS);
                observer.missed(requester, name, Some(why.into()));
                None
            }
            Ok(Lookup::New(as_name, hit)) => {
                observer.found(requester, name, &hit);
                Some(self.load_object(by, as_name, &hit, context))
            }
            Err(_) if tag == DepTag::Auxiliary => None,
            Err(why) => {
                self.is_context_dependent = true;
                observer.missed(requester, name, why);
                None
            }
        }
    }

    fn lookup(
        &mut self,
        by: usize,
        name: Symbol,
        context: &mut LoaderContext<'_, '_>,
    ) -> Result<Lookup, Option<Rc<MissingReason>>> {
        if let Some(at) = self.loaded_as(name) {
            return Ok(Lookup::Known(at));
        }
        if self.search_steps > MAX_STEPS {
            return Err(Some(too_many_steps()));
        }
        let text = context.names.text(name);
        let loader = context.loaders.get(context.loader);
        let is_musl = loader.is_musl();
        if is_musl && Musl::is_libc_alias(&text) {
            let own = loader.file.and_then(|file| self.loaded_from(file, context));
            return own.map(Lookup::Known).ok_or(None);
        }
        let vdso = context
            .fs
            .elf(self.loaded[0].file)
            .map(|own| own.abi.vdso().as_bytes());
        if !is_musl && (text.is_empty() || vdso == Some(&*text)) {
            // The program itself has no name in glibc, and so it has the empty one.
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
            names_origin = !is_musl && by == 0 && dynamic_token::has_origin(&text);
            name = context.names.intern(&expanded);
            text = expanded.into();
            if let Some(at) = self.loaded_as(name) {
                return Ok(Lookup::Known(at));
            }
        }
        context.fs.refused = None;
        self.was_relative = false;
        let outcome = if text.contains(&b'/') {
            self.search_steps += 1 + self.loaded.len() / 64;
            let opened = |loaded: &LoadedObject| loaded.opened.as_os_str().as_bytes() == &*text;
            if let Some(at) = self.loaded.iter().position(opened).filter(|at| *at > 0) {
                return Ok(Lookup::Known(at));
            }
            context.loaders.get(context.loader).open(context.fs, &text)
        } else {
            self.search(by, name, &text, context)
        };
        self.uses_origin |= names_origin && matches!(outcome, SearchResult::Hit(_));
        match outcome {
            SearchResult::Hit(hit) => Ok(match self.loaded_from(hit.file, context) {
                // musl does not compare with the program itself.
                Some(at) if at > 0 || !is_musl => {
                    if !is_musl {
                        self.bind_name(name, at);
                    } else if hit.via != FoundBy::Path {
                        self.bind_soname(at, context);
                    }
                    Lookup::Alias(at, hit)
                }
                _ => Lookup::New(name, hit),
            }),
            SearchResult::Miss(why) => Err(why.or_else(|| context.fs.refusal()).or_else(|| {
                self.was_relative
                    .then(|| MissingReason::RelativeSearchPath.into())
            })),
        }
    }

    /// Adds an object that a search found, and the names under which the loader knows it. Returns
    /// its number.
    fn load_object(
        &mut self,
        by: usize,
        name: Symbol,
        hit: &Rc<FoundLibrary>,
        context: &mut LoaderContext<'_, '_>,
    ) -> usize {
        let at = self.add(hit.file, Arc::clone(&hit.opened), Some(by), context);
        if context.loaders.get(context.loader).is_musl() {
            if hit.via != FoundBy::Path {
                self.bind_soname(at, context);
            }
        } else {
            let info = context.fs.elf(hit.file);
            let text = context.names.text(name);
            self.is_context_dependent |=
                info.is_none_or(|info| info.soname.as_deref() != Some(&*text));
            self.bind_name(name, at);
        }
        at
    }
}

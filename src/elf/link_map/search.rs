//! Search for one library: the search paths of the requesting objects, in order, and then those of
//! the loader.
//!
//! The middle part of `_dl_map_object` of glibc's elf/dl-load.c, and of `load_library` of musl's
//! ldso/dynlink.c.

use std::path::Path;

use super::super::context::LoaderContext;
use super::super::dynamic_token;
use super::super::fs_cache::FsCache;
use super::super::interner::Symbol;
use super::super::loader::Loader;
use super::super::search::SearchResult;
use super::state::{LinkMap, MAX_STEPS, too_many_steps};

impl LinkMap {
    /// Searches for a name without a slash on behalf of an object, and records whether only
    /// `$ORIGIN` of the program finds it.
    pub(super) fn search(
        &mut self,
        by: usize,
        name: Symbol,
        text: &[u8],
        context: &mut LoaderContext<'_, '_>,
    ) -> SearchResult {
        self.without_origin = None;
        let outcome = self.search_for(by, name, text, context);
        let (Some(path), SearchResult::Hit(hit)) = (self.without_origin.take(), &outcome) else {
            return outcome;
        };
        // The same search without the elements that contain `$ORIGIN`, as far as one more search
        // can show it.
        let no_default = context
            .fs
            .elf(self.loaded[by].file)
            .is_some_and(|own| own.no_default);
        let loader = context.loaders.get_mut(context.loader);
        let (directories, _, cost) = loader.expand(context.fs, &path, Path::new("/"));
        self.search_steps += 1 + directories.len() + cost + loader.search_cost(name, no_default);
        let other = match loader.search(context.fs, &directories, text) {
            None => loader.search_system(context.fs, name, text, no_default),
            Some(found) => found,
        };
        self.uses_origin |= !matches!(other, SearchResult::Hit(other) if other.file == hit.file);
        outcome
    }

    /// Searches the paths of the object and of those that loaded it, and then those of the loader.
    fn search_for(
        &mut self,
        by: usize,
        name: Symbol,
        text: &[u8],
        context: &mut LoaderContext<'_, '_>,
    ) -> SearchResult {
        let LoaderContext {
            fs,
            loaders,
            loader,
            ..
        } = context;
        let loader = loaders.get_mut(*loader);
        let requester = fs.elf(self.loaded[by].file);
        let own = if loader.is_musl() {
            None
        } else {
            requester.and_then(|info| info.runpath.clone())
        };
        let no_default = requester.is_some_and(|info| info.no_default);
        if own.is_none() && self.loaded[by].inherits {
            let mut at = Some(by);
            while let Some(here) = at {
                if let Some(outcome) = self.search_inherited(here, text, loader, fs) {
                    return outcome;
                }
                at = self.loaded[here].by;
            }
        }
        if let Some(path) = own
            && let Some(outcome) = self.search_path(by, &path, text, loader, fs)
        {
            return outcome;
        }
        self.search_steps += loader.search_cost(name, no_default);
        loader.search_system(fs, name, text, no_default)
    }

    /// Searches the path of one object that its needs inherit.
    fn search_inherited(
        &mut self,
        at: usize,
        text: &[u8],
        loader: &mut Loader,
        fs: &mut FsCache<'_>,
    ) -> Option<SearchResult> {
        self.search_steps += 1;
        let path = fs
            .elf(self.loaded[at].file)?
            .inherited_rpath(loader.is_musl())?
            .to_vec();
        self.search_path(at, &path, text, loader, fs)
    }

    /// Searches one search path of an object. `None` if the search continues elsewhere.
    fn search_path(
        &mut self,
        at: usize,
        path: &[u8],
        text: &[u8],
        loader: &mut Loader,
        fs: &mut FsCache<'_>,
    ) -> Option<SearchResult> {
        if self.search_steps > MAX_STEPS {
            return Some(SearchResult::Miss(Some(too_many_steps())));
        }
        let (directories, is_relative, cost) = loader.expand(fs, path, self.origin(at));
        self.was_relative |= is_relative;
        self.search_steps += 1 + directories.len() + path.len() / 256 + cost;
        let outcome = loader.search(fs, &directories, text);
        if at == 0
            && !self.uses_origin
            && matches!(outcome, Some(SearchResult::Hit(_)))
            && dynamic_token::has_origin(path)
        {
            let elements = path.split(|byte| *byte == b':');
            let others: Vec<&[u8]> = elements
                .filter(|one| !dynamic_token::has_origin(one))
                .collect();
            self.without_origin = Some(others.join(&b':'));
        }
        outcome
    }
}

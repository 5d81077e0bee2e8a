//! One search for a library: by which search paths, on behalf of which objects, and in which order.
//!
//! The middle of `_dl_map_object` of glibc's elf/dl-load.c, and of `load_library` of musl's ldso/dynlink.c.

use std::path::Path;

use super::super::context::LoaderContext;
use super::super::dst;
use super::super::fs_cache::FsCache;
use super::super::interner::Symbol;
use super::super::loader::Loader;
use super::super::search::SearchResult;
use super::state::{LinkMap, STEPS, too_many_steps};

impl LinkMap {
    /// Searches for a name without a slash on behalf of an object, and notes whether the program finds it by its own place alone.
    pub(super) fn search(
        &mut self,
        by: usize,
        name: Symbol,
        text: &[u8],
        tools: &mut LoaderContext<'_, '_>,
    ) -> SearchResult {
        self.without_origin = None;
        let outcome = self.search_for(by, name, text, tools);
        let (Some(path), SearchResult::Hit(hit)) = (self.without_origin.take(), &outcome) else {
            return outcome;
        };
        // Where it is without the program's own place, as far as that is told without more ado.
        let no_default = tools
            .tree
            .elf(self.loaded[by].file)
            .is_some_and(|own| own.no_default);
        let loader = tools.loaders.get_mut(tools.loader);
        let (directories, _, cost) = loader.expand(tools.tree, &path, Path::new("/"));
        self.steps += 1 + directories.len() + cost + loader.search_cost(name, no_default);
        let other = match loader.search(tools.tree, &directories, text) {
            None => loader.search_system(tools.tree, name, text, no_default),
            Some(found) => found,
        };
        self.by_itself |= !matches!(other, SearchResult::Hit(other) if other.file == hit.file);
        outcome
    }

    /// The search paths of the object and of those that asked for it, and behind them what the loader has for all.
    fn search_for(
        &mut self,
        by: usize,
        name: Symbol,
        text: &[u8],
        tools: &mut LoaderContext<'_, '_>,
    ) -> SearchResult {
        let LoaderContext {
            tree,
            loaders,
            loader,
            ..
        } = tools;
        let loader = loaders.get_mut(*loader);
        let asker = tree.elf(self.loaded[by].file);
        let own = if loader.is_musl() {
            None
        } else {
            asker.and_then(|facts| facts.runpath.clone())
        };
        let no_default = asker.is_some_and(|facts| facts.no_default);
        if own.is_none() && self.loaded[by].inherits {
            let mut at = Some(by);
            while let Some(here) = at {
                if let Some(outcome) = self.inherited(here, text, loader, tree) {
                    return outcome;
                }
                at = self.loaded[here].by;
            }
        }
        if let Some(path) = own
            && let Some(outcome) = self.look_through(by, &path, text, loader, tree)
        {
            return outcome;
        }
        self.steps += loader.search_cost(name, no_default);
        loader.search_system(tree, name, text, no_default)
    }

    /// Looks through the search path of one object that what it loads inherits.
    fn inherited(
        &mut self,
        at: usize,
        text: &[u8],
        loader: &mut Loader,
        tree: &mut FsCache<'_>,
    ) -> Option<SearchResult> {
        self.steps += 1;
        let path = tree
            .elf(self.loaded[at].file)?
            .inherited_rpath(loader.is_musl())?
            .to_vec();
        self.look_through(at, &path, text, loader, tree)
    }

    /// Looks through the search path that stands in one object. `None` where the search goes on elsewhere.
    fn look_through(
        &mut self,
        at: usize,
        path: &[u8],
        text: &[u8],
        loader: &mut Loader,
        tree: &mut FsCache<'_>,
    ) -> Option<SearchResult> {
        if self.steps > STEPS {
            return Some(SearchResult::Miss(Some(too_many_steps())));
        }
        let (directories, is_relative, cost) = loader.expand(tree, path, self.origin(at));
        self.was_relative |= is_relative;
        self.steps += 1 + directories.len() + path.len() / 256 + cost;
        let outcome = loader.search(tree, &directories, text);
        if at == 0
            && !self.by_itself
            && matches!(outcome, Some(SearchResult::Hit(_)))
            && dst::has_origin(path)
        {
            let elements = path.split(|byte| *byte == b':');
            let others: Vec<&[u8]> = elements.filter(|one| !dst::has_origin(one)).collect();
            self.without_origin = Some(others.join(&b':'));
        }
        outcome
    }
}

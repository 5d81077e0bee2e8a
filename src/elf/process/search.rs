//! One search for a library: by which search paths, on behalf of which objects, and in which order.
//!
//! The middle of `_dl_map_object` of glibc's elf/dl-load.c, and of `load_library` of musl's ldso/dynlink.c.

use std::path::Path;

use super::super::glibc::Outcome;
use super::super::loader::Loader;
use super::super::names::Name;
use super::super::token;
use super::super::tree::Tree;
use super::{Process, STEPS, Tools, facts, inheritable, too_many_steps};

impl Process {
    /// Searches for a name without a slash on behalf of an object, and notes whether the program finds it by its own place alone.
    pub(super) fn search(
        &mut self,
        by: usize,
        name: Name,
        text: &[u8],
        tools: &mut Tools<'_, '_>,
    ) -> Outcome {
        self.without_origin = None;
        let outcome = self.search_for(by, name, text, tools);
        let (Some(path), Outcome::Hit(hit)) = (self.without_origin.take(), &outcome) else {
            return outcome;
        };
        // Where it is without the program's own place, as far as that is told without more ado.
        let no_default = facts(tools.tree, self.loaded[by].file).is_some_and(|own| own.no_default);
        let loader = tools.loaders.get_mut(tools.loader);
        let (directories, _, cost) = loader.expand(tools.tree, &path, Path::new("/"));
        self.steps += 1 + directories.len() + cost + loader.cost(name, no_default);
        let other = match loader.search(tools.tree, &directories, text) {
            None => loader.system(tools.tree, name, text, no_default),
            Some(found) => found,
        };
        self.by_itself |= !matches!(other, Outcome::Hit(other) if other.file == hit.file);
        outcome
    }

    /// The search paths of the object and of those that asked for it, and behind them what the loader has for all.
    fn search_for(
        &mut self,
        by: usize,
        name: Name,
        text: &[u8],
        tools: &mut Tools<'_, '_>,
    ) -> Outcome {
        let Tools {
            tree,
            loaders,
            loader,
            ..
        } = tools;
        let loader = loaders.get_mut(*loader);
        let asker = facts(tree, self.loaded[by].file);
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
        self.steps += loader.cost(name, no_default);
        loader.system(tree, name, text, no_default)
    }

    /// Looks through the search path of one object that what it loads inherits.
    fn inherited(
        &mut self,
        at: usize,
        text: &[u8],
        loader: &mut Loader,
        tree: &mut Tree<'_>,
    ) -> Option<Outcome> {
        self.steps += 1;
        let path = inheritable(facts(tree, self.loaded[at].file)?, loader.is_musl())?.to_vec();
        self.look_through(at, &path, text, loader, tree)
    }

    /// Looks through the search path that stands in one object. `None` where the search goes on elsewhere.
    fn look_through(
        &mut self,
        at: usize,
        path: &[u8],
        text: &[u8],
        loader: &mut Loader,
        tree: &mut Tree<'_>,
    ) -> Option<Outcome> {
        if self.steps > STEPS {
            return Some(Outcome::Miss(Some(too_many_steps())));
        }
        let (directories, is_relative, cost) = loader.expand(tree, path, self.origin(at));
        self.was_relative |= is_relative;
        self.steps += 1 + directories.len() + path.len() / 256 + cost;
        let outcome = loader.search(tree, &directories, text);
        if at == 0
            && !self.by_itself
            && matches!(outcome, Some(Outcome::Hit(_)))
            && token::has_origin(path)
        {
            let elements = path.split(|byte| *byte == b':');
            let others: Vec<&[u8]> = elements.filter(|one| !token::has_origin(one)).collect();
            self.without_origin = Some(others.join(&b':'));
        }
        outcome
    }
}

//! What objects of a running process say that they may load: each as if dlopen(3) were called for it.

use std::rc::Rc;
use std::sync::Arc;

use super::super::context::LoaderContext;
use super::super::dlopen_note::{DlopenEntry, Priority};
use super::super::ids::FileId;
use super::super::interner::Symbol;
use super::super::missing::MissingReason;
use super::super::observer::LookupObserver;
use super::super::search::FoundLibrary;
use super::state::{LinkMap, Lookup, OBJECTS, RollbackLog, STEPS, too_many_steps};

/// Hears of what is found and of what was not looked for, not of what is not there.
struct Found<'w, W>(&'w mut W);

impl<W: LookupObserver> LookupObserver for Found<'_, W> {
    fn found(&mut self, by: FileId, name: Symbol, hit: &Rc<FoundLibrary>) {
        self.0.found(by, name, hit);
    }

    fn reused(&mut self, by: FileId, name: Symbol, file: FileId) {
        self.0.reused(by, name, file);
    }

    fn missed(&mut self, _: FileId, _: Symbol, _: Option<Rc<MissingReason>>) {}

    fn dlopen_wanted(&mut self, by: FileId, wish: &Arc<DlopenEntry>, hit: &Rc<FoundLibrary>) {
        self.0.dlopen_wanted(by, wish, hit);
    }

    fn uses_origin(&mut self, program: FileId) {
        self.0.uses_origin(program);
    }

    fn unfulfilled(&mut self, by: FileId, wish: &Arc<DlopenEntry>, why: Option<Rc<MissingReason>>) {
        if why.is_some() {
            self.0.unfulfilled(by, wish, why);
        }
    }
}

impl LinkMap {
    /// Loads what the notes of loaded objects wish for, and what that needs.
    ///
    /// First all in one process, one after the other. What one brings may answer what another asks for, which without it is another file; so
    /// then each wish of what was there at the start alone, for what more is found.
    pub(super) fn load_dlopen_entries(
        &mut self,
        tools: &mut LoaderContext<'_, '_>,
        witness: &mut impl LookupObserver,
    ) {
        let Some(least) = tools.wishes else {
            return;
        };
        let start = self.loaded.len();
        let mut objects = (0..start).map(|at| self.wishes(at, tools));
        if objects.all(<[_]>::is_empty) {
            return;
        }
        self.trail = Some(RollbackLog::default());
        self.load_entries(0, least, tools, witness);
        if self.loaded.len() > start {
            for at in 0..start {
                for number in 0.. {
                    let Some(wish) = self.wishes(at, tools).get(number).map(Arc::clone) else {
                        break;
                    };
                    if wish.priority > least {
                        continue;
                    }
                    self.truncate(start);
                    self.load_entry(at, &wish, least, tools, &mut Found(witness));
                    self.load_entries(start, least, tools, &mut Found(witness));
                    self.steps += 1 + (self.loaded.len() - start) / 4;
                }
            }
            self.truncate(start);
        }
        self.trail = None;
    }

    /// The wishes of an object.
    fn wishes<'t>(&self, at: usize, tools: &'t LoaderContext<'_, '_>) -> &'t [Arc<DlopenEntry>] {
        tools
            .tree
            .elf(self.loaded[at].file)
            .map_or(&[], |facts| &facts.wishes)
    }

    /// Grants the wishes of all objects from one on, and of those that this brings.
    fn load_entries(
        &mut self,
        from: usize,
        least: Priority,
        tools: &mut LoaderContext<'_, '_>,
        witness: &mut impl LookupObserver,
    ) {
        let mut at = from;
        while at < self.loaded.len() {
            // Looking at them takes time too, whether or not anything comes of it.
            let seen = tools
                .tree
                .elf(self.loaded[at].file)
                .map_or(0, |facts| facts.needs.len() + facts.wishes.len());
            self.steps += 1 + seen / 16;
            for number in 0.. {
                let Some(wish) = self.wishes(at, tools).get(number).map(Arc::clone) else {
                    break;
                };
                self.load_entry(at, &wish, least, tools, witness);
                if self.gave_up {
                    return;
                }
            }
            at += 1;
        }
    }

    /// Grants a wish, if it is one that counts.
    fn load_entry(
        &mut self,
        by: usize,
        wish: &Arc<DlopenEntry>,
        least: Priority,
        tools: &mut LoaderContext<'_, '_>,
        witness: &mut impl LookupObserver,
    ) {
        let file = self.loaded[by].file;
        if wish.priority > least || self.gave_up {
            return;
        }
        if self.steps > STEPS {
            self.gave_up = true;
            witness.unfulfilled(file, wish, Some(too_many_steps()));
            return;
        }
        self.steps += 1 + self.loaded.len() / 64;
        // musl searches for the program, whoever calls dlopen(3).
        let asker = if tools.loaders.get(tools.loader).is_musl() {
            0
        } else {
            by
        };
        let before = self.loaded.len();
        let got = wish.sonames.iter().find_map(|soname| {
            let name = tools.names.intern(soname.as_bytes());
            self.lookup(asker, name, tools).ok()
        });
        match got {
            Some(Lookup::New(..)) if self.loaded.len() >= OBJECTS => {
                witness.unfulfilled(file, wish, None);
            }
            Some(Lookup::New(name, hit)) => {
                witness.dlopen_wanted(file, wish, &hit);
                // Of others only the program's RPATH counts for what it asks for: glibc notes no caller, and musl the program.
                self.load_object(0, name, &hit, tools);
                let mut order: Vec<usize> = (0..self.loaded.len()).collect();
                self.load(&mut order, before, tools, witness);
            }
            Some(Lookup::Alias(_, hit)) => witness.dlopen_wanted(file, wish, &hit),
            Some(Lookup::Known(_) | Lookup::There) => {}
            None if wish.priority == Priority::Required => witness.unfulfilled(file, wish, None),
            None => {}
        }
    }
}

//! Libraries that the dlopen notes of loaded objects name: each is loaded as if dlopen(3) were
//! called for it.

use std::rc::Rc;
use std::sync::Arc;

use super::super::context::LoaderContext;
use super::super::dlopen_note::{DlopenEntry, Priority};
use super::super::ids::FileId;
use super::super::interner::Symbol;
use super::super::missing::MissingReason;
use super::super::observer::LookupObserver;
use super::super::search::FoundLibrary;
use super::state::{LinkMap, Lookup, MAX_OBJECTS, MAX_STEPS, RollbackLog, too_many_steps};

/// Observer that passes on found libraries and searches that were not made, but no missing names.
struct FoundOnly<'w, W>(&'w mut W);

impl<W: LookupObserver> LookupObserver for FoundOnly<'_, W> {
    fn found(&mut self, by: FileId, name: Symbol, hit: &Rc<FoundLibrary>) {
        self.0.found(by, name, hit);
    }

    fn reused(&mut self, by: FileId, name: Symbol, file: FileId) {
        self.0.reused(by, name, file);
    }

    fn missed(&mut self, _: FileId, _: Symbol, _: Option<Rc<MissingReason>>) {}

    fn dlopen_wanted(&mut self, by: FileId, entry: &Arc<DlopenEntry>, hit: &Rc<FoundLibrary>) {
        self.0.dlopen_wanted(by, entry, hit);
    }

    fn uses_origin(&mut self, program: FileId) {
        self.0.uses_origin(program);
    }

    fn dlopen_missing(
        &mut self,
        by: FileId,
        entry: &Arc<DlopenEntry>,
        why: Option<Rc<MissingReason>>,
    ) {
        if why.is_some() {
            self.0.dlopen_missing(by, entry, why);
        }
    }
}

impl LinkMap {
    /// Loads the libraries of the dlopen notes of loaded objects, and what those need.
    ///
    /// First all in one process, one after the other. A library that one entry loads may satisfy
    /// another entry, which alone would find a different file; so each entry of the objects that
    /// were loaded at the start is then loaded alone, and further files that this finds are added.
    pub(super) fn load_dlopen_entries(
        &mut self,
        context: &mut LoaderContext<'_, '_>,
        observer: &mut impl LookupObserver,
    ) {
        let Some(least) = context.dlopen else {
            return;
        };
        let start = self.loaded.len();
        let mut objects = (0..start).map(|at| self.dlopen_entries(at, context));
        if objects.all(<[_]>::is_empty) {
            return;
        }
        self.rollback = Some(RollbackLog::default());
        self.load_entries(0, least, context, observer);
        if self.loaded.len() > start {
            for at in 0..start {
                for number in 0.. {
                    let Some(entry) = self.dlopen_entries(at, context).get(number).map(Arc::clone)
                    else {
                        break;
                    };
                    if entry.priority > least {
                        continue;
                    }
                    self.truncate(start);
                    self.load_entry(at, &entry, least, context, &mut FoundOnly(observer));
                    self.load_entries(start, least, context, &mut FoundOnly(observer));
                    self.search_steps += 1 + (self.loaded.len() - start) / 4;
                }
            }
            self.truncate(start);
        }
        self.rollback = None;
    }

    /// Dlopen entries of an object.
    fn dlopen_entries<'t>(
        &self,
        at: usize,
        context: &'t LoaderContext<'_, '_>,
    ) -> &'t [Arc<DlopenEntry>] {
        context
            .fs
            .elf(self.loaded[at].file)
            .map_or(&[], |info| &info.dlopen_entries)
    }

    /// Loads the entries of all objects from number `from` on, and of the objects that this loads.
    fn load_entries(
        &mut self,
        from: usize,
        least: Priority,
        context: &mut LoaderContext<'_, '_>,
        observer: &mut impl LookupObserver,
    ) {
        let mut at = from;
        while at < self.loaded.len() {
            // Reading the entries takes time too, whether or not they load anything.
            let seen = context
                .fs
                .elf(self.loaded[at].file)
                .map_or(0, |info| info.needs.len() + info.dlopen_entries.len());
            self.search_steps += 1 + seen / 16;
            for number in 0.. {
                let Some(entry) = self.dlopen_entries(at, context).get(number).map(Arc::clone)
                else {
                    break;
                };
                self.load_entry(at, &entry, least, context, observer);
                if self.gave_up {
                    return;
                }
            }
            at += 1;
        }
    }

    /// Loads an entry if its priority is at least `least`.
    fn load_entry(
        &mut self,
        by: usize,
        entry: &Arc<DlopenEntry>,
        least: Priority,
        context: &mut LoaderContext<'_, '_>,
        observer: &mut impl LookupObserver,
    ) {
        let file = self.loaded[by].file;
        if entry.priority > least || self.gave_up {
            return;
        }
        if self.search_steps > MAX_STEPS {
            self.gave_up = true;
            observer.dlopen_missing(file, entry, Some(too_many_steps()));
            return;
        }
        self.search_steps += 1 + self.loaded.len() / 64;
        // musl searches on behalf of the program, whichever object calls dlopen(3).
        let requester = if context.loaders.get(context.loader).is_musl() {
            0
        } else {
            by
        };
        let before = self.loaded.len();
        let found = entry.sonames.iter().find_map(|soname| {
            let name = context.names.intern(soname.as_bytes());
            self.lookup(requester, name, context).ok()
        });
        match found {
            Some(Lookup::New(..)) if self.loaded.len() >= MAX_OBJECTS => {
                observer.dlopen_missing(file, entry, None);
            }
            Some(Lookup::New(name, hit)) => {
                observer.dlopen_wanted(file, entry, &hit);
                // Of other objects' search paths only the program's RPATH counts for the needs of
                // the new object: glibc records no caller, and musl the program.
                self.load_object(0, name, &hit, context);
                let mut order: Vec<usize> = (0..self.loaded.len()).collect();
                self.load(&mut order, before, context, observer);
            }
            Some(Lookup::Alias(_, hit)) => observer.dlopen_wanted(file, entry, &hit),
            Some(Lookup::Known(_) | Lookup::There) => {}
            None if entry.priority == Priority::Required => {
                observer.dlopen_missing(file, entry, None);
            }
            None => {}
        }
    }
}

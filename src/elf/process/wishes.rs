//! What objects of a running process say that they may load: each as if dlopen(3) were called for it.

use std::rc::Rc;
use std::sync::Arc;

use super::super::glibc::Hit;
use super::super::names::Name;
use super::super::note::{Priority, Wish};
use super::super::tree::{BodyId, FileId};
use super::{Got, OBJECTS, Process, STEPS, Tools, Witness, facts, too_many_steps};

/// What a process has learnt since it runs.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// Names.
    pub(super) names: Vec<Name>,
    /// Inodes.
    pub(super) bodies: Vec<BodyId>,
    /// Which objects got a short name.
    pub(super) short_names: Vec<usize>,
}

/// Hears of what is found and of what was not looked for, not of what is not there.
struct Found<'w, W>(&'w mut W);

impl<W: Witness> Witness for Found<'_, W> {
    fn found(&mut self, by: FileId, name: Name, hit: &Rc<Hit>) {
        self.0.found(by, name, hit);
    }

    fn reused(&mut self, by: FileId, name: Name, file: FileId) {
        self.0.reused(by, name, file);
    }

    fn missed(&mut self, _: FileId, _: Name, _: Option<Rc<str>>) {}

    fn wished(&mut self, by: FileId, wish: &Arc<Wish>, hit: &Rc<Hit>) {
        self.0.wished(by, wish, hit);
    }

    fn finds_by_itself(&mut self, program: FileId) {
        self.0.finds_by_itself(program);
    }

    fn unfulfilled(&mut self, by: FileId, wish: &Arc<Wish>, why: Option<Rc<str>>) {
        if why.is_some() {
            self.0.unfulfilled(by, wish, why);
        }
    }
}

impl Process {
    /// Loads what the notes of loaded objects wish for, and what that needs.
    ///
    /// First all in one process, one after the other. What one brings may answer what another asks for, which without it is another file; so
    /// then each wish of what was there at the start alone, for what more is found.
    pub(super) fn fulfil(&mut self, tools: &mut Tools<'_, '_>, witness: &mut impl Witness) {
        let Some(least) = tools.wishes else {
            return;
        };
        let start = self.loaded.len();
        let mut objects = (0..start).map(|at| self.wishes(at, tools));
        if objects.all(<[_]>::is_empty) {
            return;
        }
        self.trail = Some(Trail::default());
        self.grant_all(0, least, tools, witness);
        if self.loaded.len() > start {
            for at in 0..start {
                for number in 0.. {
                    let Some(wish) = self.wishes(at, tools).get(number).map(Arc::clone) else {
                        break;
                    };
                    if wish.priority > least {
                        continue;
                    }
                    self.take_back(start);
                    self.grant(at, &wish, least, tools, &mut Found(witness));
                    self.grant_all(start, least, tools, &mut Found(witness));
                    self.steps += 1 + (self.loaded.len() - start) / 4;
                }
            }
            self.take_back(start);
        }
        self.trail = None;
    }

    /// The wishes of an object.
    fn wishes<'t>(&self, at: usize, tools: &'t Tools<'_, '_>) -> &'t [Arc<Wish>] {
        facts(tools.tree, self.loaded[at].file).map_or(&[], |facts| &facts.wishes)
    }

    /// Grants the wishes of all objects from one on, and of those that this brings.
    fn grant_all(
        &mut self,
        from: usize,
        least: Priority,
        tools: &mut Tools<'_, '_>,
        witness: &mut impl Witness,
    ) {
        let mut at = from;
        while at < self.loaded.len() {
            // Looking at them takes time too, whether or not anything comes of it.
            let seen = facts(tools.tree, self.loaded[at].file)
                .map_or(0, |facts| facts.needs.len() + facts.wishes.len());
            self.steps += 1 + seen / 16;
            for number in 0.. {
                let Some(wish) = self.wishes(at, tools).get(number).map(Arc::clone) else {
                    break;
                };
                self.grant(at, &wish, least, tools, witness);
                if self.gave_up {
                    return;
                }
            }
            at += 1;
        }
    }

    /// Grants a wish, if it is one that counts.
    fn grant(
        &mut self,
        by: usize,
        wish: &Arc<Wish>,
        least: Priority,
        tools: &mut Tools<'_, '_>,
        witness: &mut impl Witness,
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
            let name = tools.names.number(soname.as_bytes());
            self.ask(asker, name, tools).ok()
        });
        match got {
            Some(Got::New(..)) if self.loaded.len() >= OBJECTS => {
                witness.unfulfilled(file, wish, None);
            }
            Some(Got::New(name, hit)) => {
                witness.wished(file, wish, &hit);
                // Of others only the program's RPATH counts for what it asks for: glibc notes no caller, and musl the program.
                self.take(0, name, &hit, tools);
                let mut order: Vec<usize> = (0..self.loaded.len()).collect();
                self.load(&mut order, before, tools, witness);
            }
            Some(Got::Alias(_, hit)) => witness.wished(file, wish, &hit),
            Some(Got::Known(_) | Got::There) => {}
            None if wish.priority == Priority::Required => witness.unfulfilled(file, wish, None),
            None => {}
        }
    }

    /// Makes the process what it was when it had so many objects.
    fn take_back(&mut self, start: usize) {
        self.loaded.truncate(start);
        let Some(trail) = &mut self.trail else { return };
        for name in trail.names.drain(..) {
            self.by_name[name.0 as usize] = (0, 0);
        }
        for body in trail.bodies.drain(..) {
            self.by_body[body.0 as usize] = (0, 0);
        }
        for at in trail.short_names.drain(..) {
            if let Some(loaded) = self.loaded.get_mut(at) {
                loaded.has_short_name = false;
            }
        }
    }
}

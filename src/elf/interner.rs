//! Names of libraries as numbers, so that a thousand programs compare and look up the same few without touching text.

use std::rc::Rc;

use super::hash::HashMap;
use super::ids::InodeId;
use super::object::{DepTag, ElfInfo};

/// A name that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Symbol(pub(super) u32);

/// The names of one object.
#[derive(Debug)]
pub(super) struct ObjectSymbols {
    /// `DT_SONAME`.
    pub(super) soname: Option<Symbol>,
    /// What it asks for, in order.
    pub(super) needs: Vec<(DepTag, Symbol)>,
}

/// All names.
#[derive(Debug, Default)]
pub(super) struct Interner {
    numbers: HashMap<Rc<[u8]>, Symbol>,
    texts: Vec<Rc<[u8]>>,
    /// By the number of the object.
    spoken: Vec<Option<Rc<ObjectSymbols>>>,
}

impl Interner {
    /// The number of a name.
    pub(super) fn intern(&mut self, text: &[u8]) -> Symbol {
        if let Some(known) = self.numbers.get(text) {
            return *known;
        }
        let text: Rc<[u8]> = text.into();
        let name = Symbol(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        self.texts.push(Rc::clone(&text));
        self.numbers.insert(text, name);
        name
    }

    /// The text of a name.
    pub(super) fn text(&self, name: Symbol) -> Rc<[u8]> {
        Rc::clone(&self.texts[name.0 as usize])
    }

    /// The names of an object.
    pub(super) fn of(&mut self, body: InodeId, facts: &ElfInfo) -> Rc<ObjectSymbols> {
        let at = body.0 as usize;
        if let Some(Some(known)) = self.spoken.get(at) {
            return Rc::clone(known);
        }
        let spoken = Rc::new(ObjectSymbols {
            soname: facts.soname.as_ref().map(|name| self.intern(name)),
            needs: facts
                .needs
                .iter()
                .map(|(ask, name)| (*ask, self.intern(name)))
                .collect(),
        });
        if self.spoken.len() <= at {
            self.spoken.resize(at + 64, None);
        }
        self.spoken[at] = Some(Rc::clone(&spoken));
        spoken
    }
}

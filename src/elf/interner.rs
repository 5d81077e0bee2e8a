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
    objects: Vec<Option<Rc<ObjectSymbols>>>,
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
    pub(super) fn of(&mut self, inode: InodeId, info: &ElfInfo) -> Rc<ObjectSymbols> {
        let at = inode.0 as usize;
        if let Some(Some(known)) = self.objects.get(at) {
            return Rc::clone(known);
        }
        let objects = Rc::new(ObjectSymbols {
            soname: info.soname.as_ref().map(|name| self.intern(name)),
            needs: info
                .needs
                .iter()
                .map(|(tag, name)| (*tag, self.intern(name)))
                .collect(),
        });
        if self.objects.len() <= at {
            self.objects.resize(at + 64, None);
        }
        self.objects[at] = Some(Rc::clone(&objects));
        objects
    }
}

//! Names of libraries as numbers, so that a thousand programs compare and look up the same few
//! names without comparing text.

use std::rc::Rc;

use super::hash::HashMap;
use super::ids::InodeId;
use super::object::{DepTag, ElfInfo};

/// Number of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Symbol(pub(super) u32);

/// Names in one object.
#[derive(Debug)]
pub(super) struct ObjectSymbols {
    /// Number of `DT_SONAME`.
    pub(super) soname: Option<Symbol>,
    /// Tags and names of the libraries that the object needs, in order.
    pub(super) needs: Vec<(DepTag, Symbol)>,
}

/// All names that occurred.
#[derive(Debug, Default)]
pub(super) struct Interner {
    numbers: HashMap<Rc<[u8]>, Symbol>,
    texts: Vec<Rc<[u8]>>,
    /// Names in each object, by the number of its inode.
    objects: Vec<Option<Rc<ObjectSymbols>>>,
}

impl Interner {
    /// Returns the number of a name, and assigns one to a new name.
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

    /// Text of a name.
    pub(super) fn text(&self, name: Symbol) -> Rc<[u8]> {
        Rc::clone(&self.texts[name.0 as usize])
    }

    /// Names in an object.
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

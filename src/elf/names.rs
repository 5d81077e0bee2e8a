//! Names of libraries as numbers, so that a thousand programs compare and look up the same few without touching text.

use std::rc::Rc;

use super::hash::HashMap;
use super::object::{Ask, Facts};
use super::tree::BodyId;

/// A name that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name(pub(super) u32);

/// The names of one object.
#[derive(Debug)]
pub(super) struct Spoken {
    /// `DT_SONAME`.
    pub(super) soname: Option<Name>,
    /// What it asks for, in order.
    pub(super) needs: Vec<(Ask, Name)>,
}

/// All names.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<Rc<[u8]>, Name>,
    texts: Vec<Rc<[u8]>>,
    /// By the number of the object.
    spoken: Vec<Option<Rc<Spoken>>>,
}

impl Names {
    /// The number of a name.
    pub(super) fn number(&mut self, text: &[u8]) -> Name {
        if let Some(known) = self.numbers.get(text) {
            return *known;
        }
        let text: Rc<[u8]> = text.into();
        let name = Name(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        self.texts.push(Rc::clone(&text));
        self.numbers.insert(text, name);
        name
    }

    /// The text of a name.
    pub(super) fn text(&self, name: Name) -> Rc<[u8]> {
        Rc::clone(&self.texts[name.0 as usize])
    }

    /// The names of an object.
    pub(super) fn of(&mut self, body: BodyId, facts: &Facts) -> Rc<Spoken> {
        let at = body.0 as usize;
        if let Some(Some(known)) = self.spoken.get(at) {
            return Rc::clone(known);
        }
        let spoken = Rc::new(Spoken {
            soname: facts.soname.as_ref().map(|name| self.number(name)),
            needs: facts
                .needs
                .iter()
                .map(|(ask, name)| (*ask, self.number(name)))
                .collect(),
        });
        if self.spoken.len() <= at {
            self.spoken.resize(at + 64, None);
        }
        self.spoken[at] = Some(Rc::clone(&spoken));
        spoken
    }
}

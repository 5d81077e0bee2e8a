//! Receiver of the lookups of a link map.

use std::rc::Rc;
use std::sync::Arc;

use super::dlopen_note::DlopenEntry;
use super::ids::FileId;
use super::interner::Symbol;
use super::missing::MissingReason;
use super::search::FoundLibrary;

/// Receives every dependency lookup, in the order in which the loader makes them.
pub(super) trait LookupObserver {
    /// `by` needs `name`, and the search found `hit`.
    fn found(&mut self, by: FileId, name: Symbol, hit: &Rc<FoundLibrary>);
    /// `by` needs `name`, and `file` was loaded already.
    fn reused(&mut self, by: FileId, name: Symbol, file: FileId);
    /// `by` needs `name`, which is missing; `why` is the reason beyond its absence.
    fn missed(&mut self, by: FileId, name: Symbol, why: Option<Rc<MissingReason>>);
    /// `by` may load the first name of the dlopen entry, which is `hit`.
    fn dlopen_wanted(&mut self, by: FileId, entry: &Arc<DlopenEntry>, hit: &Rc<FoundLibrary>);
    /// A program finds libraries by `$ORIGIN`.
    fn uses_origin(&mut self, program: FileId);
    /// No name of a required dlopen entry was found, or the search was not made, for the reason
    /// `why`.
    fn dlopen_missing(
        &mut self,
        by: FileId,
        entry: &Arc<DlopenEntry>,
        why: Option<Rc<MissingReason>>,
    );
}

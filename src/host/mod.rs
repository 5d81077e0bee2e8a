//! The one door to the system. [`View`] reads; the rest of this module writes. Nothing here knows what a jail is.
//!
//! A host is a value: the running system, or any directory that holds one (`--root DIR`). Every path given to a [`View`] is resolved with the
//! host's root as `/`, so that no link of a directory tree leads out to the system that jailctl runs on.

mod view;

pub use view::{FileKind, Passage, Stat, View};

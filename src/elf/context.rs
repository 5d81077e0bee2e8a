//! Everything that putting together one process needs.

use super::dlopen_note::Priority;
use super::fs_cache::FsCache;
use super::interner::Interner;
use super::loader::{LoaderId, Loaders};

/// Caches and settings with which a process is put together.
#[derive(Debug)]
pub(super) struct LoaderContext<'a, 'v> {
    /// Path cache of the host.
    pub(super) fs: &'a mut FsCache<'v>,
    /// Interned names of libraries.
    pub(super) names: &'a mut Interner,
    /// Loaders of the host.
    pub(super) loaders: &'a mut Loaders,
    /// Loader of this process.
    pub(super) loader: LoaderId,
    /// Least priority of the dlopen entries that count; `None` for no entries.
    pub(super) dlopen: Option<Priority>,
}

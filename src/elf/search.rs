//! Results of a loader's search for a library, common to glibc and musl.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::fs_cache::PathTrace;
use super::ids::FileId;
use super::missing::MissingReason;

/// A file that a loader accepts.
#[derive(Debug)]
pub(super) struct FoundLibrary {
    /// The file.
    pub(super) file: FileId,
    /// Path by which the loader opens the file.
    pub(super) opened: Arc<Path>,
    /// Links and directories that this path passes.
    pub(super) trace: PathTrace,
    /// Rule by which the loader found the file.
    pub(super) via: FoundBy,
}

/// Rule by which a loader found a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FoundBy {
    /// The name contains a slash.
    Path,
    /// `DT_RPATH` or `DT_RUNPATH`.
    Rpath,
    /// ld.so.cache, for a file outside of the built-in directories.
    Cache,
    /// ld.so.conf, on a host that has no ld.so.cache yet.
    Conf,
    /// The loader's built-in directories, whether or not ld.so.cache lists the file too.
    Default,
}

impl FoundBy {
    /// Whether the loader finds the library only with ld.so.cache.
    pub(super) fn needs_cache(self) -> bool {
        matches!(self, Self::Cache | Self::Conf)
    }
}

/// Result of a search.
#[derive(Clone, Debug)]
pub(super) enum SearchResult {
    /// The search ended at this file.
    Hit(Rc<FoundLibrary>),
    /// No file, and the reason where it is more than the absence of the file.
    Miss(Option<Rc<MissingReason>>),
}

/// Result of a search that ends at a file which cannot be loaded: the loader tries no other.
pub(super) fn fatal_error(path: &Path, why: &str) -> SearchResult {
    let reason = MissingReason::Unloadable {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    SearchResult::Miss(Some(reason.into()))
}

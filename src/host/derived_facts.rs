//! Storage of facts that were derived from files of a host, by their type.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::access_log::is_settled;
use super::stat::Stat;

/// A path that a fact was derived from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Input {
    /// Absolute path on the host.
    pub(super) path: PathBuf,
    /// Whether the names in it were read.
    pub(super) is_listed: bool,
    /// Whether each change of it is a new inode, as of the account files.
    pub(super) is_replaced: bool,
    /// Stat of the inode that was read; `None` if there was none.
    pub(super) stat: Option<Stat>,
}

impl Input {
    /// Whether a further change of the inode would show in its stat.
    pub(super) fn is_settled(&self, now: Duration) -> bool {
        let stat = self.stat.as_ref();
        self.is_replaced || stat.is_none_or(|stat| is_settled(stat, now))
    }
}

/// The facts of a run, by their type.
#[derive(Default)]
pub(super) struct DerivedFacts {
    derived: Mutex<HashMap<TypeId, Kept>>,
    pub(super) of_run: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl DerivedFacts {
    pub(super) fn facts(&self) -> MutexGuard<'_, HashMap<TypeId, Kept>> {
        self.derived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Kept {
    pub(super) inputs: Vec<Input>,
    pub(super) fact: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for DerivedFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DerivedFacts")
    }
}

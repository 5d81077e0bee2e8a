//! Facts that were derived from files of a host, such as its accounts. A run of many jails needs
//! them for each jail: they are kept as long as none of the files changes.

use std::any::TypeId;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::access_log::FollowMode;
use super::derived_facts::{Input, Kept};
use super::view::HostView;
use crate::error::Result;

impl Input {
    /// A file that is read, or a directory whose names are read, as it is now.
    ///
    /// # Errors
    /// `Failed` if it cannot be read.
    pub(super) fn now(view: &HostView, path: &Path, is_listed: bool) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            is_listed,
            is_replaced: false,
            stat: view.stat(path)?,
        })
    }
}

impl HostView {
    /// The value that `parse` derives from a text file of at most `limit` bytes, or from none.
    /// Bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// `Failed` if the file cannot be read, or is larger.
    pub fn parsed<T: Send + Sync + 'static>(
        &self,
        path: &Path,
        limit: u64,
        parse: impl FnOnce(Option<&str>) -> T,
    ) -> Result<Arc<T>> {
        self.derived(|| {
            let found = self.read_with_stat(path, limit)?;
            let text = found
                .as_ref()
                .map(|(bytes, _)| String::from_utf8_lossy(bytes));
            let fact = parse(text.as_deref());
            let input = Input {
                path: path.to_owned(),
                is_listed: false,
                is_replaced: false,
                stat: found.map(|(_, stat)| stat),
            };
            Ok((fact, vec![input]))
        })
    }

    /// Shares the facts of `other`, a view of the same host in the same run.
    #[must_use]
    pub fn sharing_facts_of(mut self, other: &Self) -> Self {
        if self.root_path() == other.root_path() {
            self.derived = other.derived.clone();
        }
        self
    }

    /// The fact of this type that was derived before, if no input has changed since, or the result
    /// of `derive` with its inputs. Inodes are compared by device, number, size and times: a file
    /// that is replaced has another inode. The stat of an input is taken before its content is
    /// read, or of the descriptor that is read.
    ///
    /// # Errors
    /// Those of `derive`, and `Failed` if an input cannot be read.
    pub(super) fn derived<T: Send + Sync + 'static>(
        &self,
        derive: impl FnOnce() -> Result<(T, Vec<Input>)>,
    ) -> Result<Arc<T>> {
        let key = TypeId::of::<T>();
        if let Some((inputs, fact)) = self.kept::<T>(key)
            && self.is_as_it_was(&inputs)?
        {
            return Ok(fact);
        }
        let (fact, inputs) = derive()?;
        let fact = Arc::new(fact);
        let now = SystemTime::now();
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut facts = self.derived.facts();
        if inputs.iter().all(|input| input.is_settled(now)) {
            let kept = Kept {
                inputs,
                fact: fact.clone(),
            };
            facts.insert(key, kept);
        } else {
            facts.remove(&key);
        }
        Ok(fact)
    }

    /// The fact of this type that this run keeps up to date itself: read once, with `read`, which
    /// gets a view without access log.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn fact_of_run<T: Send + Sync + 'static>(
        &self,
        read: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<Arc<T>> {
        let facts = || {
            self.derived
                .of_run
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let known = facts().get(&TypeId::of::<T>()).cloned();
        if let Some(fact) = known.and_then(|fact| fact.downcast().ok()) {
            return Ok(fact);
        }
        let fact = Arc::new(read(&Self::new(self.root_path())?)?);
        facts().insert(TypeId::of::<T>(), fact.clone());
        Ok(fact)
    }

    /// Forgets the facts of the run: what it changed was undone, or changed by another.
    pub fn forget_run(&self) {
        self.forget_facts();
        let mut facts = self
            .derived
            .of_run
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        facts.clear();
    }

    /// Forgets the facts that were derived from files, since this run changes some of them.
    pub fn forget_facts(&self) {
        self.derived.facts().clear();
    }

    fn kept<T: Send + Sync + 'static>(&self, key: TypeId) -> Option<(Vec<Input>, Arc<T>)> {
        let facts = self.derived.facts();
        let kept = facts.get(&key)?;
        Some((kept.inputs.clone(), kept.fact.clone().downcast().ok()?))
    }

    /// Whether each input has the inode that it had. Records the accesses, as reading them would.
    fn is_as_it_was(&self, inputs: &[Input]) -> Result<bool> {
        for input in inputs {
            let now = self.stat(&input.path)?;
            if now != input.stat {
                return Ok(false);
            }
            if input.is_listed {
                self.record_access(&input.path, FollowMode::Follow, true, now.as_ref());
            }
        }
        Ok(true)
    }
}

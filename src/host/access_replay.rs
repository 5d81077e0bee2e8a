//! Replay of an access log: whether the paths that an earlier run read have the same inodes now.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, OFlags, ResolveFlags, statat};
use rustix::io::Errno;

use super::access_log::{
    AccessLog, Fingerprint, FollowMode, LIMIT, MAGIC, fingerprint, take_byte, take_bytes,
    take_number,
};
use super::copy::Digest;
use super::parallel::parallel_for_each;
use super::stat::Stat;
use super::view::HostView;
use crate::error::{Error, Result};

impl HostView {
    /// Records every access from here on, if this is the running system.
    #[must_use]
    pub fn with_access_log(mut self) -> Self {
        self.access_log = self.is_live().then(|| AccessLog::new().into());
        self
    }

    /// Invalidates the access log, if there is one: the run depends on something that no inode
    /// shows.
    pub fn invalidate_access_log(&self) {
        if let Some(log) = &self.access_log {
            log.invalidate();
        }
    }

    /// Encodes the accesses so far for [`HostView::replay`] under `key`, with the `notices` of the
    /// run, and empties the log; `None` if there is no log, or if it is invalid.
    pub fn access_log(&self, key: &Digest, notices: &[String]) -> Option<Vec<u8>> {
        self.access_log.as_ref()?.encode(key, notices)
    }

    /// Compares the inodes of this host with the encoded access log at `path`. Returns the notices
    /// of the run that wrote it, if it was written under `key` and nothing has changed.
    pub fn replay(&self, path: &Path, key: &Digest) -> Option<Vec<String>> {
        let bytes = self.read(path, LIMIT).ok()??;
        let mut rest = bytes
            .strip_prefix(MAGIC)?
            .strip_prefix(key.as_str().as_bytes())?;
        let notices = serde_json::from_slice(take_bytes(&mut rest)?).ok()?;
        let mut groups = Vec::new();
        for _ in 0..take_number(&mut rest)? {
            let mode = match take_byte(&mut rest)? {
                0 => FollowMode::Follow,
                1 => FollowMode::NoFollow,
                2 => FollowMode::NoSymlinks,
                _ => return None,
            };
            let parent = Path::new(OsStr::from_bytes(take_bytes(&mut rest)?));
            groups.push((mode, parent, take_bytes(&mut rest)?));
        }
        if !rest.is_empty() {
            return None;
        }
        // Large groups first, so that no thread has one left at the end.
        groups.sort_unstable_by_key(|(_, _, inner)| Reverse(inner.len()));
        let is_unchanged = |(mode, parent, inner): &(FollowMode, &Path, &[u8])| {
            self.is_unchanged(*mode, parent, inner)
        };
        parallel_for_each(
            &groups,
            || (),
            |(), group| match is_unchanged(group) {
                Some(true) => Ok(()),
                _ => Err(Error::failed("something has changed")),
            },
        )
        .ok()?;
        Some(notices)
    }

    /// Stat of the entries `names` of a directory, links not followed; `None` for those that do not
    /// exist. The entries are not opened, and not in the access log.
    ///
    /// # Errors
    /// `Failed` if an entry cannot be read.
    pub fn stat_entries<const N: usize>(
        &self,
        directory: &Path,
        names: [&str; N],
    ) -> Result<[Option<Stat>; N]> {
        let mut found = [const { None }; N];
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let handle = match self.openat2_with(directory, flags, ResolveFlags::NO_SYMLINKS) {
            Ok(handle) => handle,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(found),
            Err(errno) => return Err(self.record_failure("open", directory, errno)),
        };
        for (name, found) in names.iter().zip(&mut found) {
            match statat(&handle, *name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(raw) => *found = Some(raw.into()),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(self.record_failure("stat", directory, errno)),
            }
        }
        Ok(found)
    }

    /// Whether the entries of `parent` in the encoded group `inner` have the recorded inodes;
    /// `None` if the encoding is damaged.
    fn is_unchanged(&self, mode: FollowMode, parent: &Path, mut inner: &[u8]) -> Option<bool> {
        let resolve = match mode {
            FollowMode::NoSymlinks => ResolveFlags::NO_SYMLINKS,
            FollowMode::NoFollow | FollowMode::Follow => ResolveFlags::empty(),
        };
        let flags = match mode {
            FollowMode::Follow => AtFlags::empty(),
            FollowMode::NoFollow | FollowMode::NoSymlinks => AtFlags::SYMLINK_NOFOLLOW,
        };
        let directory = match self.openat2_with(parent, OFlags::PATH | OFlags::DIRECTORY, resolve) {
            Ok(directory) => Some(directory),
            Err(Errno::NOENT | Errno::NOTDIR) => None,
            Err(_) => return Some(false),
        };
        while !inner.is_empty() {
            let name = OsStr::from_bytes(take_bytes(&mut inner)?);
            let is_listed = take_byte(&mut inner)? == 1;
            let is_there = take_byte(&mut inner)? == 1;
            let mut before = Fingerprint::default();
            for number in &mut before {
                let (bytes, rest) = inner.split_first_chunk()?;
                *number = u64::from_le_bytes(*bytes);
                inner = rest;
            }
            let now = match directory
                .as_ref()
                .map(|directory| statat(directory, name, flags))
            {
                None | Some(Err(Errno::NOENT | Errno::NOTDIR)) => None,
                Some(Ok(raw)) => Some(fingerprint(&raw.into(), is_listed)),
                Some(Err(_)) => return Some(false),
            };
            if now != is_there.then_some(before) {
                return Some(false);
            }
        }
        Some(true)
    }
}

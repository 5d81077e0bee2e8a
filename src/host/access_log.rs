//! Log of the paths that a run read on a host. A later run that finds the same inodes at these
//! paths would read the same (`replay`).
//!
//! An access is a path, how it was resolved, and the inode that was there, or that there was none.
//! Files that are read and directories that are listed are compared by the time of last status
//! change (ctime) of the inode: every change of content and attributes moves it and no program can
//! set it back (inode(7)). Directories that are only passed are compared by owner and mode. The log
//! is invalid where inodes do not show every change, as with accounts of a directory service, and
//! where an inode changed so shortly before that a further change could leave the same time.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::copy::Digest;
use super::stat::{FileKind, Stat};

/// Time between the last change of an inode and the start of the run, at least: no file system has
/// coarser timestamps.
const TIMESTAMP_GRANULARITY: Duration = Duration::from_secs(2);
/// The same on file systems whose timestamps have nanoseconds: they count them in ticks of the
/// kernel, 10 ms at most.
const TICK: Duration = Duration::from_millis(50);
/// First bytes of an encoded log; a new format gets a new number.
pub(super) const MAGIC: &[u8] = b"jailctl looks 1\n";
/// Most bytes of an encoded log.
pub(super) const LIMIT: u64 = 256 << 20;

/// How the links of a path were resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FollowMode {
    /// All links were followed.
    Follow,
    /// Links were followed, except in the last component.
    NoFollow,
    /// Links were refused (`RESOLVE_NO_SYMLINKS` of openat2(2)).
    NoSymlinks,
}

/// Numbers that differ between inodes, and between states of an inode: device, inode number, and
/// ctime or mode and owner.
pub(super) type Fingerprint = [u64; 4];

/// Access to one path.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Access {
    mode: FollowMode,
    parent: PathBuf,
    name: Vec<u8>,
    /// Whether the names in the directory were read.
    is_listed: bool,
    /// `None` where there was no inode.
    fingerprint: Option<Fingerprint>,
}

/// Accesses of a run.
#[derive(Debug)]
pub(super) struct AccessLog {
    /// Start of the run, since 1970-01-01.
    since: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    accesses: Vec<Access>,
    is_invalid: bool,
}

impl AccessLog {
    /// Empty log of a run that starts now.
    pub(super) fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            since: now.unwrap_or_default(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Invalidates the log: the run depends on something that no inode shows.
    pub(super) fn invalidate(&self) {
        self.state().is_invalid = true;
    }

    /// Records an access to the absolute `path`; `is_listed` if the names in it were read. `None`
    /// for `stat` means that there is no inode.
    pub(super) fn record(
        &self,
        path: &Path,
        mode: FollowMode,
        is_listed: bool,
        stat: Option<&Stat>,
    ) {
        // The kernel generates these as they are read.
        let is_generated = path.starts_with("/proc") || path.starts_with("/sys");
        let is_fresh = stat
            .is_some_and(|stat| depends_on_time(stat, is_listed) && !is_settled(stat, self.since));
        let mut state = self.state();
        if is_generated || is_fresh {
            state.is_invalid = true;
        }
        if state.is_invalid {
            state.accesses.clear();
            return;
        }
        let (parent, name) = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => (parent, name.as_bytes()),
            _ => (Path::new("/"), &b"."[..]),
        };
        state.accesses.push(Access {
            mode,
            parent: parent.to_owned(),
            name: name.to_owned(),
            is_listed,
            fingerprint: stat.map(|stat| fingerprint(stat, is_listed)),
        });
    }

    /// Encodes the log for `HostView::replay` under `key`, with the
    /// `notices` of the run, and empties it; `None` if the log is invalid.
    pub(super) fn encode(&self, key: &Digest, notices: &[String]) -> Option<Vec<u8>> {
        let mut state = self.state();
        if state.is_invalid {
            return None;
        }
        let mut accesses = std::mem::take(&mut state.accesses);
        accesses.sort_unstable();
        accesses.dedup();
        let is_same = |one: &Access, other: &Access| {
            (one.mode, &one.parent, &one.name, one.is_listed)
                == (other.mode, &other.parent, &other.name, other.is_listed)
        };
        // Two inodes at one path: it changed during the run.
        if accesses.windows(2).any(|two| is_same(&two[0], &two[1])) {
            return None;
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(key.as_str().as_bytes());
        put_bytes(&mut bytes, &serde_json::to_vec(notices).ok()?)?;
        let groups =
            accesses.chunk_by(|one, other| (one.mode, &one.parent) == (other.mode, &other.parent));
        put_number(&mut bytes, groups.clone().count())?;
        for group in groups {
            bytes.push(group[0].mode as u8);
            put_bytes(&mut bytes, group[0].parent.as_os_str().as_bytes())?;
            let mut inner = Vec::with_capacity(group.len() * 64);
            for access in group {
                put_bytes(&mut inner, &access.name)?;
                inner.push(u8::from(access.is_listed));
                inner.push(u8::from(access.fingerprint.is_some()));
                for number in access.fingerprint.unwrap_or_default() {
                    inner.extend(number.to_le_bytes());
                }
            }
            put_bytes(&mut bytes, &inner)?;
        }
        Some(bytes)
    }
}

/// Whether a change of the inode at `now`, since 1970-01-01, would show in its ctime.
pub(super) fn is_settled(stat: &Stat, now: Duration) -> bool {
    let (seconds, nanoseconds) = stat.ctime;
    let changed = Duration::new(u64::try_from(seconds).unwrap_or(0), nanoseconds);
    let step = if nanoseconds == 0 {
        TIMESTAMP_GRANULARITY
    } else {
        TICK
    };
    changed + step < now
}

/// Whether the ctime of the inode counts, and not only its type, owner and mode.
fn depends_on_time(stat: &Stat, is_listed: bool) -> bool {
    is_listed || stat.kind() != FileKind::Directory
}

pub(super) fn fingerprint(stat: &Stat, is_listed: bool) -> Fingerprint {
    let (one, other) = if depends_on_time(stat, is_listed) {
        (stat.ctime.0.cast_unsigned(), u64::from(stat.ctime.1))
    } else {
        let owner = u64::from(stat.uid) << 32 | u64::from(stat.gid);
        (u64::from(stat.mode), owner)
    };
    [stat.dev, stat.ino, one, other]
}

fn put_number(bytes: &mut Vec<u8>, number: usize) -> Option<()> {
    bytes.extend(u32::try_from(number).ok()?.to_le_bytes());
    Some(())
}

fn put_bytes(bytes: &mut Vec<u8>, part: &[u8]) -> Option<()> {
    put_number(bytes, part.len())?;
    bytes.extend(part);
    Some(())
}

pub(super) fn take_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (byte, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*byte)
}

pub(super) fn take_number(bytes: &mut &[u8]) -> Option<usize> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    usize::try_from(u32::from_le_bytes(*number)).ok()
}

pub(super) fn take_bytes<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = take_number(bytes)?;
    let (part, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(part)
}

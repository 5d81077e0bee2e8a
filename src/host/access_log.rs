//! What was looked at on a host, so that a later run can tell, for the price of looking again, that it would find the same.
//!
//! A look is a path, how it was followed, and the inode that was there or that there was none. What a run reads and lists goes by the time of last
//! change of the inode, which every change of content and attributes moves and no program can set back (inode(7)); a directory that was only
//! passed goes by its owner and mode. Where inodes do not tell it all, as where accounts come from a network, the whole is not kept. Neither is it
//! where an inode changed so shortly before that a further change could leave the same time.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, OFlags, ResolveFlags, statat};
use rustix::io::Errno;

use super::copy::Digest;
use super::parallel::parallel_for_each;
use super::stat::{FileKind, Stat};
use super::view::HostView;
use crate::error::Error;

/// Seconds that lie between an inode's last change and the look at it, at least: no file system's clock is coarser.
const TIMESTAMP_GRANULARITY: i64 = 2;
/// What kept looks begin with; a new number for a new form.
const MAGIC: &[u8] = b"jailctl looks 1\n";
/// Most bytes of kept looks.
const LIMIT: u64 = 256 << 20;

/// How a path was followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FollowMode {
    /// To the end, through links.
    Follow,
    /// Links on the way were followed, and not the last component.
    NoFollow,
    /// There was no link on the way, and one would have been refused.
    NoSymlinks,
}

/// What tells an inode from another, and from itself after a change.
type Fingerprint = [u64; 4];

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Access {
    way: FollowMode,
    parent: PathBuf,
    name: Vec<u8>,
    listed: bool,
    mark: Option<Fingerprint>,
}

/// The looks of a run.
#[derive(Debug)]
pub(super) struct AccessLog {
    /// When the run began, in seconds since 1970.
    since: i64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    looks: Vec<Access>,
    unfit: bool,
}

impl AccessLog {
    /// None yet.
    pub(super) fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            since: now.map_or(0, |since| since.as_secs().cast_signed()),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was looked at that no inode tells about.
    pub(super) fn invalidate(&self) {
        self.state().unfit = true;
    }

    /// A look at `path`, which is absolute; `listed` where it is a directory whose names were read.
    pub(super) fn record(&self, path: &Path, way: FollowMode, listed: bool, stat: Option<&Stat>) {
        // The kernel makes these up as they are read.
        let is_made_up = path.starts_with("/proc") || path.starts_with("/sys");
        let is_fresh = stat.is_some_and(|stat| {
            depends_on_time(stat, listed) && stat.ctime.0 > self.since - TIMESTAMP_GRANULARITY
        });
        let mut state = self.state();
        if is_made_up || is_fresh {
            state.unfit = true;
        }
        if state.unfit {
            state.looks.clear();
            return;
        }
        let (parent, name) = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => (parent, name.as_bytes()),
            _ => (Path::new("/"), &b"."[..]),
        };
        state.looks.push(Access {
            way,
            parent: parent.to_owned(),
            name: name.to_owned(),
            listed,
            mark: stat.map(|stat| mark(stat, listed)),
        });
    }
}

/// Whether the time of last change counts, and not only what the inode is and whose.
fn depends_on_time(stat: &Stat, listed: bool) -> bool {
    listed || stat.kind() != FileKind::Directory
}

fn mark(stat: &Stat, listed: bool) -> Fingerprint {
    let (one, other) = if depends_on_time(stat, listed) {
        (stat.ctime.0.cast_unsigned(), u64::from(stat.ctime.1))
    } else {
        let owner = u64::from(stat.uid) << 32 | u64::from(stat.gid);
        (u64::from(stat.mode), owner)
    };
    [stat.dev, stat.ino, one, other]
}

impl HostView {
    /// Keeps in mind what is looked at from here on, if this is the running system.
    #[must_use]
    pub fn with_access_log(mut self) -> Self {
        self.looks = self.is_live().then(|| AccessLog::new().into());
        self
    }

    /// What is looked at from here on cannot be told again by its inodes.
    pub fn invalidate_access_log(&self) {
        if let Some(looks) = &self.looks {
            looks.invalidate();
        }
    }

    /// What was looked at so far, for [`HostView::replay`], with `said`; `None` where that is not kept in mind or could not be told again.
    pub fn access_log(&self, key: &Digest, said: &[String]) -> Option<Vec<u8>> {
        let mut state = self.looks.as_ref()?.state();
        if state.unfit {
            return None;
        }
        let mut looks = std::mem::take(&mut state.looks);
        looks.sort_unstable();
        looks.dedup();
        let is_same = |one: &Access, other: &Access| {
            (one.way, &one.parent, &one.name, one.listed)
                == (other.way, &other.parent, &other.name, other.listed)
        };
        // The same path with two inodes: it changed while the run lasted.
        if looks.windows(2).any(|two| is_same(&two[0], &two[1])) {
            return None;
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(key.as_str().as_bytes());
        put(&mut bytes, &serde_json::to_vec(said).ok()?)?;
        let groups =
            looks.chunk_by(|one, other| (one.way, &one.parent) == (other.way, &other.parent));
        put_number(&mut bytes, groups.clone().count())?;
        for group in groups {
            bytes.push(group[0].way as u8);
            put(&mut bytes, group[0].parent.as_os_str().as_bytes())?;
            let mut inner = Vec::with_capacity(group.len() * 64);
            for look in group {
                put(&mut inner, &look.name)?;
                inner.push(u8::from(look.listed));
                inner.push(u8::from(look.mark.is_some()));
                for word in look.mark.unwrap_or_default() {
                    inner.extend(word.to_le_bytes());
                }
            }
            put(&mut bytes, &inner)?;
        }
        Some(bytes)
    }

    /// Looks again at what the looks kept at `path` are about. What was said then, if they were kept under this key and nothing has changed.
    pub fn replay(&self, path: &Path, key: &Digest) -> Option<Vec<String>> {
        let bytes = self.read(path, LIMIT).ok()??;
        let mut rest = bytes
            .strip_prefix(MAGIC)?
            .strip_prefix(key.as_str().as_bytes())?;
        let said = serde_json::from_slice(take(&mut rest)?).ok()?;
        let mut groups = Vec::new();
        for _ in 0..take_number(&mut rest)? {
            let way = match take_byte(&mut rest)? {
                0 => FollowMode::Follow,
                1 => FollowMode::NoFollow,
                2 => FollowMode::NoSymlinks,
                _ => return None,
            };
            let parent = Path::new(OsStr::from_bytes(take(&mut rest)?));
            groups.push((way, parent, take(&mut rest)?));
        }
        if !rest.is_empty() {
            return None;
        }
        // The large ones first, so that no thread is left alone with one at the end.
        groups.sort_unstable_by_key(|(_, _, inner)| Reverse(inner.len()));
        let is_same =
            |(way, parent, inner): &(FollowMode, &Path, &[u8])| self.is_same(*way, parent, inner);
        parallel_for_each(
            &groups,
            || (),
            |(), group| match is_same(group) {
                Some(true) => Ok(()),
                _ => Err(Error::failed("something has changed")),
            },
        )
        .ok()?;
        Some(said)
    }

    fn is_same(&self, way: FollowMode, parent: &Path, mut inner: &[u8]) -> Option<bool> {
        let resolve = match way {
            FollowMode::NoSymlinks => ResolveFlags::NO_SYMLINKS,
            FollowMode::NoFollow | FollowMode::Follow => ResolveFlags::empty(),
        };
        let flags = match way {
            FollowMode::Follow => AtFlags::empty(),
            FollowMode::NoFollow | FollowMode::NoSymlinks => AtFlags::SYMLINK_NOFOLLOW,
        };
        let directory = match self.openat2_with(parent, OFlags::PATH | OFlags::DIRECTORY, resolve) {
            Ok(directory) => Some(directory),
            Err(Errno::NOENT | Errno::NOTDIR) => None,
            Err(_) => return Some(false),
        };
        while !inner.is_empty() {
            let name = OsStr::from_bytes(take(&mut inner)?);
            let listed = take_byte(&mut inner)? == 1;
            let is_there = take_byte(&mut inner)? == 1;
            let mut before = Fingerprint::default();
            for word in &mut before {
                let (bytes, rest) = inner.split_first_chunk()?;
                *word = u64::from_le_bytes(*bytes);
                inner = rest;
            }
            let now = match directory
                .as_ref()
                .map(|directory| statat(directory, name, flags))
            {
                None | Some(Err(Errno::NOENT | Errno::NOTDIR)) => None,
                Some(Ok(raw)) => Some(mark(&raw.into(), listed)),
                Some(Err(_)) => return Some(false),
            };
            if now != is_there.then_some(before) {
                return Some(false);
            }
        }
        Some(true)
    }
}

fn put_number(bytes: &mut Vec<u8>, number: usize) -> Option<()> {
    bytes.extend(u32::try_from(number).ok()?.to_le_bytes());
    Some(())
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) -> Option<()> {
    put_number(bytes, part.len())?;
    bytes.extend(part);
    Some(())
}

fn take_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (byte, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*byte)
}

fn take_number(bytes: &mut &[u8]) -> Option<usize> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    usize::try_from(u32::from_le_bytes(*number)).ok()
}

fn take<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = take_number(bytes)?;
    let (part, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(part)
}

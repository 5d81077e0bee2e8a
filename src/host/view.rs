//! Reads of a host without the right to write: the argument of `resolve`, `elf` and `plan`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2, readlinkat};
use rustix::io::Errno;

use super::access_log::{AccessLog, FollowMode};
use super::account_entry::NewAccount;
use super::derived_facts::DerivedFacts;
use super::overlay::AssumedAccounts;
use super::stat::{FileKind, Stat};
use crate::error::{Error, ErrorKind, Finding, Result};

/// Most links of a path, as in path_resolution(7): ELOOP above.
pub(super) const LINK_LIMIT: usize = 40;

/// Directories in which programs of the host are searched: `PATH` of root's login shell.
const ROOT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Mount options that decide which programs and devices of a jail work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MountFlags {
    /// `noexec`: no program starts.
    pub noexec: bool,
    /// `nodev`: no device works.
    pub nodev: bool,
}

/// A resolved path with the symbolic links that were followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedPath {
    /// The path without symbolic links.
    pub real: PathBuf,
    /// Stat of the inode.
    pub stat: Stat,
    /// Links in their order, each with its path, which has no further link in it, and its text.
    pub links: Vec<(PathBuf, PathBuf)>,
}

/// A host for reads. Has no method that writes.
#[derive(Debug)]
pub struct HostView {
    root: OwnedFd,
    path: PathBuf,
    /// Accounts that do not exist yet and are read all the same.
    pub(super) assumed: AssumedAccounts,
    /// Log of accesses, if they are recorded.
    pub(super) access_log: Option<Arc<AccessLog>>,
    /// Facts that views of one run share.
    pub(super) derived: Arc<DerivedFacts>,
}

impl HostView {
    /// The host with the root directory `path`: `/` for the running system. No component of `path`
    /// may be a symbolic link, since a user could point it at `/` after a check.
    ///
    /// # Errors
    /// `Failed` if `path` is no directory, or has a link.
    pub fn new(path: &Path) -> Result<Self> {
        let root = openat2(
            CWD,
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::NO_SYMLINKS,
        )
        .map_err(|errno| Error::io("open the host's root", path, &errno.into()))?;
        Ok(Self {
            root,
            path: path.to_owned(),
            assumed: AssumedAccounts::default(),
            access_log: None,
            derived: Arc::default(),
        })
    }

    /// Leaves `id_gap` ids free below the id of the next new account: another program may create
    /// accounts at the same time.
    #[must_use]
    pub fn with_id_gap(mut self, id_gap: u32) -> Self {
        self.assumed.id_gap = id_gap;
        self
    }

    /// Reads `accounts` and `groups` (names with group ids) as if they existed: a plan that runs
    /// after their creation is made before it.
    pub fn assume_accounts(&mut self, accounts: Vec<NewAccount>, groups: Vec<(String, u32)>) {
        self.assumed.add(accounts, groups);
    }

    /// Whether this is the running system and not a directory that contains one.
    pub fn is_live(&self) -> bool {
        self.path == Path::new("/")
    }

    /// Calls `read` with the running system, which may be another host than this one.
    ///
    /// # Errors
    /// As `read`.
    pub fn on_live_host<T>(&self, read: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        if self.is_live() {
            read(self)
        } else {
            read(&Self::new(Path::new("/"))?)
        }
    }

    /// Path of the root of this host on the running system.
    pub fn root_path(&self) -> &Path {
        &self.path
    }

    /// Path on the running system of `path` of this host, for messages.
    pub fn display_path(&self, path: &Path) -> PathBuf {
        if self.is_live() {
            path.to_owned()
        } else {
            self.path.join(path.strip_prefix("/").unwrap_or(path))
        }
    }

    fn openat2(&self, path: &Path, flags: OFlags) -> std::result::Result<OwnedFd, Errno> {
        self.openat2_with(path, flags, ResolveFlags::empty())
    }

    pub(super) fn openat2_with(
        &self,
        path: &Path,
        flags: OFlags,
        extra: ResolveFlags,
    ) -> std::result::Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | extra;
        loop {
            match openat2(
                &self.root,
                path,
                flags | OFlags::CLOEXEC,
                Mode::empty(),
                resolve,
            ) {
                // A rename anywhere on the host during the walk; openat2(2) documents the retry.
                Err(Errno::AGAIN) => {}
                other => return other,
            }
        }
    }

    /// Invalidates the access log, since no inode shows a failed access, and returns the error.
    /// `action` completes "could not ...".
    pub(super) fn record_failure(&self, action: &str, path: &Path, errno: Errno) -> Error {
        self.invalidate_access_log();
        Error::io(action, &self.display_path(path), &errno.into())
    }

    /// Opens a regular file for reading, links followed. Never blocks: a FIFO or device is refused,
    /// not opened.
    ///
    /// # Errors
    /// `Failed` if there is no regular file.
    pub fn open(&self, path: &Path) -> Result<File> {
        self.try_open(path)?
            .ok_or_else(|| self.record_failure("open", path, Errno::NOENT))
    }

    /// As [`HostView::open`]; `None` if the path does not exist.
    ///
    /// # Errors
    /// As [`HostView::open`].
    pub fn try_open(&self, path: &Path) -> Result<Option<File>> {
        // Opening a device can have effects, so the type is checked first.
        let Some(stat) = self.stat(path)? else {
            return Ok(None);
        };
        let refuse = |why: &str| {
            let finding = Finding::new(format!(
                "could not open `{}`",
                self.display_path(path).display()
            ));
            Error::new(ErrorKind::Failed, finding.why(why))
        };
        if stat.kind() != FileKind::File {
            return Err(refuse("it is not a regular file"));
        }
        let handle = match self.openat2(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
            Ok(handle) => handle,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(self.record_failure("open", path, errno)),
        };
        let now = rustix::fs::fstat(&handle)
            .map(Stat::from)
            .map_err(|errno| self.record_failure("stat", path, errno))?;
        if now.kind() != FileKind::File {
            return Err(refuse("it was replaced as it was opened"));
        }
        Ok(Some(File::from(handle)))
    }

    /// openat2(2) inside the root of the host, with further flags of the resolution.
    pub(super) fn open2(&self, path: &Path, flags: OFlags, extra: ResolveFlags) -> Result<OwnedFd> {
        self.openat2_with(path, flags, extra)
            .map_err(|errno| self.record_failure("open", path, errno))
    }

    /// Opens the regular file at `path`, a path without links, if it is still the inode of `stat`.
    ///
    /// # Errors
    /// `Failed` if it has changed, or a component is a link.
    pub fn open_no_symlinks(&self, path: &Path, stat: &Stat) -> Result<File> {
        let handle = self.open2(
            path,
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
            ResolveFlags::NO_SYMLINKS,
        )?;
        let now: Stat = rustix::fs::fstat(&handle)
            .map_err(|errno| self.record_failure("stat", path, errno))?
            .into();
        self.record_access(path, FollowMode::NoSymlinks, false, Some(&now));
        if (now.dev, now.ino, now.size, now.mtime, now.kind())
            != (stat.dev, stat.ino, stat.size, stat.mtime, FileKind::File)
        {
            return Err(Error::failed(format!(
                "could not read `{}`",
                self.display_path(path).display()
            ))
            .why("it changed after it was read")
            .hint("run the command again once nothing writes to it"));
        }
        Ok(File::from(handle))
    }

    /// Content of a file of at most `limit` bytes, links followed; `None` if the path does not
    /// exist.
    ///
    /// # Errors
    /// `Failed` if it is larger, no regular file, or cannot be read.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
        Ok(self
            .read_with_stat(path, limit)?
            .map(|(content, _)| content))
    }

    /// As [`HostView::read`], with the stat of the inode that was read.
    ///
    /// # Errors
    /// As [`HostView::read`].
    pub fn read_with_stat(&self, path: &Path, limit: u64) -> Result<Option<(Vec<u8>, Stat)>> {
        let Some(file) = self.try_open(path)? else {
            return Ok(None);
        };
        let stat =
            rustix::fs::fstat(&file).map_err(|errno| self.record_failure("stat", path, errno))?;
        // Room for the content and one more byte, so that the end is seen by a short read.
        let size = u64::try_from(stat.st_size).unwrap_or(0).min(limit);
        let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
        file.take(limit + 1)
            .read_to_end(&mut content)
            .map_err(|error| Error::io("read", &self.display_path(path), &error))?;
        if content.len() as u64 > limit {
            return Err(Error::failed(format!(
                "could not read `{}`",
                self.display_path(path).display()
            ))
            .why(format!("it is larger than {limit} bytes")));
        }
        Ok(Some((content, stat.into())))
    }

    /// Stat of `path`, links followed; `None` if it does not exist.
    ///
    /// # Errors
    /// `Failed` if it cannot be read.
    pub fn stat(&self, path: &Path) -> Result<Option<Stat>> {
        self.stat_with(path, FollowMode::Follow)
    }

    /// Stat of `path`, a link in the last component not followed; `None` if it does not exist.
    ///
    /// # Errors
    /// `Failed` if it cannot be read.
    pub fn lstat(&self, path: &Path) -> Result<Option<Stat>> {
        self.stat_with(path, FollowMode::NoFollow)
    }

    fn stat_with(&self, path: &Path, mode: FollowMode) -> Result<Option<Stat>> {
        let flags = match mode {
            FollowMode::Follow => OFlags::PATH,
            FollowMode::NoFollow | FollowMode::NoSymlinks => OFlags::PATH | OFlags::NOFOLLOW,
        };
        let stat = match self.openat2(path, flags) {
            Ok(handle) => rustix::fs::fstat(&handle).map(|raw| Some(Stat::from(raw))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno),
        };
        let stat = stat.map_err(|errno| self.record_failure("stat", path, errno))?;
        self.record_access(path, mode, false, stat.as_ref());
        Ok(stat)
    }

    /// Adds an access to the log, if accesses are recorded.
    pub(super) fn record_access(
        &self,
        path: &Path,
        mode: FollowMode,
        is_listed: bool,
        stat: Option<&Stat>,
    ) {
        if let Some(log) = &self.access_log {
            log.record(path, mode, is_listed, stat);
        }
    }

    /// Mount options of the file system of `path`.
    ///
    /// # Errors
    /// `Failed` if the path does not exist.
    pub fn mount_flags(&self, path: &Path) -> Result<MountFlags> {
        let handle = self
            .openat2(path, OFlags::PATH)
            .map_err(|errno| self.record_failure("open", path, errno))?;
        let flags = rustix::fs::fstatvfs(&handle)
            .map_err(|errno| self.record_failure("stat the file system of", path, errno))?
            .f_flag;
        Ok(MountFlags {
            noexec: flags.contains(rustix::fs::StatVfsMountFlags::NOEXEC),
            nodev: flags.contains(rustix::fs::StatVfsMountFlags::NODEV),
        })
    }

    /// Text of the symbolic link at `path`.
    ///
    /// # Errors
    /// `Failed` if there is no link.
    pub fn read_link(&self, path: &Path) -> Result<PathBuf> {
        let handle = self
            .openat2(path, OFlags::PATH | OFlags::NOFOLLOW)
            .map_err(|errno| self.record_failure("open", path, errno))?;
        let text = readlinkat(&handle, "", Vec::new())
            .map_err(|errno| self.record_failure("read the link", path, errno))?;
        if self.access_log.is_some() {
            let stat = rustix::fs::fstat(&handle)
                .map_err(|errno| self.record_failure("stat", path, errno))?;
            self.record_access(path, FollowMode::NoFollow, false, Some(&stat.into()));
        }
        Ok(PathBuf::from(OsString::from_vec(text.into_bytes())))
    }

    /// Names in a directory, sorted, without `.` and `..`; `None` if there is no such directory.
    ///
    /// # Errors
    /// `Failed` if it cannot be read.
    pub fn list(&self, path: &Path) -> Result<Option<Vec<OsString>>> {
        let handle = match self.openat2(path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(handle) => handle,
            Err(Errno::NOENT | Errno::NOTDIR) => {
                self.record_access(path, FollowMode::Follow, false, None);
                return Ok(None);
            }
            Err(errno) => return Err(self.record_failure("open", path, errno)),
        };
        if self.access_log.is_some() {
            let stat = rustix::fs::fstat(&handle)
                .map_err(|errno| self.record_failure("stat", path, errno))?;
            self.record_access(path, FollowMode::Follow, true, Some(&stat.into()));
        }
        names(&handle)
            .map(Some)
            .map_err(|errno| self.record_failure("list", path, errno))
    }

    /// Resolves `path`; `None` if it does not exist.
    ///
    /// # Errors
    /// `Failed` if it has more than 40 links or a component cannot be read.
    pub fn resolve_links(&self, path: &Path) -> Result<Option<ResolvedPath>> {
        // Most paths have no link, or one at their end, which one call each resolves.
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let mut links: Vec<(PathBuf, PathBuf)> = Vec::new();
        let mut next = plain(path);
        while let Some(real) = next {
            let handle = match self.openat2_with(&real, flags, ResolveFlags::NO_SYMLINKS) {
                Ok(handle) => handle,
                Err(Errno::NOENT | Errno::NOTDIR) => {
                    self.record_access(&real, FollowMode::NoSymlinks, false, None);
                    return Ok(None);
                }
                Err(_) => break,
            };
            let stat: Stat = rustix::fs::fstat(&handle)
                .map_err(|errno| self.record_failure("stat", path, errno))?
                .into();
            self.record_access(&real, FollowMode::NoSymlinks, false, Some(&stat));
            if stat.kind() != FileKind::Symlink {
                return Ok(Some(ResolvedPath { real, stat, links }));
            }
            if links.len() == LINK_LIMIT {
                return Err(self.record_failure("follow", path, Errno::LOOP));
            }
            let text = readlinkat(&handle, "", Vec::new())
                .map_err(|errno| self.record_failure("read the link", &real, errno))?;
            let target = PathBuf::from(OsString::from_vec(text.into_bytes()));
            next = beside(&real, &target);
            links.push((real, target));
        }
        self.trace_links(path)
    }

    /// As [`HostView::resolve_links`], one component at a time.
    fn trace_links(&self, path: &Path) -> Result<Option<ResolvedPath>> {
        let mut real = PathBuf::from("/");
        let mut last = None;
        let mut links = Vec::new();
        let mut ahead: Vec<OsString> = components(path);
        while let Some(part) = ahead.pop() {
            if part == ".." {
                real.pop();
                last = None;
                continue;
            }
            let here = real.join(&part);
            let Some(stat) = self.stat_with(&here, FollowMode::NoSymlinks)? else {
                return Ok(None);
            };
            if stat.kind() != FileKind::Symlink {
                if !ahead.is_empty() && stat.kind() != FileKind::Directory {
                    return Ok(None);
                }
                real = here;
                last = Some(stat);
                continue;
            }
            let target = self.read_link(&here)?;
            if links.len() == LINK_LIMIT {
                return Err(self.record_failure("follow", path, Errno::LOOP));
            }
            if target.is_absolute() {
                real = PathBuf::from("/");
                last = None;
            }
            ahead.extend(components(&target));
            links.push((here, target));
        }
        let stat = match last {
            Some(stat) => Some(stat),
            None => self.stat_with(&real, FollowMode::NoSymlinks)?,
        };
        Ok(stat.map(|stat| ResolvedPath { real, stat, links }))
    }

    /// The first executable file called `name` in the directories of `PATH` of
    /// root's login shell.
    ///
    /// # Errors
    /// As [`HostView::stat`].
    pub fn which(&self, name: &str) -> Result<Option<PathBuf>> {
        self.find_in_path(ROOT_PATH, Path::new(name), |stat| {
            stat.kind() == FileKind::File && stat.mode & 0o111 != 0
        })
    }

    /// The first path that `accept` accepts of `program` in the colon-separated `directories`,
    /// links followed; an absolute `program` is the only candidate.
    ///
    /// # Errors
    /// As [`HostView::stat`].
    pub fn find_in_path(
        &self,
        directories: &str,
        program: &Path,
        accept: impl Fn(&Stat) -> bool,
    ) -> Result<Option<PathBuf>> {
        for directory in directories.split(':') {
            let path = Path::new(directory).join(program);
            if self.stat(&path)?.is_some_and(|stat| accept(&stat)) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }
}

/// A path without empty components and dots; `None` if it has `..`.
fn plain(path: &Path) -> Option<PathBuf> {
    let goes_up = path.components().any(|part| part == Component::ParentDir);
    (!goes_up).then(|| path.components().collect())
}

/// Path that a link resolves to whose own path has no other link: `..` at its beginning is then the
/// parent by text.
fn beside(link: &Path, target: &Path) -> Option<PathBuf> {
    let mut base = link.parent()?.to_owned();
    let mut ahead = target.components().peekable();
    while ahead.next_if_eq(&Component::ParentDir).is_some() {
        base.pop();
    }
    plain(&base.join(ahead.collect::<PathBuf>()))
}

/// Components of a path, last first, so that the next one can be popped.
pub(super) fn components(path: &Path) -> Vec<OsString> {
    path.components()
        .rev()
        .filter_map(|component| match component {
            Component::Normal(part) => Some(part.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

/// Sorted names in an open directory.
pub(super) fn names(directory: impl AsFd) -> std::result::Result<Vec<OsString>, Errno> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

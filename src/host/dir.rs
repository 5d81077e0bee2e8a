//! Writes below one open directory: every path is relative to it and can neither leave it nor pass
//! a symbolic link.
//!
//! All walks use openat2(2) with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS`,
//! so that a user who owns a directory of the path can make a call fail, but never make it act
//! elsewhere (CVE-2018-15664 is the attack).
//!
//! # Errors
//! Every function here returns `ErrorKind::Failed`, exit status 4, with the failed system call, the
//! path and the text of errno. A function that makes one change has not made it then, unless its
//! documentation states otherwise.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Timestamps, Uid, fchmod,
    fchown, fstat, fsync, futimens, linkat, mkdirat, mknodat, openat, openat2, readlinkat,
    renameat_with, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::stat::{FileKind, Ownership, Stat};
use super::view::{HostView, names};
use crate::error::{Error, Result};
use crate::layout::NEW_SUFFIX;

impl HostView {
    /// Opens a directory to write below it.
    pub(super) fn open_dir(&self, path: &Path) -> Result<Dir> {
        let handle = self.open2(
            path,
            OFlags::RDONLY | OFlags::DIRECTORY,
            ResolveFlags::empty(),
        )?;
        Ok(Dir::from_handle(handle, self.display_path(path)))
    }
}

/// Whether a replaced file is on disk when the call returns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// Content and name are synced.
    Synced,
    /// Nothing is synced.
    Unsynced,
}

/// An open directory, below which files are written.
#[derive(Debug)]
pub struct Dir {
    handle: OwnedFd,
    /// Path on the running system at the time of opening; for messages only.
    path: PathBuf,
}

impl Dir {
    /// Wraps an open directory; messages call it `path`.
    pub(super) fn from_handle(handle: OwnedFd, path: PathBuf) -> Self {
        Self { handle, path }
    }

    /// Opens for reading a directory that is open by `O_PATH`; messages call it `path`.
    pub(super) fn reopen(handle: impl AsFd, path: PathBuf) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat(handle, ".", flags, Mode::empty()) {
            Ok(handle) => Ok(Self { handle, path }),
            Err(errno) => Err(Error::io("open", &path, &errno.into())),
        }
    }

    /// Descriptor of the directory.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Path in messages of `path` below this directory.
    pub fn display_path(&self, path: &Path) -> PathBuf {
        if path == Path::new(".") {
            self.path.clone()
        } else {
            self.path.join(path)
        }
    }

    pub(super) fn error(&self, action: &str, path: &Path, errno: Errno) -> Error {
        let error = Error::io(action, &self.display_path(path), &errno.into());
        match errno {
            Errno::XDEV => error.hint("it is a mount point: unmount it first"),
            Errno::LOOP => error.hint("a component is a symbolic link and not a directory"),
            Errno::PERM => error.hint("an immutable flag (lsattr), a read-only mount or a missing capability can be the cause"),
            _ => error,
        }
    }

    pub(super) fn open2(
        &self,
        path: &Path,
        flags: OFlags,
        extra: ResolveFlags,
    ) -> std::result::Result<OwnedFd, Errno> {
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | extra;
        loop {
            match openat2(
                &self.handle,
                path,
                flags | OFlags::CLOEXEC,
                Mode::empty(),
                resolve,
            ) {
                Err(Errno::AGAIN) => {}
                other => return other,
            }
        }
    }

    /// Opens the directory at `path` below this one.
    ///
    /// # Errors
    /// `Failed` if there is none, or a component is a link.
    pub fn open_dir(&self, path: &Path) -> Result<Self> {
        let handle = self
            .open2(
                path,
                OFlags::RDONLY | OFlags::DIRECTORY,
                ResolveFlags::empty(),
            )
            .map_err(|errno| self.error("open", path, errno))?;
        Ok(Self {
            handle,
            path: self.display_path(path),
        })
    }

    /// As [`Dir::open_dir`]; `None` if nothing exists at `path`.
    ///
    /// # Errors
    /// As [`Dir::open_dir`].
    pub fn try_open_dir(&self, path: &Path) -> Result<Option<Self>> {
        match self.open2(
            path,
            OFlags::RDONLY | OFlags::DIRECTORY,
            ResolveFlags::empty(),
        ) {
            Ok(handle) => Ok(Some(Self {
                handle,
                path: self.display_path(path),
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.error("open", path, errno)),
        }
    }

    /// Open parent of `path`, `None` for this directory itself, and last component of `path`.
    fn parent<'p>(&self, path: &'p Path) -> Result<(Option<Self>, &'p OsStr)> {
        let name = path
            .file_name()
            .ok_or_else(|| self.error("change", path, Errno::INVAL))?;
        match path.parent() {
            Some(parent) if parent != Path::new("") => Ok((Some(self.open_dir(parent)?), name)),
            _ => Ok((None, name)),
        }
    }

    /// Stat of `path`; a link is not followed. `None` if nothing exists there.
    ///
    /// # Errors
    /// `Failed`, for example if a component is a link.
    pub fn lstat(&self, path: &Path) -> Result<Option<Stat>> {
        match self.open2(path, OFlags::PATH | OFlags::NOFOLLOW, ResolveFlags::empty()) {
            Ok(handle) => fstat(&handle)
                .map(|raw| Some(raw.into()))
                .map_err(|errno| self.error("stat", path, errno)),
            // With RESOLVE_NO_SYMLINKS a final link is refused even with O_NOFOLLOW, so it is read
            // through its directory.
            Err(Errno::LOOP) => {
                let (parent, name) = self.parent(path)?;
                match statat(
                    parent.as_ref().unwrap_or(self).as_fd(),
                    name,
                    AtFlags::SYMLINK_NOFOLLOW,
                ) {
                    Ok(raw) => Ok(Some(raw.into())),
                    Err(Errno::NOENT) => Ok(None),
                    Err(errno) => Err(self.error("stat", path, errno)),
                }
            }
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(self.error("stat", path, errno)),
        }
    }

    /// Names in this directory with their stat, sorted by name. A name that disappears between the
    /// calls is left out.
    ///
    /// # Errors
    /// `Failed` if the directory cannot be read.
    pub fn entries(&self) -> Result<Vec<(OsString, Stat)>> {
        let mut entries = Vec::new();
        for name in self.names()? {
            match statat(&self.handle, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(raw) => entries.push((name, raw.into())),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(self.error("stat", Path::new(&name), errno)),
            }
        }
        Ok(entries)
    }

    /// Names in this directory, sorted.
    ///
    /// # Errors
    /// `Failed` if the directory cannot be read.
    pub fn names(&self) -> Result<Vec<OsString>> {
        names(&self.handle).map_err(|errno| self.error("list", Path::new("."), errno))
    }

    /// Text of the symbolic link at `path`.
    ///
    /// # Errors
    /// `Failed` if there is no link.
    pub fn read_link(&self, path: &Path) -> Result<PathBuf> {
        use std::os::unix::ffi::OsStringExt;
        let (parent, name) = self.parent(path)?;
        let text = readlinkat(parent.as_ref().unwrap_or(self).as_fd(), name, Vec::new())
            .map_err(|errno| self.error("read the link", path, errno))?;
        Ok(PathBuf::from(OsString::from_vec(text.into_bytes())))
    }

    /// Opens the regular file at `path` for reading, without blocking on other file types.
    ///
    /// # Errors
    /// `Failed` if there is no regular file.
    pub fn open_file(&self, path: &Path) -> Result<File> {
        let handle = self
            .open2(
                path,
                OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
                ResolveFlags::empty(),
            )
            .map_err(|errno| self.error("open", path, errno))?;
        let stat: Stat = fstat(&handle)
            .map_err(|errno| self.error("stat", path, errno))?
            .into();
        if stat.kind() != FileKind::File {
            return Err(self
                .error("read", path, Errno::INVAL)
                .why("it is not a regular file"));
        }
        Ok(File::from(handle))
    }

    /// Creates a directory and opens it.
    ///
    /// # Errors
    /// `Failed` if the name exists, or if owner and mode cannot be set; there is no new directory
    /// then.
    pub fn create_dir(&self, path: &Path, owner: Ownership) -> Result<Self> {
        let (parent, name) = self.parent(path)?;
        let parent = parent.as_ref().unwrap_or(self);
        mkdirat(&parent.handle, name, Mode::from_raw_mode(0o700))
            .map_err(|errno| self.error("create the directory", path, errno))?;
        let made = parent
            .open_dir(Path::new(name))
            .and_then(|made| made.set_owner(owner).map(|()| made));
        if made.is_err() {
            // A directory with a wrong owner is worse than none; the first error is returned.
            let _ = unlinkat(&parent.handle, name, AtFlags::REMOVEDIR);
        }
        made
    }

    /// Opens the directory at `path`, and creates it first if it does not exist; `true` if it was
    /// created.
    ///
    /// # Errors
    /// As [`Dir::create_dir`]; the parent has to exist.
    pub fn ensure_dir(&self, path: &Path, owner: Ownership) -> Result<(Self, bool)> {
        if let Some(found) = self.try_open_dir(path)? {
            return Ok((found, false));
        }
        match self.create_dir(path, owner) {
            Ok(made) => Ok((made, true)),
            // Another process can have created it in between.
            Err(error) => self
                .try_open_dir(path)?
                .map(|found| (found, false))
                .ok_or(error),
        }
    }

    /// Sets owner, then mode: in the other order the old owner could use the new mode in between.
    ///
    /// # Errors
    /// `Failed`; the owner may be set and the mode not.
    pub fn set_owner(&self, owner: Ownership) -> Result<()> {
        set_ownership(&self.handle, owner)
            .map_err(|errno| self.error("set owner and mode of", Path::new("."), errno))
    }

    /// Creates a regular file, owned by root with mode 0600 until [`Dir::finish_file`].
    ///
    /// # Errors
    /// `Failed` if the name exists.
    pub fn create_file(&self, path: &Path) -> Result<File> {
        let (parent, name) = self.parent(path)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(
            parent.as_ref().unwrap_or(self).as_fd(),
            name,
            flags,
            Mode::from_raw_mode(0o600),
        )
        .map(File::from)
        .map_err(|errno| self.error("create", path, errno))
    }

    /// Sets owner, mode and, if given, mtime (seconds, nanoseconds) of a file of
    /// [`Dir::create_file`]. Returns its stat.
    ///
    /// # Errors
    /// `Failed`; the file keeps what was set before.
    pub fn finish_file(
        &self,
        path: &Path,
        file: &File,
        owner: Ownership,
        mtime: Option<(i64, u32)>,
    ) -> Result<Stat> {
        set_ownership(file, owner)
            .map_err(|errno| self.error("set owner and mode of", path, errno))?;
        if let Some((seconds, nanoseconds)) = mtime {
            let time = rustix::fs::Timespec {
                tv_sec: seconds,
                tv_nsec: nanoseconds.into(),
            };
            futimens(
                file,
                &Timestamps {
                    last_access: time,
                    last_modification: time,
                },
            )
            .map_err(|errno| self.error("set the time of", path, errno))?;
        }
        fstat(file)
            .map(Stat::from)
            .map_err(|errno| self.error("stat", path, errno))
    }

    /// Creates a symbolic link.
    ///
    /// # Errors
    /// `Failed` if the name exists.
    pub fn create_symlink(&self, path: &Path, target: &Path) -> Result<()> {
        let (parent, name) = self.parent(path)?;
        symlinkat(target, parent.as_ref().unwrap_or(self).as_fd(), name)
            .map_err(|errno| self.error("create the link", path, errno))
    }

    /// Creates a character device.
    ///
    /// # Errors
    /// `Failed` if the name exists, or if the mode cannot be set.
    pub fn create_device(
        &self,
        path: &Path,
        major: u32,
        minor: u32,
        owner: Ownership,
    ) -> Result<()> {
        let (parent, name) = self.parent(path)?;
        let parent = parent.as_ref().unwrap_or(self);
        mknodat(
            &parent.handle,
            name,
            FileType::CharacterDevice,
            Mode::from_raw_mode(0o600),
            rustix::fs::makedev(major, minor),
        )
        .map_err(|errno| self.error("create the device", path, errno))?;
        // The directory is private to root until the exchange: no other user can have put anything
        // under this name.
        let mode = Mode::from_raw_mode(owner.mode);
        rustix::fs::chmodat(&parent.handle, name, mode, AtFlags::empty())
            .map_err(|errno| self.error("set the mode of", path, errno))
    }

    /// Creates `path` as another name of the file `from` below `source`.
    ///
    /// # Errors
    /// `Failed` if the name exists, or if the file system cannot.
    pub fn create_hard_link(&self, path: &Path, source: &Self, from: &Path) -> Result<()> {
        let (source_parent, source_name) = source.parent(from)?;
        let (parent, name) = self.parent(path)?;
        let source = source_parent.as_ref().unwrap_or(source);
        linkat(
            source.as_fd(),
            source_name,
            parent.as_ref().unwrap_or(self).as_fd(),
            name,
            AtFlags::empty(),
        )
        .map_err(|errno| self.error("link", path, errno))
    }

    /// Replaces the file at `path` by one with this content, or creates it. A reader sees the old
    /// or the new file, never a part, and so does the next boot after a crash.
    ///
    /// # Errors
    /// `Failed`; the old file is as it was, unless only the last sync of the directory failed.
    pub fn replace_file(&self, path: &Path, content: &[u8], owner: Ownership) -> Result<()> {
        self.replace(path, content, owner, Durability::Synced)
    }

    /// As [`Dir::replace_file`], for a file that can be generated again: nothing waits for the
    /// disk, and after a crash the file can have any content.
    ///
    /// # Errors
    /// As [`Dir::replace_file`].
    pub fn replace_file_unsynced(
        &self,
        path: &Path,
        content: &[u8],
        owner: Ownership,
    ) -> Result<()> {
        self.replace(path, content, owner, Durability::Unsynced)
    }

    fn replace(
        &self,
        path: &Path,
        content: &[u8],
        owner: Ownership,
        durability: Durability,
    ) -> Result<()> {
        let (parent, name) = self.parent(path)?;
        let parent = parent.as_ref().unwrap_or(self);
        let temporary = replacement(name);
        let temporary = Path::new(&temporary);
        parent.remove_file_if_exists(temporary)?;
        let written = parent.create_file(temporary).and_then(|mut file| {
            file.write_all(content)
                .map_err(|error| Error::io("write", &parent.display_path(temporary), &error))?;
            parent.finish_file(temporary, &file, owner, None)?;
            if durability == Durability::Synced {
                fsync(&file).map_err(|errno| parent.error("sync", temporary, errno))?;
            }
            parent.rename(temporary, parent, Path::new(name), RenameFlags::empty())?;
            match durability {
                Durability::Synced => parent.sync(),
                Durability::Unsynced => Ok(()),
            }
        });
        if written.is_err() {
            // The first error is returned; a name that starts with a dot matches no Include.
            let _ = parent.remove_file_if_exists(temporary);
        }
        written
    }

    /// Deletes the temporary file that an interrupted [`Dir::replace_file`] left beside `name` of
    /// this directory.
    ///
    /// # Errors
    /// `Failed` if it cannot be deleted.
    pub fn drop_replacement(&self, name: &Path) -> Result<()> {
        self.remove_file_if_exists(Path::new(&replacement(name.as_os_str())))
    }

    /// Latest time (seconds, nanoseconds) of creation or change of anything below the directory at
    /// `path`, names included. Only for directories that no other user than root can change.
    ///
    /// # Errors
    /// `Failed` if a directory cannot be read.
    pub fn newest(&self, path: &Path) -> Result<(i64, u32)> {
        let mut newest = (i64::MIN, 0);
        self.any_time(path, |time| {
            newest = newest.max(time);
            false
        })?;
        Ok(newest)
    }

    /// Whether anything below the directory at `path` was created or changed after `time`. Stops at
    /// the first that was.
    ///
    /// # Errors
    /// `Failed` if a directory cannot be read.
    pub fn has_newer(&self, path: &Path, time: (i64, u32)) -> Result<bool> {
        self.any_time(path, |found| found > time)
    }

    fn any_time(&self, path: &Path, mut is_it: impl FnMut((i64, u32)) -> bool) -> Result<bool> {
        let top = self.open_dir(path)?;
        if is_it(top.stat()?.mtime) {
            return Ok(true);
        }
        let mut ahead = vec![top];
        while let Some(directory) = ahead.pop() {
            for (name, stat) in directory.entries()? {
                if is_it(stat.ctime) {
                    return Ok(true);
                }
                if stat.kind() == FileKind::Directory {
                    ahead.extend(directory.try_open_dir(Path::new(&name))?);
                }
            }
        }
        Ok(false)
    }

    /// Renames `from` to `to` below `target`, with the flags of renameat2(2).
    ///
    /// # Errors
    /// `Failed`; both names are as they were.
    pub fn rename(&self, from: &Path, target: &Self, to: &Path, flags: RenameFlags) -> Result<()> {
        let (from_parent, from_name) = self.parent(from)?;
        let (to_parent, to_name) = target.parent(to)?;
        let from_fd = from_parent.as_ref().unwrap_or(self).as_fd();
        let to_fd = to_parent.as_ref().unwrap_or(target).as_fd();
        renameat_with(from_fd, from_name, to_fd, to_name, flags).map_err(|errno| {
            let action = if flags.contains(RenameFlags::EXCHANGE) {
                "exchange"
            } else {
                "rename"
            };
            target.error(action, to, errno)
        })
    }

    /// Deletes the file, link or device at `path`.
    ///
    /// # Errors
    /// `Failed` if there is none.
    pub fn remove_file(&self, path: &Path) -> Result<()> {
        let (parent, name) = self.parent(path)?;
        unlinkat(
            parent.as_ref().unwrap_or(self).as_fd(),
            name,
            AtFlags::empty(),
        )
        .map_err(|errno| self.error("remove", path, errno))
    }

    /// As [`Dir::remove_file`]; a name that does not exist is no error.
    ///
    /// # Errors
    /// `Failed` if it cannot be deleted.
    pub fn remove_file_if_exists(&self, path: &Path) -> Result<()> {
        if self.lstat(path)?.is_some() {
            self.remove_file(path)
        } else {
            Ok(())
        }
    }

    /// Deletes the empty directory at `path`.
    ///
    /// # Errors
    /// `Failed` if it is not empty or does not exist.
    pub fn remove_dir(&self, path: &Path) -> Result<()> {
        let (parent, name) = self.parent(path)?;
        unlinkat(
            parent.as_ref().unwrap_or(self).as_fd(),
            name,
            AtFlags::REMOVEDIR,
        )
        .map_err(|errno| self.error("remove the directory", path, errno))
    }

    /// Syncs the names in this directory to disk.
    ///
    /// # Errors
    /// `Failed` if fsync(2) fails.
    pub fn sync(&self) -> Result<()> {
        fsync(&self.handle).map_err(|errno| self.error("sync", Path::new("."), errno))
    }

    /// Syncs the file system of this directory to disk.
    ///
    /// # Errors
    /// `Failed` if syncfs(2) fails.
    pub fn sync_file_system(&self) -> Result<()> {
        rustix::fs::syncfs(&self.handle).map_err(|errno| self.error("sync", Path::new("."), errno))
    }
}

/// Name of the file that replaces another: in the directory of drop-ins of sshd, no Include matches
/// it.
fn replacement(name: &OsStr) -> OsString {
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(NEW_SUFFIX);
    temporary
}

fn set_ownership(handle: impl AsFd, owner: Ownership) -> std::result::Result<(), Errno> {
    fchown(
        &handle,
        Some(Uid::from_raw(owner.uid)),
        Some(Gid::from_raw(owner.gid)),
    )?;
    fchmod(&handle, Mode::from_raw_mode(owner.mode))
}

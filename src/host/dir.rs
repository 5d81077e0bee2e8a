//! Writing below one directory that is held open: every path is relative to it and can neither leave it nor pass a link.
//!
//! All walks use openat2(2) with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS`, so that a user who owns a directory on the way
//! can make a call fail, but can never make it act elsewhere (CVE-2018-15664 is what happens otherwise).

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
    /// Opens a directory for the writing side of a host.
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
    Synced,
    Unsynced,
}

/// A directory held open, below which things are written.
#[derive(Debug)]
pub struct Dir {
    handle: OwnedFd,
    /// As the running system named it when it was opened; for messages only.
    path: PathBuf,
}

impl Dir {
    /// Takes an open directory; `path` is what messages call it.
    pub(super) fn from_handle(handle: OwnedFd, path: PathBuf) -> Self {
        Self { handle, path }
    }

    /// Opens for reading a directory that is held open by `O_PATH`; `path` is what messages call it.
    pub(super) fn reopen(handle: impl AsFd, path: PathBuf) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat(handle, ".", flags, Mode::empty()) {
            Ok(handle) => Ok(Self { handle, path }),
            Err(errno) => Err(Error::io("open", &path, &errno.into())),
        }
    }

    /// The descriptor.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// What messages call `path` below this directory.
    pub fn display_path(&self, path: &Path) -> PathBuf {
        if path == Path::new(".") {
            self.path.clone()
        } else {
            self.path.join(path)
        }
    }

    pub(super) fn error(&self, deed: &str, path: &Path, errno: Errno) -> Error {
        let error = Error::io(deed, &self.display_path(path), &errno.into());
        match errno {
            Errno::XDEV => error.hint("a mount lies there: unmount it first"),
            Errno::LOOP => error.hint("a symbolic link lies on the way where a directory should be"),
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

    /// As [`Dir::open_dir`], with `None` where there is nothing.
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

    /// The open parent of `path` and its last component.
    fn parent<'p>(&self, path: &'p Path) -> Result<(Option<Self>, &'p OsStr)> {
        let name = path
            .file_name()
            .ok_or_else(|| self.error("change", path, Errno::INVAL))?;
        match path.parent() {
            Some(parent) if parent != Path::new("") => Ok((Some(self.open_dir(parent)?), name)),
            _ => Ok((None, name)),
        }
    }

    /// The facts of `path` itself; `None` where there is nothing.
    pub fn lstat(&self, path: &Path) -> Result<Option<Stat>> {
        match self.open2(path, OFlags::PATH | OFlags::NOFOLLOW, ResolveFlags::empty()) {
            Ok(handle) => fstat(&handle)
                .map(|raw| Some(raw.into()))
                .map_err(|errno| self.error("stat", path, errno)),
            // With RESOLVE_NO_SYMLINKS a final link is refused even under O_NOFOLLOW, so its directory is asked.
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

    /// The facts of each name in this directory, sorted by name.
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

    /// The names in this directory.
    pub fn names(&self) -> Result<Vec<OsString>> {
        names(&self.handle).map_err(|errno| self.error("list", Path::new("."), errno))
    }

    /// The text of the symbolic link at `path`.
    pub fn read_link(&self, path: &Path) -> Result<PathBuf> {
        use std::os::unix::ffi::OsStringExt;
        let (parent, name) = self.parent(path)?;
        let text = readlinkat(parent.as_ref().unwrap_or(self).as_fd(), name, Vec::new())
            .map_err(|errno| self.error("read the link", path, errno))?;
        Ok(PathBuf::from(OsString::from_vec(text.into_bytes())))
    }

    /// Opens the regular file at `path` for reading, without blocking on anything else.
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

    /// Makes a directory that does not exist yet, and opens it.
    pub fn create_dir(&self, path: &Path, owner: Ownership) -> Result<Self> {
        let (parent, name) = self.parent(path)?;
        let parent = parent.as_ref().unwrap_or(self);
        mkdirat(&parent.handle, name, Mode::from_raw_mode(0o700))
            .map_err(|errno| self.error("make the directory", path, errno))?;
        let made = parent
            .open_dir(Path::new(name))
            .and_then(|made| made.set_owner(owner).map(|()| made));
        if made.is_err() {
            // A directory of the wrong owner is worse than none; the first error is the one to tell.
            let _ = unlinkat(&parent.handle, name, AtFlags::REMOVEDIR);
        }
        made
    }

    /// Opens the directory at `path`, and makes it first where it is missing. Says whether it was made.
    pub fn ensure_dir(&self, path: &Path, owner: Ownership) -> Result<(Self, bool)> {
        if let Some(found) = self.try_open_dir(path)? {
            return Ok((found, false));
        }
        match self.create_dir(path, owner) {
            Ok(made) => Ok((made, true)),
            // Another process can have made it in between.
            Err(error) => self
                .try_open_dir(path)?
                .map(|found| (found, false))
                .ok_or(error),
        }
    }

    /// Sets owner, then mode: the other order would let the old owner in between act with the new mode.
    pub fn set_owner(&self, owner: Ownership) -> Result<()> {
        set_ownership(&self.handle, owner)
            .map_err(|errno| self.error("set owner and mode of", Path::new("."), errno))
    }

    /// Makes a new regular file; fails where the name is taken. The file is root's and 0600 until [`Dir::finish_file`].
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

    /// Gives a file made by [`Dir::create_file`] its owner, mode and, where given, time of last change. Gives back its facts.
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

    /// Makes a symbolic link; fails where the name is taken.
    pub fn create_symlink(&self, path: &Path, target: &Path) -> Result<()> {
        let (parent, name) = self.parent(path)?;
        symlinkat(target, parent.as_ref().unwrap_or(self).as_fd(), name)
            .map_err(|errno| self.error("make the link", path, errno))
    }

    /// Makes a character device; fails where the name is taken.
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
        .map_err(|errno| self.error("make the device", path, errno))?;
        // The directory is private to root until the swap: nobody can have put anything else under this name.
        let mode = Mode::from_raw_mode(owner.mode);
        rustix::fs::chmodat(&parent.handle, name, mode, AtFlags::empty())
            .map_err(|errno| self.error("set the mode of", path, errno))
    }

    /// Makes `path` here another name of the file `from` below `source`; fails where the name is taken.
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

    /// Replaces the file at `path` by one with this content, or creates it. A reader sees the old or the
    /// new file, never a part, and so does the next boot after a crash.
    ///
    /// # Errors
    /// [`Failed`](crate::error::ErrorKind::Failed); the old file is as it was.
    pub fn replace_file(&self, path: &Path, content: &[u8], owner: Ownership) -> Result<()> {
        self.replace(path, content, owner, Durability::Synced)
    }

    /// As [`Dir::replace_file`], for a file that can be generated again: nothing waits for the disk, and
    /// after a crash the file can have any content.
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

    /// Removes what a [`Dir::replace_file`] that was cut short left beside the file `name` of this directory.
    pub fn drop_replacement(&self, name: &Path) -> Result<()> {
        self.remove_file_if_exists(Path::new(&replacement(name.as_os_str())))
    }

    /// The latest time at which anything in the directory at `path` was made or changed, the names in it included. For what is root's own.
    pub fn newest(&self, path: &Path) -> Result<(i64, u32)> {
        let mut newest = (i64::MIN, 0);
        self.any_time(path, |time| {
            newest = newest.max(time);
            false
        })?;
        Ok(newest)
    }

    /// Whether anything in the directory at `path` was made or changed after `time`. Goes into nothing that was.
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

    /// Renames `from` here to `to` below `target`, with renameat2(2)'s flags.
    pub fn rename(&self, from: &Path, target: &Self, to: &Path, flags: RenameFlags) -> Result<()> {
        let (from_parent, from_name) = self.parent(from)?;
        let (to_parent, to_name) = target.parent(to)?;
        let from_fd = from_parent.as_ref().unwrap_or(self).as_fd();
        let to_fd = to_parent.as_ref().unwrap_or(target).as_fd();
        renameat_with(from_fd, from_name, to_fd, to_name, flags).map_err(|errno| {
            let deed = if flags.contains(RenameFlags::EXCHANGE) {
                "exchange"
            } else {
                "rename"
            };
            target.error(deed, to, errno)
        })
    }

    /// Removes the file, link or device at `path`.
    pub fn remove_file(&self, path: &Path) -> Result<()> {
        let (parent, name) = self.parent(path)?;
        unlinkat(
            parent.as_ref().unwrap_or(self).as_fd(),
            name,
            AtFlags::empty(),
        )
        .map_err(|errno| self.error("remove", path, errno))
    }

    /// As [`Dir::remove_file`]; nothing there is no error.
    pub fn remove_file_if_exists(&self, path: &Path) -> Result<()> {
        if self.lstat(path)?.is_some() {
            self.remove_file(path)
        } else {
            Ok(())
        }
    }

    /// Removes the empty directory at `path`.
    pub fn remove_dir(&self, path: &Path) -> Result<()> {
        let (parent, name) = self.parent(path)?;
        unlinkat(
            parent.as_ref().unwrap_or(self).as_fd(),
            name,
            AtFlags::REMOVEDIR,
        )
        .map_err(|errno| self.error("remove the directory", path, errno))
    }

    /// Makes the names in this directory durable.
    pub fn sync(&self) -> Result<()> {
        fsync(&self.handle).map_err(|errno| self.error("sync", Path::new("."), errno))
    }

    /// Makes everything on this directory's file system durable.
    pub fn sync_file_system(&self) -> Result<()> {
        rustix::fs::syncfs(&self.handle).map_err(|errno| self.error("sync", Path::new("."), errno))
    }
}

/// Where a file's replacement is written before it takes its place: in sshd's directory of drop-ins, no Include matches it.
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

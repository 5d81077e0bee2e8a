//! Resolution of a path one component at a time, with the users who could change what it resolves
//! to.
//!
//! A path that root is given, for example the `source` of a file, a spec or `--output`, may pass
//! directories of users. A user who can write to a directory decides what each name in it resolves
//! to: another file by rename(2), a file of root by a symbolic link (CVE-2018-15664) or, with
//! `fs.protected_hardlinks` 0, by a hard link. [`HostView::locate`] therefore resolves the path as
//! it is written, keeps each directory open while it reads in it, and follows a link only if no
//! user but root could have put it there. proc_sys_fs(5), path_resolution(7).

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;

use super::access_log::FollowMode;
use super::ownership::{UntrustedWriter, is_trusted};
use super::stat::{FileKind, Stat};
use super::view::{HostView, LINK_LIMIT, components, names};
use crate::error::{Error, Result};

/// Most entries of one tree.
const ENTRY_LIMIT: usize = 1_000_000;

/// Deepest directory: each directory of a path is kept open.
const DEPTH_LIMIT: usize = 256;

/// Users who could have chosen what a path resolves to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Root and the caller, also by sudo(8): no other user may write to any directory of the path.
    Trusted,
    /// This user id too, and no further one.
    User(u32),
    /// More than one other user: a directory of the path is writable by a group or by all, or two
    /// directories have different owners.
    Several,
}

impl Control {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Trusted, one) | (one, Self::Trusted) => one,
            (one, other) if one == other => one,
            _ => Self::Several,
        }
    }

    /// Reason why content with this `stat` may not be copied under this control; `None` if it may.
    /// It may if it is owned by the one other user in control or is readable by all, since then the
    /// copy discloses nothing that was closed to that user, and if a file has one name only.
    pub fn objection(self, stat: &Stat) -> Option<String> {
        let owner = match self {
            Self::Trusted => return None,
            Self::User(uid) => Some(uid),
            Self::Several => None,
        };
        if stat.kind() == FileKind::Symlink {
            return None;
        }
        if stat.kind() == FileKind::File && stat.links != 1 {
            return Some(format!(
                "others than root could have put it there, and it has {} names (hard links)",
                stat.links
            ));
        }
        let needed = if stat.kind() == FileKind::Directory {
            0o005
        } else {
            0o004
        };
        if owner == Some(stat.uid) || stat.mode & needed == needed {
            return None;
        }
        Some(match owner {
            Some(uid) => format!(
                "the user id {uid} could have put it there, and it is neither that user's nor readable by all users"
            ),
            None => "others than root could have put it there, and it is not readable by all users"
                .to_owned(),
        })
    }

    /// Whether `mode` lets group or others read a file with this `stat` that they could not read.
    /// Root decides that for files of root under the control of root, and for no other.
    pub fn opens(self, stat: &Stat, mode: u32) -> bool {
        let is_roots = self == Self::Trusted && is_trusted(stat.uid);
        !is_roots && mode & !stat.mode & 0o044 != 0
    }
}

/// A path that was resolved.
#[derive(Debug)]
pub struct Located {
    /// The path without symbolic links.
    pub real: PathBuf,
    /// Stat of the inode.
    pub stat: Stat,
    /// Users who could have put it there.
    pub control: Control,
    /// The first directory of the path by which another user could have put it there; `None` under
    /// the control of root. A file of root with one name in a sticky directory, for example `/tmp`,
    /// cannot be exchanged by others, and has none.
    pub writer: Option<UntrustedWriter>,
    /// Descriptor, opened with `O_PATH`.
    pub(super) handle: OwnedFd,
}

/// Result of resolving a path.
#[derive(Debug)]
pub enum Lookup {
    /// Nothing exists at the path.
    Missing,
    /// The path resolves to this.
    Found(Located),
    /// The path is not followed beyond this component.
    Refused {
        /// A symbolic link, or a directory that not all users may pass.
        at: PathBuf,
        /// The user who could have put it there.
        writer: UntrustedWriter,
    },
}

impl Lookup {
    /// Reason in errors about a path that is not followed.
    pub fn refusal(at: &Path, writer: &UntrustedWriter) -> String {
        format!(
            "a user other than root could have put `{}` there: {}",
            at.display().to_string().escape_debug(),
            writer.clause()
        )
    }
}

/// An entry of a tree.
#[derive(Debug)]
pub struct TreeEntry {
    /// Path, without links except in the last component.
    pub path: PathBuf,
    /// Stat; a link is not followed.
    pub stat: Stat,
    /// Users who could have put it there.
    pub control: Control,
    /// Text of a symbolic link.
    pub target: Option<PathBuf>,
}

/// Control of other users over an inode with this `stat` in `directory`, and whether it could have
/// been put there by them.
fn power(directory: &Stat, stat: &Stat) -> (Control, bool) {
    let is_open = directory.is_writable_by_others();
    let is_sticky = directory.mode & 0o1000 != 0;
    if !is_trusted(directory.uid) {
        let alone = !is_open || (is_sticky && stat.uid == directory.uid);
        return if alone {
            (Control::User(directory.uid), true)
        } else {
            (Control::Several, true)
        };
    }
    if !is_open {
        return (Control::Trusted, false);
    }
    // In a sticky directory only its owner can remove a name. Others cannot move a directory there
    // from elsewhere, nor give it a second name; a file they can.
    match stat.kind() {
        FileKind::Directory if is_sticky && is_trusted(stat.uid) => (Control::Trusted, false),
        FileKind::Directory if is_sticky => (Control::User(stat.uid), true),
        FileKind::File if is_sticky && is_trusted(stat.uid) && stat.links == 1 => {
            (Control::Several, false)
        }
        _ => (Control::Several, true),
    }
}

impl HostView {
    /// The users other than root and the caller (also by sudo(8)) who could have written the file
    /// at `path`, or put it there; `None` if there are none, or no such file.
    ///
    /// Checks the file and each directory and link of the path as it is written.
    ///
    /// # Errors
    /// As [`HostView::locate`].
    pub fn find_untrusted_writer(&self, path: &Path) -> Result<Option<UntrustedWriter>> {
        Ok(match self.locate(path)? {
            Lookup::Missing => None,
            Lookup::Refused { writer, .. } => Some(writer),
            Lookup::Found(located) => UntrustedWriter::file(&located.stat).or(located.writer),
        })
    }

    /// Resolves `path` as it is written, `..` included, within the host.
    ///
    /// A symbolic link is followed if no user but root could have put it there: after the first
    /// directory that another user can write, no link is followed. Nor is a directory passed, from
    /// there on, that is neither owned by that user nor open to all.
    ///
    /// # Errors
    /// `Failed` if the path has too many links or a component cannot be read.
    pub fn locate(&self, path: &Path) -> Result<Lookup> {
        let fail = |errno: Errno| self.record_failure("follow", path, errno);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let top = self.open2(
            Path::new("/"),
            OFlags::PATH | OFlags::DIRECTORY,
            rustix::fs::ResolveFlags::empty(),
        )?;
        let stat: Stat = fstat(&top).map_err(fail)?.into();
        self.record_access(Path::new("/"), FollowMode::NoSymlinks, false, Some(&stat));
        let mut real = PathBuf::from("/");
        // The directories of `real`, the root of the host first; the inode at the end of the path,
        // last.
        let mut way: Vec<(OwnedFd, Stat)> = vec![(top, stat)];
        let mut control = Control::Trusted;
        let mut writer: Option<UntrustedWriter> = None;
        let mut links = 0;
        let mut ahead = components(path);
        while let Some(part) = ahead.pop() {
            if part == ".." {
                if way.len() > 1 {
                    way.pop();
                    real.pop();
                }
                continue;
            }
            let Some((directory, facts)) = way.last() else {
                break;
            };
            let here = real.join(&part);
            let handle = match openat(directory, part.as_os_str(), flags, Mode::empty()) {
                Ok(handle) => handle,
                Err(Errno::NOENT | Errno::NOTDIR) => {
                    self.record_access(&here, FollowMode::NoSymlinks, false, None);
                    return Ok(Lookup::Missing);
                }
                Err(errno) => return Err(self.record_failure("open", &here, errno)),
            };
            let stat: Stat = fstat(&handle).map_err(fail)?.into();
            self.record_access(&here, FollowMode::NoSymlinks, false, Some(&stat));
            let (power, is_strange) = power(facts, &stat);
            if is_strange && writer.is_none() {
                writer = Some(UntrustedWriter::directory(real.clone(), facts));
            }
            control = control.and(power);
            if stat.kind() == FileKind::Symlink {
                if control != Control::Trusted || !is_trusted(stat.uid) {
                    let writer = writer
                        .or_else(|| {
                            let in_sticky = control != Control::Trusted;
                            in_sticky.then(|| UntrustedWriter::directory(real.clone(), facts))
                        })
                        .unwrap_or_else(|| UntrustedWriter::link(here.clone(), &stat));
                    return Ok(Lookup::Refused { at: here, writer });
                }
                if links == LINK_LIMIT {
                    return Err(fail(Errno::LOOP));
                }
                links += 1;
                let text = readlinkat(&handle, "", Vec::new()).map_err(fail)?;
                let target = PathBuf::from(std::ffi::OsString::from_vec(text.into_bytes()));
                if target.is_absolute() {
                    way.truncate(1);
                    real = PathBuf::from("/");
                }
                ahead.extend(components(&target));
                continue;
            }
            if stat.kind() != FileKind::Directory && !ahead.is_empty() {
                return Ok(Lookup::Missing);
            }
            if stat.kind() == FileKind::Directory && !ahead.is_empty() {
                let may_pass = stat.mode & 0o001 != 0 || control == Control::User(stat.uid);
                if let Some(writer) = writer.clone().filter(|_| !may_pass) {
                    return Ok(Lookup::Refused { at: here, writer });
                }
            }
            real = here;
            way.push((handle, stat));
        }
        Ok(match way.pop() {
            Some((handle, stat)) => Lookup::Found(Located {
                real,
                stat,
                control,
                writer,
                handle,
            }),
            None => Lookup::Missing,
        })
    }

    /// Everything below a located directory, parents first and names sorted. No link is followed,
    /// and each directory is kept open while it is read, so that the stat of an entry and of the
    /// directories above it belong together whatever is renamed during the walk. To read a file,
    /// open it with [`HostView::open_no_symlinks`].
    ///
    /// # Errors
    /// `Failed` if a directory cannot be read, or the tree is too large or too deep.
    pub fn tree(&self, top: &Located) -> Result<Vec<TreeEntry>> {
        let mut found = Vec::new();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = openat(&top.handle, ".", flags, Mode::empty())
            .map_err(|errno| self.record_failure("open", &top.real, errno))?;
        self.record_access(&top.real, FollowMode::NoSymlinks, true, Some(&top.stat));
        self.below(&handle, &top.real, &top.stat, top.control, 1, &mut found)?;
        Ok(found)
    }

    fn below(
        &self,
        directory: &OwnedFd,
        path: &Path,
        facts: &Stat,
        control: Control,
        depth: usize,
        found: &mut Vec<TreeEntry>,
    ) -> Result<()> {
        let too_much = |what: String| {
            Err(Error::failed(format!(
                "could not read `{}`",
                self.display_path(path).display()
            ))
            .why(format!("it contains more than {what}")))
        };
        if depth > DEPTH_LIMIT {
            return too_much(format!("{DEPTH_LIMIT} nested directories"));
        }
        let list = names(directory).map_err(|errno| self.record_failure("list", path, errno))?;
        for name in list {
            let here = path.join(&name);
            let fail = |errno| self.record_failure("open", &here, errno);
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let handle = match openat(directory, name.as_os_str(), flags, Mode::empty()) {
                Ok(handle) => handle,
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(fail(errno)),
            };
            let stat: Stat = fstat(&handle).map_err(fail)?.into();
            let kind = stat.kind();
            self.record_access(
                &here,
                FollowMode::NoSymlinks,
                kind == FileKind::Directory,
                Some(&stat),
            );
            let control = control.and(power(facts, &stat).0);
            let target = if kind == FileKind::Symlink {
                let text = readlinkat(&handle, "", Vec::new()).map_err(fail)?;
                Some(PathBuf::from(std::ffi::OsString::from_vec(
                    text.into_bytes(),
                )))
            } else {
                None
            };
            if found.len() == ENTRY_LIMIT {
                return too_much(format!("{ENTRY_LIMIT} entries"));
            }
            found.push(TreeEntry {
                path: here.clone(),
                stat: stat.clone(),
                control,
                target,
            });
            if kind == FileKind::Directory {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let open = openat(&handle, ".", flags, Mode::empty()).map_err(fail)?;
                self.below(&open, &here, &stat, control, depth + 1, found)?;
            }
        }
        Ok(())
    }

    /// Content of the file at `path`, at most `limit` bytes, if no user but root could have written
    /// it or put it there; otherwise the user who could. `None` if there is no such file. For files
    /// that decide what root does: specs, templates and rules.
    ///
    /// # Errors
    /// `Failed` if it is no regular file, is larger, or cannot be read.
    pub fn read_trusted(
        &self,
        path: &Path,
        limit: u64,
    ) -> Result<Option<std::result::Result<Vec<u8>, UntrustedWriter>>> {
        use std::io::Read;
        let located = match self.locate(path)? {
            Lookup::Missing => return Ok(None),
            Lookup::Refused { writer, .. } => return Ok(Some(Err(writer))),
            Lookup::Found(located) => located,
        };
        let shown = self.display_path(path);
        if located.stat.kind() != FileKind::File {
            return Err(
                Error::failed(format!("could not open `{}`", shown.display()))
                    .why("it is not a regular file"),
            );
        }
        if let Some(writer) = UntrustedWriter::file(&located.stat).or(located.writer) {
            return Ok(Some(Err(writer)));
        }
        let mut content = Vec::new();
        self.open_no_symlinks(&located.real, &located.stat)?
            .take(limit + 1)
            .read_to_end(&mut content)
            .map_err(|error| Error::io("read", &shown, &error))?;
        if content.len() as u64 > limit {
            return Err(
                Error::failed(format!("could not read `{}`", shown.display()))
                    .why(format!("it is larger than {limit} bytes")),
            );
        }
        Ok(Some(Ok(content)))
    }
}

//! Following a path one component at a time, with what the owner of each directory on the way could do.
//!
//! A path that root is given, as the `source` of a file, a spec or `--output`, may pass directories of
//! users. Whoever may write to a directory decides what each name in it leads to: another file by
//! rename(2), a file of root by a symbolic link (CVE-2018-15664) or, where `fs.protected_hardlinks` is
//! 0, by a hard link. [`HostView::locate`] therefore looks at the path as it is written, holds each
//! directory open while it looks into it, and follows a link only where nobody but root could have put
//! it. proc_sys_fs(5), path_resolution(7).

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

/// Most directories within each other: each is held open while what it holds is looked at.
const DEPTH_LIMIT: usize = 256;

/// Who could have chosen what a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Root, and whoever runs jailctl or called it by sudo(8): nobody else may write to any directory
    /// on the way.
    Trusted,
    /// The user with this id besides, and no further one.
    User(u32),
    /// More than one other user: a directory on the way is writable by a group or by everybody, or two
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

    /// Why content with these facts may not be taken from under this control; `None` if it may. It may
    /// where it belongs to the one other user who controls it or is readable by everybody, since then
    /// nobody learns by jailctl what was closed to him, and where a file has one name only.
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
                "the user id {uid} could have put it there, and it is neither that user's nor readable by everybody"
            ),
            None => "others than root could have put it there, and it is not readable by everybody"
                .to_owned(),
        })
    }

    /// Whether `mode` gives group or others the right to read a file with these facts that they could
    /// not read. Root decides that for a file of root's under root's control, and for no other.
    pub fn opens(self, stat: &Stat, mode: u32) -> bool {
        let is_roots = self == Self::Trusted && is_trusted(stat.uid);
        !is_roots && mode & !stat.mode & 0o044 != 0
    }
}

/// What a path leads to.
#[derive(Debug)]
pub struct Located {
    /// The path without a symbolic link in it.
    pub real: PathBuf,
    /// The facts of what is there.
    pub stat: Stat,
    /// Who could have put it there.
    pub control: Control,
    /// The first directory on the way by which somebody else could have; `None` under the control of
    /// root. A file of root's with one name in a sticky directory, as `/tmp`, is not exchanged by
    /// others, and has none.
    pub stranger: Option<UntrustedWriter>,
    /// It, opened with `O_PATH`.
    pub(super) handle: OwnedFd,
}

/// What came of following a path.
#[derive(Debug)]
pub enum Lookup {
    /// There is nothing.
    Missing,
    /// It leads here.
    Found(Located),
    /// It is not followed beyond this component.
    Refused {
        /// A symbolic link, or a directory that not everybody may pass.
        at: PathBuf,
        /// Who could have put it there.
        stranger: UntrustedWriter,
    },
}

impl Lookup {
    /// The sentence of an error about a path that is not followed.
    pub fn refusal(at: &Path, stranger: &UntrustedWriter) -> String {
        format!(
            "somebody else than root could have put `{}` there: {}",
            at.display().to_string().escape_debug(),
            stranger.clause()
        )
    }
}

/// An entry of a tree.
#[derive(Debug)]
pub struct TreeEntry {
    /// Its path, free of links but for the last component.
    pub path: PathBuf,
    /// Its facts; a link is not followed.
    pub stat: Stat,
    /// Who could have put it there.
    pub control: Control,
    /// The text of a symbolic link.
    pub target: Option<PathBuf>,
}

/// By which right somebody else could have put an inode with the facts `stat` under a name in `directory`.
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
    // In a sticky directory a name is taken away by its owner only. A directory cannot be moved there
    // from elsewhere by others, nor have a second name; a file can.
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
    /// The user or users that could have written the file at `path`, or put it there, and are neither
    /// root nor the caller (the caller of sudo(8) included); `None` if there are none, or no such file.
    ///
    /// Checks the file and each directory and link of the path as it is written.
    ///
    /// # Errors
    /// As [`HostView::locate`].
    pub fn find_untrusted_writer(&self, path: &Path) -> Result<Option<UntrustedWriter>> {
        Ok(match self.locate(path)? {
            Lookup::Missing => None,
            Lookup::Refused { stranger, .. } => Some(stranger),
            Lookup::Found(located) => UntrustedWriter::file(&located.stat).or(located.stranger),
        })
    }

    /// Follows `path` as it is written, `..` included, within the host.
    ///
    /// A symbolic link is followed if nobody but root could have put it there: from the first directory
    /// that somebody else may write to, no link is followed at all. Nor is a directory passed, from there
    /// on, that is neither that somebody's own nor open to everybody.
    ///
    /// # Errors
    /// Where the path has too many links or a component cannot be looked at.
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
        // The directories of `real`, the host's root first; what lies at its end, last.
        let mut way: Vec<(OwnedFd, Stat)> = vec![(top, stat)];
        let mut control = Control::Trusted;
        let mut stranger: Option<UntrustedWriter> = None;
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
            if is_strange && stranger.is_none() {
                stranger = Some(UntrustedWriter::directory(real.clone(), facts));
            }
            control = control.and(power);
            if stat.kind() == FileKind::Symlink {
                if control != Control::Trusted || !is_trusted(stat.uid) {
                    let stranger = stranger
                        .or_else(|| {
                            let in_sticky = control != Control::Trusted;
                            in_sticky.then(|| UntrustedWriter::directory(real.clone(), facts))
                        })
                        .unwrap_or_else(|| UntrustedWriter::link(here.clone(), &stat));
                    return Ok(Lookup::Refused { at: here, stranger });
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
                if let Some(stranger) = stranger.clone().filter(|_| !may_pass) {
                    return Ok(Lookup::Refused { at: here, stranger });
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
                stranger,
                handle,
            }),
            None => Lookup::Missing,
        })
    }

    /// Everything below the directory that was located, parents first and names sorted. No link is
    /// followed, and each directory is held open while what it holds is looked at, so that the facts
    /// of an entry and of the directories above it belong together whatever is renamed meanwhile. To
    /// read a file, open it with [`HostView::open_no_symlinks`].
    ///
    /// # Errors
    /// Where a directory cannot be read, or the tree is too large or too deep.
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
            .why(format!("it holds more than {what}")))
        };
        if depth > DEPTH_LIMIT {
            return too_much(format!("{DEPTH_LIMIT} directories within each other"));
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

    /// The content of the file at `path`, at most `limit` bytes, if nobody else than root could have
    /// written it or put it there; otherwise who could have. `None` where there is no such file. For
    /// what decides what root does: specs, templates and rules.
    ///
    /// # Errors
    /// Where it is no regular file, is larger, or cannot be read.
    pub fn read_trusted(
        &self,
        path: &Path,
        limit: u64,
    ) -> Result<Option<std::result::Result<Vec<u8>, UntrustedWriter>>> {
        use std::io::Read;
        let located = match self.locate(path)? {
            Lookup::Missing => return Ok(None),
            Lookup::Refused { stranger, .. } => return Ok(Some(Err(stranger))),
            Lookup::Found(located) => located,
        };
        let shown = self.display_path(path);
        if located.stat.kind() != FileKind::File {
            return Err(
                Error::failed(format!("could not open `{}`", shown.display()))
                    .why("it is not a regular file"),
            );
        }
        if let Some(stranger) = UntrustedWriter::file(&located.stat).or(located.stranger) {
            return Ok(Some(Err(stranger)));
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

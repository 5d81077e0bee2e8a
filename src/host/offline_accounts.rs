//! Account files of a host in a directory (`--root DIR`): checked, locked, read and replaced by
//! descriptor.
//!
//! No tool of shadow is run for such a host. `useradd --prefix` follows a link of DIR out to the
//! files of the running system; `usermod --root` and `chpasswd --root` call chroot(2) and then load
//! the libraries that nsswitch.conf(5) of DIR names, as root (CVE-2019-14271 is the same in
//! docker).

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, fcntl_lock, fstat, openat};
use rustix::io::Errno;

use super::account_files::{AccountFiles, Database, Defaults, Refusal};
use super::clock::today;
use super::dir::Dir;
use super::ownership::OwnershipFlaw;
use super::stat::{FileKind, Ownership, Stat};
use super::view::HostView;
use super::writer::Host;
use crate::error::{Error, ErrorKind, Finding, Result};

/// Largest account file that is read, in bytes.
const FILE_LIMIT: u64 = 64 << 20;

/// Time that lckpwdf(3) waits for the lock.
const LOCK_LIMIT: Duration = Duration::from_secs(15);

/// The file that lckpwdf(3) locks, in `/etc`.
const LOCK: &str = ".pwd.lock";

impl HostView {
    /// Refuses a host in a directory whose `/etc` or account files could redirect an edit: each has
    /// to be a directory or regular file, no symbolic link, owned by root and writable by root
    /// only. Files that do not exist are accepted, and so is the running system.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`], with one finding for each such file.
    pub fn refuse_unsafe_accounts(&self) -> Result<()> {
        if self.is_live() {
            return Ok(());
        }
        let mut findings = Vec::new();
        let mut look = |path: &Path, kind| -> Result<bool> {
            let why = match self.lstat(path)? {
                Some(stat) => objection(&stat, kind),
                None => None,
            };
            findings.extend(why.map(|why| refusal(&self.display_path(path), why)));
            Ok(findings.is_empty())
        };
        if look(Path::new("/etc"), FileKind::Directory)? {
            for database in Database::ALL {
                let path = Path::new("/etc").join(database.file_name());
                look(&path, FileKind::File)?;
            }
        }
        if findings.is_empty() {
            return Ok(());
        }
        Err(Error {
            kind: ErrorKind::Failed,
            findings,
        })
    }
}

impl Host {
    /// Edits the account files: takes the lock of lckpwdf(3), reads all of them, and replaces each
    /// that `edit` has changed, with its owner and mode. Each is replaced atomically, so that a
    /// crash leaves the old or the new text of each. `action` completes "could not ...".
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if an id is taken or the lock is held for 15 seconds;
    /// [`ErrorKind::Failed`] otherwise, with nothing changed unless a file could not be replaced.
    pub(super) fn edit_accounts(
        &self,
        action: &str,
        edit: impl FnOnce(&mut AccountFiles) -> std::result::Result<(), Refusal>,
    ) -> Result<()> {
        self.forget_facts();
        self.refuse_unsafe_accounts()?;
        let etc = self.open_dir_nofollow(Path::new("/etc"))?.ok_or_else(|| {
            Error::failed(format!("could not {action}")).why("the host has no `/etc`")
        })?;
        // The open directory may be another than the one that was checked.
        refuse(
            &etc.stat()?,
            FileKind::Directory,
            &etc.display_path(Path::new(".")),
        )?;
        let _lock = lock(&etc)?;
        let mut texts = BTreeMap::new();
        let mut owners: BTreeMap<Database, Ownership> = BTreeMap::new();
        for database in Database::ALL {
            if let Some((text, owner)) = read(&etc, database)? {
                texts.insert(database, text);
                owners.insert(database, owner);
            }
        }
        let mut files = AccountFiles::new(&texts, self.account_defaults()?, today())
            .map_err(|why| into_error(action, why))?;
        edit(&mut files).map_err(|why| into_error(action, why))?;
        for (database, text) in files.changed() {
            if let Some(owner) = owners.get(&database) {
                etc.replace_file(Path::new(database.file_name()), &text, *owner)?;
            }
        }
        Ok(())
    }

    fn account_defaults(&self) -> Result<Defaults> {
        let text = |path: &str| -> Result<String> {
            let bytes = self.read(Path::new(path), FILE_LIMIT)?.unwrap_or_default();
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok(Defaults::parse(
            &text("/etc/login.defs")?,
            &text("/etc/default/useradd")?,
        ))
    }
}

/// Reason why an inode is not trusted as an account file or as their directory; `None` if it is.
fn objection(stat: &Stat, kind: FileKind) -> Option<String> {
    if stat.kind() == FileKind::Symlink {
        Some("it is a symbolic link".to_owned())
    } else if stat.kind() != kind {
        Some(match kind {
            FileKind::Directory => "it is not a directory".to_owned(),
            _ => "it is not a regular file".to_owned(),
        })
    } else {
        OwnershipFlaw::of(stat).map(|flaw| match flaw {
            OwnershipFlaw::Owner(uid) => format!("it belongs to the user id {uid}"),
            OwnershipFlaw::Writable(mode) => {
                format!("others than root may write to it (mode {mode:04o})")
            }
        })
    }
}

fn refusal(path: &Path, why: String) -> Finding {
    let path = path.display().to_string();
    Finding::new(format!(
        "could not use the account files of this host: `{}`",
        path.escape_debug()
    ))
    .why(why)
    .hint(
        "in a host for `--root`, `/etc` and its account files must be owned by root, and no links",
    )
}

fn refuse(stat: &Stat, kind: FileKind, path: &Path) -> Result<()> {
    match objection(stat, kind) {
        None => Ok(()),
        Some(why) => Err(Error::new(ErrorKind::Failed, refusal(path, why))),
    }
}

/// Takes the write lock of lckpwdf(3). It is released when the descriptor is closed.
fn lock(etc: &Dir) -> Result<OwnedFd> {
    let shown = etc.display_path(Path::new(LOCK));
    let flags = OFlags::WRONLY
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    let file = openat(etc.as_fd(), LOCK, flags, Mode::from_raw_mode(0o600))
        .map_err(|errno| Error::io("open", &shown, &errno.into()))?;
    let deadline = Instant::now() + LOCK_LIMIT;
    loop {
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::AGAIN | Errno::ACCESS) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(Errno::AGAIN | Errno::ACCESS) => {
                let shown = shown.display().to_string();
                let finding = Finding::new(format!("could not lock `{}`", shown.escape_debug()));
                let finding = finding
                    .why("another program changes the accounts of this host")
                    .hint("wait for it to end");
                return Err(Error::new(ErrorKind::Busy, finding));
            }
            Err(errno) => return Err(Error::io("lock", &shown, &errno.into())),
        }
    }
}

/// Text of an account file, its owner and mode; `None` if it does not exist.
fn read(etc: &Dir, database: Database) -> Result<Option<(Vec<u8>, Ownership)>> {
    let name = Path::new(database.file_name());
    let shown = etc.display_path(name);
    match etc.lstat(name)? {
        Some(stat) => refuse(&stat, FileKind::File, &shown)?,
        None => return Ok(None),
    }
    let file = etc.open_file(name)?;
    let stat: Stat = fstat(&file)
        .map_err(|errno| Error::io("stat", &shown, &errno.into()))?
        .into();
    refuse(&stat, FileKind::File, &shown)?;
    let mut text = Vec::new();
    let read = file.take(FILE_LIMIT + 1).read_to_end(&mut text);
    read.map_err(|error| Error::io("read", &shown, &error))?;
    if text.len() as u64 > FILE_LIMIT {
        let error = Error::failed(format!("could not read `{}`", shown.display()));
        return Err(error.why(format!("it is larger than {FILE_LIMIT} bytes")));
    }
    Ok(Some((text, stat.ownership())))
}

/// The error of a refused edit.
fn into_error(action: &str, why: Refusal) -> Error {
    match why {
        Refusal::Because(why) => Error::failed(format!("could not {action}")).why(why),
        Refusal::IdTaken(id) => {
            let finding = Finding::new(format!("could not {action}"))
                .why(format!("the id {id} is taken"))
                .hint("another program creates accounts at the moment: run the command again");
            Error::new(ErrorKind::Busy, finding)
        }
    }
}

//! utmp and wtmp records of terminals in sessions, for `who` and `last` on the host.
//!
//! A session has a devpts of its own, so its first terminal is `pts/0`. sshd would write that to
//! the utmp and wtmp of the host, over the record of the user of the host's pts/0, and end that
//! record at the logout. Therefore the session has files of its own, and pid 1 copies each of their
//! records to the files of the host, with a line that no other terminal has: `jail/` and the pid of
//! sshd's process, `jail/4711`.

use std::ffi::CStr;
use std::io::Write as _;
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::{Errno, fcntl_dupfd_cloexec, pread, read};
use rustix::process::Pid;

use crate::Error;
use crate::mount::DetachedMount;

/// Treatment of the utmp and wtmp records that sshd writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Utmp {
    /// Copied to the files of the host, as far as these exist.
    Mirrored,
    /// No records are written.
    None,
}

/// Files that sshd writes, and their names behind the barrier.
const FILES: [(Kind, &CStr, &str); 2] = [
    (Kind::Utmp, c"/var/run/utmp", "utmp"),
    (Kind::Wtmp, c"/var/log/wtmp", "wtmp"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One record for each terminal, the last one.
    Utmp,
    /// All records in order.
    Wtmp,
}

/// File of the session over one of the host.
#[derive(Debug)]
pub(super) struct UtmpFile {
    kind: Kind,
    path: &'static CStr,
    own: OwnedFd,
    /// Records that are copied.
    seen: Vec<Record>,
}

/// Creates an empty file of the session behind the barrier for each utmp and wtmp that the host
/// has, and mounts it over that one.
pub(super) fn mask(utmp: Utmp, barrier: &OwnedFd) -> Result<Vec<UtmpFile>, Error> {
    if utmp == Utmp::None {
        return Ok(Vec::new());
    }
    let failed = Error::of("create the session's utmp and wtmp");
    let mut files = Vec::new();
    for (kind, path, name) in FILES {
        // `/var/run` is a link to `/run` that only root can change.
        let Ok(target) = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) else {
            continue;
        };
        let stat = fstat(&target).map_err(&failed)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            continue;
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let own = openat(barrier, name, flags, Mode::RUSR | Mode::WUSR).map_err(&failed)?;
        DetachedMount::clone_tree(own.as_fd())?.attach(target.as_fd())?;
        files.push(UtmpFile {
            kind,
            path,
            own,
            seen: Vec::new(),
        });
    }
    Ok(files)
}

/// Files of the session, with an inotify watch.
#[derive(Debug)]
pub(super) struct UtmpWatcher {
    files: Vec<UtmpFile>,
    events: Option<OwnedFd>,
    sshd: Pid,
}

impl UtmpWatcher {
    /// Begins to watch the files for the session of sshd's process `sshd`.
    pub(super) fn open(files: Vec<UtmpFile>, sshd: Pid) -> Result<Self, Error> {
        let watch = || -> Result<OwnedFd, Errno> {
            let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            for file in &files {
                let own = format!("/proc/self/fd/{}", file.own.as_raw_fd());
                inotify::add_watch(&events, own, WatchFlags::MODIFY)?;
            }
            Ok(events)
        };
        let events = (!files.is_empty()).then(watch).transpose();
        let events = events.map_err(Error::of("watch the session's utmp and wtmp"))?;
        Ok(Self {
            files,
            events,
            sshd,
        })
    }

    /// Moves all descriptors above the standard ones.
    pub(super) fn above_standard(self) -> Result<Self, Errno> {
        let above = |fd: &OwnedFd| fcntl_dupfd_cloexec(fd, 3);
        let files = self.files.iter().map(|file| {
            Ok(UtmpFile {
                own: above(&file.own)?,
                seen: Vec::new(),
                ..*file
            })
        });
        let moved = Self {
            files: files.collect::<Result<_, Errno>>()?,
            events: self.events.as_ref().map(above).transpose()?,
            sshd: self.sshd,
        };
        // The old descriptors are closed by number.
        std::mem::forget(self);
        Ok(moved)
    }

    pub(super) fn descriptors(&self) -> Vec<RawFd> {
        let own = self.files.iter().map(|file| file.own.as_raw_fd());
        own.chain(self.events.iter().map(AsRawFd::as_raw_fd))
            .collect()
    }

    /// Readable when there are records to copy.
    pub(super) fn events(&self) -> Option<&OwnedFd> {
        self.events.as_ref()
    }

    /// Copies new records. An error on the files of the host does not end the session.
    pub(super) fn copy(&mut self) {
        let mut buffer = [0; 4096];
        while self
            .events
            .as_ref()
            .is_some_and(|events| read(events, &mut buffer).is_ok_and(|n| n > 0))
        {}
        for file in &mut self.files {
            file.copy(self.sshd);
        }
    }
}

impl UtmpFile {
    fn copy(&mut self, sshd: Pid) {
        for at in 0.. {
            let mut record = Record::EMPTY;
            let offset = (at * SIZE) as u64;
            if pread(&self.own, &mut record.0, offset) != Ok(SIZE) {
                break;
            }
            match self.seen.get_mut(at) {
                Some(seen) if *seen == record => continue,
                Some(seen) => *seen = record.clone(),
                None => self.seen.push(record.clone()),
            }
            if let Some(record) = record.for_session(sshd) {
                record.write(self.kind, self.path);
            }
        }
    }
}

const SIZE: usize = size_of::<libc::utmpx>();

/// Record in the format of the file, with the alignment that the C library requires.
#[derive(Debug, Clone, PartialEq, Eq)]
#[repr(C, align(8))]
struct Record([u8; SIZE]);

impl Record {
    const EMPTY: Self = Self([0; SIZE]);

    fn field<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut field = [0; N];
        field.copy_from_slice(&self.0[offset..offset + N]);
        field
    }

    fn kind(&self) -> i16 {
        i16::from_ne_bytes(self.field(offset_of!(libc::utmpx, ut_type)))
    }

    fn line(&self) -> String {
        let line: [u8; libc::__UT_LINESIZE] = self.field(offset_of!(libc::utmpx, ut_line));
        let text = line.split(|byte| *byte == 0).next().unwrap_or(&line);
        String::from_utf8_lossy(text).into_owned()
    }

    /// The record with the line of the session; `None` for records that are no login or logout on a
    /// terminal.
    fn for_session(&self, sshd: Pid) -> Option<Self> {
        if ![libc::USER_PROCESS, libc::DEAD_PROCESS].contains(&self.kind()) {
            return None;
        }
        let number: u32 = self.line().strip_prefix("pts/")?.parse().ok()?;
        let sshd = sshd.as_raw_nonzero().get();
        let mut record = self.clone();
        let line = &mut record.0[offset_of!(libc::utmpx, ut_line)..][..libc::__UT_LINESIZE];
        line.fill(0);
        let mut to = line;
        // 32 bytes: enough for the longest numbers, and truncated otherwise.
        let _ = match number {
            0 => write!(to, "jail/{sshd}"),
            _ => write!(to, "jail/{sshd}.{number}"),
        };
        // utmp identifies terminals by four bytes: 22 bits of the pid and 6 of the terminal number,
        // in bytes that no ASCII name has.
        let key = (sshd.cast_unsigned() << 6) | (number & 0x3f);
        let id = [21, 14, 7, 0].map(|shift| 0x80 | u8::try_from(key >> shift & 0x7f).unwrap_or(0));
        record.0[offset_of!(libc::utmpx, ut_id)..][..4].copy_from_slice(&id);
        Some(record)
    }

    fn write(&self, kind: Kind, path: &CStr) {
        let record = std::ptr::from_ref(self).cast::<libc::utmpx>();
        match kind {
            // SAFETY: a whole aligned record, which the C library reads. Pid 1 has one thread, and
            // no other code uses the position in the file.
            Kind::Utmp => unsafe {
                libc::setutxent();
                libc::pututxline(record);
                libc::endutxent();
            },
            // SAFETY: a whole aligned record, and a string that ends in NUL.
            Kind::Wtmp => unsafe { updwtmpx(path.as_ptr(), record) },
        }
    }
}

unsafe extern "C" {
    /// updwtmp(3), for utmpx; exported by the C library, missing in the `libc` crate.
    fn updwtmpx(file: *const libc::c_char, record: *const libc::utmpx);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(kind: i16, line: &str) -> Record {
        let mut record = Record::EMPTY;
        record.0[offset_of!(libc::utmpx, ut_type)..][..2].copy_from_slice(&kind.to_ne_bytes());
        record.0[offset_of!(libc::utmpx, ut_line)..][..line.len()].copy_from_slice(line.as_bytes());
        record
    }

    fn pid(number: i32) -> Pid {
        Pid::from_raw(number).expect("a pid")
    }

    #[test]
    fn each_terminal_has_its_own_line() {
        let first = login(libc::USER_PROCESS, "pts/0").for_session(pid(4711));
        assert_eq!(first.expect("a login").line(), "jail/4711");
        let third = login(libc::DEAD_PROCESS, "pts/2").for_session(pid(4_194_303));
        assert_eq!(third.expect("a logout").line(), "jail/4194303.2");
    }

    #[test]
    fn other_records_are_not_copied() {
        assert_eq!(login(libc::BOOT_TIME, "~").for_session(pid(1)), None);
        assert_eq!(login(libc::USER_PROCESS, "tty1").for_session(pid(1)), None);
        assert_eq!(login(libc::USER_PROCESS, "pts/x").for_session(pid(1)), None);
        assert_eq!(Record::EMPTY.for_session(pid(1)), None);
    }

    #[test]
    fn ids_of_terminals_are_unique() {
        let at = offset_of!(libc::utmpx, ut_id);
        let mut seen = std::collections::BTreeSet::new();
        for sshd in [1, 2, 4711, 4_194_303] {
            for number in 0..64 {
                let record =
                    login(libc::USER_PROCESS, &format!("pts/{number}")).for_session(pid(sshd));
                let id: [u8; 4] = record.expect("a login").field(at);
                assert!(id.iter().all(|byte| !byte.is_ascii()));
                assert!(seen.insert(id), "{sshd} {number}");
            }
        }
    }
}

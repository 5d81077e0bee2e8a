//! Logins on terminals, as `who` and `last` of the host show them.
//!
//! A session has terminals of its own, so the first of each is `pts/0`. sshd would write that into the host's utmp and wtmp, over the line of whoever
//! has the host's pts/0, and with logout end it. So the session sees files of its own there, and the keeper copies each record from
//! them into the host's, under a name that no other terminal has: `jail/` and the number of sshd's process, `jail/4711`.

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

/// What becomes of sshd's records of logins on terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Utmp {
    /// Copied into the host's files, if it has these.
    Mirrored,
    /// There are none.
    None,
}

/// The files that sshd writes, and their names behind the door.
const FILES: [(Kind, &CStr, &str); 2] = [
    (Kind::Utmp, c"/var/run/utmp", "utmp"),
    (Kind::Wtmp, c"/var/log/wtmp", "wtmp"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One record for each terminal, the last one.
    Utmp,
    /// All records, one after the other.
    Wtmp,
}

/// A session's own file, over the host's.
#[derive(Debug)]
pub(super) struct UtmpFile {
    kind: Kind,
    path: &'static CStr,
    own: OwnedFd,
    /// The records that were copied.
    seen: Vec<Record>,
}

/// Creates an empty file of the session behind the barrier for each utmp and wtmp that the host has,
/// and mounts it over that one.
pub(super) fn mask(utmp: Utmp, barrier: &OwnedFd) -> Result<Vec<UtmpFile>, Error> {
    if utmp == Utmp::None {
        return Ok(Vec::new());
    }
    let failed = Error::of("keep the session's logins apart");
    let mut ledgers = Vec::new();
    for (kind, path, name) in FILES {
        // A link to /run is on the way, and nobody but root can change it.
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
        ledgers.push(UtmpFile {
            kind,
            path,
            own,
            seen: Vec::new(),
        });
    }
    Ok(ledgers)
}

/// The session's files, watched.
#[derive(Debug)]
pub(super) struct UtmpWatcher {
    ledgers: Vec<UtmpFile>,
    events: Option<OwnedFd>,
    sshd: Pid,
}

impl UtmpWatcher {
    /// Begins to watch.
    pub(super) fn open(ledgers: Vec<UtmpFile>, sshd: Pid) -> Result<Self, Error> {
        let watch = || -> Result<OwnedFd, Errno> {
            let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            for ledger in &ledgers {
                let own = format!("/proc/self/fd/{}", ledger.own.as_raw_fd());
                inotify::add_watch(&events, own, WatchFlags::MODIFY)?;
            }
            Ok(events)
        };
        let events = (!ledgers.is_empty()).then(watch).transpose();
        let events = events.map_err(Error::of("watch the session's logins"))?;
        Ok(Self {
            ledgers,
            events,
            sshd,
        })
    }

    /// The same with descriptors above the standard ones.
    pub(super) fn above_standard(self) -> Result<Self, Errno> {
        let above = |fd: &OwnedFd| fcntl_dupfd_cloexec(fd, 3);
        let ledgers = self.ledgers.iter().map(|ledger| {
            Ok(UtmpFile {
                own: above(&ledger.own)?,
                seen: Vec::new(),
                ..*ledger
            })
        });
        let moved = Self {
            ledgers: ledgers.collect::<Result<_, Errno>>()?,
            events: self.events.as_ref().map(above).transpose()?,
            sshd: self.sshd,
        };
        // Their numbers are about to be closed.
        std::mem::forget(self);
        Ok(moved)
    }

    pub(super) fn descriptors(&self) -> Vec<RawFd> {
        let own = self.ledgers.iter().map(|ledger| ledger.own.as_raw_fd());
        own.chain(self.events.iter().map(AsRawFd::as_raw_fd))
            .collect()
    }

    /// Ready to be read when there is something to copy.
    pub(super) fn events(&self) -> Option<&OwnedFd> {
        self.events.as_ref()
    }

    /// Copies what is new. That the host's files cannot be written is no reason to end a session.
    pub(super) fn copy(&mut self) {
        let mut taken = [0; 4096];
        while self
            .events
            .as_ref()
            .is_some_and(|events| read(events, &mut taken).is_ok_and(|n| n > 0))
        {}
        for ledger in &mut self.ledgers {
            ledger.copy(self.sshd);
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
            if let Some(record) = record.as_of(sshd) {
                record.write(self.kind, self.path);
            }
        }
    }
}

const SIZE: usize = size_of::<libc::utmpx>();

/// A record as it stands in the file; aligned as the C library wants it.
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

    /// The record under the name that is the session's alone; `None` for what is no login or logout on a terminal.
    fn as_of(&self, sshd: Pid) -> Option<Self> {
        if ![libc::USER_PROCESS, libc::DEAD_PROCESS].contains(&self.kind()) {
            return None;
        }
        let number: u32 = self.line().strip_prefix("pts/")?.parse().ok()?;
        let sshd = sshd.as_raw_nonzero().get();
        let mut record = self.clone();
        let line = &mut record.0[offset_of!(libc::utmpx, ut_line)..][..libc::__UT_LINESIZE];
        line.fill(0);
        let mut to = line;
        // 32 bytes: enough for the longest numbers that there are, and cut short if not.
        let _ = match number {
            0 => write!(to, "jail/{sshd}"),
            _ => write!(to, "jail/{sshd}.{number}"),
        };
        // What utmp tells terminals apart by: 22 bits of a process number and 6 of a terminal's, in four bytes that no ASCII name has.
        let key = (sshd.cast_unsigned() << 6) | (number & 0x3f);
        let id = [21, 14, 7, 0].map(|shift| 0x80 | u8::try_from(key >> shift & 0x7f).unwrap_or(0));
        record.0[offset_of!(libc::utmpx, ut_id)..][..4].copy_from_slice(&id);
        Some(record)
    }

    fn write(&self, kind: Kind, path: &CStr) {
        let record = std::ptr::from_ref(self).cast::<libc::utmpx>();
        match kind {
            // SAFETY: a whole record, aligned, that the C library reads. The keeper has one thread, and nobody else's position in the
            // file is lost.
            Kind::Utmp => unsafe {
                libc::setutxent();
                libc::pututxline(record);
                libc::endutxent();
            },
            // SAFETY: the same record, and a string that ends in NUL.
            Kind::Wtmp => unsafe { updwtmpx(path.as_ptr(), record) },
        }
    }
}

unsafe extern "C" {
    /// updwtmp(3), for utmpx; the C library has it, and `libc` does not.
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
        Pid::from_raw(number).expect("a process number")
    }

    #[test]
    fn a_terminal_gets_a_name_of_its_own() {
        let first = login(libc::USER_PROCESS, "pts/0").as_of(pid(4711));
        assert_eq!(first.expect("a login").line(), "jail/4711");
        let third = login(libc::DEAD_PROCESS, "pts/2").as_of(pid(4_194_303));
        assert_eq!(third.expect("a logout").line(), "jail/4194303.2");
    }

    #[test]
    fn what_is_no_login_is_left_out() {
        assert_eq!(login(libc::BOOT_TIME, "~").as_of(pid(1)), None);
        assert_eq!(login(libc::USER_PROCESS, "tty1").as_of(pid(1)), None);
        assert_eq!(login(libc::USER_PROCESS, "pts/x").as_of(pid(1)), None);
        assert_eq!(Record::EMPTY.as_of(pid(1)), None);
    }

    #[test]
    fn no_two_terminals_have_one_id() {
        let at = offset_of!(libc::utmpx, ut_id);
        let mut seen = std::collections::BTreeSet::new();
        for sshd in [1, 2, 4711, 4_194_303] {
            for number in 0..64 {
                let record = login(libc::USER_PROCESS, &format!("pts/{number}")).as_of(pid(sshd));
                let id: [u8; 4] = record.expect("a login").field(at);
                assert!(id.iter().all(|byte| !byte.is_ascii()));
                assert!(seen.insert(id), "{sshd} {number}");
            }
        }
    }
}

//! User ids without an account: for a process that no other process may reach, since every process
//! with its id may signal and trace it (kill(2), ptrace(2)).

use std::hash::{BuildHasher, RandomState};
use std::ops::RangeInclusive;
use std::path::Path;

use super::process_info::Process;
use super::view::HostView;
use crate::error::{Error, Result};

/// Ids that no convention assigns, the best first. `UIDS-GIDS` of systemd lists them as unused: not
/// of the system, useradd(8), systemd-homed, dynamic users or containers, and not `nobody`. The
/// first are also above the default range of directory services (sssd, FreeIPA: up to 2000400000),
/// and below 2^31, where some programs fail. The others are for a container with few ids, and below
/// the subordinate ids of useradd(8) (100000).
const RANGE: [RangeInclusive<u32>; 4] = [
    0x7800_0000..=0x7ffd_ffff,
    65_536..=99_999,
    65_520..=65_533,
    60_706..=61_183,
];
/// Most ids that are tried in a range.
const TRIES: u32 = 64;
/// Largest file that is read, in bytes.
const LIMIT: u64 = 16 << 20;

impl HostView {
    /// A user id that no account of any source has, no process has, and no tool assigns: chosen at
    /// random each time, within the ids of the user namespace of the caller, and outside of those
    /// of login.defs(5), subuid(5) and the conventions of systemd.
    ///
    /// # Errors
    /// `Failed` if there is none.
    pub fn unused_uid(&self) -> Result<u32> {
        let text = |path: &str| -> Result<String> {
            let bytes = self.read(Path::new(path), LIMIT)?;
            Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
        };
        let mapped = mapped(&text("/proc/self/uid_map")?);
        let mut given = given(&text("/etc/login.defs")?);
        given.extend(subordinate(&text("/etc/subuid")?));
        let accounts = self.accounts()?;
        let used = Process::user_ids()?;
        let is_spare = |uid: u32| {
            let within = |ranges: &[RangeInclusive<u32>]| ranges.iter().any(|r| r.contains(&uid));
            (mapped.is_empty() || within(&mapped))
                && !within(&given)
                && !used.contains(&uid)
                && !Process::has_any(uid)
                && !accounts.uid_known(uid)
        };
        let found = RANGE.into_iter().find_map(|range| {
            let size = range.end() - range.start() + 1;
            let first = random();
            let tries = 0..TRIES.min(size);
            tries
                .map(|step| range.start() + first.wrapping_add(step) % size)
                .find(|uid| is_spare(*uid))
        });
        found.ok_or_else(|| {
            Error::failed("could not find an unused user id")
                .why("login.defs(5), subuid(5), accounts or the ids of this container leave none")
                .hint("leave some of 2013265920 to 2147352575 unused, or of 65536 to 99999")
        })
    }
}

/// A random number: the seeds of the standard hash maps come from getrandom(2).
fn random() -> u32 {
    let bytes = RandomState::new().hash_one(0_u8).to_ne_bytes();
    u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// `start` and the `count - 1` ids after it.
fn run(start: u32, count: u32) -> Option<RangeInclusive<u32>> {
    let last = start.checked_add(count.checked_sub(1)?);
    Some(start..=last.unwrap_or(u32::MAX))
}

/// Ids that exist in a user namespace, by the text of its uid_map: user_namespaces(7).
fn mapped(text: &str) -> Vec<RangeInclusive<u32>> {
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        let start = words.next()?.parse().ok()?;
        run(start, words.nth(1)?.parse().ok()?)
    };
    text.lines().filter_map(of_line).collect()
}

/// Ids that useradd(8) assigns to accounts, and as subordinate ids, by the text of login.defs(5).
fn given(text: &str) -> Vec<RangeInclusive<u32>> {
    let number = |key: &str| {
        let mut lines = text.lines().map(str::split_whitespace);
        let mut words = lines.find_map(|mut words| (words.next() == Some(key)).then_some(words))?;
        words.next()?.parse::<u32>().ok()
    };
    let keys = [
        ("UID_MIN", 1000, "UID_MAX", 60_000),
        ("SYS_UID_MIN", 101, "SYS_UID_MAX", 999),
        ("SUB_UID_MIN", 100_000, "SUB_UID_MAX", 600_100_000),
    ];
    keys.into_iter()
        .map(|(first, from, last, to)| number(first).unwrap_or(from)..=number(last).unwrap_or(to))
        .collect()
}

/// Ids of subuid(5).
fn subordinate(text: &str) -> Vec<RangeInclusive<u32>> {
    let of_line = |line: &str| {
        let mut fields = line.split(':').skip(1);
        let start = fields.next()?.trim().parse().ok()?;
        run(start, fields.next()?.trim().parse().ok()?)
    };
    text.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_away_is_read() {
        assert_eq!(mapped("         0     100000      65536\n"), [0..=65_535]);
        assert_eq!(mapped("0 0 4294967295"), [0..=4_294_967_294]);
        assert_eq!(
            given("# UID_MIN 5\nUID_MIN 500\nUID_MAX\t\t2000000000\nSUB_UID_MAX 700000\n"),
            [500..=2_000_000_000, 101..=999, 100_000..=700_000]
        );
        assert_eq!(
            subordinate("bob:100000:65536\nnobody\nx:1:0\ny:4294967290:100\n"),
            [100_000..=165_535, 4_294_967_290..=u32::MAX]
        );
    }

    #[test]
    fn a_spare_id_is_nobodys_and_another_each_time() {
        let view = HostView::new(Path::new("/")).unwrap();
        let (one, two) = (view.unused_uid().unwrap(), view.unused_uid().unwrap());
        assert_ne!(one, two);
        for uid in [one, two] {
            assert!(RANGE.iter().any(|range| range.contains(&uid)), "{uid}");
            assert!(!view.accounts().unwrap().uid_known(uid));
            assert!(!Process::has_any(uid));
        }
    }
}

//! The two nftables tables of the network of a jail in the kernel: comparing them with the policy,
//! and loading them.
//!
//! A file for each jail records the text that was loaded, as a hash, and the kernel's state after
//! that ([`nft_events::fingerprint`](super::nft_events::fingerprint)), so that a few netlink
//! messages show whether the tables are loaded and unchanged. A lock on that file is held
//! until then. It is not the lock of all networks, because it may be held by pid 1 of a session,
//! which the limits of its jail may slow down.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};

use super::addresses::Prefix;
use super::namespace::{move_to, namespace};
use super::netlink::Netlink;
use super::nft_events::{Family, fingerprint};
use super::nft_host_table::{self, Nft};
use super::nft_jail_table;
use super::registry::{Registry, TIMEOUT, busy, read, record_path, write};
use crate::Error;
use crate::policy::Network;

/// Attempts to load tables that another program removes in between.
const ATTEMPTS: u32 = 3;

/// Network namespaces of the host and of a jail. The calling thread is in that of the host, and
/// returns to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Namespaces<'n> {
    pub(super) host: BorrowedFd<'n>,
    pub(super) jail: BorrowedFd<'n>,
}

impl Namespaces<'_> {
    /// Calls `act` in the network namespace of the jail.
    fn in_jail<T>(self, act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        move_to(self.jail, "enter the jail's network")?;
        let done = act();
        move_to(self.host, "go back to the host's network")?;
        done
    }
}

/// Text of both tables as they should be loaded.
#[derive(Debug)]
pub(super) struct Wanted {
    host: String,
    jail: String,
}

impl Wanted {
    /// `guarded` are the interfaces that forward for jails only, `host` the addresses of the host
    /// itself.
    pub(super) fn new(jail: &str, network: &Network, guarded: &[String], host: &[Prefix]) -> Self {
        Self {
            host: nft_host_table::table(jail, network, guarded),
            jail: nft_jail_table::table(network, host),
        }
    }
}

impl Wanted {
    /// Text of the table in the network namespace of the jail.
    pub(super) fn jail(&self) -> &str {
        &self.jail
    }
}

/// State of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// As it should be.
    Current,
    /// The table is missing.
    Missing,
    /// The table has changed since it was loaded.
    Changed,
    /// Unchanged, but the policy or the addresses of the host have changed.
    Outdated,
}

/// States of both tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conditions {
    pub(super) host: Condition,
    pub(super) jail: Condition,
}

/// Hash of the text that was loaded, and fingerprint of the kernel's state after that; `None` if
/// unknown.
type Loaded = Option<(u64, u64)>;

/// The tables of one jail, locked.
#[derive(Debug)]
pub(super) struct Tables {
    file: File,
    jail: String,
}

impl Tables {
    /// Locks the tables; `None` if another process has the lock.
    pub(super) fn try_lock(jail: &str) -> Result<Option<Self>, Error> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file: File = open(record_path(jail), flags, Mode::RUSR | Mode::WUSR)
            .map_err(Error::of("open the record of the jail's rules"))?
            .into();
        let jail = jail.to_owned();
        Ok(file.try_lock().is_ok().then_some(Self { file, jail }))
    }

    /// Waits for the lock of the tables.
    pub(super) fn lock(jail: &str) -> Result<Self, Error> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            match Self::try_lock(jail)? {
                Some(tables) => return Ok(tables),
                None if Instant::now() >= deadline => return Err(busy()),
                None => sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Name of the jail.
    pub(super) fn jail(&self) -> &str {
        &self.jail
    }

    /// The recorded states of the host's and of the jail's table.
    fn recorded(&mut self) -> Result<[Loaded; 2], Error> {
        let text = read(&mut self.file)?;
        let mut lines = text.lines().map(|line| {
            let (text, kernel) = line.split_once(' ')?;
            let number = |text| u64::from_str_radix(text, 16).ok();
            Some((number(text)?, number(kernel)?))
        });
        Ok([(); 2].map(|()| lines.next().flatten()))
    }

    fn record(&mut self, loaded: [Loaded; 2]) -> Result<(), Error> {
        let line = |loaded: Loaded| match loaded {
            Some((text, kernel)) => format!("{text:016x} {kernel:016x}\n"),
            None => "-\n".to_owned(),
        };
        write(&mut self.file, &loaded.map(line).concat())
    }

    /// Compares both tables with `wanted`.
    pub(super) fn compare(
        &mut self,
        wanted: &Wanted,
        namespaces: Namespaces<'_>,
    ) -> Result<Conditions, Error> {
        let [host, jail] = self.recorded()?;
        let [found_host, found_jail] = self.find(namespaces)?;
        Ok(Conditions {
            host: condition(host, found_host, &wanted.host),
            jail: condition(jail, found_jail, &wanted.jail),
        })
    }

    /// The kernel's state of both tables.
    fn find(&self, namespaces: Namespaces<'_>) -> Result<[Option<u64>; 2], Error> {
        let mut here = Netlink::netfilter()?;
        let mut there = namespaces.in_jail(Netlink::netfilter)?;
        let host = fingerprint(&mut here, Family::Ip, &nft_host_table::name(&self.jail))?;
        let jail = fingerprint(&mut there, Family::Inet, nft_jail_table::TABLE)?;
        Ok([host, jail])
    }

    /// Loads the tables that differ from `wanted`.
    pub(super) fn restore(
        &mut self,
        wanted: &Wanted,
        namespaces: Namespaces<'_>,
    ) -> Result<(), Error> {
        for attempt in 0..ATTEMPTS {
            let Conditions { host, jail } = self.compare(wanted, namespaces)?;
            let (host, jail) = (host != Condition::Current, jail != Condition::Current);
            // A program that removes the host's table again and again prevents no session: the
            // jail's table does not need it, and pid 1 of the sessions keeps loading it.
            if !jail && (!host || attempt > 0) {
                return Ok(());
            }
            let inside = jail
                .then(|| namespaces.in_jail(|| Nft::load(&wanted.jail)))
                .transpose()?;
            self.load(wanted, namespaces, inside, host)?;
        }
        Err(Error::Busy(
            "another program keeps removing the rules of the jail's network".to_owned(),
        ))
    }

    /// Waits for `inside`, which loads the jail's table, loads the host's table in parallel if
    /// `host`, and records the kernel's state.
    pub(super) fn load(
        &mut self,
        wanted: &Wanted,
        namespaces: Namespaces<'_>,
        inside: Option<Nft>,
        host: bool,
    ) -> Result<(), Error> {
        let outside = host.then(|| Nft::load(&wanted.host)).transpose();
        // Both are waited for, also after an error of one.
        let is_inside = inside.is_some();
        let inside = inside.map_or(Ok(()), Nft::finish);
        let outside = outside.and_then(|nft| nft.map_or(Ok(()), Nft::finish));
        inside.and(outside)?;
        let before = self.recorded()?;
        let [found_host, found_jail] = self.find(namespaces)?;
        let now = |is_new: bool, found: Option<u64>, text: &str, before: Loaded| {
            if is_new {
                found.map(|kernel| (hash(text), kernel))
            } else {
                before
            }
        };
        self.record([
            now(host, found_host, &wanted.host, before[0]),
            now(is_inside, found_jail, &wanted.jail, before[1]),
        ])
    }

    /// Deletes the record, for a network that is created again.
    pub(super) fn clear_record(&mut self) -> Result<(), Error> {
        self.record([None, None])
    }
}

/// Calls `act` with the locked tables of a network that has sessions, holding the lock of all
/// networks; returns `None` without sessions. The calling thread is in the network namespace of the
/// host.
pub(super) fn with_tables<T>(
    jail: &str,
    act: impl FnOnce(&Registry, &mut Tables, Namespaces<'_>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let host = namespace()?;
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let registry = Registry::open()?;
        let Some(inside) = registry.network(jail)? else {
            return Ok(None);
        };
        if let Some(mut tables) = Tables::try_lock(jail)? {
            let namespaces = Namespaces {
                host: host.as_fd(),
                jail: inside.as_fd(),
            };
            return act(&registry, &mut tables, namespaces).map(Some);
        }
        // Pid 1 of a session has the lock of the tables; no process may wait for it while it holds
        // the lock of all networks.
        drop(registry);
        if Instant::now() >= deadline {
            return Err(busy());
        }
        sleep(Duration::from_millis(5));
    }
}

fn condition(recorded: Loaded, found: Option<u64>, wanted: &str) -> Condition {
    match (recorded, found) {
        (_, None) => Condition::Missing,
        (Some((text, kernel)), Some(found)) if kernel == found => {
            if text == hash(wanted) {
                Condition::Current
            } else {
                Condition::Outdated
            }
        }
        (_, Some(_)) => Condition::Changed,
    }
}

/// Hash of a text. Another version of jailctl may have another hash function, and then loads the
/// table once more.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    Hash::hash(text, &mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_current_only_as_loaded_and_as_it_should_be() {
        let recorded = Some((hash("rules"), 7));
        assert_eq!(condition(recorded, Some(7), "rules"), Condition::Current);
        assert_eq!(condition(recorded, Some(7), "others"), Condition::Outdated);
        assert_eq!(condition(recorded, Some(8), "rules"), Condition::Changed);
        assert_eq!(condition(recorded, None, "rules"), Condition::Missing);
        assert_eq!(condition(None, Some(7), "rules"), Condition::Changed);
    }
}

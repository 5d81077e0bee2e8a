//! The two tables of a jail's network as the kernel has them: whether they are there and unchanged, and loading them.
//!
//! Whoever loads them notes, in a file for each jail, what was loaded and by which number the kernel knows it ([`nft_events::fingerprint`]). So everybody
//! can tell by a few messages to the kernel whether the tables are what they should be. A lock on that file is held meanwhile; it is another one than that of all
//! networks, since a keeper holds it whom its jail's limits may slow down.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};

use super::addresses::Prefix;
use super::filter;
use super::namespace::{move_to, namespace};
use super::netlink::Netlink;
use super::nft::{self, Nft};
use super::nft_events::{Family, fingerprint};
use super::registry::{PATIENCE, Registry, busy, note_path, read, write};
use crate::Error;
use crate::policy::Network;

/// How often tables are loaded, when somebody removes them while they are looked at.
const ATTEMPTS: u32 = 3;

/// The network namespaces of the host and of a jail. The calling thread is in the host's, and comes back to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Namespaces<'n> {
    pub(super) host: BorrowedFd<'n>,
    pub(super) jail: BorrowedFd<'n>,
}

impl Namespaces<'_> {
    /// Does something in the jail's.
    fn in_jail<T>(self, act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        move_to(self.jail, "enter the jail's network")?;
        let done = act();
        move_to(self.host, "go back to the host's network")?;
        done
    }
}

/// The text of both tables, as it should be loaded.
#[derive(Debug)]
pub(super) struct Wanted {
    host: String,
    jail: String,
}

impl Wanted {
    /// `guarded`: interfaces that forward for jails alone. `host`: destinations that are the host itself.
    pub(super) fn new(jail: &str, network: &Network, guarded: &[String], host: &[Prefix]) -> Self {
        Self {
            host: nft::table(jail, network, guarded),
            jail: filter::table(network, host),
        }
    }
}

impl Wanted {
    /// The jail's table.
    pub(super) fn jail(&self) -> &str {
        &self.jail
    }
}

/// What was found of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// It is what it should be.
    Whole,
    /// There is none.
    Gone,
    /// It is not as it was loaded.
    Changed,
    /// It is as it was loaded, and should be another by now.
    Outdated,
}

/// What was found of both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conditions {
    pub(super) host: Condition,
    pub(super) jail: Condition,
}

/// What was loaded, as a number, and what the kernel had of it then; `None` where that is not known.
type Loaded = Option<(u64, u64)>;

/// The tables of one jail, which nobody else loads meanwhile.
#[derive(Debug)]
pub(super) struct Tables {
    file: File,
    jail: String,
}

impl Tables {
    /// `None` where somebody else has them.
    pub(super) fn try_lock(jail: &str) -> Result<Option<Self>, Error> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file: File = open(note_path(jail), flags, Mode::RUSR | Mode::WUSR)
            .map_err(Error::of("open what is known of the jail's rules"))?
            .into();
        let jail = jail.to_owned();
        Ok(file.try_lock().is_ok().then_some(Self { file, jail }))
    }

    /// Waits for whoever has them.
    pub(super) fn lock(jail: &str) -> Result<Self, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Self::try_lock(jail)? {
                Some(tables) => return Ok(tables),
                None if Instant::now() >= deadline => return Err(busy()),
                None => sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Whose they are.
    pub(super) fn jail(&self) -> &str {
        &self.jail
    }

    /// What was noted, of the host's table and of the jail's.
    fn noted(&mut self) -> Result<[Loaded; 2], Error> {
        let text = read(&mut self.file)?;
        let mut lines = text.lines().map(|line| {
            let (text, kernel) = line.split_once(' ')?;
            let number = |text| u64::from_str_radix(text, 16).ok();
            Some((number(text)?, number(kernel)?))
        });
        Ok([(); 2].map(|()| lines.next().flatten()))
    }

    fn note(&mut self, loaded: [Loaded; 2]) -> Result<(), Error> {
        let line = |loaded: Loaded| match loaded {
            Some((text, kernel)) => format!("{text:016x} {kernel:016x}\n"),
            None => "-\n".to_owned(),
        };
        write(&mut self.file, &loaded.map(line).concat())
    }

    /// Compares what is there with what should be.
    pub(super) fn examine(
        &mut self,
        wanted: &Wanted,
        namespaces: Namespaces<'_>,
    ) -> Result<Conditions, Error> {
        let [host, jail] = self.noted()?;
        let [found_host, found_jail] = self.find(namespaces)?;
        Ok(Conditions {
            host: condition(host, found_host, &wanted.host),
            jail: condition(jail, found_jail, &wanted.jail),
        })
    }

    /// What the kernel has of both.
    fn find(&self, namespaces: Namespaces<'_>) -> Result<[Option<u64>; 2], Error> {
        let mut here = Netlink::netfilter()?;
        let mut there = namespaces.in_jail(Netlink::netfilter)?;
        let host = fingerprint(&mut here, Family::Ip, &nft::name(&self.jail))?;
        let jail = fingerprint(&mut there, Family::Inet, filter::TABLE)?;
        Ok([host, jail])
    }

    /// Loads what is not as it should be.
    pub(super) fn mend(
        &mut self,
        wanted: &Wanted,
        namespaces: Namespaces<'_>,
    ) -> Result<(), Error> {
        for attempt in 0..ATTEMPTS {
            let Conditions { host, jail } = self.examine(wanted, namespaces)?;
            let (host, jail) = (host != Condition::Whole, jail != Condition::Whole);
            // Somebody who removes the host's table again and again keeps nobody out: the jail's holds without it, and keepers go on loading it.
            if !jail && (!host || attempt > 0) {
                return Ok(());
            }
            let inside = jail
                .then(|| namespaces.in_jail(|| Nft::load(&wanted.jail)))
                .transpose()?;
            self.load(wanted, namespaces, inside, host)?;
        }
        Err(Error::Refused(
            "the rules of the jail's network do not stay in it".to_owned(),
        ))
    }

    /// Waits for what loads the jail's table, loads the host's meanwhile, if asked for, and notes what the kernel has then.
    pub(super) fn load(
        &mut self,
        wanted: &Wanted,
        namespaces: Namespaces<'_>,
        inside: Option<Nft>,
        host: bool,
    ) -> Result<(), Error> {
        let outside = host.then(|| Nft::load(&wanted.host)).transpose();
        // Both are waited for, whatever becomes of one.
        let is_inside = inside.is_some();
        let inside = inside.map_or(Ok(()), Nft::finish);
        let outside = outside.and_then(|nft| nft.map_or(Ok(()), Nft::finish));
        inside.and(outside)?;
        let before = self.noted()?;
        let [found_host, found_jail] = self.find(namespaces)?;
        let now = |is_new: bool, found: Option<u64>, text: &str, before: Loaded| {
            if is_new {
                found.map(|kernel| (number(text), kernel))
            } else {
                before
            }
        };
        self.note([
            now(host, found_host, &wanted.host, before[0]),
            now(is_inside, found_jail, &wanted.jail, before[1]),
        ])
    }

    /// Forgets what was noted: of a network that is made anew.
    pub(super) fn forget(&mut self) -> Result<(), Error> {
        self.note([None, None])
    }
}

/// Does something with the tables of a jail's network in which somebody is, with the lock of all networks; `None` where nobody is. The calling thread
/// is in the host's.
pub(super) fn with_tables<T>(
    jail: &str,
    act: impl FnOnce(&Registry, &mut Tables, Namespaces<'_>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let host = namespace()?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let doors = Registry::open()?;
        let Some(inside) = doors.network(jail)? else {
            return Ok(None);
        };
        if let Some(mut tables) = Tables::try_lock(jail)? {
            let namespaces = Namespaces {
                host: host.as_fd(),
                jail: inside.as_fd(),
            };
            return act(&doors, &mut tables, namespaces).map(Some);
        }
        // A keeper has them, whom nobody is to wait for with the lock of all.
        drop(doors);
        if Instant::now() >= deadline {
            return Err(busy());
        }
        sleep(Duration::from_millis(5));
    }
}

fn condition(noted: Loaded, found: Option<u64>, wanted: &str) -> Condition {
    match (noted, found) {
        (_, None) => Condition::Gone,
        (Some((text, kernel)), Some(found)) if kernel == found => {
            if text == number(wanted) {
                Condition::Whole
            } else {
                Condition::Outdated
            }
        }
        (_, Some(_)) => Condition::Changed,
    }
}

/// A number for a text. Another version of jailctl may give another one: the table is loaded once more then.
fn number(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_whole_only_as_it_was_loaded_and_should_be() {
        let noted = Some((number("rules"), 7));
        assert_eq!(condition(noted, Some(7), "rules"), Condition::Whole);
        assert_eq!(condition(noted, Some(7), "others"), Condition::Outdated);
        assert_eq!(condition(noted, Some(8), "rules"), Condition::Changed);
        assert_eq!(condition(noted, None, "rules"), Condition::Gone);
        assert_eq!(condition(None, Some(7), "rules"), Condition::Changed);
    }
}

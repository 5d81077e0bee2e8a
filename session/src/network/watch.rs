//! How a keeper learns that something of its jail's network was changed on the host: notifications of nftables and rtnetlink(7).

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::netlink::Netlink;
use super::nft_events;

/// `RTMGRP_IPV4_ROUTE` and `RTMGRP_IPV4_RULE` of rtnetlink(7): the host's addresses are routes as well.
const GROUPS: u32 = 0x40 | 0x80;
/// How long routes are left to change before they are looked at.
const CALM: Duration = Duration::from_millis(20);
/// When to look again where somebody else is mending.
const SOON: Duration = Duration::from_millis(5);
/// The first and the longest pause after a failure.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// Two sockets of the host's network that are told of changes, and when they are to be looked at.
#[derive(Debug)]
pub(crate) struct Watch {
    tables: Netlink,
    routes: Netlink,
    table: String,
    due: Option<Instant>,
    pause: Duration,
}

impl Watch {
    /// Of the calling thread's network. What changed before is to be looked at.
    pub(super) fn open(table: String) -> Result<Self, Errno> {
        Ok(Self {
            tables: nft_events::watch()?,
            routes: Netlink::subscribed(None, GROUPS)?,
            table,
            due: Some(Instant::now()),
            pause: PAUSES.0,
        })
    }

    /// What is readable when there was a change.
    pub(crate) fn sockets(&self) -> [BorrowedFd<'_>; 2] {
        [self.tables.as_fd(), self.routes.as_fd()]
    }

    /// How long to wait for changes; `None` is for ever.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.due
            .map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// Takes what the sockets were told, and says whether the network is to be looked at now.
    pub(crate) fn is_due(&mut self) -> bool {
        let mut concerned = false;
        let table = &self.table;
        let whole = self
            .tables
            .drain(|told| concerned |= nft_events::concerns(told, table));
        if concerned || !whole {
            self.hasten(Duration::ZERO);
        }
        let mut changed = false;
        let whole = self.routes.drain(|_| changed = true);
        if changed || !whole {
            self.hasten(CALM);
        }
        self.due.is_some_and(|due| due <= Instant::now())
    }

    /// Looks no later than that.
    fn hasten(&mut self, after: Duration) {
        let then = Instant::now() + after;
        self.due = Some(self.due.map_or(then, |due| due.min(then)));
    }

    /// All is as it should be; or, with `false`, somebody else sees to it.
    pub(crate) fn done(&mut self, by_us: bool) {
        self.pause = PAUSES.0;
        self.due = (!by_us).then(|| Instant::now() + SOON);
    }

    /// It could not be looked at or mended.
    pub(crate) fn failed(&mut self) {
        self.due = Some(Instant::now() + self.pause);
        self.pause = PAUSES.1.min(self.pause * 2);
    }
}

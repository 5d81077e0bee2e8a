//! Notifications of changes of the network of a jail on the host, by nftables and rtnetlink(7), for
//! pid 1 of a session.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::netlink::Netlink;
use super::nft_events;

/// `RTMGRP_IPV4_ROUTE` and `RTMGRP_IPV4_RULE` of rtnetlink(7): addresses of the host are routes as
/// well.
const GROUPS: u32 = 0x40 | 0x80;
/// Pause after a change of routes, for further ones.
const SETTLE_TIME: Duration = Duration::from_millis(20);
/// Pause while another process restores the network.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// First and longest pause after a failure.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// Two notification sockets in the network namespace of the host, and the time of the next
/// comparison.
#[derive(Debug)]
pub(crate) struct Watch {
    tables: Netlink,
    routes: Netlink,
    table: String,
    due: Option<Instant>,
    pause: Duration,
}

impl Watch {
    /// Opens the sockets in the network namespace of the calling thread. A comparison is due at
    /// once, for earlier changes.
    pub(super) fn open(table: String) -> Result<Self, Errno> {
        Ok(Self {
            tables: nft_events::watch()?,
            routes: Netlink::subscribed(None, GROUPS)?,
            table,
            due: Some(Instant::now()),
            pause: PAUSES.0,
        })
    }

    /// Sockets that are readable after a change.
    pub(crate) fn sockets(&self) -> [BorrowedFd<'_>; 2] {
        [self.tables.as_fd(), self.routes.as_fd()]
    }

    /// Time until a comparison is due; `None` if none is.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.due
            .map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// Receives pending notifications. Returns whether a comparison is due.
    pub(crate) fn is_due(&mut self) -> bool {
        let mut concerned = false;
        let table = &self.table;
        let is_complete = self
            .tables
            .drain(|notification| concerned |= nft_events::concerns(notification, table));
        if concerned || !is_complete {
            self.set_due(Duration::ZERO);
        }
        let mut changed = false;
        let is_complete = self.routes.drain(|_| changed = true);
        if changed || !is_complete {
            self.set_due(SETTLE_TIME);
        }
        self.due.is_some_and(|due| due <= Instant::now())
    }

    /// Sets the time of the next comparison, unless an earlier one is set.
    fn set_due(&mut self, after: Duration) {
        let then = Instant::now() + after;
        self.due = Some(self.due.map_or(then, |due| due.min(then)));
    }

    /// After a comparison: the network is as it should be, or with `false` another process restores
    /// it.
    pub(crate) fn done(&mut self, is_done: bool) {
        self.pause = PAUSES.0;
        self.due = (!is_done).then(|| Instant::now() + BUSY_PAUSE);
    }

    /// After a failure to compare or restore.
    pub(crate) fn failed(&mut self) {
        self.due = Some(Instant::now() + self.pause);
        self.pause = PAUSES.1.min(self.pause * 2);
    }
}

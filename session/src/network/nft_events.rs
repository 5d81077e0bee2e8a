//! The kernel's state of an nftables table, by nfnetlink: shows whether it was removed or changed,
//! without a process of nft(8).

use std::hash::{DefaultHasher, Hash, Hasher};

use rustix::io::Errno;
use rustix::net::netlink::NETFILTER;

use super::netlink::{Message, Netlink, name};
use crate::Error;

/// Bytes of `struct nfgenmsg`: family, version, and a number that changes with each transaction.
pub(super) const BODY: usize = 4;
/// First attribute of each message of nftables, the name of its table: `NFTA_TABLE_NAME`,
/// `NFTA_RULE_TABLE`.
const TABLE: u16 = 1;
/// Multicast group `NFNLGRP_NFTABLES` as a bit: 7, counted from 1.
const GROUP: u32 = 1 << (7 - 1);
/// Attempts to read table and rules while the table changes.
const ATTEMPTS: u32 = 5;

/// Families of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// IPv4, `ip`.
    Ip,
    /// IPv4 and IPv6, `inet`.
    Inet,
}

impl Family {
    /// `NFPROTO_INET` or `NFPROTO_IPV4`.
    fn number(self) -> u8 {
        let number = match self {
            Self::Ip => libc::NFPROTO_IPV4,
            Self::Inet => libc::NFPROTO_INET,
        };
        u8::try_from(number).unwrap_or(0)
    }
}

/// Type of a message of nftables.
pub(super) fn kind(message: i32) -> u16 {
    u16::try_from((libc::NFNL_SUBSYS_NFTABLES << 8) | message).unwrap_or(0)
}

/// A hash that changes when a table, its flags or one of its rules changes or is loaded again;
/// `None` if the table does not exist.
///
/// The table contains its number of chains, and whether it is dormant; anonymous sets, such as
/// those of jailctl, cannot be changed.
pub(super) fn fingerprint(
    netlink: &mut Netlink,
    family: Family,
    table: &str,
) -> Result<Option<u64>, Error> {
    let failed = Error::of("read the rules of the jail's network");
    let body = [family.number(), 0, 0, 0];
    let read_table = |netlink: &mut Netlink| -> Result<Option<Vec<u8>>, Errno> {
        let request = Message::get(kind(libc::NFT_MSG_GETTABLE), &body);
        match netlink.get(request.with(TABLE, &name(table))) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    };
    for _ in 0..ATTEMPTS {
        let Some(before) = read_table(netlink).map_err(&failed)? else {
            return Ok(None);
        };
        let request = Message::dump(kind(libc::NFT_MSG_GETRULE), &body);
        let rules = netlink.list(request.with(TABLE, &name(table)));
        let rules = rules.map_err(&failed)?;
        let after = read_table(netlink).map_err(&failed)?;
        if after.as_ref().map(|body| body.get(BODY..)) != Some(before.get(BODY..)) {
            continue;
        }
        let mut hasher = DefaultHasher::new();
        for message in [&before].into_iter().chain(&rules) {
            message.get(BODY..).unwrap_or_default().hash(&mut hasher);
        }
        return Ok(Some(hasher.finish()));
    }
    Err(failed(Errno::AGAIN))
}

/// Opens a socket that receives all changes of nftables in the network namespace of the calling
/// thread.
pub(super) fn watch() -> Result<Netlink, Errno> {
    Netlink::subscribed(Some(NETFILTER), GROUP)
}

/// Whether a notification may concern the table.
pub(super) fn concerns(notification: &[u8], table: &str) -> bool {
    let name = name(table);
    notification.windows(name.len()).any(|bytes| bytes == name)
}

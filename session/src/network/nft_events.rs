//! What the kernel has of a table of nftables, by nfnetlink: for knowing whether somebody removed or changed it, without a process of nft(8).

use std::hash::{DefaultHasher, Hash, Hasher};

use rustix::io::Errno;
use rustix::net::netlink::NETFILTER;

use super::netlink::{Message, Netlink, name};
use crate::Error;

/// Bytes of `struct nfgenmsg`: family, version, and a number that changes with each transaction.
const BODY: usize = 4;
/// The first attribute of every message of nftables names its table: `NFTA_TABLE_NAME`, `NFTA_RULE_TABLE`.
const TABLE: u16 = 1;
/// The multicast group `NFNLGRP_NFTABLES` as a bit: 7, counted from 1.
const GROUP: u32 = 1 << (7 - 1);
/// How often table and rules are read anew, when the table changes between the two.
const ATTEMPTS: u32 = 5;

/// Families of tables that are in use here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// IPv4 alone, `ip`.
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

/// A message's type among those of nftables.
fn kind(message: i32) -> u16 {
    u16::try_from((libc::NFNL_SUBSYS_NFTABLES << 8) | message).unwrap_or(0)
}

/// A number that is another one when a table, its flags or one of its rules is another, or was loaded anew; `None` where there is no such table.
///
/// The table itself says how many chains it has, and whether it is dormant; anonymous sets, as all are here, cannot be changed.
pub(super) fn fingerprint(
    netlink: &mut Netlink,
    family: Family,
    table: &str,
) -> Result<Option<u64>, Error> {
    let failed = Error::of("look at the rules of the jail's network");
    let body = [family.number(), 0, 0, 0];
    let look = |netlink: &mut Netlink| -> Result<Option<Vec<u8>>, Errno> {
        let request = Message::get(kind(libc::NFT_MSG_GETTABLE), &body);
        match netlink.get(request.with(TABLE, &name(table))) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    };
    for _ in 0..ATTEMPTS {
        let Some(before) = look(netlink).map_err(&failed)? else {
            return Ok(None);
        };
        let request = Message::dump(kind(libc::NFT_MSG_GETRULE), &body);
        let rules = netlink.list(request.with(TABLE, &name(table)));
        let rules = rules.map_err(&failed)?;
        let after = look(netlink).map_err(&failed)?;
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

/// A socket that is told of every change of nftables in the calling process's network.
pub(super) fn watch() -> Result<Netlink, Errno> {
    Netlink::subscribed(Some(NETFILTER), GROUP)
}

/// Whether what such a socket was told may concern the table.
pub(super) fn concerns(told: &[u8], table: &str) -> bool {
    let name = name(table);
    told.windows(name.len()).any(|bytes| bytes == name)
}

//! Addresses of the host itself, from the kernel's table of local routes by rtnetlink(7).
//!
//! It contains the addresses of interfaces and their broadcast addresses, and whole prefixes that
//! an administrator assigned to the host (`ip route add local`).

use std::fmt;
use std::net::Ipv4Addr;

use super::netlink::{Message, Netlink, attributes, number};
use crate::Error;

/// Bytes of `struct rtmsg`.
const BODY: usize = 12;

/// Address prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Prefix {
    /// Number of leading bits that count, 0 to 32.
    length: u8,
    /// Address, with the other bits 0.
    address: Ipv4Addr,
}

impl Prefix {
    /// `address`/`length`; the other bits are cleared.
    pub(super) fn new(address: Ipv4Addr, length: u8) -> Self {
        let length = length.min(32);
        let address = Ipv4Addr::from(u32::from(address) & mask(length));
        Self { length, address }
    }

    /// Whether `other` is part of this prefix.
    pub(super) fn contains(self, other: Self) -> bool {
        self.length <= other.length && Self::new(other.address, self.length) == self
    }

    /// Whether the prefix has loopback addresses.
    pub(super) fn contains_loopback(self) -> bool {
        self.contains(Self::new(Ipv4Addr::LOCALHOST, 32)) || self.address.is_loopback()
    }

    /// The address of a prefix of 32 bits.
    pub(super) fn single(self) -> Option<Ipv4Addr> {
        (self.length == 32).then_some(self.address)
    }
}

fn mask(length: u8) -> u32 {
    u32::MAX
        .checked_shl(32 - u32::from(length))
        .unwrap_or_default()
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length {
            32 => self.address.fmt(f),
            length => write!(f, "{}/{length}", self.address),
        }
    }
}

/// Destinations that the network namespace of the calling thread delivers to itself: local,
/// broadcast and anycast routes of the table `local`, sorted, none within another. Always contains
/// the whole loopback prefix.
pub(super) fn of_host() -> Result<Vec<Prefix>, Error> {
    let mut body = [0; BODY];
    body[0] = u8::try_from(libc::AF_INET).unwrap_or(0);
    let routes = Netlink::open()?
        .list(Message::dump(libc::RTM_GETROUTE, &body))
        .map_err(Error::of("list the host's addresses"))?;
    let mut found = vec![Prefix::new(Ipv4Addr::LOCALHOST, 8)];
    found.extend(routes.iter().filter_map(|route| local(route)));
    Ok(disjoint(found))
}

/// Destination of a route in the table `local`.
fn local(route: &[u8]) -> Option<Prefix> {
    let kinds = [libc::RTN_LOCAL, libc::RTN_BROADCAST, libc::RTN_ANYCAST];
    if !kinds.contains(route.get(7)?) {
        return None;
    }
    let mut table = u32::from(*route.get(4)?);
    let mut destination = Ipv4Addr::UNSPECIFIED;
    for (kind, value) in attributes(&route[BODY.min(route.len())..]) {
        match kind {
            libc::RTA_TABLE => table = number(value)?,
            libc::RTA_DST => destination = <[u8; 4]>::try_from(value).ok()?.into(),
            _ => {}
        }
    }
    (table == u32::from(libc::RT_TABLE_LOCAL)).then(|| Prefix::new(destination, route[1]))
}

/// Sorted prefixes, without those within another one. Two prefixes are disjoint, or one contains
/// the other.
fn disjoint(mut prefixes: Vec<Prefix>) -> Vec<Prefix> {
    // The shortest ones are first.
    prefixes.sort_unstable();
    let mut kept: Vec<Prefix> = Vec::new();
    for prefix in prefixes {
        if !kept.iter().any(|wider| wider.contains(prefix)) {
            kept.push(prefix);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_within_others_are_left_out() {
        let prefix = |a, b, c, d, length| Prefix::new(Ipv4Addr::new(a, b, c, d), length);
        let found = disjoint(vec![
            prefix(192, 0, 2, 1, 32),
            prefix(127, 0, 0, 1, 32),
            prefix(127, 0, 0, 0, 8),
            prefix(192, 0, 2, 1, 32),
            prefix(192, 0, 2, 255, 32),
        ]);
        let shown: Vec<String> = found.iter().map(Prefix::to_string).collect();
        assert_eq!(shown, ["127.0.0.0/8", "192.0.2.1", "192.0.2.255"]);
        assert!(prefix(0, 0, 0, 0, 0).contains(found[0]));
        assert!(!found[1].contains(found[0]));
        assert_eq!(prefix(10, 1, 2, 3, 16).to_string(), "10.1.0.0/16");
    }

    #[test]
    fn the_loopback_is_the_host() {
        let found = of_host().expect("a kernel with IPv4");
        assert_eq!(found[0].to_string(), "127.0.0.0/8");
    }
}

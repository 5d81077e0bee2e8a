//! Policy routing, ip-rule(8): an interface that forwards packets for jails forwards none for
//! others.
//!
//! Two rules route the packets that arrive at such an interface, before all other rules: first to
//! the local addresses of the host, then by a table that has the networks of jails and discards
//! everything else without an answer, as an interface that does not forward discards it. `flush
//! ruleset` of nft(8) removes no routing rule.
//!
//! Both are marked as the kernel's (`RTPROT_KERNEL`), since systemd-networkd removes rules and
//! routes of others without that mark (`ManageForeignRoutingPolicyRules=` of networkd.conf(5)).

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use rustix::io::Errno;

use super::netlink::{Message, Netlink, attributes, name, number};
use super::nft_rule_text::PUBLIC;
use crate::Error;

/// Number of the routing table of jails: the letters "jail", far from the numbers that
/// administrators choose.
const TABLE: u32 = 0x6a61_696c;
/// The first preferences after the kernel's rule for local addresses.
const LOCAL_PREFERENCE: u32 = 1;
const TABLE_PREFERENCE: u32 = 2;
/// Constants of the kernel's fib_rules.h that the `libc` crate does not have: `FRA_IIFNAME`,
/// `FRA_PRIORITY`, `FRA_TABLE`, `FRA_PROTOCOL`, `FR_ACT_TO_TBL`.
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_TABLE: u16 = 15;
const FRA_PROTOCOL: u16 = 21;
const FR_ACT_TO_TBL: u8 = 1;
/// Bytes of `struct rtmsg` and of `struct fib_rule_hdr`, which have the same fields.
const BODY: usize = 12;

/// `struct fib_rule_hdr` of an IPv4 rule that looks up a table.
fn rule_header() -> [u8; BODY] {
    let mut body = [0; BODY];
    body[0] = family();
    body[7] = FR_ACT_TO_TBL;
    body
}

/// `struct rtmsg` of a route: prefix length in bits, scope, type.
fn route_header(prefix: u8, scope: u8, kind: u8) -> [u8; BODY] {
    let mut body = [0; BODY];
    body[0] = family();
    body[1] = prefix;
    body[5] = libc::RTPROT_KERNEL;
    body[6] = scope;
    body[7] = kind;
    body
}

fn family() -> u8 {
    u8::try_from(libc::AF_INET).unwrap_or(0)
}

/// The two rules of an interface.
fn rules(kind: u16, flags: i32, interface: &str) -> [Message; 2] {
    let local = u32::from(libc::RT_TABLE_LOCAL);
    [(LOCAL_PREFERENCE, local), (TABLE_PREFERENCE, TABLE)].map(|(preference, table)| {
        Message::new(kind, flags, &rule_header())
            .with(FRA_IIFNAME, &name(interface))
            .with(FRA_PRIORITY, &preference.to_ne_bytes())
            .with(FRA_TABLE, &table.to_ne_bytes())
            .with(FRA_PROTOCOL, &[libc::RTPROT_KERNEL])
    })
}

/// The route that discards packets for destinations outside of the networks of jails.
fn blackhole_route(kind: u16, flags: i32) -> Message {
    let body = route_header(0, libc::RT_SCOPE_UNIVERSE, libc::RTN_BLACKHOLE);
    Message::new(kind, flags, &body).with(libc::RTA_TABLE, &TABLE.to_ne_bytes())
}

/// The route that refuses packets to [`PUBLIC`], an address that no host has.
fn prohibit_route(kind: u16, flags: i32) -> Message {
    let body = route_header(32, libc::RT_SCOPE_UNIVERSE, libc::RTN_PROHIBIT);
    Message::new(kind, flags, &body)
        .with(
            libc::RTA_TABLE,
            &u32::from(libc::RT_TABLE_MAIN).to_ne_bytes(),
        )
        .with(libc::RTA_DST, &PUBLIC.octets())
}

/// Adds rules so that packets from `interfaces` reach only the host itself and jails, and none
/// reaches [`PUBLIC`]. Existing rules are no error.
pub(super) fn add_rules(interfaces: &[String]) -> Result<(), Error> {
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let mut messages = vec![prohibit_route(libc::RTM_NEWROUTE, flags)];
    if !interfaces.is_empty() {
        messages.push(blackhole_route(libc::RTM_NEWROUTE, flags));
    }
    for interface in interfaces {
        messages.extend(rules(libc::RTM_NEWRULE, flags, interface));
    }
    let mut netlink = Netlink::open()?;
    for message in messages {
        match netlink.request(message) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => {
                return Err(Error::of("add the routing rules of jails")(errno));
            }
        }
    }
    Ok(())
}

/// Removes the rules; missing ones are no error.
pub(super) fn remove_rules(interfaces: &[String]) -> Result<(), Error> {
    let mut netlink = Netlink::open()?;
    let mut messages = Vec::new();
    for interface in interfaces {
        messages.extend(rules(libc::RTM_DELRULE, 0, interface));
    }
    messages.push(blackhole_route(libc::RTM_DELROUTE, 0));
    messages.push(prohibit_route(libc::RTM_DELROUTE, 0));
    for message in messages {
        match netlink.request(message) {
            Ok(()) | Err(Errno::NOENT | Errno::SRCH) => {}
            Err(errno) => {
                return Err(Error::of("remove the routing rules of jails")(errno));
            }
        }
    }
    Ok(())
}

/// Adds the route to the network of a jail. It is removed with its interface.
pub(super) fn add_route(index: u32, address: Ipv4Addr, prefix: u8) -> Result<(), Error> {
    let mask = u32::MAX
        .checked_shl(32 - u32::from(prefix))
        .unwrap_or_default();
    let network = Ipv4Addr::from(u32::from(address) & mask);
    let body = route_header(prefix, libc::RT_SCOPE_LINK, libc::RTN_UNICAST);
    let flags = libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
    let message = Message::new(libc::RTM_NEWROUTE, flags, &body)
        .with(libc::RTA_TABLE, &TABLE.to_ne_bytes())
        .with(libc::RTA_DST, &network.octets())
        .with(libc::RTA_OIF, &index.to_ne_bytes());
    Netlink::open()?
        .request(message)
        .map_err(Error::of("add the route to the jail's network"))
}

/// The `interfaces` that lack one of the two rules; all of them if the last route of the table is
/// missing.
pub(super) fn incomplete(interfaces: &[String]) -> Result<Vec<String>, Error> {
    if interfaces.is_empty() {
        return Ok(Vec::new());
    }
    let failed = Error::of("list the routing rules");
    let mut netlink = Netlink::open()?;
    let request = Message::dump(libc::RTM_GETRULE, &rule_header());
    let found: BTreeSet<(String, u32, u32)> = netlink
        .list(request)
        .map_err(&failed)?
        .iter()
        .filter_map(|body| rule(body))
        .collect();
    let has_blackhole = netlink
        .list(Message::dump(libc::RTM_GETROUTE, &route_header(0, 0, 0)))
        .map_err(&failed)?
        .iter()
        .any(|body| is_blackhole(body));
    let local = u32::from(libc::RT_TABLE_LOCAL);
    let has = |interface: &String, preference, table| {
        found.contains(&(interface.clone(), preference, table))
    };
    Ok(interfaces
        .iter()
        .filter(|interface| {
            !has_blackhole
                || !has(interface, LOCAL_PREFERENCE, local)
                || !has(interface, TABLE_PREFERENCE, TABLE)
        })
        .cloned()
        .collect())
}

/// A routing rule: incoming interface, preference, table. `None` for a rule with other conditions.
fn rule(body: &[u8]) -> Option<(String, u32, u32)> {
    let mut header: [u8; BODY] = body.get(..BODY)?.try_into().ok()?;
    // The table is an attribute as well, and flags are the state of the interface.
    header[4] = 0;
    header[8..].fill(0);
    if header != rule_header() {
        return None;
    }
    let (mut interface, mut preference, mut table) = (None, None, None);
    for (kind, value) in attributes(&body[BODY..]) {
        match kind {
            FRA_IIFNAME => interface = Some(value),
            FRA_PRIORITY => preference = number(value),
            FRA_TABLE => table = number(value),
            _ => {}
        }
    }
    let interface = String::from_utf8_lossy(interface?);
    Some((
        interface.trim_end_matches('\0').to_owned(),
        preference?,
        table?,
    ))
}

/// Whether a route is the last one of the table.
fn is_blackhole(body: &[u8]) -> bool {
    body.get(1) == Some(&0)
        && body.get(7) == Some(&libc::RTN_BLACKHOLE)
        && attributes(body.get(BODY..).unwrap_or_default())
            .any(|(kind, value)| kind == libc::RTA_TABLE && number(value) == Some(TABLE))
}

//! Interfaces, addresses and routes, by messages of rtnetlink(7), each acknowledged by the kernel
//! before the next is sent.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::netlink::{Message, Netlink, name};
use crate::Error;

/// `struct ifinfomsg`: any family, any type; index of the interface, and whether to bring it up.
fn interface(index: u32, up: bool) -> [u8; 16] {
    let mut body = [0; 16];
    let flags = if up { libc::IFF_UP } else { 0 };
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    body[12..16].copy_from_slice(&flags.to_ne_bytes());
    body
}

/// Creates a veth pair, with the second interface in another network namespace. `VETH_INFO_PEER` of
/// the kernel's veth.h is 1.
fn veth(outside: &str, inside: &str, network: BorrowedFd<'_>) -> Message {
    const PEER: u16 = 1;
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let new = Message::new(libc::RTM_NEWLINK, flags, &interface(0, false));
    let mut message = new.with(libc::IFLA_IFNAME, &name(outside));
    message.put(libc::IFLA_LINKINFO, |info| {
        info.put(libc::IFLA_INFO_KIND, |kind| kind.extend(b"veth"));
        info.put(libc::IFLA_INFO_DATA, |data| {
            data.put(PEER, |peer| {
                peer.extend(&interface(0, false));
                peer.put(libc::IFLA_IFNAME, |text| text.extend(&name(inside)));
                let fd = network.as_raw_fd().to_ne_bytes();
                peer.put(libc::IFLA_NET_NS_FD, |number| number.extend(&fd));
            });
        });
    });
    message
}

/// Adds an address to an interface.
fn address(index: u32, address: Ipv4Addr, prefix: u8) -> Message {
    let mut body = [0; 8];
    body[0] = u8::try_from(libc::AF_INET).unwrap_or(0);
    body[1] = prefix;
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    Message::new(libc::RTM_NEWADDR, flags, &body)
        .with(libc::IFA_LOCAL, &address.octets())
        .with(libc::IFA_ADDRESS, &address.octets())
}

/// Adds a default route by a gateway.
fn route(index: u32, gateway: Ipv4Addr) -> Message {
    // `struct rtmsg`: family, lengths of destination and source, type of service, table, protocol,
    // scope, type, flags.
    let mut body = [0; 12];
    body[0] = u8::try_from(libc::AF_INET).unwrap_or(0);
    body[4] = libc::RT_TABLE_MAIN;
    body[5] = libc::RTPROT_STATIC;
    body[6] = libc::RT_SCOPE_UNIVERSE;
    body[7] = libc::RTN_UNICAST;
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    Message::new(libc::RTM_NEWROUTE, flags, &body)
        .with(libc::RTA_GATEWAY, &gateway.octets())
        .with(libc::RTA_OIF, &index.to_ne_bytes())
}

impl Netlink {
    /// Creates a veth pair, `outside` here and `inside` in the other network namespace; both are
    /// down.
    pub(super) fn pair(
        &mut self,
        outside: &str,
        inside: &str,
        network: BorrowedFd<'_>,
    ) -> Result<(), Error> {
        self.request(veth(outside, inside, network))
            .map_err(Error::of("create the interfaces of the jail's network"))
    }

    /// Adds an address to an interface, and brings it up. An existing address is no error.
    pub(super) fn address(
        &mut self,
        interface_name: &str,
        new: Ipv4Addr,
        prefix: u8,
    ) -> Result<(), Error> {
        number(interface_name)
            .and_then(|index| {
                match self.request(address(index, new, prefix)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno),
                }
                let up = interface(index, true);
                self.request(Message::new(libc::RTM_NEWLINK, 0, &up))
            })
            .map_err(Error::of("bring up an interface of the jail's network"))
    }

    /// Adds a default route by a gateway.
    pub(super) fn route(&mut self, interface: &str, gateway: Ipv4Addr) -> Result<(), Error> {
        number(interface)
            .and_then(|index| self.request(route(index, gateway)))
            .map_err(Error::of("add the default route of the jail's network"))
    }

    /// Removes an interface and its peer; a missing one is no error.
    pub(super) fn remove(&mut self, interface_name: &str) -> Result<(), Error> {
        let removed = number(interface_name).and_then(|index| {
            let body = interface(index, false);
            self.request(Message::new(libc::RTM_DELLINK, 0, &body))
        });
        match removed {
            Ok(()) | Err(Errno::NODEV) => Ok(()),
            Err(errno) => Err(Error::of("remove the interface of the jail's network")(
                errno,
            )),
        }
    }
}

/// Index of the interface in the network namespace of the calling thread.
pub(super) fn index(interface: &str) -> Result<u32, Error> {
    number(interface).map_err(Error::of("find the interface of the jail's network"))
}

fn number(interface: &str) -> Result<u32, Errno> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::netdevice::name_to_index(socket, interface)
}

#[cfg(test)]
mod tests {
    use super::super::netlink::{HEADER, attributes};
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn the_attribute_of_a_pair_reaches_to_the_end() {
        assert_eq!(interface(3, true)[4..8], 3_u32.to_ne_bytes());
        let nested = veth("a", "b", std::io::stdin().as_fd()).finish();
        assert_eq!(nested.len() % 4, 0);
        let all: Vec<_> = attributes(&nested[HEADER + 16..]).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0], (libc::IFLA_IFNAME, &b"a\0"[..]));
        assert_eq!(all[1].0, libc::IFLA_LINKINFO);
    }
}

//! Interfaces, addresses and routes: the few messages of rtnetlink(7) that a network needs, each answered by the kernel before the next is sent.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};

use crate::Error;

/// A message, under construction: a header, a structure of the family, attributes.
struct Message(Vec<u8>);

/// The kernel's `nlmsghdr`, and each attribute's header.
const HEADER: usize = 16;
const ATTRIBUTE: usize = 4;
/// Everything in a message begins at a multiple of this.
const ALIGNMENT: usize = 4;

impl Message {
    fn new(kind: u16, flags: i32, body: &[u8]) -> Self {
        let flags = flags | libc::NLM_F_REQUEST | libc::NLM_F_ACK;
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes()[..2]);
        bytes.extend(body);
        let mut message = Self(bytes);
        message.align();
        message
    }

    fn align(&mut self) {
        let length = self.0.len().next_multiple_of(ALIGNMENT);
        self.0.resize(length, 0);
    }

    /// An attribute that holds `value`.
    fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.put(kind, |message| message.0.extend(value));
        self
    }

    /// An attribute that holds what `fill` puts in.
    fn put(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let at = self.0.len();
        self.0.extend([0; ATTRIBUTE]);
        self.0[at + 2..at + 4].copy_from_slice(&kind.to_ne_bytes());
        fill(self);
        // Without what aligns the next one. No message here comes near 64 KiB.
        let length = u16::try_from(self.0.len() - at).unwrap_or(u16::MAX);
        self.0[at..at + 2].copy_from_slice(&length.to_ne_bytes());
        self.align();
    }

    /// The whole message, for sending.
    fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

/// The kernel's `ifinfomsg`: any family, any type; which interface, and whether it is to be up.
fn interface(index: u32, up: bool) -> [u8; 16] {
    let mut body = [0; 16];
    let flags = if up { libc::IFF_UP } else { 0 };
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    body[12..16].copy_from_slice(&flags.to_ne_bytes());
    body
}

fn name(text: &str) -> Vec<u8> {
    let mut name = text.as_bytes().to_vec();
    name.push(0);
    name
}

/// Makes a pair of interfaces, the second one in another network. `VETH_INFO_PEER` of the kernel's veth.h is 1.
fn pair(outside: &str, inside: &str, network: BorrowedFd<'_>) -> Message {
    const PEER: u16 = 1;
    let how = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let new = Message::new(libc::RTM_NEWLINK, how, &interface(0, false));
    let mut message = new.with(libc::IFLA_IFNAME, &name(outside));
    message.put(libc::IFLA_LINKINFO, |info| {
        info.put(libc::IFLA_INFO_KIND, |kind| kind.0.extend(b"veth"));
        info.put(libc::IFLA_INFO_DATA, |data| {
            data.put(PEER, |peer| {
                peer.0.extend(interface(0, false));
                peer.put(libc::IFLA_IFNAME, |text| text.0.extend(name(inside)));
                let fd = network.as_raw_fd().to_ne_bytes();
                peer.put(libc::IFLA_NET_NS_FD, |number| number.0.extend(fd));
            });
        });
    });
    message
}

/// Gives an interface an address.
fn address(index: u32, address: Ipv4Addr, prefix: u8) -> Message {
    let mut body = [0; 8];
    body[0] = u8::try_from(libc::AF_INET).unwrap_or(0);
    body[1] = prefix;
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    let how = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    Message::new(libc::RTM_NEWADDR, how, &body)
        .with(libc::IFA_LOCAL, &address.octets())
        .with(libc::IFA_ADDRESS, &address.octets())
}

/// Sends everything by an interface to a gateway.
fn route(index: u32, gateway: Ipv4Addr) -> Message {
    // The kernel's `rtmsg`: family, lengths of destination and source, type of service, table, protocol, scope, type, flags.
    let mut body = [0; 12];
    body[0] = u8::try_from(libc::AF_INET).unwrap_or(0);
    body[4] = libc::RT_TABLE_MAIN;
    body[5] = libc::RTPROT_STATIC;
    body[6] = libc::RT_SCOPE_UNIVERSE;
    body[7] = libc::RTN_UNICAST;
    let how = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    Message::new(libc::RTM_NEWROUTE, how, &body)
        .with(libc::RTA_GATEWAY, &gateway.octets())
        .with(libc::RTA_OIF, &index.to_ne_bytes())
}

/// The kernel's answer to a message: `nlmsgerr`, whose first number is a negative error or 0.
fn answer(bytes: &[u8]) -> Result<(), Errno> {
    let kind = bytes.get(4..6).and_then(|two| two.try_into().ok());
    let error = bytes.get(HEADER..HEADER + 4);
    let error = error.and_then(|four| four.try_into().ok());
    let (Some(kind), Some(error)) = (kind, error) else {
        return Err(Errno::PROTO);
    };
    if i32::from(u16::from_ne_bytes(kind)) != libc::NLMSG_ERROR {
        return Err(Errno::PROTO);
    }
    match i32::from_ne_bytes(error) {
        0 => Ok(()),
        number => Err(Errno::from_raw_os_error(-number)),
    }
}

/// A conversation with the kernel about the calling process's network.
#[derive(Debug)]
pub(super) struct Netlink(OwnedFd);

impl Netlink {
    pub(super) fn open() -> Result<Self, Error> {
        let socket = || {
            let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
            // NETLINK_ROUTE is 0, which is what no protocol means.
            let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
            bind(&socket, &SocketAddrNetlink::new(0, 0))?;
            Ok(Self(socket))
        };
        socket().map_err(Error::of("speak with the kernel about networks"))
    }

    fn ask(&mut self, message: Message) -> Result<(), Errno> {
        send(&self.0, &message.finish(), SendFlags::empty())?;
        let mut bytes = [0; 4096];
        let (length, _) = recv(&self.0, &mut bytes, RecvFlags::empty())?;
        answer(&bytes[..length])
    }

    /// A pair of interfaces, `outside` here and `inside` in the other network; both down.
    pub(super) fn pair(
        &mut self,
        outside: &str,
        inside: &str,
        network: BorrowedFd<'_>,
    ) -> Result<(), Error> {
        self.ask(pair(outside, inside, network))
            .map_err(Error::of("make the interfaces of the jail's network"))
    }

    /// An address for an interface, which comes up.
    pub(super) fn address(
        &mut self,
        interface_name: &str,
        given: Ipv4Addr,
        prefix: u8,
    ) -> Result<(), Error> {
        index(interface_name)
            .and_then(|index| {
                self.ask(address(index, given, prefix))?;
                let up = interface(index, true);
                self.ask(Message::new(libc::RTM_NEWLINK, 0, &up))
            })
            .map_err(Error::of("bring up an interface of the jail's network"))
    }

    /// Everything goes to the gateway.
    pub(super) fn route(&mut self, interface: &str, gateway: Ipv4Addr) -> Result<(), Error> {
        index(interface)
            .and_then(|index| self.ask(route(index, gateway)))
            .map_err(Error::of("lead the way out of the jail's network"))
    }

    /// Removes an interface, and with it the other of its pair; not an error where it is not there.
    pub(super) fn remove(&mut self, interface_name: &str) -> Result<(), Error> {
        let removed = index(interface_name).and_then(|index| {
            let body = interface(index, false);
            self.ask(Message::new(libc::RTM_DELLINK, 0, &body))
        });
        match removed {
            Ok(()) | Err(Errno::NODEV) => Ok(()),
            Err(errno) => Err(Error::of("remove the interface of the jail's network")(
                errno,
            )),
        }
    }
}

/// The number of the interface in the calling process's network.
fn index(interface: &str) -> Result<u32, Errno> {
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
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn attributes_are_aligned_and_know_their_length() {
        let message = Message::new(libc::RTM_NEWLINK, 0, &interface(3, true))
            .with(libc::IFLA_IFNAME, &name("jailctl7"))
            .finish();
        let length = u32::try_from(message.len()).expect("short");
        assert_eq!(message[..4], length.to_ne_bytes());
        assert_eq!(message.len(), HEADER + 16 + ATTRIBUTE + 12);
        assert_eq!(message[HEADER + 16..][..2], 13_u16.to_ne_bytes());
        assert_eq!(message[HEADER + 4..][..4], 3_u32.to_ne_bytes());
        let nested = pair("a", "b", std::io::stdin().as_fd()).finish();
        assert_eq!(nested.len() % ALIGNMENT, 0);
        // The attribute that holds the kind and the data reaches to the end.
        let at = HEADER + 16 + ATTRIBUTE + 4;
        let whole = u16::try_from(nested.len() - at).expect("short");
        assert_eq!(nested[at..at + 2], whole.to_ne_bytes());
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        assert_eq!(answer(&[]), Err(Errno::PROTO));
        assert_eq!(answer(&[0; 20]), Err(Errno::PROTO));
        let mut bytes = [0; 36];
        bytes[4] = 2;
        assert_eq!(answer(&bytes), Ok(()));
        bytes[16..20].copy_from_slice(&(-17_i32).to_ne_bytes());
        assert_eq!(answer(&bytes), Err(Errno::EXIST));
    }
}

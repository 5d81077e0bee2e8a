//! netlink(7): messages, their attributes, and sockets for requests, lists and notifications.
//!
//! A socket belongs to the network namespace in which it was opened, also after its process moves
//! to another one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send,
    socket_with,
};

use crate::Error;

/// Bytes of `struct nlmsghdr`.
pub(super) const HEADER: usize = 16;
/// Bytes of `struct nlattr`, before the value.
const ATTRIBUTE: usize = 4;
/// Alignment of messages and attributes, `NLMSG_ALIGNTO`.
const ALIGNMENT: usize = 4;
/// Bytes of the receive buffer: the size that libmnl uses for each message of a dump
/// (`MNL_SOCKET_DUMP_SIZE`).
const BUFFER: usize = 1 << 15;
/// Attempts for a dump that is interrupted by changes (`NLM_F_DUMP_INTR`).
const ATTEMPTS: u32 = 10;
/// Bits of the type of an attribute, without `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
const TYPE: u16 = 0x3fff;

/// Message under construction: a header, a structure of the family, attributes.
pub(super) struct Message(Vec<u8>);

impl Message {
    /// A message that the kernel acknowledges.
    pub(super) fn new(kind: u16, flags: i32, body: &[u8]) -> Self {
        let flags = flags | libc::NLM_F_REQUEST | libc::NLM_F_ACK;
        Self::begin(kind, flags, body)
    }

    /// A request for one object, or for a list with `NLM_F_DUMP`.
    fn begin(kind: u16, flags: i32, body: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes()[..2]);
        bytes.extend(body);
        let mut message = Self(bytes);
        message.align();
        message
    }

    /// A request that the kernel answers with one message, or with an error alone.
    pub(super) fn get(kind: u16, body: &[u8]) -> Self {
        Self::begin(kind, libc::NLM_F_REQUEST, body)
    }

    /// A request for a list.
    pub(super) fn dump(kind: u16, body: &[u8]) -> Self {
        Self::begin(kind, libc::NLM_F_REQUEST | libc::NLM_F_DUMP, body)
    }

    fn align(&mut self) {
        let length = self.0.len().next_multiple_of(ALIGNMENT);
        self.0.resize(length, 0);
    }

    /// Appends bytes of the value of an attribute.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    /// Appends an attribute with `value`.
    pub(super) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.put(kind, |message| message.extend(value));
        self
    }

    /// Appends an attribute with the value that `fill` appends.
    pub(super) fn put(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let at = self.0.len();
        self.0.extend([0; ATTRIBUTE]);
        self.0[at + 2..at + 4].copy_from_slice(&kind.to_ne_bytes());
        fill(self);
        // Without the padding before the next one. No message here is near 64 KiB.
        let length = u16::try_from(self.0.len() - at).unwrap_or(u16::MAX);
        self.0[at..at + 2].copy_from_slice(&length.to_ne_bytes());
        self.align();
    }

    /// Bytes of the whole message, for sending.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

/// A name in the format of attributes, with a NUL at its end.
pub(super) fn name(text: &str) -> Vec<u8> {
    let mut name = text.as_bytes().to_vec();
    name.push(0);
    name
}

/// Received message: type, flags, and the bytes after the header.
struct Received<'b> {
    kind: i32,
    flags: i32,
    body: &'b [u8],
}

/// Messages of one datagram; `EPROTO` for an invalid one.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Result<Received<'_>, Errno>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let whole = || {
            let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?);
            let length = usize::try_from(length).ok()?;
            let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
            let flags = u16::from_ne_bytes(bytes.get(6..8)?.try_into().ok()?);
            let received = Received {
                kind: kind.into(),
                flags: flags.into(),
                body: bytes.get(HEADER..length)?,
            };
            let next = length.next_multiple_of(ALIGNMENT).min(bytes.len());
            Some((received, &bytes[next..]))
        };
        let (received, rest) = whole().map_or((Err(Errno::PROTO), &[][..]), |(received, rest)| {
            (Ok(received), rest)
        });
        bytes = rest;
        Some(received)
    })
}

/// Attributes in `bytes`, each as (type, value); ends at one that is not complete.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?);
        let length = usize::from(length);
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?);
        let value = bytes.get(ATTRIBUTE..length)?;
        bytes = &bytes[length.next_multiple_of(ALIGNMENT).min(bytes.len())..];
        Some((kind & TYPE, value))
    })
}

/// Number in an attribute, in the byte order of the machine.
pub(super) fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(value.try_into().ok()?))
}

/// Outcome in the body of an `NLMSG_ERROR` or `NLMSG_DONE`: a negative error, or 0.
fn outcome(body: &[u8]) -> Result<(), Errno> {
    match body.get(..4).and_then(number) {
        None => Err(Errno::PROTO),
        Some(0) => Ok(()),
        Some(error) => Err(Errno::from_raw_os_error(error.cast_signed().wrapping_neg())),
    }
}

/// Parses the acknowledgement of a message.
fn acknowledgement(bytes: &[u8]) -> Result<(), Errno> {
    match messages(bytes).next() {
        Some(Ok(received)) if received.kind == libc::NLMSG_ERROR => outcome(received.body),
        _ => Err(Errno::PROTO),
    }
}

/// Netlink socket of the network namespace in which it was opened.
#[derive(Debug)]
pub(super) struct Netlink(OwnedFd);

impl Netlink {
    /// Opens a socket of rtnetlink(7).
    pub(super) fn open() -> Result<Self, Error> {
        // NETLINK_ROUTE is 0, which the socket call takes for `None`.
        Self::bound(None, 0, SocketFlags::CLOEXEC).map_err(Error::of("open a socket of rtnetlink"))
    }

    /// Opens a socket of nfnetlink, the kernel's packet filter.
    pub(super) fn netfilter() -> Result<Self, Error> {
        Self::bound(Some(NETFILTER), 0, SocketFlags::CLOEXEC)
            .map_err(Error::of("open a socket of nfnetlink"))
    }

    /// Opens a socket that receives notifications of the groups in the bits of `groups`, and does
    /// not block.
    pub(super) fn subscribed(protocol: Option<Protocol>, groups: u32) -> Result<Self, Errno> {
        Self::bound(
            protocol,
            groups,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        )
    }

    fn bound(protocol: Option<Protocol>, groups: u32, flags: SocketFlags) -> Result<Self, Errno> {
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        let socket = socket_with(family, kind, flags, protocol)?;
        bind(&socket, &SocketAddrNetlink::new(0, groups))?;
        Ok(Self(socket))
    }

    /// Sends a message, and waits for its acknowledgement.
    pub(super) fn request(&mut self, message: Message) -> Result<(), Errno> {
        send(&self.0, &message.finish(), SendFlags::empty())?;
        let mut bytes = [0; 4096];
        let (length, _) = recv(&self.0, &mut bytes, RecvFlags::empty())?;
        acknowledgement(&bytes[..length])
    }

    /// Body of the message that answers a [`Message::get`].
    pub(super) fn get(&mut self, message: Message) -> Result<Vec<u8>, Errno> {
        send(&self.0, &message.finish(), SendFlags::empty())?;
        let mut bytes = vec![0; BUFFER];
        let (length, _) = recv(&self.0, &mut bytes, RecvFlags::empty())?;
        let received = messages(&bytes[..length]).next().ok_or(Errno::PROTO)??;
        if received.kind == libc::NLMSG_ERROR {
            outcome(received.body)?;
            return Err(Errno::PROTO);
        }
        Ok(received.body.to_vec())
    }

    /// Bodies of all messages that answer a [`Message::dump`], from one consistent state.
    pub(super) fn list(&mut self, request: Message) -> Result<Vec<Vec<u8>>, Errno> {
        let request = request.finish();
        let mut buffer = vec![0; BUFFER];
        for _ in 0..ATTEMPTS {
            send(&self.0, &request, SendFlags::empty())?;
            let (mut bodies, mut is_complete) = (Vec::new(), true);
            'dump: loop {
                let (length, _) = recv(&self.0, &mut buffer, RecvFlags::empty())?;
                for received in messages(&buffer[..length]) {
                    let received = received?;
                    is_complete &= received.flags & libc::NLM_F_DUMP_INTR == 0;
                    match received.kind {
                        libc::NLMSG_DONE => break 'dump,
                        libc::NLMSG_ERROR => match outcome(received.body) {
                            Ok(()) => break 'dump,
                            Err(errno) => return Err(errno),
                        },
                        _ => bodies.push(received.body.to_vec()),
                    }
                }
            }
            if is_complete {
                return Ok(bodies);
            }
        }
        Err(Errno::INTR)
    }

    /// Receives all pending notifications. Returns `false` if the kernel has dropped some
    /// (`ENOBUFS`).
    pub(super) fn drain(&self, mut receive: impl FnMut(&[u8])) -> bool {
        let mut bytes = vec![0; BUFFER];
        let mut is_complete = true;
        loop {
            match recv(&self.0, &mut bytes, RecvFlags::empty()) {
                Ok((length, _)) => receive(&bytes[..length]),
                Err(Errno::NOBUFS) => is_complete = false,
                Err(_) => return is_complete,
            }
        }
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Netlink {
    fn from(socket: OwnedFd) -> Self {
        Self(socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_aligned_and_have_their_length() {
        let message = Message::new(libc::RTM_NEWLINK, 0, &[0; 16])
            .with(libc::IFLA_IFNAME, &name("jailctl7"))
            .finish();
        let length = u32::try_from(message.len()).expect("short");
        assert_eq!(message[..4], length.to_ne_bytes());
        assert_eq!(message.len(), HEADER + 16 + ATTRIBUTE + 12);
        assert_eq!(message[HEADER + 16..][..2], 13_u16.to_ne_bytes());
        let all: Vec<_> = attributes(&message[HEADER + 16..]).collect();
        assert_eq!(all, [(libc::IFLA_IFNAME, &b"jailctl7\0"[..])]);
    }

    #[test]
    fn invalid_acknowledgements_are_errors() {
        assert_eq!(acknowledgement(&[]), Err(Errno::PROTO));
        assert_eq!(acknowledgement(&[0; 20]), Err(Errno::PROTO));
        let mut bytes = [0; 36];
        bytes[0] = 36;
        bytes[4] = 2;
        assert_eq!(acknowledgement(&bytes), Ok(()));
        bytes[16..20].copy_from_slice(&(-17_i32).to_ne_bytes());
        assert_eq!(acknowledgement(&bytes), Err(Errno::EXIST));
        bytes[0] = 37;
        assert_eq!(acknowledgement(&bytes), Err(Errno::PROTO));
    }

    #[test]
    fn incomplete_attributes_are_left_out() {
        let mut bytes = Message::new(0, 0, &[]).with(1, b"whole").finish();
        bytes.extend(20_u16.to_ne_bytes());
        bytes.extend([2, 0, 9]);
        let all: Vec<_> = attributes(&bytes[HEADER..]).collect();
        assert_eq!(all, [(1, &b"whole"[..])]);
    }
}

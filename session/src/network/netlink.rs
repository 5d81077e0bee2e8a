//! netlink(7): messages, their attributes, and sockets that ask the kernel, list what it has, or are told of changes.
//!
//! A socket belongs to the network namespace in which it was opened, wherever its process goes afterwards.

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
/// Bytes of the buffer for answers: what libmnl gives each message of a dump (`MNL_SOCKET_DUMP_SIZE`).
const BUFFER: usize = 1 << 15;
/// How often a dump is begun anew because what it lists changed meanwhile (`NLM_F_DUMP_INTR`).
const ATTEMPTS: u32 = 10;
/// The type's bits of an attribute, without `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
const TYPE: u16 = 0x3fff;

/// A message, under construction: a header, a structure of the family, attributes.
pub(super) struct Message(Vec<u8>);

impl Message {
    /// A message that the kernel is to acknowledge.
    pub(super) fn new(kind: u16, flags: i32, body: &[u8]) -> Self {
        let flags = flags | libc::NLM_F_REQUEST | libc::NLM_F_ACK;
        Self::begin(kind, flags, body)
    }

    /// A request for one thing, or for a list with `NLM_F_DUMP`.
    fn begin(kind: u16, flags: i32, body: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes()[..2]);
        bytes.extend(body);
        let mut message = Self(bytes);
        message.align();
        message
    }

    /// A request for what the kernel answers with one message, or with none but an error.
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

    /// Bytes of the value of an attribute.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    /// An attribute that holds `value`.
    pub(super) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.put(kind, |message| message.extend(value));
        self
    }

    /// An attribute that holds what `fill` puts in.
    pub(super) fn put(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
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
    pub(super) fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

/// A name as attributes hold it, with a null byte at its end.
pub(super) fn name(text: &str) -> Vec<u8> {
    let mut name = text.as_bytes().to_vec();
    name.push(0);
    name
}

/// One received message: its type, its flags, and what follows the header.
struct Received<'b> {
    kind: i32,
    flags: i32,
    body: &'b [u8],
}

/// The messages of one datagram. What is no message is `EPROTO`.
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

/// The attributes in `bytes`, each as type and value, as far as they are whole.
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

/// The number that an attribute holds, in the byte order of the machine.
pub(super) fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(value.try_into().ok()?))
}

/// The outcome in the body of an `NLMSG_ERROR` or `NLMSG_DONE`: a negative error, or 0.
fn outcome(body: &[u8]) -> Result<(), Errno> {
    match body.get(..4).and_then(number) {
        None => Err(Errno::PROTO),
        Some(0) => Ok(()),
        Some(error) => Err(Errno::from_raw_os_error(error.cast_signed().wrapping_neg())),
    }
}

/// The kernel's acknowledgement of a message.
fn answer(bytes: &[u8]) -> Result<(), Errno> {
    match messages(bytes).next() {
        Some(Ok(received)) if received.kind == libc::NLMSG_ERROR => outcome(received.body),
        _ => Err(Errno::PROTO),
    }
}

/// A netlink socket of the network namespace in which it was opened.
#[derive(Debug)]
pub(super) struct Netlink(OwnedFd);

impl Netlink {
    /// Of rtnetlink(7).
    pub(super) fn open() -> Result<Self, Error> {
        // NETLINK_ROUTE is 0, which is what no protocol means.
        Self::bound(None, 0, SocketFlags::CLOEXEC)
            .map_err(Error::of("speak with the kernel about networks"))
    }

    /// Of the kernel's packet filter, nfnetlink.
    pub(super) fn netfilter() -> Result<Self, Error> {
        Self::bound(Some(NETFILTER), 0, SocketFlags::CLOEXEC)
            .map_err(Error::of("speak with the kernel about nftables"))
    }

    /// One that is told of changes, by the bits of `groups`, and does not block.
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
    pub(super) fn ask(&mut self, message: Message) -> Result<(), Errno> {
        send(&self.0, &message.finish(), SendFlags::empty())?;
        let mut bytes = [0; 4096];
        let (length, _) = recv(&self.0, &mut bytes, RecvFlags::empty())?;
        answer(&bytes[..length])
    }

    /// The body of the one message that answers a [`Message::get`].
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

    /// The bodies of all messages that answer a [`Message::dump`], of one state of what they list.
    pub(super) fn list(&mut self, request: Message) -> Result<Vec<Vec<u8>>, Errno> {
        let request = request.finish();
        let mut buffer = vec![0; BUFFER];
        for _ in 0..ATTEMPTS {
            send(&self.0, &request, SendFlags::empty())?;
            let (mut bodies, mut is_whole) = (Vec::new(), true);
            'answer: loop {
                let (length, _) = recv(&self.0, &mut buffer, RecvFlags::empty())?;
                for received in messages(&buffer[..length]) {
                    let received = received?;
                    is_whole &= received.flags & libc::NLM_F_DUMP_INTR == 0;
                    match received.kind {
                        libc::NLMSG_DONE => break 'answer,
                        libc::NLMSG_ERROR => match outcome(received.body) {
                            Ok(()) => break 'answer,
                            Err(errno) => return Err(errno),
                        },
                        _ => bodies.push(received.body.to_vec()),
                    }
                }
            }
            if is_whole {
                return Ok(bodies);
            }
        }
        Err(Errno::INTR)
    }

    /// Takes all that a subscribed socket was told. `false` where the kernel had no room for all of it (`ENOBUFS`).
    pub(super) fn drain(&self, mut told: impl FnMut(&[u8])) -> bool {
        let mut bytes = vec![0; BUFFER];
        let mut is_whole = true;
        loop {
            match recv(&self.0, &mut bytes, RecvFlags::empty()) {
                Ok((length, _)) => told(&bytes[..length]),
                Err(Errno::NOBUFS) => is_whole = false,
                Err(_) => return is_whole,
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
    fn attributes_are_aligned_and_know_their_length() {
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
    fn what_is_no_answer_is_an_error() {
        assert_eq!(answer(&[]), Err(Errno::PROTO));
        assert_eq!(answer(&[0; 20]), Err(Errno::PROTO));
        let mut bytes = [0; 36];
        bytes[0] = 36;
        bytes[4] = 2;
        assert_eq!(answer(&bytes), Ok(()));
        bytes[16..20].copy_from_slice(&(-17_i32).to_ne_bytes());
        assert_eq!(answer(&bytes), Err(Errno::EXIST));
        bytes[0] = 37;
        assert_eq!(answer(&bytes), Err(Errno::PROTO));
    }

    #[test]
    fn half_an_attribute_is_none() {
        let mut bytes = Message::new(0, 0, &[]).with(1, b"whole").finish();
        bytes.extend(20_u16.to_ne_bytes());
        bytes.extend([2, 0, 9]);
        let all: Vec<_> = attributes(&bytes[HEADER..]).collect();
        assert_eq!(all, [(1, &b"whole"[..])]);
    }
}

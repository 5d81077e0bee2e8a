//! A minimal D-Bus client for calls to systemd: connection to the system bus, method calls,
//! replies.
//!
//! Written here because it is a few calls in sshd's process of a connection:
//! [docs/decisions/0019](../../../docs/decisions/0019-limits.md). The format is that of the D-Bus
//! specification, "Message Protocol" and "Authentication Protocol". No call waits longer than the
//! timeout of the connection.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    send, socket_with,
};

const SOCKET: &str = "/run/dbus/system_bus_socket";
/// Maximum length of a reply in bytes.
const MAX_REPLY: usize = 1 << 20;

/// Types of messages.
const CALL: u8 = 1;
const RETURN: u8 = 2;
const ERROR: u8 = 3;
/// Codes of header fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// Failure of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The bus or the service did not reply in time, or not with a valid message.
    NoReply(String),
    /// Error reply: the name of the D-Bus error, and its message.
    ErrorReply(String, String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoReply(why) => write!(f, "the bus `{SOCKET}` does not reply: {why}"),
            Self::ErrorReply(name, text) => {
                write!(f, "{} ({})", text.escape_debug(), name.escape_debug())
            }
        }
    }
}

/// Encoder of arguments, with the order and alignment of the wire format; little-endian.
#[derive(Debug, Default)]
pub(super) struct Encoder(Vec<u8>);

impl Encoder {
    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn align(&mut self, to: usize) {
        while !self.0.len().is_multiple_of(to) {
            self.0.push(0);
        }
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn u32(&mut self, number: u32) {
        self.align(4);
        self.0.extend(number.to_le_bytes());
    }

    pub(super) fn u64(&mut self, number: u64) {
        self.align(8);
        self.0.extend(number.to_le_bytes());
    }

    pub(super) fn boolean(&mut self, is: bool) {
        self.u32(u32::from(is));
    }

    pub(super) fn text(&mut self, text: &str) {
        self.u32(length(text.len()));
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    pub(super) fn signature(&mut self, text: &str) {
        self.0.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    pub(super) fn structure(&mut self) {
        self.align(8);
    }

    /// Appends an array whose elements are aligned to `to`.
    pub(super) fn array(&mut self, to: usize, fill: impl FnOnce(&mut Self)) {
        self.u32(0);
        let at = self.0.len();
        self.align(to);
        let start = self.0.len();
        fill(self);
        let size = length(self.0.len() - start);
        self.0[at - 4..at].copy_from_slice(&size.to_le_bytes());
    }
}

/// Length of a message part, which is some hundred bytes.
fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Method with its destination and the signature of its arguments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Method {
    pub(super) destination: &'static str,
    pub(super) path: &'static str,
    pub(super) interface: &'static str,
    pub(super) member: &'static str,
    pub(super) signature: &'static str,
}

/// Connection to the system bus.
#[derive(Debug)]
pub(super) struct Bus {
    socket: OwnedFd,
    serial: u32,
    deadline: Instant,
    /// Bytes that were received and not yet parsed.
    buffered: Vec<u8>,
}

impl Bus {
    /// Connects as root. No call on this connection waits longer than `timeout` from now.
    pub(super) fn connect(timeout: Duration) -> Result<Self, Failure> {
        let failed = |errno: Errno| Failure::NoReply(crate::error::errno_text(errno));
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(failed)?;
        let address = SocketAddrUnix::new(Path::new(SOCKET)).map_err(failed)?;
        // If the bus accepts no connections, this fails with EAGAIN instead of waiting.
        connect(&socket, &address).map_err(failed)?;
        let mut bus = Self {
            socket,
            serial: 0,
            deadline: Instant::now() + timeout,
            buffered: Vec::new(),
        };
        // The kernel passes the credentials; "30" is the uid 0 in hexadecimal digits of its
        // characters.
        bus.send(b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n")?;
        let line = bus.line()?;
        if !line.starts_with("OK ") {
            let why = format!("it refused root: {}", line.trim().escape_debug());
            return Err(Failure::NoReply(why));
        }
        bus.call(
            Method {
                destination: "org.freedesktop.DBus",
                path: "/org/freedesktop/DBus",
                interface: "org.freedesktop.DBus",
                member: "Hello",
                signature: "",
            },
            &Encoder::default(),
        )?;
        Ok(bus)
    }

    /// Calls a method and waits for the reply, whose content is ignored.
    pub(super) fn call(&mut self, method: Method, body: &Encoder) -> Result<(), Failure> {
        self.serial += 1;
        let serial = self.serial;
        self.send(&message(method, serial, body))?;
        loop {
            let reply = self.message()?;
            if reply.in_reply_to != Some(serial) {
                // Signals, such as `NameAcquired`.
                continue;
            }
            match reply.kind {
                RETURN => return Ok(()),
                ERROR => return Err(Failure::ErrorReply(reply.error, reply.text)),
                _ => {}
            }
        }
    }

    fn wait(&self, events: PollFlags) -> Result<(), Failure> {
        let late = || Failure::NoReply("timed out".to_owned());
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(late());
        }
        let limit = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(0),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut ready = [PollFd::new(&self.socket, events)];
        match poll(&mut ready, Some(&limit)) {
            Ok(0) => Err(late()),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(Failure::NoReply(crate::error::errno_text(errno))),
        }
    }

    fn send(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            match send(&self.socket, bytes, SendFlags::NOSIGNAL) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(Errno::AGAIN | Errno::INTR) => self.wait(PollFlags::OUT)?,
                Err(errno) => return Err(Failure::NoReply(crate::error::errno_text(errno))),
            }
        }
        Ok(())
    }

    /// Receives until at least `count` bytes are buffered.
    fn receive(&mut self, count: usize) -> Result<(), Failure> {
        if count > MAX_REPLY {
            return Err(Failure::NoReply("the message is too long".to_owned()));
        }
        while self.buffered.len() < count {
            let mut bytes = [0; 4096];
            match recv(&self.socket, &mut bytes, RecvFlags::empty()) {
                Ok((0, _)) => {
                    return Err(Failure::NoReply("it closed the connection".to_owned()));
                }
                Ok((length, _)) => self.buffered.extend(bytes.iter().take(length)),
                Err(Errno::AGAIN | Errno::INTR) => self.wait(PollFlags::IN)?,
                Err(errno) => return Err(Failure::NoReply(crate::error::errno_text(errno))),
            }
        }
        Ok(())
    }

    /// A line of the authentication protocol.
    fn line(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(end) = self.buffered.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffered.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            self.receive(self.buffered.len() + 1)?;
        }
    }

    fn message(&mut self) -> Result<Reply, Failure> {
        let invalid = || Failure::NoReply("the message is not valid".to_owned());
        self.receive(16)?;
        let size = size(&self.buffered).ok_or_else(invalid)?;
        self.receive(size)?;
        let bytes: Vec<u8> = self.buffered.drain(..size).collect();
        read(&bytes).ok_or_else(invalid)
    }
}

/// The message of a method call.
fn message(method: Method, serial: u32, body: &Encoder) -> Vec<u8> {
    let mut head = Encoder::default();
    for byte in [b'l', CALL, 0, 1] {
        head.byte(byte);
    }
    head.u32(length(body.0.len()));
    head.u32(serial);
    head.array(8, |fields| {
        for (code, kind, value) in [
            (PATH, "o", method.path),
            (INTERFACE, "s", method.interface),
            (MEMBER, "s", method.member),
            (DESTINATION, "s", method.destination),
        ] {
            fields.structure();
            fields.byte(code);
            fields.signature(kind);
            fields.text(value);
        }
        if !method.signature.is_empty() {
            fields.structure();
            fields.byte(SIGNATURE);
            fields.signature("g");
            fields.signature(method.signature);
        }
    });
    head.align(8);
    head.0.extend(&body.0);
    head.0
}

/// The part of a message that is used.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reply {
    kind: u8,
    in_reply_to: Option<u32>,
    error: String,
    /// First argument of an error.
    text: String,
}

/// Length of the whole message, from its first sixteen bytes; `None` for big-endian, which the bus
/// does not send to a little-endian client.
fn size(bytes: &[u8]) -> Option<usize> {
    if *bytes.first()? != b'l' {
        return None;
    }
    let body = usize::try_from(number(bytes, 4)?).ok()?;
    let fields = usize::try_from(number(bytes, 12)?).ok()?;
    let head = 16_usize.checked_add(fields)?.checked_next_multiple_of(8)?;
    head.checked_add(body)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    four.try_into().ok().map(u32::from_le_bytes)
}

/// The string or object path at `at`, and the offset of its end.
fn text(bytes: &[u8], at: usize) -> Option<(String, usize)> {
    let size = usize::try_from(number(bytes, at)?).ok()?;
    let end = at.checked_add(4)?.checked_add(size)?;
    let text = String::from_utf8_lossy(bytes.get(at + 4..end)?).into_owned();
    Some((text, end + 1))
}

/// Parses a whole message; `None` if it is not valid.
fn read(bytes: &[u8]) -> Option<Reply> {
    let fields = 16 + usize::try_from(number(bytes, 12)?).ok()?;
    let mut reply = Reply {
        kind: *bytes.get(1)?,
        ..Reply::default()
    };
    let mut at = 16;
    while at < fields {
        at = at.next_multiple_of(8);
        let code = *bytes.get(at)?;
        let kind = *bytes.get(at + 2)?;
        // A signature of one letter: length, letter, NUL.
        if *bytes.get(at + 1)? != 1 {
            return None;
        }
        at += 4;
        match kind {
            b'u' => {
                let value = number(bytes, at)?;
                if code == REPLY_SERIAL {
                    reply.in_reply_to = Some(value);
                }
                at += 4;
            }
            b's' | b'o' => {
                let (value, end) = text(bytes, at)?;
                if code == ERROR_NAME {
                    reply.error = value;
                }
                at = end;
            }
            b'g' => at += usize::from(*bytes.get(at)?) + 2,
            _ => return None,
        }
    }
    if reply.kind == ERROR {
        reply.text =
            text(bytes, fields.next_multiple_of(8)).map_or_else(String::new, |(text, _)| text);
    }
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    const METHOD: Method = Method {
        destination: "org.freedesktop.systemd1",
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        member: "FreezeUnit",
        signature: "s",
    };

    #[test]
    fn what_is_written_can_be_read() {
        let mut body = Encoder::default();
        body.text("jailctl-a.slice");
        let bytes = message(METHOD, 7, &body);
        assert_eq!(size(&bytes), Some(bytes.len()));
        let reply = read(&bytes).unwrap();
        assert_eq!((reply.kind, reply.in_reply_to), (CALL, None));
        assert!(bytes.ends_with(b"\x0f\0\0\0jailctl-a.slice\0"));
    }

    #[test]
    fn arrays_and_structures_are_aligned() {
        let mut body = Encoder::default();
        body.text("x");
        body.array(8, |all| {
            all.structure();
            all.text("N");
            all.signature("t");
            all.u64(5);
        });
        assert_eq!(
            body.0,
            [
                1, 0, 0, 0, b'x', 0, 0, 0, // "x" and padding
                24, 0, 0, 0, 0, 0, 0,
                0, // the length of the array, and padding that is not of it
                1, 0, 0, 0, b'N', 0, 1, b't', 0, 0, 0, 0, 0, 0, 0, 0, //
                5, 0, 0, 0, 0, 0, 0, 0,
            ]
        );
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut body = Encoder::default();
        body.text("no such unit");
        let mut bytes = message(METHOD, 7, &body);
        bytes[1] = ERROR;
        assert_eq!(read(&bytes).unwrap().text, "no such unit");
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut invalid = bytes.clone();
                invalid[at] = value;
                let _ = (size(&invalid), read(&invalid));
                let _ = read(&invalid[..at]);
            }
        }
        assert_eq!(size(&[b'l'; 3]), None);
    }
}

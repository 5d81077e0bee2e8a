//! Structured entries in the journal of systemd, over its native protocol: a datagram of fields to
//! one socket. systemd.journal-fields(7) has the fields; jailctl adds `JAILCTL_JAIL` and
//! `JAILCTL_USER`, and a `MESSAGE_ID` for each kind of event.

use std::os::unix::net::UnixDatagram;

/// Socket of the native protocol.
const SOCKET: &str = "/run/systemd/journal/socket";
/// `LOG_AUTHPRIV` of syslog(3): accounts and logins concern security.
pub const FACILITY: u8 = 10;

/// Kind of an event, by the `MESSAGE_ID` of its entries. `packaging/systemd/jailctl.catalog`
/// explains each to the administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A session was opened.
    SessionOpened,
    /// A session was closed.
    SessionClosed,
    /// A session was refused.
    SessionRefused,
    /// A jail was built, changed or removed.
    JailChanged,
    /// A jail could not be built, changed or removed.
    ChangeFailed,
    /// A snippet was changed before sshd started.
    SnippetRepaired,
    /// The sessions of a jail were frozen, thawed or ended by the administrator.
    SessionsControlled,
}

impl Event {
    /// The `MESSAGE_ID`, which never changes.
    pub fn id(self) -> &'static str {
        match self {
            Self::SessionOpened => "189113229ba44f31885951d921f76214",
            Self::SessionClosed => "9c25b687a0534f7681aa02b2959ddf3d",
            Self::SessionRefused => "7cdd1e9ac3ae472e8a87ae8ecaf9b348",
            Self::JailChanged => "8536943e5bdf4e0a945b286708a5977f",
            Self::ChangeFailed => "4024108c9659449ea5b5a54664f66271",
            Self::SnippetRepaired => "a23dc149431f4749b7f93c782cca4f7a",
            Self::SessionsControlled => "9211439e4c4b42c482db919d345155ca",
        }
    }
}

/// Entry of the log.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Kind of the event; `None` for an entry of no such kind.
    pub event: Option<Event>,
    /// Priority of syslog(3), from 0 to 7.
    pub priority: u8,
    /// Text in one line.
    pub message: &'a str,
    /// Jails that the event is about.
    pub jails: &'a [&'a str],
    /// Login name of the user that the event is about.
    pub user: Option<&'a str>,
}

impl Entry<'_> {
    /// Sends the entry to the journal. Returns `false` if this host has none, or if it does not
    /// read: a full socket would make the caller wait for a log that may have stopped.
    pub fn send(&self) -> bool {
        let sent = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            socket.send_to(&self.encode(), SOCKET)
        });
        sent.is_ok()
    }

    /// The fields in the format of the protocol.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, "MESSAGE", self.message);
        put(&mut bytes, "PRIORITY", &self.priority.to_string());
        put(&mut bytes, "SYSLOG_FACILITY", &FACILITY.to_string());
        put(&mut bytes, "SYSLOG_IDENTIFIER", "jailctl");
        put(&mut bytes, "SYSLOG_PID", &std::process::id().to_string());
        if let Some(event) = self.event {
            put(&mut bytes, "MESSAGE_ID", event.id());
        }
        for jail in self.jails {
            put(&mut bytes, "JAILCTL_JAIL", jail);
        }
        if let Some(user) = self.user {
            put(&mut bytes, "JAILCTL_USER", user);
        }
        bytes
    }
}

/// Adds a field: a value with a line break has its length before it.
fn put(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend(name.as_bytes());
    if value.contains('\n') {
        bytes.push(b'\n');
        bytes.extend((value.len() as u64).to_le_bytes());
    } else {
        bytes.push(b'=');
    }
    bytes.extend(value.as_bytes());
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_in_a_value_starts_no_field() {
        let entry = Entry {
            event: Some(Event::SessionRefused),
            priority: 3,
            message: "one\nJAILCTL_JAIL=forged",
            jails: &["arkham"],
            user: Some("harlequin"),
        };
        let bytes = entry.encode();
        let head = b"MESSAGE\n\x17\0\0\0\0\0\0\0one\nJAILCTL_JAIL=forged\nPRIORITY=3\n";
        assert_eq!(&bytes[..head.len()], head);
        let rest = String::from_utf8_lossy(&bytes[head.len()..]);
        let ends = "MESSAGE_ID=7cdd1e9ac3ae472e8a87ae8ecaf9b348\nJAILCTL_JAIL=arkham\nJAILCTL_USER=harlequin\n";
        assert!(rest.ends_with(ends), "{rest}");
    }
}

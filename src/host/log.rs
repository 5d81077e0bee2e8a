//! The system log: one line for what was changed, for whoever asks later who did it.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::view::HostView;
use super::writer::Host;

/// Where syslog(3) writes.
const LOG: &str = "/dev/log";
/// `LOG_AUTHPRIV | LOG_NOTICE` of syslog(3): accounts and who may log in are a matter of security.
const PRIORITY: u8 = 10 << 3 | 5;
/// What `/proc/self/loginuid` says of a process that no login began.
const NOBODY: &str = "4294967295";

impl Host {
    /// Writes one line. A log that is not there or does not listen is no reason to fail, and a host in a directory has none.
    pub fn log(&self, text: &str) {
        if !self.is_live() {
            return;
        }
        let Ok(socket) = UnixDatagram::unbound() else {
            return;
        };
        let who = HostView::new(Path::new("/proc"))
            .and_then(|proc| proc.read(Path::new("/self/loginuid"), 16))
            .ok()
            .flatten()
            .map(|uid| String::from_utf8_lossy(&uid).trim().to_owned())
            .filter(|uid| uid != NOBODY && !uid.is_empty());
        let by = who.map_or(String::new(), |uid| {
            format!(" (login of the user id {uid})")
        });
        let line = format!("<{PRIORITY}>jailctl[{}]: {text}{by}", std::process::id());
        // A full socket would make the caller wait for a log that may have stopped.
        let _ = socket
            .set_nonblocking(true)
            .and_then(|()| socket.send_to(line.as_bytes(), LOG).map(drop));
    }
}

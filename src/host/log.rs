//! The system log: one line for each change, so that it can be found later who made it.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::view::HostView;
use super::writer::Host;

/// Socket of syslog(3).
const LOG: &str = "/dev/log";
/// `LOG_AUTHPRIV | LOG_NOTICE` of syslog(3): accounts and logins concern security.
const PRIORITY: u8 = 10 << 3 | 5;
/// Content of `/proc/self/loginuid` for a process without a login.
const NOBODY: &str = "4294967295";

impl Host {
    /// Writes one line. No error is returned: a log that is missing or does not read must not stop
    /// a run, and a host in a directory has none.
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

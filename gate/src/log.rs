//! The log of the host, where the jail has its socket.

use std::os::unix::net::UnixDatagram;

use jailctl_gate::Refusal;

/// Socket of syslog(3).
const SOCKET: &str = "/dev/log";
/// Facility authpriv, severity notice: syslog(3).
const PRIORITY: u32 = 10 * 8 + 5;

/// Logs a refusal. A jail without the socket has no log.
pub(crate) fn refused(user: u32, refusal: &Refusal) {
    let message = format!(
        "<{PRIORITY}>jailctl-gate[{}]: refused for the user id {user}: {refusal}",
        std::process::id()
    );
    if let Ok(socket) = UnixDatagram::unbound()
        && socket.set_nonblocking(true).is_ok()
    {
        // The log may be full or gone; the user is told in any case.
        let _ = socket.send_to(message.as_bytes(), SOCKET);
    }
}

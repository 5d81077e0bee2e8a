//! Which TCP ports of the running system somebody listens on.

use std::path::Path;

use super::View;
use crate::error::Result;

/// Most bytes of the kernel's list of sockets.
const LIMIT: u64 = 16 << 20;
/// TCP_LISTEN of the kernel's tcp_states.h, as proc_net_tcp prints it.
const LISTEN: &str = "0A";

/// Whether something listens on one of `ports`, at whatever address.
pub fn listens(ports: &[u16]) -> Result<bool> {
    let proc = View::new(Path::new("/proc"))?;
    for list in ["/self/net/tcp", "/self/net/tcp6"] {
        let text = proc.read(Path::new(list), LIMIT)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let found = text.lines().skip(1).any(|line| {
            let mut words = line.split_whitespace().skip(1);
            let (local, state) = (words.next(), words.nth(1));
            let port = local
                .and_then(|local| local.rsplit(':').next())
                .and_then(|port| u16::from_str_radix(port, 16).ok());
            state == Some(LISTEN) && port.is_some_and(|port| ports.contains(&port))
        });
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

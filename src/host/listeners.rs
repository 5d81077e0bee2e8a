//! Ports of the running system on which a socket listens.

use std::path::Path;

use jailctl_session::network::Port;

use super::view::HostView;
use crate::error::Result;

/// Largest list of sockets that is read, in bytes.
const LIMIT: u64 = 16 << 20;
/// TCP_LISTEN of the kernel's tcp_states.h, as proc_net_tcp prints it.
const LISTEN: &str = "0A";

/// Whether a socket listens on one of `ports`, at any address.
///
/// # Errors
/// `Failed` if proc_net_tcp(5) cannot be read.
pub fn listens(ports: &[u16]) -> Result<bool> {
    is_listed("tcp", Some(LISTEN), ports)
}

/// Whether a socket is bound to this port, at any address.
///
/// # Errors
/// `Failed` if the list cannot be read.
pub fn is_bound(port: Port) -> Result<bool> {
    match port {
        Port::Tcp(number) => is_listed("tcp", Some(LISTEN), &[number]),
        Port::Udp(number) => is_listed("udp", None, &[number]),
    }
}

fn is_listed(protocol: &str, state_filter: Option<&str>, ports: &[u16]) -> Result<bool> {
    let proc = HostView::new(Path::new("/proc"))?;
    for version in ["", "6"] {
        let list = format!("/self/net/{protocol}{version}");
        let text = proc.read(Path::new(&list), LIMIT)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let found = text.lines().skip(1).any(|line| {
            let mut words = line.split_whitespace().skip(1);
            let (local, state) = (words.next(), words.nth(1));
            let port = local
                .and_then(|local| local.rsplit(':').next())
                .and_then(|port| u16::from_str_radix(port, 16).ok());
            state_filter.is_none_or(|state_filter| state == Some(state_filter))
                && port.is_some_and(|port| ports.contains(&port))
        });
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

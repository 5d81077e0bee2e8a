//! Which ports of the running system somebody listens on.

use std::path::Path;

use jailctl_session::network::Port;

use super::view::HostView;
use crate::error::Result;

/// Most bytes of a list of sockets of the kernel's.
const LIMIT: u64 = 16 << 20;
/// TCP_LISTEN of the kernel's tcp_states.h, as proc_net_tcp prints it.
const LISTEN: &str = "0A";

/// Whether something listens on one of `ports`, at whatever address.
pub fn listens(ports: &[u16]) -> Result<bool> {
    is_listed("tcp", Some(LISTEN), ports)
}

/// Whether somebody waits for others at this port, at whatever address.
pub fn is_bound(port: Port) -> Result<bool> {
    match port {
        Port::Tcp(number) => is_listed("tcp", Some(LISTEN), &[number]),
        Port::Udp(number) => is_listed("udp", None, &[number]),
    }
}

fn is_listed(protocol: &str, wanted: Option<&str>, ports: &[u16]) -> Result<bool> {
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
            wanted.is_none_or(|wanted| state == Some(wanted))
                && port.is_some_and(|port| ports.contains(&port))
        });
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

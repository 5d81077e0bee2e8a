//! Rules that both tables of a jail contain ([`nft_jail_table`](super::nft_jail_table),
//! [`nft_host_table`](super::nft_host_table)).

use std::net::Ipv4Addr;

use crate::policy::Port;

/// Loopback interface, which every network namespace has.
pub(super) const LOOPBACK: &str = "lo";
/// Link-local addresses (RFC 3927), which no router forwards. Clouds have metadata services there,
/// some also name servers.
pub(super) const LINK_LOCAL: &str = "169.254.0.0/16";
/// Address that stands for the host on the way to another jail with a port there: the IPv4 dummy
/// address (RFC 7600), which no host has. Without the table of the host, which translates it,
/// packets to it are refused and never reach services of the host.
pub(super) const PUBLIC: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);

/// Rule for established connections, and for ICMP errors about them.
pub(super) fn accept_known() -> String {
    "ct state established,related accept".to_owned()
}

/// Rules for ports with a `verdict`, one for each protocol with ports.
pub(super) fn port_rules(ports: &[Port], verdict: &str) -> Vec<String> {
    by_protocol(ports)
        .map(|ports| format!("{ports} {verdict}"))
        .collect()
}

/// `tcp dport { 80, 443 }` and the same for UDP, for the protocols with ports.
fn by_protocol(ports: &[Port]) -> impl Iterator<Item = String> {
    let numbers = |wanted: fn(&Port) -> Option<u16>| -> String {
        let mut numbers: Vec<u16> = ports.iter().filter_map(wanted).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let numbers: Vec<String> = numbers.iter().map(u16::to_string).collect();
        numbers.join(", ")
    };
    let tcp = numbers(|port| match port {
        Port::Tcp(number) => Some(*number),
        Port::Udp(_) => None,
    });
    let udp = numbers(|port| match port {
        Port::Udp(number) => Some(*number),
        Port::Tcp(_) => None,
    });
    [("tcp", tcp), ("udp", udp)]
        .into_iter()
        .filter(|(_, numbers)| !numbers.is_empty())
        .map(|(protocol, numbers)| format!("{protocol} dport {{ {numbers} }}"))
}

/// Rule that refuses link-local addresses, except name servers where port 53 is allowed: some
/// clouds have theirs there.
pub(super) fn link_local(allow_out: &[Port], refused: &str) -> String {
    let is_dns = |port: &Port| matches!(port, Port::Tcp(53) | Port::Udp(53));
    let except = if allow_out.iter().any(is_dns) {
        " th dport != 53"
    } else {
        ""
    };
    format!("ip daddr {LINK_LOCAL}{except} {refused}")
}

//! Fragments of rules that both tables of a jail have ([`filter`](super::filter), [`nft`](super::nft)).

use std::net::Ipv4Addr;

use crate::policy::Port;

/// The loopback interface, which every network namespace has.
pub(super) const LOOPBACK: &str = "lo";
/// RFC 3927: no router passes these on. Clouds answer there with metadata of the machine, and some with names.
pub(super) const LINK_LOCAL: &str = "169.254.0.0/16";
/// What the host's addresses are called on the way to another jail that has a port there: IPv4's dummy address (RFC 7600), which nobody has. Without the
/// host's table, which sends it on, it leads nowhere, and never to the host's own services.
pub(super) const PUBLIC: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);

/// The rule for connections that were allowed when they began, and for what ICMP says of them.
pub(super) fn accept_known() -> String {
    "ct state established,related accept".to_owned()
}

/// The rules for ports, one for each protocol that has any.
pub(super) fn port_rules(ports: &[Port], deed: &str) -> Vec<String> {
    by_protocol(ports)
        .map(|ports| format!("{ports} {deed}"))
        .collect()
}

/// `tcp dport { 80, 443 }`, and the same for UDP, as far as there are any.
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

/// The rule that keeps link-local addresses from a jail, but for name servers where names may be asked for: some clouds have theirs there.
pub(super) fn link_local(allow_out: &[Port], refused: &str) -> String {
    let asks = |port: &Port| matches!(port, Port::Tcp(53) | Port::Udp(53));
    let but = if allow_out.iter().any(asks) {
        " th dport != 53"
    } else {
        ""
    };
    format!("ip daddr {LINK_LOCAL}{but} {refused}")
}

//! The filter: rules of nft(8) in the network namespace of the jail, for packets that leave and
//! enter it.
//!
//! This table enforces the policy. No process in the network namespace of the jail has
//! CAP_NET_ADMIN, and `flush ruleset` on the host, with which nftables.service begins, does not
//! affect other namespaces. The table of the host ([`nft_host_table`](super::nft_host_table)) is a
//! second barrier, and translates addresses.
//!
//! Addresses of the host are a list, because in this network namespace they look like any others;
//! the list is loaded again when they change.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::addresses::Prefix;
use super::nft_rule_text::{LOOPBACK, PUBLIC, accept_known, link_local, port_rules};
use crate::policy::Network;

/// Name of the table, of the family `inet`.
pub(super) const TABLE: &str = "jailctl";
/// Verdict for packets that are not allowed: the sender gets an error at once.
const REFUSED: &str = "reject with icmp type admin-prohibited";

/// Text of the table, which replaces an existing one. `host` are the addresses of the host itself.
pub(super) fn table(network: &Network, host: &[Prefix]) -> String {
    let Network {
        address,
        allow_in,
        allow_out,
        ..
    } = network;
    let mut text =
        format!("table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n");
    let mut chain = |title: &str, hook: &str, lines: &[String]| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    chain {title} {{\n        type {hook};");
        for line in lines {
            let _ = writeln!(text, "        {line}");
        }
        let _ = writeln!(text, "    }}");
    };
    // Connections within the jail use no entry in the kernel's conntrack table, which all networks
    // share.
    for (title, hook, match_key) in [
        ("loopback_in", "prerouting", "iifname"),
        ("loopback_out", "output", "oifname"),
    ] {
        let hook = format!("filter hook {hook} priority -300; policy accept");
        chain(
            title,
            &hook,
            &[format!("{match_key} \"{LOOPBACK}\" notrack")],
        );
    }
    let only_ipv4 = "meta nfproto != ipv4 drop".to_owned();
    let mut input = vec![
        format!("iifname \"{LOOPBACK}\" accept"),
        only_ipv4.clone(),
        accept_known(),
    ];
    input.extend(port_rules(allow_in, "accept"));
    chain("input", "filter hook input priority 0; policy drop", &input);
    chain(
        "forward",
        "filter hook forward priority 0; policy drop",
        &[],
    );
    let mut output = vec![
        format!("oifname \"{LOOPBACK}\" accept"),
        only_ipv4,
        accept_known(),
        format!("ip saddr != {address} drop"),
    ];
    let pool = address_pool(*address);
    let host: Vec<Prefix> = host
        .iter()
        .copied()
        .filter(|prefix| !is_covered(pool, *prefix))
        .collect();
    if !host.is_empty() {
        output.push(format!("ip daddr {{ {} }} {REFUSED}", list(&host)));
    }
    // Of four addresses the third is a jail's; the second is the host's, and no host has the
    // others.
    output.push(format!(
        "ip daddr {pool} ip daddr & 0.0.0.3 != 0.0.0.2 {REFUSED}"
    ));
    // "This network" (RFC 1122), and multicast, reserved and broadcast addresses.
    output.push(format!("ip daddr {{ 0.0.0.0/8, 224.0.0.0/3 }} {REFUSED}"));
    output.push(link_local(allow_out, REFUSED));
    output.extend(port_rules(allow_out, "accept"));
    output.push(REFUSED.to_owned());
    let public: Vec<Prefix> = host
        .into_iter()
        .filter(|prefix| !prefix.contains_loopback())
        .collect();
    if !public.is_empty() {
        let to_jails = port_rules(allow_out, &format!("dnat ip to {PUBLIC}"));
        let lines: Vec<String> = to_jails
            .into_iter()
            .map(|rule| format!("ip daddr {{ {} }} {rule}", list(&public)))
            .collect();
        let hook = "nat hook output priority -100; policy accept";
        chain("to_other_jails", hook, &lines);
    }
    chain(
        "output",
        "filter hook output priority 0; policy drop",
        &output,
    );
    text.push_str("}\n");
    text
}

fn list(prefixes: &[Prefix]) -> String {
    let prefixes: Vec<String> = prefixes.iter().map(Prefix::to_string).collect();
    prefixes.join(", ")
}

/// The prefix with the networks of all jails, four addresses for each, by the address of one.
fn address_pool(address: Ipv4Addr) -> Prefix {
    let length = if address.octets()[0] == 192 { 24 } else { 16 };
    Prefix::new(address, length)
}

/// Whether the rule for the networks of jails covers the prefix: an address of the host in the
/// network of another jail, which changes with its sessions.
fn is_covered(pool: Prefix, prefix: Prefix) -> bool {
    pool.contains(prefix) && prefix.single().is_some_and(|one| one.octets()[3] % 4 != 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_as_expected() {
        let expected = r#"table inet jailctl
delete table inet jailctl
table inet jailctl {
    chain loopback_in {
        type filter hook prerouting priority -300; policy accept;
        iifname "lo" notrack
    }
    chain loopback_out {
        type filter hook output priority -300; policy accept;
        oifname "lo" notrack
    }
    chain input {
        type filter hook input priority 0; policy drop;
        iifname "lo" accept
        meta nfproto != ipv4 drop
        ct state established,related accept
        tcp dport { 80 } accept
    }
    chain forward {
        type filter hook forward priority 0; policy drop;
    }
    chain to_other_jails {
        type nat hook output priority -100; policy accept;
        ip daddr { 192.0.2.1, 10.213.0.10 } tcp dport { 443 } dnat ip to 192.0.0.8
        ip daddr { 192.0.2.1, 10.213.0.10 } udp dport { 53 } dnat ip to 192.0.0.8
    }
    chain output {
        type filter hook output priority 0; policy drop;
        oifname "lo" accept
        meta nfproto != ipv4 drop
        ct state established,related accept
        ip saddr != 10.213.0.30 drop
        ip daddr { 127.0.0.0/8, 192.0.2.1, 10.213.0.10 } reject with icmp type admin-prohibited
        ip daddr 10.213.0.0/16 ip daddr & 0.0.0.3 != 0.0.0.2 reject with icmp type admin-prohibited
        ip daddr { 0.0.0.0/8, 224.0.0.0/3 } reject with icmp type admin-prohibited
        ip daddr 169.254.0.0/16 th dport != 53 reject with icmp type admin-prohibited
        tcp dport { 443 } accept
        udp dport { 53 } accept
        reject with icmp type admin-prohibited
    }
}
"#;
        let host = [
            ([127, 0, 0, 0], 8),
            ([192, 0, 2, 1], 32),
            // In the network of another jail: the address of the host, the broadcast address, and
            // one of the host that looks like a jail's.
            ([10, 213, 0, 5], 32),
            ([10, 213, 0, 7], 32),
            ([10, 213, 0, 10], 32),
        ];
        let host = host.map(|(address, length)| Prefix::new(address.into(), length));
        assert_eq!(table(&Network::example(), &host), expected);
    }
}

//! The private network of a jail: its addresses, free of those of other jails and of the host, and
//! its ports, which no other jail or service may use.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;

use jailctl_session::network::{
    ForwardChain, IFNAME_PREFIX, Network, Port, dropping_forward_chains,
};
use jailctl_session::policy::Policy;

use super::networkd;
use super::tree::{Entry, Reason, Tree};
use crate::error::{Error, Finding, Result};
use crate::host::{HostView, is_bound, nft, routes, sshd};
use crate::layout::{POLICY, SSHD_CONFIG, STATE};
use crate::names::{JailName, JailPath};
use crate::spec::PrivateNetwork;

/// Address pools: first address, number of networks in it, and netmask. A pool is skipped if the
/// host has a route to it; each network has four addresses.
const ADDRESS_POOLS: [(Ipv4Addr, u32, Ipv4Addr); 3] = [
    (
        Ipv4Addr::new(10, 213, 0, 0),
        1 << 14,
        Ipv4Addr::new(255, 255, 0, 0),
    ),
    (
        Ipv4Addr::new(172, 29, 0, 0),
        1 << 14,
        Ipv4Addr::new(255, 255, 0, 0),
    ),
    (
        Ipv4Addr::new(192, 168, 213, 0),
        1 << 6,
        Ipv4Addr::new(255, 255, 255, 0),
    ),
];
/// Most bytes of a policy or of resolv.conf(5).
const LIMIT: u64 = 1 << 18;
/// Files with name servers. With systemd-resolved, the second has the servers that it queries.
const RESOLVERS: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// The network of the jail as its policy records it, or a new one from a free pool. A port of
/// another jail or service is a finding; `None` with a finding if no address is free.
pub(super) fn resolve(
    name: &JailName,
    spec: &PrivateNetwork,
    view: &HostView,
    findings: &mut Vec<Finding>,
    notices: &mut Vec<String>,
) -> Result<Option<Network>> {
    // Routes and listeners are not known by inodes: this run is not cached.
    view.invalidate_access_log();
    let others = networks_in_use(view, name)?;
    let before = recorded_network(view, name.as_str())?;
    if nft::find(view)?.is_none() {
        findings.push(
            Finding::new("a private network is not possible on this host")
                .why("nft(8), which loads its rules, is not installed")
                .hint("install nftables")
                .with_span(&spec.span, "required here"),
        );
    }
    check_ports(spec, view, before.as_ref(), &others, findings, notices)?;
    let taken: BTreeSet<&str> = others.iter().map(|(_, one)| one.link.as_str()).collect();
    let kept = before
        .as_ref()
        .filter(|network| !taken.contains(network.link.as_str()))
        .map(|network| (network.link.clone(), network.gateway, network.address));
    let found = match kept {
        Some(kept) => Some(kept),
        None => allocate(name, &taken, view)?,
    };
    let Some((link, gateway, address)) = found else {
        findings.push(
            Finding::new("no address is free for a private network")
                .why("the host has routes to the address pools of jailctl, or other jails use them")
                .with_span(&spec.span, "required here"),
        );
        return Ok(None);
    };
    if view.is_live() && !forwards_packets(view)? {
        notices.push(
            "the host does not forward packets (`net.ipv4.ip_forward` is 0): while the jail is in use its interfaces do, for jails only"
                .to_owned(),
        );
    }
    if view.is_live() {
        let found = interferences(&link, view)?.into_iter();
        notices.extend(found.map(|one| format!("{}; {}", one.what, one.fix)));
    }
    Ok(Some(Network {
        link,
        gateway,
        address,
        allow_in: spec.allow_in.iter().map(|port| port.value).collect(),
        allow_out: spec.allow_out.iter().map(|port| port.value).collect(),
    }))
}

/// A program of the host that stops the packets of a jail.
#[derive(Debug)]
pub(crate) struct Interference {
    /// Effect of the program.
    pub what: String,
    /// Commands that let the packets pass.
    pub fix: String,
}

/// Programs of the running system that stop the packets of the jail with the interface `link`:
/// packet filters at the hook `forward`, and systemd-networkd.
///
/// # Errors
/// [`crate::error::ErrorKind::Failed`] if the packet filter or the files of systemd-networkd cannot
/// be read.
pub(crate) fn interferences(link: &str, view: &HostView) -> Result<Vec<Interference>> {
    let chains = dropping_forward_chains().map_err(|error| {
        Error::failed("could not read the packet filter of the host").why(error.to_string())
    })?;
    let chain = |chain: ForwardChain| {
        let at = format!("{} {}", chain.family, chain.table);
        let accept = |interface: &str| {
            format!(
                "`nft insert rule {at} {} {interface} \"{IFNAME_PREFIX}*\" accept`",
                chain.name
            )
        };
        Interference {
            what: format!(
                "the chain `{}` of the table `{at}` drops the packets of the jail's network",
                chain.name
            ),
            fix: format!(
                "let them pass in the configuration of that firewall, or until its next start by {} and {}",
                accept("iifname"),
                accept("oifname")
            ),
        }
    };
    let mut found: Vec<Interference> = chains.into_iter().map(chain).collect();
    if let Some(file) = networkd::file_for(view, link)? {
        found.push(Interference {
            what: format!(
                "systemd-networkd takes the interface of the jail's network by `{}`, and removes its address",
                file.display()
            ),
            fix: format!(
                "run `printf '[Match]\\nName={IFNAME_PREFIX}*\\n[Link]\\nUnmanaged=yes\\n' >/etc/systemd/network/00-jailctl.network; networkctl reload`"
            ),
        });
    }
    Ok(found)
}

/// Whether the host forwards IPv4 packets.
fn forwards_packets(view: &HostView) -> Result<bool> {
    let value = view.read(Path::new("/proc/sys/net/ipv4/ip_forward"), 16)?;
    Ok(value.is_none_or(|value| value.trim_ascii() != b"0"))
}

/// The networks of other jails, with the names of the jails.
fn networks_in_use(view: &HostView, name: &JailName) -> Result<Vec<(String, Network)>> {
    let mut networks = Vec::new();
    for other in view.list(Path::new(STATE))?.unwrap_or_default() {
        if let Some(other) = other.to_str().filter(|other| *other != name.as_str())
            && let Some(network) = recorded_network(view, other)?
        {
            networks.push((other.to_owned(), network));
        }
    }
    Ok(networks)
}

/// The network in the policy of a jail. A policy that cannot be read admits no session, and counts
/// as none.
fn recorded_network(view: &HostView, name: &str) -> Result<Option<Network>> {
    let text = view.read(&Path::new(STATE).join(name).join(POLICY), LIMIT)?;
    let policy = text.and_then(|text| Policy::parse(&String::from_utf8_lossy(&text)).ok());
    Ok(policy.and_then(|policy| policy.network))
}

/// The first free network from a hash of the name on, so that a jail that is removed and built
/// again gets its addresses back. Returns interface, gateway and address.
fn allocate(
    name: &JailName,
    taken: &BTreeSet<&str>,
    view: &HostView,
) -> Result<Option<(String, Ipv4Addr, Ipv4Addr)>> {
    let routes = if view.is_live() {
        routes()?
    } else {
        Vec::new()
    };
    let letters = name.as_str().bytes();
    let start = letters.fold(0_u32, |sum, letter| {
        sum.wrapping_mul(31) + u32::from(letter)
    });
    let mut first = 0;
    for (place, room, mask) in ADDRESS_POOLS {
        let is_free = routes.iter().all(|route| {
            route.interface.starts_with(IFNAME_PREFIX) || !route.overlaps(place, mask)
        });
        let number = (0..room)
            .map(|step| (start.wrapping_add(step)) % room)
            .find(|number| {
                is_free && !taken.contains(&*format!("{IFNAME_PREFIX}{}", first + number))
            });
        if let Some(number) = number {
            let base = u32::from(place) + 4 * number;
            let link = format!("{IFNAME_PREFIX}{}", first + number);
            return Ok(Some((link, (base + 1).into(), (base + 2).into())));
        }
        first += room;
    }
    Ok(None)
}

/// Checks that no other jail, no service of the host and not sshd uses a port of `allow_in`.
fn check_ports(
    spec: &PrivateNetwork,
    view: &HostView,
    before: Option<&Network>,
    others: &[(String, Network)],
    findings: &mut Vec<Finding>,
    notices: &mut Vec<String>,
) -> Result<()> {
    let config = view.stat(Path::new(SSHD_CONFIG))?;
    let config = config.map(|_| sshd::Config::read(view)).transpose()?;
    let of_sshd = config.map_or_else(Vec::new, |config| config.ports());
    for port in &spec.allow_in {
        let shown = shown(port.value);
        // Whether sshd runs now or not: administrators reach the host by it.
        if matches!(port.value, Port::Tcp(number) if of_sshd.contains(&number)) {
            findings.push(
                Finding::new(format!("could not forward `{shown}` into this jail"))
                    .why("sshd listens on it, and could not be reached while the jail is in use")
                    .with_span(&port.span, "required here")
                    .hint("choose another port"),
            );
            continue;
        }
        let had = before.is_some_and(|network| network.allow_in.contains(&port.value));
        let other = others
            .iter()
            .find(|(_, network)| network.allow_in.contains(&port.value));
        if let Some((jail, _)) = other {
            findings.push(
                Finding::new(format!("could not forward `{shown}` into this jail"))
                    .why(format!("it is forwarded into the jail `{jail}`"))
                    .with_span(&port.span, "required here"),
            );
        } else if view.is_live() && is_bound(port.value)? {
            if had {
                notices.push(format!(
                    "`{shown}` is forwarded into the jail, while a service of the host is bound to it too"
                ));
            } else {
                findings.push(
                    Finding::new(format!("could not forward `{shown}` into this jail"))
                        .why("a service of the host is bound to it, and could no longer be reached")
                        .with_span(&port.span, "required here")
                        .hint("choose another port, or stop the service"),
                );
            }
        }
    }
    Ok(())
}

/// A port as a spec has it: `tcp/80`.
fn shown(port: Port) -> String {
    match port {
        Port::Tcp(number) => format!("tcp/{number}"),
        Port::Udp(number) => format!("udp/{number}"),
    }
}

/// Adds a resolv.conf(5), unless the spec has one: the host's name servers except those on the host
/// itself, which a private network cannot reach.
pub(super) fn add_resolver(
    tree: &mut Tree,
    spec: &PrivateNetwork,
    view: &HostView,
    notices: &mut Vec<String>,
) -> Result<()> {
    let asks = spec
        .allow_out
        .iter()
        .any(|port| matches!(port.value, Port::Udp(53) | Port::Tcp(53)));
    let at = RESOLVERS[0];
    let path =
        JailPath::new(at).map_err(|why| Error::from(Finding::new(format!("`{at}` {why}"))))?;
    if !asks || tree.get(&path).is_some() {
        return Ok(());
    }
    let mut kept = Vec::new();
    for resolver in RESOLVERS {
        let text = view.read(Path::new(resolver), LIMIT)?.unwrap_or_default();
        kept = lines(&String::from_utf8_lossy(&text));
        if kept.iter().any(|line| line.starts_with("nameserver")) {
            break;
        }
    }
    if !kept.iter().any(|line| line.starts_with("nameserver")) {
        notices.push(
            "names cannot be resolved in the jail: the host has no name server except itself"
                .to_owned(),
        );
    }
    let text: String = kept.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    let why = Reason::rule("name servers that the jail's network reaches");
    Ok(tree.add(path, Entry::text(text, 0o644, why))?)
}

/// The lines of a resolv.conf(5) that are valid in another network.
fn lines(text: &str) -> Vec<String> {
    let is_kept = |line: &&str| {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => words
                .next()
                .and_then(|address| address.parse::<Ipv4Addr>().ok())
                .is_some_and(|address| !address.is_loopback() && !address.is_unspecified()),
            Some("search" | "domain" | "options") => true,
            _ => false,
        }
    };
    let plain = |line: &str| !line.chars().any(char::is_control);
    text.lines()
        .map(str::trim)
        .filter(|line| plain(line))
        .filter(is_kept)
        .map(str::to_owned)
        .collect()
}

/// The nft(8) tables that the first session loads: those of the host, and those of the jail's
/// network.
pub(crate) fn tables(policy: &Policy) -> Option<String> {
    let network = policy.network.as_ref()?;
    Some(jailctl_session::network::tables(&policy.jail, network))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_of_the_host_itself_are_left_out() {
        let text = "# by somebody\nnameserver 127.0.0.53\nnameserver 10.0.2.3\nnameserver ::1\noptions edns0\nsearch gotham.example\nsortlist 1\n";
        assert_eq!(
            lines(text),
            [
                "nameserver 10.0.2.3",
                "options edns0",
                "search gotham.example"
            ]
        );
    }
}

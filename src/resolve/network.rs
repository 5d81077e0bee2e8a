//! A network of a jail's own: its addresses among those of other jails and of the host, and what its rules would take from others.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;

use jailctl_session::network::{IFNAME_PREFIX, Network, Port};
use jailctl_session::policy::Policy;

use super::tree::{Entry, Reason, Tree};
use crate::error::{Error, Finding, Result};
use crate::host::{HostView, is_bound, nft, routes, sshd};
use crate::layout::{POLICY, SSHD_CONFIG, STATE};
use crate::names::{JailName, JailPath};
use crate::spec::PrivateNetwork;

/// Where networks of jails have their addresses: the first address of each place, how many networks it has room for, and which bits all have in
/// common. The first place is taken unless the host sends something there; each network has four addresses.
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
/// No policy or resolv.conf(5) is as long.
const LIMIT: u64 = 1 << 18;
/// Where name servers are named; where systemd-resolved is, the second has those behind it.
const RESOLVERS: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// The network of the jail as its policy says it was built, or a new one where there is room. What would take something from others is a finding.
pub(super) fn resolve(
    name: &JailName,
    spec: &PrivateNetwork,
    view: &HostView,
    findings: &mut Vec<Finding>,
    notices: &mut Vec<String>,
) -> Result<Option<Network>> {
    // What routes and listeners there are no inode tells: this run is not remembered.
    view.invalidate_access_log();
    let others = networks_in_use(view, name)?;
    let before = recorded_network(view, name.as_str())?;
    if nft::find(view)?.is_none() {
        findings.push(
            Finding::new("a network of its own is not possible on this host")
                .why("its rules are loaded by nft(8), which is not there")
                .hint("install nftables")
                .with_span(&spec.site, "asked for here"),
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
            Finding::new("there is no room for a network of its own")
                .why("the host sends something to all addresses that jailctl takes them from, or other jails have them")
                .with_span(&spec.site, "asked for here"),
        );
        return Ok(None);
    };
    if view.is_live() && !forwards_packets(view)? {
        notices.push(
            "the host passes nothing on (`net.ipv4.ip_forward` is 0): while somebody is in the jail its interfaces do, for jails alone"
                .to_owned(),
        );
    }
    Ok(Some(Network {
        link,
        gateway,
        address,
        allow_in: spec.allow_in.iter().map(|port| port.value).collect(),
        allow_out: spec.allow_out.iter().map(|port| port.value).collect(),
    }))
}

fn forwards_packets(view: &HostView) -> Result<bool> {
    let value = view.read(Path::new("/proc/sys/net/ipv4/ip_forward"), 16)?;
    Ok(value.is_none_or(|value| value.trim_ascii() != b"0"))
}

/// The networks of other jails, by name.
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

/// The network that the jail's policy has; a policy that cannot be used lets nobody into it.
fn recorded_network(view: &HostView, name: &str) -> Result<Option<Network>> {
    let text = view.read(&Path::new(STATE).join(name).join(POLICY), LIMIT)?;
    let policy = text.and_then(|text| Policy::parse(&String::from_utf8_lossy(&text)).ok());
    Ok(policy.and_then(|policy| policy.network))
}

/// The first room from where the name's letters lead to, so that a jail that is built anew has the addresses it had.
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

/// A port of the host's addresses leads to one place only.
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
        // Whether it runs now or not: who looks after the host comes by it.
        if matches!(port.value, Port::Tcp(number) if of_sshd.contains(&number)) {
            findings.push(
                Finding::new(format!("`{shown}` cannot lead into this jail"))
                    .why("it is sshd's, and while somebody is in the jail nobody would reach the host by it")
                    .with_span(&port.site, "asked for here")
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
                Finding::new(format!("`{shown}` cannot lead into this jail"))
                    .why(format!("it leads into the jail `{jail}`"))
                    .with_span(&port.site, "asked for here"),
            );
        } else if view.is_live() && is_bound(port.value)? {
            if had {
                notices.push(format!(
                    "`{shown}` leads into the jail, while a service of the host's is bound to it as well"
                ));
            } else {
                findings.push(
                    Finding::new(format!("`{shown}` cannot lead into this jail"))
                        .why("a service of the host's is bound to it, and others would no longer reach that one")
                        .with_span(&port.site, "asked for here")
                        .hint("choose another port, or stop the service"),
                );
            }
        }
    }
    Ok(())
}

fn shown(port: Port) -> String {
    match port {
        Port::Tcp(number) => format!("tcp/{number}"),
        Port::Udp(number) => format!("udp/{number}"),
    }
}

/// Adds the jail's own resolv.conf(5), unless the spec gives one: the host's name servers, as far as they are anywhere but on the host.
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
            "names are not found in the jail: the host names no name server but itself".to_owned(),
        );
    }
    let text: String = kept.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    let why = Reason::rule("name servers that the jail's network reaches");
    Ok(tree.add(path, Entry::text(text, 0o644, why))?)
}

/// The lines of a resolv.conf that mean something elsewhere too.
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

/// The tables as they would be loaded for the first session: the host's, and the one in the jail's own network.
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

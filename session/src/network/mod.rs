//! A network of a jail's own: a namespace, a pair of interfaces that leads out of it, and on the host a table of rules.
//!
//! It lives as long as somebody is in it: the first session makes it, the others join it, and the keeper of the last one takes it away. So it is
//! there after a boot without anybody's doing, nothing keeps it but processes, and the host's mount table never has it. What is listened on in it
//! ends with its sessions anyway.
//!
//! - [`members`]: who is in it, by locks that end with their processes.
//! - [`link`]: interfaces, addresses and routes, by rtnetlink(7).
//! - [`rules`]: the table, as text for nft(8).
//! - [`forwarding`]: that the host passes on what comes and goes, for jails alone.

mod forwarding;
mod link;
mod members;
mod rules;

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use self::forwarding::{Forwarding, pass_on};
use self::link::Netlink;
use self::members::{Doors, PATIENCE, Share};
pub use self::rules::{NFT, table};
use crate::{Error, sys};

/// How the interfaces of jails begin on the host; a number follows.
pub const LINKS: &str = "jailctl";
/// What the interface is called in the jail.
const INSIDE: &str = "eth0";
/// Two addresses, and the two that no interface has.
const PREFIX: u8 = 30;

/// The network of a jail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The host's interface: [`LINKS`] and a number.
    pub link: String,
    /// The host's address there, which the jail sends everything to.
    pub gateway: Ipv4Addr,
    /// The jail's.
    pub address: Ipv4Addr,
    /// Ports of the jail that others reach, by the host's addresses too.
    pub allow_in: Vec<Port>,
    /// Ports of others that the jail reaches.
    pub allow_out: Vec<Port>,
}

/// A port of a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Port {
    /// Of TCP.
    Tcp(u16),
    /// Of UDP.
    Udp(u16),
}

impl Network {
    /// What the types do not say.
    pub(crate) fn is_sound(&self) -> Result<(), String> {
        let number = self.link.strip_prefix(LINKS).unwrap_or_default();
        // 15 characters are the longest name of an interface.
        if !(1..=5).contains(&number.len()) || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("its network has an interface of another name".to_owned());
        }
        let (gateway, address) = (u32::from(self.gateway), u32::from(self.address));
        if gateway % 4 != 1 || address != gateway + 1 || !self.address.is_private() {
            return Err("its network has other addresses".to_owned());
        }
        let is_port = |port: &Port| matches!(port, Port::Tcp(1..) | Port::Udp(1..));
        if !self.allow_in.iter().chain(&self.allow_out).all(is_port) {
            return Err("its network has a port 0".to_owned());
        }
        Ok(())
    }
}

/// One who is in the network of a jail, as long as it lives.
#[derive(Debug)]
pub(crate) struct Member {
    jail: String,
    link: String,
    share: Share,
    host: OwnedFd,
}

/// As long as it lives no jail's network is made, joined or taken away.
#[derive(Debug)]
pub(crate) struct Still(#[expect(dead_code, reason = "held, and not used")] Doors);

/// Waits for whoever is making, joining or taking away a network. `None` where the jail has no network, or it takes too long.
pub(crate) fn still(jail: &str) -> Option<Still> {
    let doors = Doors::know(jail).then(Doors::open)?;
    doors.ok().map(Still)
}

/// Moves the calling process, which has one thread, into the network of the jail, made if it is not there.
///
/// After an error the process may be anywhere, and is fit for nothing but to end.
pub(crate) fn enter(jail: &str, network: &Network) -> Result<Member, Error> {
    let host = namespace()?;
    let mut doors = Doors::open()?;
    let (share, inside) = doors.join(jail, |doors| make(jail, network, doors, &host))?;
    drop(doors);
    move_to(inside.as_fd(), "join the jail's network")?;
    Ok(Member {
        jail: jail.to_owned(),
        link: network.link.clone(),
        share,
        host,
    })
}

/// Makes the network. The calling process is in the host's afterwards.
fn make(jail: &str, network: &Network, doors: &Doors, host: &OwnedFd) -> Result<OwnedFd, Error> {
    // What a keeper that was killed left behind.
    Netlink::open()?.remove(&network.link)?;
    sys::unshare_all(UnshareFlags::NEWNET).map_err(Error::of("make the jail's network"))?;
    let inside = namespace()?;
    furnish()?;
    move_to(host.as_fd(), "go back to the host's network")?;
    let forwarding = Forwarding::needed(doors)?;
    // Before there is anything that they are for; and where they cannot be loaded, nothing is undone.
    rules::load(&table(jail, network, forwarding.guarded()))?;
    forwarding
        .begin()
        .and_then(|()| connect(network, host, &inside))
        .inspect_err(|_| {
            // As far as it can be; the next one who comes begins with what is left.
            let _ = move_to(host.as_fd(), "").and_then(|()| unmake(jail, &network.link, doors));
        })?;
    Ok(inside)
}

/// The interfaces of both networks.
fn connect(network: &Network, host: &OwnedFd, inside: &OwnedFd) -> Result<(), Error> {
    let mut netlink = Netlink::open()?;
    netlink.pair(&network.link, INSIDE, inside.as_fd())?;
    no_ipv6(&network.link)?;
    netlink.address(&network.link, network.gateway, PREFIX)?;
    pass_on(&network.link, true)?;
    move_to(inside.as_fd(), "enter the jail's network")?;
    let mut netlink = Netlink::open()?;
    netlink.address(INSIDE, network.address, PREFIX)?;
    netlink.route(INSIDE, network.gateway)?;
    move_to(host.as_fd(), "go back to the host's network")
}

/// What holds for the whole of a new network.
fn furnish() -> Result<(), Error> {
    sys::loopback_up().map_err(Error::of("bring up the loopback of the jail's network"))?;
    no_ipv6("all")?;
    no_ipv6("default")?;
    // Whoever is in there has no capability, and what is in there is the jail's.
    set("net/ipv4/ip_unprivileged_port_start", "0", false)
}

/// The rules are for IPv4, so there is nothing else; a kernel without IPv6 has no such setting.
fn no_ipv6(interface: &str) -> Result<(), Error> {
    set(
        &format!("net/ipv6/conf/{interface}/disable_ipv6"),
        "1",
        true,
    )
}

/// Takes the network away, from the host's.
fn unmake(jail: &str, link: &str, doors: &Doors) -> Result<(), Error> {
    Netlink::open()?.remove(link)?;
    rules::unload(jail)?;
    if doors.has_other(jail)? {
        return Ok(());
    }
    Forwarding::look(doors)?.end()
}

/// Takes away what is left of a jail's network in which nobody is to be any more. The last keeper does so itself, and gets its time; only one that was
/// killed leaves something. Somebody who stays in it is an error.
pub fn sweep(jail: &str, network: &Network) -> Result<(), Error> {
    let deadline = Instant::now() + PATIENCE;
    while Doors::know(jail) {
        let doors = Doors::open()?;
        doors.close(jail, || unmake(jail, &network.link, &doors))?;
        drop(doors);
        if Doors::know(jail) {
            if Instant::now() >= deadline {
                return Err(Error::Refused("somebody is in it".to_owned()));
            }
            sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}

/// Loads the rules into the jail's network, if somebody is in it: they hold for all that begins from then on.
pub fn refresh(jail: &str, network: &Network) -> Result<(), Error> {
    if !Doors::know(jail) {
        return Ok(());
    }
    let doors = Doors::open()?;
    if !doors.is_lived_in(jail)? {
        return Ok(());
    }
    let forwarding = Forwarding::look(&doors)?;
    rules::load(&table(jail, network, forwarding.guarded()))
}

impl Member {
    /// Leaves the network, and takes it away if nobody else is in it. The calling process is in the host's then.
    pub(crate) fn leave(self) -> Result<(), Error> {
        move_to(self.host.as_fd(), "leave the jail's network")?;
        self.share.end();
        let doors = Doors::open()?;
        doors.close(&self.jail, || unmake(&self.jail, &self.link, &doors))
    }

    pub(crate) fn descriptors(&self) -> [RawFd; 2] {
        [self.share.as_fd().as_raw_fd(), self.host.as_raw_fd()]
    }

    /// The same with descriptors above the standard ones; those before are about to be closed.
    pub(crate) fn above_standard(self) -> Result<Self, Errno> {
        let moved = Self {
            jail: self.jail.clone(),
            link: self.link.clone(),
            share: fcntl_dupfd_cloexec(self.share.as_fd(), 3)?.into(),
            host: fcntl_dupfd_cloexec(&self.host, 3)?,
        };
        std::mem::forget(self);
        Ok(moved)
    }
}

/// The calling process's network.
pub(crate) fn namespace() -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    open("/proc/self/ns/net", flags, Mode::empty()).map_err(Error::of("open the network"))
}

fn move_to(network: BorrowedFd<'_>, what: &'static str) -> Result<(), Error> {
    move_into_link_name_space(network, Some(LinkNameSpaceType::Network)).map_err(Error::of(what))
}

/// Writes a setting of the calling process's network, sysctl(8). `optional`: it may not exist, as IPv6 may not.
fn set(name: &str, value: &str, optional: bool) -> Result<(), Error> {
    let path = Path::new("/proc/sys").join(name);
    let written = open(&path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|file| rustix::io::write(file, value.as_bytes()));
    match written {
        Err(Errno::NOENT) if optional => Ok(()),
        written => written
            .map(drop)
            .map_err(|errno| Error::on("write", &path, errno)),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn network() -> Network {
        Network {
            link: "jailctl7".to_owned(),
            gateway: Ipv4Addr::new(10, 213, 0, 29),
            address: Ipv4Addr::new(10, 213, 0, 30),
            allow_in: vec![Port::Tcp(80)],
            allow_out: vec![Port::Tcp(443), Port::Udp(53)],
        }
    }

    #[test]
    fn only_what_a_build_writes_is_a_network() {
        assert_eq!(network().is_sound(), Ok(()));
        let wrong: [fn(&mut Network); 7] = [
            |network| network.link = "eth0".to_owned(),
            |network| network.link = "jailctl".to_owned(),
            |network| network.link = "jailctl1;x".to_owned(),
            |network| network.gateway = Ipv4Addr::new(8, 8, 8, 9),
            |network| network.address = network.gateway,
            |network| network.address = Ipv4Addr::new(10, 213, 0, 31),
            |network| network.allow_in.push(Port::Udp(0)),
        ];
        for spoil in wrong {
            let mut network = network();
            spoil(&mut network);
            assert!(network.is_sound().is_err(), "{network:?}");
        }
    }
}

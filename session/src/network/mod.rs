//! A network of a jail's own: a namespace, a pair of interfaces that leads out of it, and on the host a table of rules.
//!
//! It lives as long as somebody is in it: the first session makes it, the others join it, and the keeper of the last one takes it away. So it is
//! there after a boot without anybody's doing, nothing keeps it but processes, and the host's mount table never has it. What is listened on in it
//! ends with its sessions anyway.
//!
//! - [`registry`]: who is in it, by locks that end with their processes.
//! - [`rtnetlink`]: interfaces, addresses and routes, by rtnetlink(7); [`netlink`]: its messages, and those of nftables.
//! - [`filter`]: the rules in the jail's own network, as text for nft(8): the wall, which nothing on the host takes away.
//! - [`nft`]: the host's table, which translates addresses and says the same again.
//! - [`installed`]: whether both are loaded and unchanged, by what the kernel says of them ([`nft_events`]).
//! - [`addresses`]: which destinations are the host itself.
//! - [`ip_forward`]: that the host passes on what comes and goes, for jails alone; [`guard`]: by which routes.
//! - [`watch`]: how a keeper learns that something of it was changed.
//! - [`faults`](mod@faults): the comparison of all of it with what should be, for `check`, `doctor` and `build`.

mod addresses;
mod faults;
mod filter;
mod guard;
mod installed;
mod ip_forward;
mod namespace;
mod netlink;
mod nft;
mod nft_events;
mod registry;
mod rtnetlink;
mod rule_text;
mod sysctl;
mod watch;

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

pub use self::faults::{Fault, faults};
use self::installed::{Namespaces, Tables, Wanted, with_tables};
use self::ip_forward::{Forwarding, guarded, set_forwarding};
use self::namespace::{current, move_to, namespace, on_own_thread};
use self::netlink::Netlink;
pub use self::nft::NFT;
use self::nft::Nft;
use self::registry::{MemberLock, PATIENCE, Registry};
use self::sysctl::set;
pub(crate) use self::watch::Watch;
pub use crate::policy::{IFNAME_PREFIX, Network, Port};
use crate::{Error, syscalls};

/// What the interface is called in the jail.
const INSIDE: &str = "eth0";
/// Two addresses, and the two that no interface has.
const PREFIX: u8 = 30;

/// One who is in the network of a jail, as long as it lives.
#[derive(Debug)]
pub(crate) struct Member {
    jail: String,
    link: String,
    share: MemberLock,
    host: OwnedFd,
}

/// As long as it lives no jail's network is made, joined or taken away.
#[derive(Debug)]
pub(crate) struct RegistryGuard {
    #[expect(dead_code, reason = "held, and not used")]
    doors: Registry,
    #[expect(dead_code, reason = "held, and not used")]
    tables: Tables,
}

/// Waits for whoever is making, joining or taking away a network. `None` where the jail has no network, or it takes too long.
pub(crate) fn still(jail: &str) -> Option<RegistryGuard> {
    let deadline = Instant::now() + PATIENCE;
    while Registry::exists(jail) && Instant::now() < deadline {
        let doors = Registry::open().ok()?;
        if Registry::exists(jail)
            && let Some(tables) = Tables::try_lock(jail).ok()?
        {
            return Some(RegistryGuard { doors, tables });
        }
        drop(doors);
        sleep(Duration::from_millis(2));
    }
    None
}

/// The rules of a jail's network as text for nft(8): the host's table, and the one in the jail's own network, without the host's addresses but the loopback's.
pub fn tables(jail: &str, network: &Network) -> String {
    let loopback = addresses::Prefix::new(Ipv4Addr::LOCALHOST, 8);
    let inside = filter::table(network, &[loopback]);
    format!("{}{inside}", nft::table(jail, network, &[]))
}

/// Moves the calling process, which has one thread, into the network of the jail, made if it is not there. One that is there is joined only with its
/// rules in it: they are looked at, and loaded where they are gone.
///
/// `latest` gives the network as the policy has it now: a build may have written another since it was read.
///
/// After an error the process may be anywhere, and is fit for nothing but to end.
pub(crate) fn enter(
    jail: &str,
    network: &Network,
    latest: &dyn Fn() -> Option<Network>,
) -> Result<Member, Error> {
    let host = namespace()?;
    let mut doors = Registry::open()?;
    let mut is_new = false;
    let (share, inside) = doors.join(jail, |doors| {
        is_new = true;
        make(jail, &network.or_later(latest()), doors, &host)
    })?;
    drop(doors);
    let member = Member {
        jail: jail.to_owned(),
        link: network.link.clone(),
        share,
        host,
    };
    let namespaces = Namespaces {
        host: member.host.as_fd(),
        jail: inside.as_fd(),
    };
    let is_whole = if is_new {
        Ok(())
    } else {
        Tables::lock(jail)
            .and_then(|mut tables| mend(&network.or_later(latest()), &mut tables, namespaces))
    };
    let moved = is_whole.and_then(|()| move_to(inside.as_fd(), "join the jail's network"));
    if let Err(error) = moved {
        // The one to tell is the first; what is left is found by whoever comes next.
        let _ = member.leave();
        return Err(error);
    }
    Ok(member)
}

/// Puts back what somebody took from a network that is lived in: the interface's address and its route, the guard of interfaces that forward, both
/// tables. The calling thread is in the host's network.
fn mend(network: &Network, tables: &mut Tables, namespaces: Namespaces<'_>) -> Result<(), Error> {
    let host = addresses::of_host()?;
    if !host
        .iter()
        .any(|prefix| prefix.single() == Some(network.gateway))
    {
        Netlink::open()?.address(&network.link, network.gateway, PREFIX)?;
        guard::lead_to(rtnetlink::index(&network.link)?, network.address, PREFIX)?;
    }
    let guarded = guarded()?;
    guard::put_up(&guarded)?;
    let wanted = Wanted::new(tables.jail(), network, &guarded, &host);
    tables.mend(&wanted, namespaces)
}

/// Makes the network. The calling process is in the host's afterwards.
fn make(jail: &str, network: &Network, doors: &Registry, host: &OwnedFd) -> Result<OwnedFd, Error> {
    // What a keeper that was killed left behind.
    Netlink::open()?.remove(&network.link)?;
    let mut tables = Tables::lock(jail)?;
    tables.forget()?;
    let forwarding = Forwarding::needed(doors)?;
    let wanted = Wanted::new(
        jail,
        network,
        forwarding.restricted_interfaces(),
        &addresses::of_host()?,
    );
    syscalls::unshare_all(UnshareFlags::NEWNET).map_err(Error::of("make the jail's network"))?;
    let inside = namespace()?;
    furnish()?;
    // Two networks take two processes of nft(8): this one works while the other is started.
    let nft = Nft::load(wanted.jail())?;
    move_to(host.as_fd(), "go back to the host's network")?;
    let namespaces = Namespaces {
        host: host.as_fd(),
        jail: inside.as_fd(),
    };
    // Before there is anything that they are for.
    tables
        .load(&wanted, namespaces, Some(nft), true)
        .and_then(|()| forwarding.begin())
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
    guard::lead_to(rtnetlink::index(&network.link)?, network.address, PREFIX)?;
    set_forwarding(&network.link, true)?;
    move_to(inside.as_fd(), "enter the jail's network")?;
    let mut netlink = Netlink::open()?;
    netlink.address(INSIDE, network.address, PREFIX)?;
    netlink.route(INSIDE, network.gateway)?;
    move_to(host.as_fd(), "go back to the host's network")
}

/// What holds for the whole of a new network.
fn furnish() -> Result<(), Error> {
    syscalls::loopback_up().map_err(Error::of("bring up the loopback of the jail's network"))?;
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
fn unmake(jail: &str, link: &str, doors: &Registry) -> Result<(), Error> {
    Netlink::open()?.remove(link)?;
    nft::unload(jail)?;
    if doors.has_other(jail)? {
        return Ok(());
    }
    Forwarding::look(doors)?.end()
}

/// Takes away what is left of a jail's network in which nobody is to be any more. The last keeper does so itself, and gets its time; only one that was
/// killed leaves something. Somebody who stays in it is an error.
pub fn remove_stale(jail: &str, network: &Network) -> Result<(), Error> {
    let deadline = Instant::now() + PATIENCE;
    while Registry::exists(jail) {
        let doors = Registry::open()?;
        doors.close(jail, || unmake(jail, &network.link, &doors))?;
        drop(doors);
        if Registry::exists(jail) {
            if Instant::now() >= deadline {
                return Err(Error::Refused("somebody is in it".to_owned()));
            }
            sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}

/// Makes the jail's network what it should be, if somebody is in it: rules, guard and forwarding. Rules hold for all that begins from then on.
pub fn reload_rules(jail: &str, network: &Network) -> Result<(), Error> {
    if !Registry::exists(jail) {
        return Ok(());
    }
    on_own_thread(|| {
        with_tables(jail, |doors, tables, namespaces| {
            let forwarding = Forwarding::look(doors)?;
            forwarding.begin()?;
            set_forwarding(&network.link, true)?;
            mend(network, tables, namespaces)
        })
        .map(drop)
    })
}

impl Member {
    /// Begins to watch what may be taken from the network. The calling thread is in the jail's.
    pub(crate) fn watch(&self) -> Result<Watch, Errno> {
        let inside = current()?;
        let there = |network: BorrowedFd<'_>| {
            move_into_link_name_space(network, Some(LinkNameSpaceType::Network))
        };
        there(self.host.as_fd())?;
        let watch = Watch::open(nft::name(&self.jail));
        there(inside.as_fd())?;
        watch
    }

    /// Puts back what somebody took from the network; `false` where somebody else is about to. Runs nft(8), whose end it waits for. The calling thread
    /// is in the jail's network.
    pub(crate) fn mend(&self, latest: Option<Network>) -> Result<bool, Error> {
        let Some(network) = latest.filter(|network| network.link == self.link) else {
            return Ok(true);
        };
        let Some(mut tables) = Tables::try_lock(&self.jail)? else {
            return Ok(false);
        };
        let inside = namespace()?;
        move_to(self.host.as_fd(), "go to the host's network")?;
        let namespaces = Namespaces {
            host: self.host.as_fd(),
            jail: inside.as_fd(),
        };
        let mended = mend(&network, &mut tables, namespaces);
        move_to(inside.as_fd(), "go back to the jail's network")?;
        mended.map(|()| true)
    }

    /// The jail whose network it is.
    pub(crate) fn jail(&self) -> &str {
        &self.jail
    }

    /// Leaves the network, and takes it away if nobody else is in it. The calling process is in the host's then.
    pub(crate) fn leave(self) -> Result<(), Error> {
        move_to(self.host.as_fd(), "leave the jail's network")?;
        self.share.end();
        let doors = Registry::open()?;
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

//! The network of a jail: a network namespace, a veth pair, nftables tables, and routes.
//!
//! It exists as long as it has members: the first session creates it, later ones join it, and pid 1
//! of the last one removes it. So nothing has to be started at boot, only processes keep it, and it
//! is never in the mount table of the host. Sockets in it end with its sessions anyway.
//!
//! - `registry`: the members, by locks that end with their processes.
//! - `rtnetlink`: interfaces, addresses and routes, by rtnetlink(7); `netlink`: messages and
//!   sockets.
//! - `nft_jail_table`: the rules in the network namespace of the jail, which enforce the policy;
//!   `nft_host_table`: the table of the host, which translates addresses and repeats the rules;
//!   `nft_rule_text`: the text of rules of both.
//! - `nft_installed`: whether both are loaded and unchanged, by netlink messages (`nft_events`).
//! - `addresses`: the addresses of the host itself.
//! - `ip_forward`: forwarding for jails only; `guard`: its routing rules. `sysctl`: settings.
//! - `watch`: notifications of changes, for pid 1 of a session. `namespace`: network
//!   namespaces.
//! - `faults`: comparison with the policy for `check`, `doctor` and `build`.

mod addresses;
mod faults;
mod guard;
mod ip_forward;
mod namespace;
mod netlink;
mod nft_events;
mod nft_forward;
mod nft_host_table;
mod nft_installed;
mod nft_jail_table;
mod nft_rule_text;
mod registry;
mod rtnetlink;
mod sysctl;
mod watch;

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

pub use self::faults::{Fault, faults};
use self::ip_forward::{Forwarding, guarded, set_forwarding};
use self::namespace::{current, move_to, namespace, on_own_thread};
use self::netlink::Netlink;
pub use self::nft_forward::{ForwardChain, dropping_forward_chains};
pub use self::nft_host_table::NFT;
use self::nft_host_table::Nft;
use self::nft_installed::{Namespaces, Tables, Wanted, with_tables};
use self::registry::{MemberLock, Registry, TIMEOUT};
use self::sysctl::set;
pub(crate) use self::watch::Watch;
pub use crate::policy::{IFNAME_PREFIX, Network, Port};
use crate::{Error, syscalls};

/// Name of the interface in the jail.
const INSIDE: &str = "eth0";
/// Prefix length of the network: two addresses, and the two that no interface has.
const PREFIX: u8 = 30;

/// Membership of a session in the network of its jail.
#[derive(Debug)]
pub(crate) struct Member {
    jail: String,
    link: String,
    lock: MemberLock,
    host: OwnedFd,
}

/// Guard: while it exists, no network of a jail is created, joined or removed.
#[derive(Debug)]
pub(crate) struct RegistryGuard {
    #[expect(dead_code, reason = "held until it is dropped")]
    registry: Registry,
    #[expect(dead_code, reason = "held until it is dropped")]
    tables: Tables,
}

/// Waits for processes that create, join or remove a network. `None` if the jail has no network, or
/// after five seconds.
pub(crate) fn still(jail: &str) -> Option<RegistryGuard> {
    let deadline = Instant::now() + TIMEOUT;
    while Registry::exists(jail) && Instant::now() < deadline {
        let registry = Registry::open().ok()?;
        if Registry::exists(jail)
            && let Some(tables) = Tables::try_lock(jail).ok()?
        {
            return Some(RegistryGuard { registry, tables });
        }
        drop(registry);
        sleep(Duration::from_millis(2));
    }
    None
}

/// The rules of the network of a jail as text for nft(8): the table of the host, and the one in the
/// network namespace of the jail, without addresses of the host except the loopback.
pub fn tables(jail: &str, network: &Network) -> String {
    let loopback = addresses::Prefix::new(Ipv4Addr::LOCALHOST, 8);
    let inside = nft_jail_table::table(network, &[loopback]);
    format!("{}{inside}", nft_host_table::table(jail, network, &[]))
}

/// Moves the calling process, which has one thread, into the network namespace of the jail, which
/// is created if it does not exist. An existing one is joined only with its rules in it: they are
/// compared, and loaded if they are missing.
///
/// `latest` returns the network of the current policy, which a build may have changed after it was
/// read.
///
/// # Errors
/// [`Error::Busy`] if another process holds the lock of the networks for five seconds,
/// [`Error::Refused`] by nft(8); [`Error::System`]. After an error the process may be in any
/// network namespace, and is fit for nothing but to end.
pub(crate) fn enter(
    jail: &str,
    network: &Network,
    latest: &dyn Fn() -> Option<Network>,
) -> Result<Member, Error> {
    let host = namespace()?;
    let mut registry = Registry::open()?;
    let mut is_new = false;
    let (lock, inside) = registry.join(jail, |registry| {
        is_new = true;
        create(jail, &network.or_later(latest()), registry, &host)
    })?;
    drop(registry);
    let member = Member {
        jail: jail.to_owned(),
        link: network.link.clone(),
        lock,
        host,
    };
    let namespaces = Namespaces {
        host: member.host.as_fd(),
        jail: inside.as_fd(),
    };
    let checked = if is_new {
        Ok(())
    } else {
        Tables::lock(jail)
            .and_then(|mut tables| restore(&network.or_later(latest()), &mut tables, namespaces))
    };
    let moved = checked.and_then(|()| move_to(inside.as_fd(), "join the jail's network"));
    if let Err(error) = moved {
        // The first error is the one to report; the next session finds what is left.
        let _ = member.leave();
        return Err(error);
    }
    Ok(member)
}

/// Restores what another program removed from a network with members: the address of the interface
/// and its route, the guard of forwarding interfaces, both tables. The calling thread is in the
/// network namespace of the host.
fn restore(
    network: &Network,
    tables: &mut Tables,
    namespaces: Namespaces<'_>,
) -> Result<(), Error> {
    let host = addresses::of_host()?;
    if !host
        .iter()
        .any(|prefix| prefix.single() == Some(network.gateway))
    {
        Netlink::open()?.address(&network.link, network.gateway, PREFIX)?;
        guard::add_route(rtnetlink::index(&network.link)?, network.address, PREFIX)?;
    }
    let guarded = guarded()?;
    guard::add_rules(&guarded)?;
    let wanted = Wanted::new(tables.jail(), network, &guarded, &host);
    tables.restore(&wanted, namespaces)
}

/// Creates the network. The calling process is in the network namespace of the host afterwards.
fn create(
    jail: &str,
    network: &Network,
    registry: &Registry,
    host: &OwnedFd,
) -> Result<OwnedFd, Error> {
    // From a pid 1 that was killed.
    Netlink::open()?.remove(&network.link)?;
    let mut tables = Tables::lock(jail)?;
    tables.clear_record()?;
    let forwarding = Forwarding::needed(registry)?;
    let wanted = Wanted::new(
        jail,
        network,
        forwarding.restricted_interfaces(),
        &addresses::of_host()?,
    );
    syscalls::unshare_all(UnshareFlags::NEWNET).map_err(Error::of("create the jail's network"))?;
    let inside = namespace()?;
    configure()?;
    // Each namespace needs a process of nft(8): this one runs while the other is started.
    let nft = Nft::load(wanted.jail())?;
    move_to(host.as_fd(), "go back to the host's network")?;
    let namespaces = Namespaces {
        host: host.as_fd(),
        jail: inside.as_fd(),
    };
    // Before the interfaces exist whose packets they filter.
    tables
        .load(&wanted, namespaces, Some(nft), true)
        .and_then(|()| forwarding.begin())
        .and_then(|()| connect(network, host, &inside))
        .inspect_err(|_| {
            // As far as possible; the next session begins with what is left.
            let _ = move_to(host.as_fd(), "").and_then(|()| remove(jail, &network.link, registry));
        })?;
    Ok(inside)
}

/// Creates the interfaces in both namespaces.
fn connect(network: &Network, host: &OwnedFd, inside: &OwnedFd) -> Result<(), Error> {
    let mut netlink = Netlink::open()?;
    netlink.pair(&network.link, INSIDE, inside.as_fd())?;
    no_ipv6(&network.link)?;
    netlink.address(&network.link, network.gateway, PREFIX)?;
    guard::add_route(rtnetlink::index(&network.link)?, network.address, PREFIX)?;
    set_forwarding(&network.link, true)?;
    move_to(inside.as_fd(), "enter the jail's network")?;
    let mut netlink = Netlink::open()?;
    netlink.address(INSIDE, network.address, PREFIX)?;
    netlink.route(INSIDE, network.gateway)?;
    move_to(host.as_fd(), "go back to the host's network")
}

/// Settings of a new network namespace.
fn configure() -> Result<(), Error> {
    syscalls::loopback_up().map_err(Error::of("bring up the loopback of the jail's network"))?;
    no_ipv6("all")?;
    no_ipv6("default")?;
    // No process in it has a capability, and all ports in it are the jail's.
    set("net/ipv4/ip_unprivileged_port_start", "0", false)
}

/// Disables IPv6, for which there are no rules; a kernel without IPv6 does not have the setting.
fn no_ipv6(interface: &str) -> Result<(), Error> {
    set(
        &format!("net/ipv6/conf/{interface}/disable_ipv6"),
        "1",
        true,
    )
}

/// Removes the network. The calling thread is in the network namespace of the host.
fn remove(jail: &str, link: &str, registry: &Registry) -> Result<(), Error> {
    Netlink::open()?.remove(link)?;
    nft_host_table::unload(jail)?;
    if registry.has_other(jail)? {
        return Ok(());
    }
    Forwarding::read(registry)?.end()
}

/// Removes what is left of the network of a jail that has no sessions any more. Usually pid 1 of
/// the last session has removed it, and is waited for; only one that was killed leaves something.
///
/// # Errors
/// [`Error::Busy`] if a session is still in it after five seconds; [`Error::System`]. May be
/// called again.
pub fn remove_stale(jail: &str, network: &Network) -> Result<(), Error> {
    let deadline = Instant::now() + TIMEOUT;
    while Registry::exists(jail) {
        let registry = Registry::open()?;
        registry.close(jail, || remove(jail, &network.link, &registry))?;
        drop(registry);
        if Registry::exists(jail) {
            if Instant::now() >= deadline {
                return Err(Error::Busy("a session is in it".to_owned()));
            }
            sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}

/// Updates the rules, guard and forwarding of the network of a jail that has sessions. The rules
/// apply to new connections.
///
/// # Errors
/// [`Error::Busy`] if another process holds the lock of the networks for five seconds,
/// [`Error::Refused`] by nft(8); [`Error::System`]. What was not updated is updated by pid 1 of the
/// sessions, or by the next call.
pub fn reload_rules(jail: &str, network: &Network) -> Result<(), Error> {
    if !Registry::exists(jail) {
        return Ok(());
    }
    on_own_thread(|| {
        with_tables(jail, |registry, tables, namespaces| {
            let forwarding = Forwarding::read(registry)?;
            forwarding.begin()?;
            set_forwarding(&network.link, true)?;
            restore(network, tables, namespaces)
        })
        .map(drop)
    })
}

impl Member {
    /// Begins to watch for changes of the network on the host. The calling thread is in the network
    /// namespace of the jail.
    pub(crate) fn watch(&self) -> Result<Watch, Errno> {
        let inside = current()?;
        let move_into = |network: BorrowedFd<'_>| {
            move_into_link_name_space(network, Some(LinkNameSpaceType::Network))
        };
        move_into(self.host.as_fd())?;
        let watch = Watch::open(nft_host_table::name(&self.jail));
        move_into(inside.as_fd())?;
        watch
    }

    /// Restores what another program removed from the network; returns `false` if another process
    /// is restoring it. Runs nft(8) and waits for its end. The calling thread is in the network
    /// namespace of the jail.
    pub(crate) fn restore(&self, latest: Option<Network>) -> Result<bool, Error> {
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
        let restored = restore(&network, &mut tables, namespaces);
        move_to(inside.as_fd(), "go back to the jail's network")?;
        restored.map(|()| true)
    }

    /// Name of the jail.
    pub(crate) fn jail(&self) -> &str {
        &self.jail
    }

    /// Leaves the network, and removes it if it has no other member. The calling process is in the
    /// network namespace of the host afterwards.
    pub(crate) fn leave(self) -> Result<(), Error> {
        move_to(self.host.as_fd(), "leave the jail's network")?;
        self.lock.end();
        let registry = Registry::open()?;
        registry.close(&self.jail, || remove(&self.jail, &self.link, &registry))
    }

    pub(crate) fn descriptors(&self) -> [RawFd; 2] {
        [self.lock.as_fd().as_raw_fd(), self.host.as_raw_fd()]
    }

    /// Moves the descriptors above the standard ones; the old ones are closed by number.
    pub(crate) fn above_standard(self) -> Result<Self, Errno> {
        let moved = Self {
            jail: self.jail.clone(),
            link: self.link.clone(),
            lock: fcntl_dupfd_cloexec(self.lock.as_fd(), 3)?.into(),
            host: fcntl_dupfd_cloexec(&self.host, 3)?,
        };
        std::mem::forget(self);
        Ok(moved)
    }
}

//! Forwarding of packets from and to jails, and of no packets that the host did not forward before.
//!
//! A host whose `net.ipv4.ip_forward` is on forwards anyway. On any other, forwarding is switched
//! on for each interface as long as a jail has a network. Routing rules ([`guard`]) discard the
//! packets that such an interface would now forward for others, and the rules of each jail drop
//! them as well. `net.ipv4.ip_forward` itself is not changed: it resets other settings (`ip-sysctl`
//! of the kernel documentation), and setting it back does not restore them.

use std::path::Path;

use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use rustix::io::Errno;

use super::guard;
use super::registry::{Registry, host_record};
use super::sysctl::set;
use crate::Error;
use crate::policy::IFNAME_PREFIX;

/// Directory with the settings of each interface.
const INTERFACES: &str = "/proc/sys/net/ipv4/conf";

/// The interfaces on which jailctl has switched on forwarding.
#[derive(Debug)]
pub(super) struct Forwarding<'d> {
    registry: &'d Registry,
    interfaces: Vec<String>,
}

impl<'d> Forwarding<'d> {
    /// The recorded interfaces.
    pub(super) fn read(registry: &'d Registry) -> Result<Self, Error> {
        let interfaces = guarded()?;
        Ok(Self {
            registry,
            interfaces,
        })
    }

    /// The interfaces on which forwarding is needed: the recorded ones, and all that do not
    /// forward.
    pub(super) fn needed(registry: &'d Registry) -> Result<Self, Error> {
        let mut forwarding = Self::read(registry)?;
        if value("all")?.as_deref() == Some("1") {
            return Ok(forwarding);
        }
        for name in all_interfaces()? {
            let is_none = ["all", "default", "lo"].contains(&name.as_str());
            if is_none || name.starts_with(IFNAME_PREFIX) || value(&name)?.as_deref() != Some("0") {
                continue;
            }
            if !is_plain(&name) {
                return Err(Error::Unsupported(format!(
                    "the host has an interface `{}`, whose name cannot be written in a rule",
                    name.escape_debug()
                )));
            }
            if !forwarding.interfaces.contains(&name) {
                forwarding.interfaces.push(name);
            }
        }
        Ok(forwarding)
    }

    /// The interfaces that forward for jails only.
    pub(super) fn restricted_interfaces(&self) -> &[String] {
        &self.interfaces
    }

    /// Switches on forwarding, after the guard.
    pub(super) fn begin(&self) -> Result<(), Error> {
        // Recorded first: an interface that is recorded and was not changed is set back to what it
        // is.
        self.registry.set_host_record(&self.interfaces.join("\n"))?;
        guard::add_rules(&self.interfaces)?;
        self.interfaces
            .iter()
            .try_for_each(|name| set_forwarding(name, true))
    }

    /// Restores the settings of the host.
    pub(super) fn end(self) -> Result<(), Error> {
        // An administrator has switched on forwarding for the whole host in the meantime.
        if value("all")?.as_deref() != Some("1") {
            for name in &self.interfaces {
                set_forwarding(name, false)?;
            }
        }
        guard::remove_rules(&self.interfaces)?;
        self.registry.set_host_record("")
    }
}

/// The recorded interfaces that forward for jails only. The caller is in a network, or holds the
/// lock of all networks.
pub(super) fn guarded() -> Result<Vec<String>, Error> {
    Ok(host_record()?.lines().map(str::to_owned).collect())
}

/// The `interfaces` that exist and do not forward.
pub(super) fn not_forwarding(interfaces: &[String]) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for name in interfaces {
        if value(name)?.as_deref() == Some("0") {
            found.push(name.clone());
        }
    }
    Ok(found)
}

/// Switches forwarding on or off. A missing interface is no error.
pub(super) fn set_forwarding(interface: &str, on: bool) -> Result<(), Error> {
    let name = format!("net/ipv4/conf/{interface}/forwarding");
    set(&name, if on { "1" } else { "0" }, true)
}

fn is_plain(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte))
}

fn all_interfaces() -> Result<Vec<String>, Error> {
    let failed = |errno| Error::on("list", Path::new(INTERFACES), errno);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, INTERFACES, flags, Mode::empty()).map_err(failed)?;
    let mut names = Vec::new();
    for entry in Dir::read_from(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Setting of an interface; `None` if it does not exist.
fn value(interface: &str) -> Result<Option<String>, Error> {
    let path = Path::new(INTERFACES).join(interface).join("forwarding");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let mut text = [0; 16];
    let read =
        openat(CWD, &path, flags, Mode::empty()).and_then(|file| rustix::io::read(file, &mut text));
    match read {
        Ok(length) => {
            let text = String::from_utf8_lossy(&text[..length]);
            Ok(Some(text.trim().to_owned()))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Error::on("read", &path, errno)),
    }
}

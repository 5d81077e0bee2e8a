//! That the host passes on what comes from jails and goes to them, and nothing else that it did not pass on before.
//!
//! A host whose `net.ipv4.ip_forward` is on does so anyway. On any other, each interface is told to as long as there is a network of a jail, and
//! routing rules ([`guard`]) throw away what such an interface would now pass on for anybody else; the rules of each jail drop the same. The switch for all of them is left alone: it sets more than
//! it says (`ip_forward` in the kernel's ip-sysctl), and setting it back would not.

use std::path::Path;

use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use rustix::io::Errno;

use super::guard;
use super::registry::{Registry, note};
use super::sysctl::set;
use crate::Error;
use crate::policy::IFNAME_PREFIX;

/// Where each interface has its settings.
const INTERFACES: &str = "/proc/sys/net/ipv4/conf";

/// The interfaces that pass on because of us.
#[derive(Debug)]
pub(super) struct Forwarding<'d> {
    doors: &'d Registry,
    ours: Vec<String>,
}

impl<'d> Forwarding<'d> {
    /// As it was left.
    pub(super) fn look(doors: &'d Registry) -> Result<Self, Error> {
        let ours = guarded()?;
        Ok(Self { doors, ours })
    }

    /// As it has to be.
    pub(super) fn needed(doors: &'d Registry) -> Result<Self, Error> {
        let mut forwarding = Self::look(doors)?;
        if value("all")?.as_deref() == Some("1") {
            return Ok(forwarding);
        }
        for name in interfaces()? {
            let is_none = ["all", "default", "lo"].contains(&name.as_str());
            if is_none || name.starts_with(IFNAME_PREFIX) || value(&name)?.as_deref() != Some("0") {
                continue;
            }
            if !is_plain(&name) {
                return Err(Error::Refused(format!(
                    "the host has an interface `{}`, whose name no rule can hold",
                    name.escape_debug()
                )));
            }
            if !forwarding.ours.contains(&name) {
                forwarding.ours.push(name);
            }
        }
        Ok(forwarding)
    }

    /// The interfaces that pass on for jails only.
    pub(super) fn restricted_interfaces(&self) -> &[String] {
        &self.ours
    }

    /// Lets them pass on, with their guard before.
    pub(super) fn begin(&self) -> Result<(), Error> {
        // Noted first: what is noted and was not done is put back as it is.
        self.doors.set_note(&self.ours.join("\n"))?;
        guard::put_up(&self.ours)?;
        self.ours
            .iter()
            .try_for_each(|name| set_forwarding(name, true))
    }

    /// Puts back what was.
    pub(super) fn end(self) -> Result<(), Error> {
        // Whoever has switched on all of them meanwhile wants it so.
        if value("all")?.as_deref() != Some("1") {
            for name in &self.ours {
                set_forwarding(name, false)?;
            }
        }
        guard::take_down(&self.ours)?;
        self.doors.set_note("")
    }
}

/// The interfaces that pass on for jails only, as noted. For whoever is in a network, or holds the lock of all.
pub(super) fn guarded() -> Result<Vec<String>, Error> {
    Ok(note()?.lines().map(str::to_owned).collect())
}

/// Those of `interfaces` that exist and do not pass on.
pub(super) fn idle(interfaces: &[String]) -> Result<Vec<String>, Error> {
    let mut idle = Vec::new();
    for name in interfaces {
        if value(name)?.as_deref() == Some("0") {
            idle.push(name.clone());
        }
    }
    Ok(idle)
}

/// Whether the interface passes on what comes in. One that has gone is as it was.
pub(super) fn set_forwarding(interface: &str, whether: bool) -> Result<(), Error> {
    let name = format!("net/ipv4/conf/{interface}/forwarding");
    set(&name, if whether { "1" } else { "0" }, true)
}

fn is_plain(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte))
}

fn interfaces() -> Result<Vec<String>, Error> {
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

/// `None` for an interface that has gone.
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

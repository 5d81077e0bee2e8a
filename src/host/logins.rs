//! Logins that are open: the processes of users, by the process of sshd or of jailctl that they
//! come from.
//!
//! A process can set its own name and title, so of a process of a user only what the kernel says is
//! used: user id, parent, terminal. Name and sockets are read of processes of root only.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use rustix::fs::{Mode, OFlags, RawDir, openat, readlinkat};

use super::process_info::{Process, ProcessInfo};
use super::processes::{proc, read};
use super::view::HostView;
use crate::error::{Error, Result};

/// Most ancestors of a process that are looked at.
const DEPTH: usize = 64;
/// Major number of the terminals of pts(4) in `Documentation/admin-guide/devices.txt`.
const PTS_MAJOR: u32 = 136;

/// Origin of the processes of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Via {
    /// A connection to sshd.
    Sshd,
    /// `jailctl enter`.
    Enter,
    /// Nothing that still runs: the connection has ended.
    Nothing,
}

/// One open login of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// User id.
    pub uid: u32,
    /// Origin of its processes.
    pub via: Via,
    /// Process id of sshd's process for the connection, or of `jailctl enter`; otherwise of the
    /// oldest process.
    pub pid: i32,
    /// Start of that process, in seconds since the epoch.
    pub since: i64,
    /// Address and port of the client; `None` without a connection, and if sshd's socket is in
    /// another network namespace.
    pub from: Option<SocketAddr>,
    /// Terminal, as its users see it: `pts/0`.
    pub tty: Option<String>,
    /// systemd.scope(5) of that process.
    pub scope: Option<String>,
    /// Number of processes of the user.
    pub processes: usize,
}

impl Login {
    /// The open logins of the users `uids`, by user and start. None on a host that does not run.
    ///
    /// # Errors
    /// `Failed` if `/proc` cannot be read.
    pub fn of_users(view: &HostView, uids: &[u32]) -> Result<Vec<Self>> {
        if !view.is_live() || uids.is_empty() {
            return Ok(Vec::new());
        }
        let all = Process::all()?;
        let by_pid: BTreeMap<i32, &ProcessInfo> =
            all.iter().map(|seen| (seen.process.pid, seen)).collect();
        let mut groups: BTreeMap<(u32, i32, Via), Vec<&ProcessInfo>> = BTreeMap::new();
        for seen in all.iter().filter(|seen| uids.contains(&seen.process.uid)) {
            let (leader, via) = leader(seen, &by_pid);
            let group = groups.entry((seen.process.uid, leader, via)).or_default();
            group.push(seen);
        }
        let mut peers = Peers::default();
        let boot = boot_time().unwrap_or(0);
        let mut logins = Vec::new();
        for ((uid, pid, via), group) in groups {
            let started = started(pid).unwrap_or(0);
            logins.push(Self {
                uid,
                via,
                pid,
                since: boot + started,
                from: if via == Via::Sshd {
                    peers.of(pid)?
                } else {
                    None
                },
                tty: group.iter().find_map(|seen| terminal(seen.process.pid)),
                scope: scope(pid),
                processes: group.len(),
            });
        }
        logins.sort_by_key(|login| (login.uid, login.since, login.pid));
        Ok(logins)
    }
}

/// The process that started a login: the nearest ancestor that is sshd's or `jailctl enter`, or the
/// topmost one of the same user.
fn leader(seen: &ProcessInfo, all: &BTreeMap<i32, &ProcessInfo>) -> (i32, Via) {
    let mut topmost = seen.process.pid;
    let mut here = seen;
    for _ in 0..DEPTH {
        let Some(parent) = all.get(&here.parent) else {
            break;
        };
        if parent.process.uid == 0 && parent.is_near {
            if parent.is_sshd {
                return (parent.process.pid, Via::Sshd);
            }
            if parent.name == "jailctl" {
                return (parent.process.pid, Via::Enter);
            }
        }
        if parent.process.uid == seen.process.uid {
            topmost = parent.process.pid;
        }
        here = parent;
    }
    (topmost, Via::Nothing)
}

/// The fields of `/proc/PID/stat` after the name, which can contain blanks and parentheses.
fn stat_fields(pid: i32) -> Option<Vec<String>> {
    let text = read(&proc().ok()?, pid, "stat")?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// Start of a process, in seconds since the boot: field 22 of proc_pid_stat(5).
fn started(pid: i32) -> Option<i64> {
    let ticks: u64 = stat_fields(pid)?.get(19)?.parse().ok()?;
    i64::try_from(ticks / rustix::param::clock_ticks_per_second()).ok()
}

/// Terminal of a process: field 7 of proc_pid_stat(5), bits 8 to 15 the major number.
fn terminal(pid: i32) -> Option<String> {
    let number: u32 = stat_fields(pid)?.get(4)?.parse().ok()?;
    let major = number >> 8 & 0xff;
    let minor = number & 0xff | number >> 12 & 0xfff00;
    (number != 0 && major == PTS_MAJOR).then(|| format!("pts/{minor}"))
}

/// Time of the boot, in seconds since the epoch: proc_stat(5).
fn boot_time() -> Option<i64> {
    let view = HostView::new(Path::new("/proc")).ok()?;
    let text = view.read(Path::new("/stat"), 16 << 20).ok()??;
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

/// The scope in the control group of a process, cgroups(7).
fn scope(pid: i32) -> Option<String> {
    let text = read(&proc().ok()?, pid, "cgroup")?;
    let mut units = text.lines().filter_map(|line| line.rsplit('/').next());
    let unit = units.find(|unit| unit.strip_suffix(".scope").is_some())?;
    Some(unit.escape_debug().to_string())
}

/// The remote ends of the TCP sockets of the host, by inode number.
#[derive(Default)]
struct Peers {
    known: Option<BTreeMap<u64, SocketAddr>>,
}

impl Peers {
    /// The remote end of the connection of a process: of its first connected socket.
    fn of(&mut self, pid: i32) -> Result<Option<SocketAddr>> {
        let known = match &self.known {
            Some(known) => known,
            None => self.known.insert(peers()?),
        };
        Ok(sockets(pid)
            .unwrap_or_default()
            .iter()
            .find_map(|inode| known.get(inode).copied()))
    }
}

/// Inode numbers of the open sockets of a process, by descriptor.
fn sockets(pid: i32) -> Option<Vec<u64>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = openat(proc().ok()?, format!("{pid}/fd"), flags, Mode::empty()).ok()?;
    let mut found = BTreeMap::new();
    let mut piece = [std::mem::MaybeUninit::<u8>::uninit(); 1024];
    let mut entries = RawDir::new(&dir, &mut piece);
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name();
        let Some(number) = name.to_str().ok().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let link = readlinkat(&dir, name, Vec::new()).ok();
        let link = link.and_then(|link| link.into_string().ok());
        let inode = link.and_then(|link| {
            let inode = link.strip_prefix("socket:[")?.strip_suffix(']')?;
            inode.parse().ok()
        });
        found.extend(inode.map(|inode| (number, inode)));
    }
    Some(found.into_values().collect())
}

/// The remote ends of all connected TCP sockets, proc_net_tcp(5).
fn peers() -> Result<BTreeMap<u64, SocketAddr>> {
    let view = HostView::new(Path::new("/proc"))?;
    let mut peers = BTreeMap::new();
    for list in ["/self/net/tcp", "/self/net/tcp6"] {
        let text = view.read(Path::new(list), 64 << 20)?.unwrap_or_default();
        for line in String::from_utf8_lossy(&text).lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let peer = words.get(2).and_then(|word| socket_address(word));
            let inode = words.get(9).and_then(|word| word.parse().ok());
            peers.extend(inode.zip(peer).filter(|(_, peer)| peer.port() != 0));
        }
    }
    Ok(peers)
}

/// An address in the format of proc_net_tcp(5): 32-bit words in the byte order of the host. IPv4 in
/// IPv6 becomes IPv4.
fn socket_address(word: &str) -> Option<SocketAddr> {
    let (address, port) = word.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let text = address.get(at * 8..at * 8 + 8)?;
        u32::from_str_radix(text, 16).ok().map(u32::to_ne_bytes)
    };
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for at in 0..4 {
                bytes[at * 4..at * 4 + 4].copy_from_slice(&word(at)?);
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

/// Refuses callers other than root, who see neither the processes of others nor their sockets.
///
/// # Errors
/// `Failed`.
pub fn need_root_for_logins() -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Error::failed("could not look at the processes of users").why("permission denied"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_kernel_prints_them() {
        let little = cfg!(target_endian = "little");
        let (v4, mapped) = if little {
            ("0100007F:8AE6", "0000000000000000FFFF00000100007F:0016")
        } else {
            ("7F000001:8AE6", "00000000000000000000FFFF7F000001:0016")
        };
        let shown = |word: &str| socket_address(word).map(|address| address.to_string());
        assert_eq!(shown(v4).as_deref(), Some("127.0.0.1:35558"));
        assert_eq!(shown(mapped).as_deref(), Some("127.0.0.1:22"));
        assert_eq!(shown("0100:16"), None);
    }

    #[test]
    fn the_nearest_process_of_sshd_is_the_leader() {
        let seen = |pid, parent, uid, name: &str| ProcessInfo {
            process: Process {
                pid,
                uid,
                root: "/".into(),
            },
            parent,
            name: name.to_owned(),
            is_sshd: name.starts_with("sshd"),
            is_near: true,
            title: None,
        };
        let all = [
            seen(1, 0, 0, "sshd"),
            seen(2, 1, 0, "sshd-session"),
            seen(3, 2, 1001, "sshd-session"),
            seen(4, 3, 1001, "bash"),
            // A user who calls a program so gains nothing.
            seen(5, 4, 1001, "sshd"),
            seen(6, 5, 1001, "vim"),
            seen(7, 0, 1001, "daemon"),
            seen(8, 7, 1001, "child"),
        ];
        let by_pid = all.iter().map(|seen| (seen.process.pid, seen)).collect();
        let of = |at: usize| leader(&all[at], &by_pid);
        assert_eq!(of(3), (2, Via::Sshd));
        assert_eq!(of(5), (2, Via::Sshd));
        assert_eq!(of(7), (7, Via::Nothing));
    }
}

//! What a jail's sessions are given, as plain data: written by a build, read by whoever begins a session.
//!
//! The file lies where only root can write and read it. It is read with suspicion all the same: whatever is not exactly as a build writes it
//! is no policy, and without a policy there is no session.

mod limits;
mod mounts;
mod network;

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

pub use self::limits::Limits;
pub use self::mounts::{Flags, Mount, Source};
pub use self::network::{IFNAME_PREFIX, Network, Port};
use crate::Error;
use crate::error::errno_of;
use crate::open_nofollow::open_dir;

/// Where the records of all jails lie, each in a directory of its name.
pub const STATE: &str = "/var/lib/jailctl";
/// The policy's file name in the records of its jail.
pub const POLICY: &str = "policy";
/// The directory in the records of a jail over which its sessions, and nobody else, see something mounted.
pub const SESSION_DIR: &str = "session";
/// What sessions see in there: the jail. Outside of them the name does not exist.
pub const ROOT_NAME: &str = "root";

/// The format that this version writes, and the only one that it reads.
pub const FORMAT: u32 = 1;
/// No policy is as long.
const LIMIT: u64 = 1 << 18;

/// What each session of a jail is given. A mount namespace is part of every session: it is what the others are tied to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "namespaces, each of which is there or not"
)]
pub struct Policy {
    /// The jail's name.
    pub jail: String,
    /// Its root directory on the host.
    pub root: PathBuf,
    /// Who may have a session: login names.
    pub users: Vec<String>,
    /// Its own process numbers, and an end for all of them when the connection ends.
    pub pid: bool,
    /// Its own host name.
    pub hostname: Option<String>,
    /// Its own System V and POSIX queues, semaphores and shared memory.
    pub ipc: bool,
    /// Its own view of the control groups.
    pub cgroup: bool,
    /// Its own network, in which there is nothing but a loopback.
    pub offline: bool,
    /// The jail's network, which its sessions share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// The only ids that there are in it, besides 0; `None`: all that the host has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<IdMap>,
    /// What it sees mounted in the jail, in this order.
    pub mounts: Vec<Mount>,
    /// What it may use, together with the others of the jail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// Ids of a user namespace, which are the same outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdMap {
    /// Of users.
    pub uids: Vec<u32>,
    /// Of groups.
    pub gids: Vec<u32>,
}

/// The file. `policy` is looked at only if `format` is ours.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Versioned<T> {
    format: u32,
    policy: T,
}

impl Policy {
    /// The file's content.
    pub fn to_text(&self) -> String {
        let written = Versioned {
            format: FORMAT,
            policy: self,
        };
        // Strings, numbers and lists have a form in JSON; paths do, since a spec's are UTF-8.
        let mut text = serde_json::to_string_pretty(&written).unwrap_or_default();
        text.push('\n');
        text
    }

    /// As [`Policy::load`], of the jail of `user` among those that `shared` names: where there are records of a jail of this user's own, it is that one.
    pub fn load_for_user(shared: &str, user: &str) -> Result<Option<Self>, Error> {
        let own = format!("{shared}.{user}");
        if is_jail_name(&own) {
            let records = Path::new(STATE).join(&own);
            match open_dir(None, &records) {
                Ok(_) => return Self::load(&own),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(Error::on("open the records", &records, errno)),
            }
        }
        Self::load(shared)
    }

    /// Reads the policy of the jail `name`; `None` if the jail is a plain one, that is, without a [`SESSION_DIR`].
    ///
    /// Everything that could mean that somebody else wrote the file is an error: a link, an owner other than root, permissions for others.
    pub fn load(name: &str) -> Result<Option<Self>, Error> {
        if !is_jail_name(name) {
            return Err(Error::Refused(format!(
                "`{}` is not the name of a jail",
                name.escape_debug()
            )));
        }
        let records = Path::new(STATE).join(name);
        let state = open_dir(None, &records)
            .map_err(|errno| Error::on("open the records", &records, errno))?;
        let path = records.join(POLICY);
        let read = || {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            openat(&state, POLICY, flags, Mode::empty())
        };
        let file = match read() {
            Ok(file) => file,
            // Without the door the account is let into the jail by sshd alone; with it, there is a session or nothing.
            Err(Errno::NOENT) if is_missing(open_dir(Some(&state), Path::new(SESSION_DIR))) => {
                return Ok(None);
            }
            Err(errno) => return Err(Error::on("read the policy", &path, errno)),
        };
        let stat = fstat(&file).map_err(|errno| Error::on("look at the policy", &path, errno))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
            || (stat.st_uid, stat.st_gid, stat.st_mode & 0o7777) != (0, 0, 0o600)
        {
            return Err(unusable(&path, "it is not a file of root's alone"));
        }
        let mut text = String::new();
        File::from(file)
            .take(LIMIT)
            .read_to_string(&mut text)
            .map_err(|error| Error::on("read the policy", &path, errno_of(&error)))?;
        let policy = Self::parse(&text).map_err(|why| unusable(&path, &why))?;
        if policy.jail != name {
            return Err(unusable(&path, "it is another jail's"));
        }
        Ok(Some(policy))
    }

    /// Makes a policy of a file's content; why it is none otherwise.
    pub fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let damaged = |error: serde_json::Error| format!("it is damaged: {error}");
        let Format { format } = serde_json::from_str(text).map_err(damaged)?;
        if format != FORMAT {
            return Err(format!(
                "it has format {format}, and this version knows {FORMAT}"
            ));
        }
        let Versioned { policy, .. } =
            serde_json::from_str::<Versioned<Self>>(text).map_err(damaged)?;
        policy.validate()?;
        Ok(policy)
    }

    /// What the types do not say.
    fn validate(&self) -> Result<(), String> {
        let absolute = |path: &Path| path.is_absolute() && path != Path::new("/");
        if !absolute(&self.root) {
            return Err("its root is not a path below `/`".to_owned());
        }
        if let Some(limits) = &self.limits {
            limits.validate()?;
        }
        if let Some(network) = &self.network {
            network.validate()?;
            // It ends with its last keeper, and only pid 1 takes everybody along.
            if self.offline || !self.pid {
                return Err("it has a network, and sessions that cannot have one".to_owned());
            }
        }
        for mount in &self.mounts {
            if !absolute(&mount.target) {
                return Err("it has a mount without a place".to_owned());
            }
            match &mount.source {
                Source::Bind(source) if !absolute(source) => {
                    return Err("it has a mount of `/`".to_owned());
                }
                // It would show the processes of the host.
                Source::Proc if !self.pid => {
                    return Err("it has processes to show and none of its own".to_owned());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The network of the jail as its policy on disk has it now; `None` if there is none, or if the
    /// policy cannot be read.
    pub(crate) fn latest_network(jail: &str) -> Option<Network> {
        Self::load(jail).ok().flatten()?.network
    }

    /// Paths on the disks of the jail: its root, and the sources of its bind mounts.
    pub fn disk_paths(&self) -> Vec<&Path> {
        let sources = self.mounts.iter().filter_map(|mount| match &mount.source {
            Source::Bind(source) => Some(source.as_path()),
            _ => None,
        });
        std::iter::once(self.root.as_path())
            .chain(sources)
            .collect()
    }

    /// What a session has of its own, in the words of unshare(1): for a log.
    pub fn summary(&self) -> String {
        let mut words = vec!["mnt"];
        let more = [
            (self.pid, "pid"),
            (self.hostname.is_some(), "uts"),
            (self.ipc, "ipc"),
            (self.cgroup, "cgroup"),
            (self.offline || self.network.is_some(), "net"),
            (self.ids.is_some(), "user"),
            (self.limits.is_some(), "limits"),
        ];
        words.extend(more.iter().filter(|(has, _)| *has).map(|(_, word)| word));
        words.join(" ")
    }
}

/// The characters of jails' names, with a `.` before the user's name in that of a jail of one user: enough to be sure that it is one component of a path.
fn is_jail_name(name: &str) -> bool {
    let is_name = |part: &str| {
        !part.is_empty()
            && part.len() <= 32
            && part
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    };
    match name.split_once('.') {
        Some((shared, user)) => is_name(shared) && is_name(user),
        None => is_name(name),
    }
}

fn is_missing(opened: Result<OwnedFd, Errno>) -> bool {
    opened.is_err_and(|errno| errno == Errno::NOENT)
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::Refused(format!(
        "could not use the policy `{}`: {why}",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
            jail: "arkham".to_owned(),
            root: "/srv/jails/arkham".into(),
            users: vec!["harlequin".to_owned()],
            pid: true,
            hostname: Some("arkham".to_owned()),
            ipc: true,
            cgroup: true,
            offline: false,
            network: None,
            ids: None,
            mounts: vec![Mount {
                target: "/www".into(),
                source: Source::Bind("/var/www/a \"b\"".into()),
                flags: Flags {
                    ro: true,
                    nosuid: true,
                    nodev: true,
                    noexec: true,
                },
            }],
            limits: None,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Policy::parse(&policy().to_text()), Ok(policy()));
        assert_eq!(policy().summary(), "mnt pid uts ipc cgroup");
    }

    #[test]
    fn no_beginning_of_a_policy_is_one() {
        let text = policy().to_text();
        for end in 0..text.trim_end().len() {
            let cut = text.get(..end).expect("ASCII");
            assert!(Policy::parse(cut).is_err(), "{cut}");
        }
    }

    #[test]
    fn what_this_version_does_not_know_is_refused() {
        let text = policy().to_text();
        for (from, to, why) in [
            ("\"format\": 1", "\"format\": 2", "format 2"),
            ("\"format\": 1", "\"format\": \"1\"", "damaged"),
            (
                "\"ipc\": true",
                "\"ipc\": true, \"seccomp\": true",
                "seccomp",
            ),
            ("\"ipc\": true,", "", "ipc"),
            ("\"ipc\": true", "\"ipc\": \"no\"", "damaged"),
            ("\"bind\"", "\"overlay\"", "overlay"),
            ("\"/srv/jails/arkham\"", "\"/\"", "root"),
            ("\"/srv/jails/arkham\"", "\"srv\"", "root"),
        ] {
            let other = text.replacen(from, to, 1);
            assert_ne!(other, text, "{from}");
            let refused = Policy::parse(&other).expect_err(to);
            assert!(refused.contains(why), "{refused}");
        }
        let newer = "{\"format\": 7, \"rules\": []}";
        assert!(Policy::parse(newer).expect_err(newer).contains("format 7"));
    }

    #[test]
    fn processes_are_shown_only_to_those_who_have_their_own() {
        let mut policy = policy();
        policy.mounts.push(Mount {
            target: "/proc".into(),
            source: Source::Proc,
            flags: policy.mounts[0].flags,
        });
        assert!(Policy::parse(&policy.to_text()).is_ok());
        policy.pid = false;
        assert!(Policy::parse(&policy.to_text()).is_err());
    }

    #[test]
    fn names_are_one_component() {
        assert!(is_jail_name("arkham-2_b") && is_jail_name("arkham.bob"));
        for name in [
            "", ".", "..", "a/b", "/etc", "A", "a\0", "a b", "a.", ".a", "a..", "a.b.c", "a./b",
        ] {
            assert!(!is_jail_name(name), "{name}");
        }
    }
}

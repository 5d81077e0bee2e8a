//! Policies: the namespaces, mounts and limits of the sessions of a jail, as data. A build writes
//! the file, and every session reads it.
//!
//! The file is root-owned in a root-owned directory. Its content is verified all the same: a file
//! that differs in any way from what a build writes is no policy, and without a policy there is no
//! session.

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
use crate::shared_layout::{POLICY, POLICY_MODE, SESSION_DIR, STATE};

/// Format that this version writes, and the only one that it reads.
pub const FORMAT: u32 = 1;
/// Maximum length of a policy file in bytes.
const LIMIT: u64 = 1 << 18;

/// Namespaces, mounts and limits of each session of a jail. Every session has a mount namespace:
/// the other namespaces depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "namespaces, each of which is there or not"
)]
pub struct Policy {
    /// Name of the jail.
    pub jail: String,
    /// Root directory of the jail on the host.
    pub root: PathBuf,
    /// Login names of the users who may open sessions.
    pub users: Vec<String>,
    /// Whether sessions have a pid namespace, whose processes end with the connection.
    pub pid: bool,
    /// Host name in the session; with `None` it has no UTS namespace.
    pub hostname: Option<String>,
    /// Whether sessions have an IPC namespace: System V and POSIX queues, semaphores, shared
    /// memory.
    pub ipc: bool,
    /// Whether sessions have a cgroup namespace.
    pub cgroup: bool,
    /// Whether sessions have a network namespace with a loopback and nothing else.
    pub offline: bool,
    /// Network of the jail, which its sessions share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Ids in the user namespace of the session, in addition to 0; with `None` it has no user
    /// namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<IdMap>,
    /// Mounts in the root of the jail, in their order.
    pub mounts: Vec<Mount>,
    /// Limits of the session together with the others of the jail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// Ids that exist in a user namespace. Each is mapped to itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdMap {
    /// User ids.
    pub uids: Vec<u32>,
    /// Group ids.
    pub gids: Vec<u32>,
}

/// Content of the file. `policy` is only deserialised if `format` is [`FORMAT`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Versioned<T> {
    format: u32,
    policy: T,
}

impl Policy {
    /// Content of the policy file.
    pub fn to_text(&self) -> String {
        let written = Versioned {
            format: FORMAT,
            policy: self,
        };
        // Strings, numbers and lists have a representation in JSON; paths have one because those of
        // a spec are UTF-8.
        let mut text = serde_json::to_string_pretty(&written).unwrap_or_default();
        text.push('\n');
        text
    }

    /// As [`Policy::load`], for the jail of `user` in the family `shared`: the jail of this user
    /// alone if it has records, the jail `shared` otherwise.
    ///
    /// # Errors
    /// As [`Policy::load`].
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

    /// Reads the policy of the jail `name`; `None` for a plain chroot, that is, without a
    /// [`SESSION_DIR`].
    ///
    /// # Errors
    /// [`Error::Refused`] for a name that no jail can have, [`Error::Damaged`] for a file that
    /// another user than root may have written (owner, mode) or whose content is not as a build
    /// writes it, [`Error::System`] for a failed call and for a symbolic link. No session may begin
    /// then.
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
            // Without `SESSION_DIR` sshd alone confines the account; with it there is a session or
            // nothing.
            Err(Errno::NOENT) if is_missing(open_dir(Some(&state), Path::new(SESSION_DIR))) => {
                return Ok(None);
            }
            Err(errno) => return Err(Error::on("read the policy", &path, errno)),
        };
        let stat = fstat(&file).map_err(|errno| Error::on("query the policy", &path, errno))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
            || (stat.st_uid, stat.st_gid, stat.st_mode & 0o7777) != (0, 0, POLICY_MODE)
        {
            return Err(unusable(
                &path,
                "it is not a regular file of root with mode 0600",
            ));
        }
        let mut text = String::new();
        File::from(file)
            .take(LIMIT)
            .read_to_string(&mut text)
            .map_err(|error| Error::on("read the policy", &path, errno_of(&error)))?;
        let policy = Self::parse(&text).map_err(|why| unusable(&path, &why))?;
        if policy.jail != name {
            return Err(unusable(&path, "it belongs to another jail"));
        }
        Ok(Some(policy))
    }

    /// Parses the content of a policy file.
    ///
    /// # Errors
    /// A clause about the policy, such as "it has format 2, ...", for any text that a build does
    /// not write.
    pub fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let damaged = |error: serde_json::Error| format!("it is damaged: {error}");
        let Format { format } = serde_json::from_str(text).map_err(damaged)?;
        if format != FORMAT {
            return Err(format!(
                "it has format {format}, this version reads {FORMAT}"
            ));
        }
        let Versioned { policy, .. } =
            serde_json::from_str::<Versioned<Self>>(text).map_err(damaged)?;
        policy.validate()?;
        Ok(policy)
    }

    /// Checks what the types do not express. The error is a clause about the policy.
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
            // The last pid 1 removes the network, and only a pid namespace ends all processes in
            // it.
            if self.offline || !self.pid {
                return Err(
                    "it has a network, but its sessions have no pid namespace or are offline"
                        .to_owned(),
                );
            }
        }
        for mount in &self.mounts {
            if !absolute(&mount.target) {
                return Err("the target of a mount is not a path below `/`".to_owned());
            }
            match &mount.source {
                Source::Bind(source) if !absolute(source) => {
                    return Err("the source of a mount is not a path below `/`".to_owned());
                }
                // It would show the processes of the host.
                Source::Proc if !self.pid => {
                    return Err("it mounts proc, but its sessions have no pid namespace".to_owned());
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

    /// The namespaces of a session by the names of unshare(1), for logs.
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

/// Whether a name has only characters of jail names, with a `.` before the name of the user in that
/// of a per-user jail. Such a name is a single component of a path.
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
    Error::Damaged(format!(
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
                optional: false,
            }],
            limits: None,
        }
    }

    #[test]
    fn a_written_policy_is_read_back() {
        assert_eq!(Policy::parse(&policy().to_text()), Ok(policy()));
        assert_eq!(policy().summary(), "mnt pid uts ipc cgroup");
    }

    #[test]
    fn truncated_policies_are_refused() {
        let text = policy().to_text();
        for end in 0..text.trim_end().len() {
            let cut = text.get(..end).expect("ASCII");
            assert!(Policy::parse(cut).is_err(), "{cut}");
        }
    }

    #[test]
    fn unknown_formats_and_keys_are_refused() {
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
    fn proc_needs_a_pid_namespace() {
        let mut policy = policy();
        policy.mounts.push(Mount {
            target: "/proc".into(),
            source: Source::Proc,
            flags: policy.mounts[0].flags,
            optional: false,
        });
        assert!(Policy::parse(&policy.to_text()).is_ok());
        policy.pid = false;
        assert!(Policy::parse(&policy.to_text()).is_err());
    }

    #[test]
    fn names_of_jails_are_one_component() {
        assert!(is_jail_name("arkham-2_b") && is_jail_name("arkham.bob"));
        for name in [
            "", ".", "..", "a/b", "/etc", "A", "a\0", "a b", "a.", ".a", "a..", "a.b.c", "a./b",
        ] {
            assert!(!is_jail_name(name), "{name}");
        }
    }
}

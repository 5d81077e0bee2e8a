//! The files of a host in a directory (`--root DIR`) that the running system's sshd is asked about.
//!
//! Only these take the place of the running system's, never all of DIR's `/etc`: a program that root
//! starts loads what `ld.so.preload`, `ld.so.cache`, `nsswitch.conf` and `openssl.cnf` name, and with
//! DIR's it would load code that whoever made DIR has chosen (CVE-2019-14271).

use std::path::Path;

use jailctl_session::mount::{DetachedMount, bind, tmpfs};
use rustix::fs::{OFlags, ResolveFlags};
use std::os::fd::AsFd;

use crate::error::{Error, Result};
use crate::host::stat::Ownership;
use crate::host::view::HostView;
use crate::host::writer::Host;

/// Where the copies lie, in the namespace of the question only.
const COPIES: &str = "/mnt";

/// Largest file that is copied, in bytes.
const FILE_LIMIT: u64 = 64 << 20;

/// What nsswitch.conf(5) says while sshd is asked: accounts come from the files alone.
const NSSWITCH: &str = "passwd: files\ngroup: files\ninitgroups: files\nshadow: files\n";

/// A host's sshd configuration, and the accounts by which `Match` knows users and groups.
#[derive(Debug)]
pub(super) struct RootedFiles {
    /// `/etc/ssh`.
    configuration: DetachedMount,
    /// Name in `/etc`, and text.
    accounts: Vec<(&'static str, Vec<u8>)>,
}

impl RootedFiles {
    /// Opens them, links followed inside the host. To be called outside of the private namespace: the
    /// kernel clones a tree for the namespace that it was opened in.
    pub(super) fn open(view: &HostView) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let ssh = view.open2(Path::new("/etc/ssh"), flags, ResolveFlags::empty())?;
        let mut accounts = vec![("nsswitch.conf", NSSWITCH.as_bytes().to_vec())];
        for name in ["passwd", "group"] {
            let text = view.read(&Path::new("/etc").join(name), FILE_LIMIT)?;
            accounts.push((name, text.unwrap_or_default()));
        }
        Ok(Self {
            configuration: DetachedMount::clone_tree(ssh.as_fd()).map_err(failed)?,
            accounts,
        })
    }

    /// Puts them over the running system's, and an empty directory of root's at `/mnt`. Only inside of
    /// `private_mounts`.
    pub(super) fn attach(self) -> Result<()> {
        self.configuration
            .attach(Path::new("/etc/ssh"))
            .map_err(failed)?;
        tmpfs(Path::new(COPIES), 0o700).map_err(failed)?;
        let live = Host::new(Path::new("/"))?;
        let copies = live.ensure_root_dir(Path::new(COPIES), Ownership::root(0o700))?;
        for (name, text) in &self.accounts {
            let target = Path::new("/etc").join(name);
            if live.stat(&target)?.is_none() {
                continue;
            }
            copies.replace_file(Path::new(name), text, Ownership::root(0o644))?;
            bind(Path::new(COPIES).join(name).as_path(), target.as_path()).map_err(failed)?;
        }
        Ok(())
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err wants"
)]
fn failed(error: jailctl_session::Error) -> Error {
    Error::failed("could not prepare the verification of sshd").why(error.to_string())
}

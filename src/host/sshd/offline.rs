//! Files of a host in a directory (`--root DIR`) for queries of the sshd of the running system.
//!
//! Only these replace the files of the running system, never all of `/etc` of DIR: a program that
//! root starts loads what `ld.so.preload`, `ld.so.cache`, `nsswitch.conf` and `openssl.cnf` name,
//! and with those of DIR it would load code that the creator of DIR has chosen (CVE-2019-14271).

use std::path::Path;

use jailctl_session::mount::{DetachedMount, bind, tmpfs};
use rustix::fs::{OFlags, ResolveFlags};
use std::os::fd::AsFd;

use crate::error::{Error, Result};
use crate::host::stat::Ownership;
use crate::host::view::HostView;
use crate::host::writer::Host;

/// Directory of the copies, in the mount namespace of the query only.
const COPIES: &str = "/mnt";

/// Largest file that is copied, in bytes.
const FILE_LIMIT: u64 = 64 << 20;

/// Content of nsswitch.conf(5) during a query: accounts of files only.
const NSSWITCH: &str = "passwd: files\ngroup: files\ninitgroups: files\nshadow: files\n";

/// Configuration of sshd on a host, and the accounts by which `Match` finds users and groups.
#[derive(Debug)]
pub(super) struct RootedFiles {
    /// Mount of `/etc/ssh`.
    configuration: DetachedMount,
    /// Name in `/etc`, and text, of each file.
    accounts: Vec<(&'static str, Vec<u8>)>,
}

impl RootedFiles {
    /// Opens the files, links followed inside the host. To be called outside of the private
    /// namespace: the kernel clones a tree for the namespace in which it was opened.
    ///
    /// # Errors
    /// `Failed` if a file cannot be read.
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

    /// Mounts the files over those of the running system, and an empty directory of root at `/mnt`.
    /// Only inside of `private_mounts`.
    ///
    /// # Errors
    /// `Failed` if a mount fails.
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

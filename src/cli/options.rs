//! Options that several verbs share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::apply::{Options, recover};
use crate::error::{Error, Finding, Result};
use crate::host::{Host, HostView, Lock, Lookup};

/// Options of verbs that change the host.
#[derive(Debug, clap::Args)]
pub(crate) struct WriteOptions {
    /// Show what would be changed, and change nothing.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// Do not reload sshd.
    #[arg(long)]
    no_reload: bool,
    /// Wait up to SECONDS for another jailctl to finish.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    lock_timeout: u64,
}

impl WriteOptions {
    /// Options of a verb that has none of them but the time that it waits for the lock.
    pub(crate) fn with_lock_timeout(seconds: u64) -> Self {
        Self {
            dry_run: false,
            json: false,
            no_reload: false,
            lock_timeout: seconds,
        }
    }

    /// Takes the lock of the host, and undoes or completes an interrupted run. Returns the lock and
    /// notices about the recovery.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Busy`] if another jailctl holds the lock; errors of the recovery.
    pub(crate) fn lock_and_recover(&self, host: &Host) -> Result<(Lock, Vec<String>)> {
        let lock = host.lock(Duration::from_secs(self.lock_timeout))?;
        let notices = recover(host, &self.options())?;
        Ok((lock, notices))
    }

    /// Options of the transaction.
    pub(crate) fn options(&self) -> Options {
        Options {
            no_reload: self.no_reload,
        }
    }
}

/// The `--root` option.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RootOption {
    /// Use the directory DIR as the host: its programs, accounts, sshd configuration and records.
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
}

impl RootOption {
    /// View of the host.
    pub(crate) fn view(&self) -> Result<HostView> {
        HostView::new(&self.path()?)
    }

    /// Root directory of the host, absolute and without symbolic links. A symbolic link that a user
    /// other than root could have created is not followed: it would choose the host that is
    /// changed.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        let Some(root) = &self.root else {
            return Ok(PathBuf::from("/"));
        };
        let absolute =
            std::path::absolute(root).map_err(|error| Error::io("find", root, &error))?;
        let refuse = |why: String| {
            let shown = root.display().to_string();
            Finding::new(format!(
                "could not use `{}` as the host",
                shown.escape_debug()
            ))
            .why(why)
        };
        match HostView::new(Path::new("/"))?.locate(&absolute)? {
            Lookup::Found(located) => Ok(located.real),
            Lookup::Missing => Err(refuse("no such directory".to_owned()).into()),
            Lookup::Refused { at, writer } => Err(refuse(Lookup::refusal(&at, &writer))
                .hint("give the path of the directory itself")
                .into()),
        }
    }
}

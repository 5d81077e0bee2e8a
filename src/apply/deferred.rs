//! What is left to do when all that can be undone is done. Each part can be done again where an earlier run stopped.

use std::path::{Path, PathBuf};

use rustix::fs::RenameFlags;
use serde::{Deserialize, Serialize};

use super::removal::{self, delete_account};
use super::{OnStep, Options, manifest, store_gc};
use crate::error::Result;
use crate::host::{Expiry, Host};
use crate::names::JailName;
use crate::plan::{OriginalAccount, RemoveOptions, Step};

/// One part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum DeferredAction {
    /// Lets an account log in.
    Open {
        /// The jail.
        jail: JailName,
        /// Login name.
        user: String,
        /// Until when.
        until: Expiry,
    },
    /// Removes an account that a jail no longer has; its home stays.
    DeleteAccount {
        /// The jail.
        jail: JailName,
        /// Where it stands.
        root: PathBuf,
        /// The jail's group.
        gid: u32,
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
    },
    /// Gives an account that a jail took over, and no longer has, back what it had.
    Release {
        /// The jail.
        jail: JailName,
        /// Where it stands.
        root: PathBuf,
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
        /// What it had.
        to: OriginalAccount,
    },
    /// What was taken out of the live directory becomes what is kept of the time before.
    Keep {
        /// The directory, on the host.
        dir: PathBuf,
        /// Where it is now, below the directory.
        stage: PathBuf,
        /// Where it is kept, below the directory.
        previous: PathBuf,
    },
    /// What was taken out of the live directory goes.
    Drop {
        /// The directory, on the host.
        dir: PathBuf,
        /// Where it is, below the directory.
        stage: PathBuf,
    },
    /// Takes out of the store of the jails in a directory what none of them needs.
    Store(PathBuf),
    /// Ends a run that took nothing from the store of the jails in a directory.
    Settle(PathBuf),
    /// Takes a jail away.
    Remove {
        /// The jail.
        jail: JailName,
        /// How.
        how: RemoveOptions,
    },
}

impl DeferredAction {
    /// Does it.
    pub(super) fn execute(
        &self,
        host: &Host,
        options: &Options,
        on_step: OnStep<'_>,
    ) -> Result<()> {
        match self {
            Self::Open { jail, user, until } => {
                on_step(
                    jail,
                    &Step::EnableAccount {
                        user: user.clone(),
                        until: *until,
                    },
                );
                match host.accounts()?.user(user) {
                    Some(_) => host.set_expiry(user, *until),
                    None => Ok(()),
                }
            }
            Self::DeleteAccount {
                jail,
                root,
                gid,
                user,
                uid,
            } => {
                on_step(
                    jail,
                    &Step::DeleteAccount {
                        user: user.clone(),
                        uid: *uid,
                        purge: false,
                    },
                );
                delete_account(host, jail, root, *gid, user, *uid, false)
            }
            Self::Release {
                jail,
                root,
                user,
                uid,
                to,
            } => {
                on_step(
                    jail,
                    &Step::RestoreAccount {
                        user: user.clone(),
                        uid: *uid,
                        to: to.clone(),
                    },
                );
                removal::restore_account(host, root, user, *uid, to)
            }
            Self::Keep {
                dir,
                stage,
                previous,
            } => keep(host, dir, stage, previous),
            Self::Drop { dir, stage } => match host.open_dir_nofollow(dir)? {
                Some(dir) => dir.remove_all(stage),
                None => Ok(()),
            },
            Self::Store(holder) => store_gc::gc(host, holder, None, false),
            Self::Settle(holder) => store_gc::close_unused(host, holder),
            Self::Remove { jail, how } => {
                removal::finish_removal(host, jail, *how, options, on_step)
            }
        }
    }
}

fn keep(host: &Host, dir: &Path, stage: &Path, previous: &Path) -> Result<()> {
    let Some(open) = host.open_dir_nofollow(dir)? else {
        return Ok(());
    };
    if open.lstat(stage)?.is_none() {
        return Ok(());
    }
    manifest::remove_previous(host, dir, &open, previous)?;
    open.rename(stage, &open, previous, RenameFlags::NOREPLACE)
}

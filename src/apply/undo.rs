//! How each step is taken back: data, noted before the step where doing it twice is harmless, and right after it where not.

use std::path::{Path, PathBuf};

use super::tree::{self, Move};
use crate::error::Result;
use crate::host::{Belonging, Expiry, Host, Ownership};
use crate::resolve::PRIVATE;

/// What takes one step back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Undo {
    /// Removes a group that was made.
    DeleteGroup(String),
    /// Removes an account that was made; it was never open.
    DeleteAccount(String),
    /// Gives an account its primary group, home and login shell back.
    AlterAccount(String, Belonging),
    /// Gives an account its expiry back.
    Expire(String, Expiry),
    /// Gives an account its encrypted password back.
    Password(String, String),
    /// Gives a file its content back, or removes it where there was none.
    Restore(PathBuf, Option<Vec<u8>>, Ownership),
    /// Tells sshd to read its configuration anew.
    Reload,
    /// Removes directories that were made, deepest first, if they are empty.
    RemoveDirs(Vec<PathBuf>),
    /// Removes the private directory of a root, and then the directories that were made for it, outermost first in the list.
    RemoveRoot(PathBuf, Vec<PathBuf>),
    /// Gives a directory its owner and mode back.
    Own(PathBuf, Ownership),
    /// Puts a tree back.
    Tree(PathBuf, Vec<Move>),
}

impl Undo {
    pub(super) fn run(self, host: &Host) -> Result<()> {
        match self {
            Self::DeleteGroup(name) => host.delete_group(&name),
            Self::DeleteAccount(name) => host.delete_account(&name),
            Self::AlterAccount(name, from) => host.alter_account(&name, &from),
            Self::Expire(name, expiry) => host.set_expiry(&name, expiry),
            Self::Password(name, encrypted) => host.set_password(&name, &encrypted),
            Self::Restore(path, content, owner) => {
                let (dir, name) = host.parent_of(&path)?;
                match content {
                    Some(content) => dir.replace_file(Path::new(name), &content, owner),
                    None => dir.remove_file_if_there(Path::new(name)),
                }
            }
            // Whoever undoes sees to it that it happens once, after all files are back.
            Self::Reload => Ok(()),
            Self::RemoveDirs(directories) => remove_dirs(host, &directories),
            Self::RemoveRoot(root, made) => {
                if let Some(root) = host.open_root(&root)? {
                    root.remove_all(Path::new(PRIVATE))?;
                }
                let deepest_first: Vec<PathBuf> = made.into_iter().rev().collect();
                remove_dirs(host, &deepest_first)
            }
            Self::Own(path, owner) => match host.open_root(&path)? {
                Some(dir) => dir.own(owner),
                None => Ok(()),
            },
            Self::Tree(root, moves) => match host.open_root(&root)? {
                Some(root) => tree::undo(&root, &moves),
                None => Ok(()),
            },
        }
    }
}

/// Removes the directories, as far as they are there and empty: what somebody else put in meanwhile stays.
pub(super) fn remove_dirs(host: &Host, directories: &[PathBuf]) -> Result<()> {
    for directory in directories {
        if host.lstat(directory)?.is_none() {
            continue;
        }
        if host.list(directory)?.is_some_and(|names| !names.is_empty()) {
            return Ok(());
        }
        let (dir, name) = host.parent_of(directory)?;
        dir.remove_dir(Path::new(name))?;
    }
    Ok(())
}

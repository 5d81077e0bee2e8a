//! Changes of accounts: on the running system by the tools of shadow, which take its locks; in a
//! directory by edits of the files (`offline_accounts`).

use std::path::Path;

use super::account_entry::{AccountFields, NewAccount};
use super::command::{Invocation, Output};
use super::writer::Host;
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::layout::NONEXISTENT;

/// `useradd --expiredate` and `usermod --expiredate` of a closed account: the first day after
/// 1970-01-01, since 0 has two meanings in shadow(5).
const CLOSED: &str = "1970-01-02";

impl Host {
    /// A tool of shadow, for the running system: in a directory it would load libraries and follow
    /// links of that directory. The accounts are read again after it.
    fn tool(&self, name: &str) -> Invocation {
        self.forget_facts();
        Invocation::new(format!("/usr/sbin/{name}"))
    }

    /// Creates a group. groupadd(8) checks `gid`, the only id of the range, under its lock; an id
    /// of `--gid` would be checked before.
    ///
    /// # Errors
    /// `Busy` if the id is taken; `Failed` otherwise. There is no new group then.
    pub fn create_group(&self, name: &str, gid: u32) -> Result<()> {
        let action = format!("create the group `{name}`");
        if !self.is_live() {
            return self.edit_accounts(&action, |files| files.add_group(name, gid));
        }
        let tool = self
            .tool("groupadd")
            .args(["--key", &format!("GID_MIN={gid}")])
            .args(["--key", &format!("GID_MAX={gid}")])
            .arg(name);
        tool.check_id_free(&action)
    }

    /// Deletes a group.
    ///
    /// # Errors
    /// `Failed` if groupdel(8) refuses; the group is as it was.
    pub fn delete_group(&self, name: &str) -> Result<()> {
        let action = format!("remove the group `{name}`");
        if !self.is_live() {
            return self.edit_accounts(&action, |files| files.remove_group(name));
        }
        self.tool("groupdel").arg(name).check(&action).map(drop)
    }

    /// Creates an account, closed. It gets no home, mail spool or subordinate ids: a jailed user
    /// does not need them, and they would outlive the account.
    ///
    /// # Errors
    /// `Busy` if the id is taken; `Failed` otherwise. There is no new account then.
    pub fn create_account(&self, account: &NewAccount) -> Result<()> {
        let action = format!("create the account `{}`", account.name);
        if !self.is_live() {
            return self.edit_accounts(&action, |files| files.add_user(account));
        }
        let tool = self
            .tool("useradd")
            .args([
                "--no-create-home",
                "--no-log-init",
                "--no-user-group",
                "-K",
                "SUB_UID_COUNT=0",
                "-K",
                "SUB_GID_COUNT=0",
            ])
            .args(["--password", "*", "--expiredate", CLOSED])
            .arg("--uid")
            .arg(account.uid.to_string())
            .arg("--gid")
            .arg(account.gid.to_string())
            .arg("--comment")
            .arg(&account.gecos)
            .arg("--home-dir")
            .arg(&account.home)
            .arg("--shell")
            .arg(&account.shell)
            .arg("--groups")
            .arg(account.groups.join(","))
            .arg(&account.name);
        tool.check_id_free(&action)
    }

    /// Sets the fields of an account to those of `to`. A supplementary group that the host does not
    /// have is skipped.
    ///
    /// # Errors
    /// `Failed` if usermod(8) refuses. Of two calls the first may have succeeded.
    pub fn modify_account(&self, name: &str, to: &AccountFields) -> Result<()> {
        let accounts = self.accounts()?;
        let Some(found) = accounts.user(name) else {
            return Ok(());
        };
        let from = accounts.belonging(found);
        let action = format!("change the account `{name}`");
        if !self.is_live() {
            return self.edit_accounts(&action, |files| files.modify_user(name, to));
        }
        if from.gid != to.gid {
            // usermod(8) changes the group of files in the home from the old to the new group, and
            // the host may have a directory at the path of the home.
            let away = ["--home", NONEXISTENT, "--gid", &to.gid.to_string(), name];
            self.tool("usermod").args(away).check(&action)?;
        }
        let mut groups = to.groups.clone();
        groups.retain(|name| accounts.group(name).is_some());
        let mut options = Vec::new();
        if from.home != to.home || from.gid != to.gid {
            options.extend(["--home", &to.home]);
        }
        if from.shell != to.shell {
            options.extend(["--shell", &to.shell]);
        }
        if from.gecos != to.gecos {
            options.extend(["--comment", &to.gecos]);
        }
        let groups_joined = groups.join(",");
        if from.groups != groups {
            options.extend(["--groups", &groups_joined]);
        }
        if options.is_empty() {
            return Ok(());
        }
        self.tool("usermod")
            .args(options)
            .arg(name)
            .check(&action)
            .map(drop)
    }

    /// Renames an account of the running system and sets its home in passwd(5). Its files are not
    /// touched.
    ///
    /// # Errors
    /// `Failed` if usermod(8) refuses, as it does while a process of the user runs.
    pub fn rename_account(&self, from: &str, to: &str, home: &str) -> Result<()> {
        let action = format!("rename the account `{from}`");
        self.tool("usermod")
            .args(["--login", to, "--home", home, from])
            .check(&action)
            .map(drop)
    }

    /// Sets the expiry date of an account.
    ///
    /// # Errors
    /// `Failed` if usermod(8) refuses; the account is as it was.
    pub fn set_expiry(&self, name: &str, expires: Expiry) -> Result<()> {
        let date = match expires {
            Expiry::Never => String::new(),
            Expiry::Closed => CLOSED.to_owned(),
            Expiry::Day(day) => day.to_string(),
        };
        let action = if expires == Expiry::Closed {
            "close"
        } else {
            "open"
        };
        let action = format!("{action} the account `{name}`");
        if !self.is_live() {
            return self.edit_accounts(&action, |files| files.set_expiry(name, expires));
        }
        let tool = self.tool("usermod").arg("--expiredate").arg(date).arg(name);
        tool.check(&action).map(drop)
    }

    /// Sets the encrypted password, a crypt(5) hash or `*`. It is written to standard input: every
    /// user can read arguments.
    ///
    /// # Errors
    /// `Failed` if chpasswd(8) refuses; the account is as it was.
    pub fn set_password(&self, name: &str, encrypted: &str) -> Result<()> {
        let action = format!("set the password of `{name}`");
        if !self.is_live() {
            return self.edit_accounts(&action, |files| files.set_password(name, encrypted));
        }
        let tool = self.tool("chpasswd").arg("--encrypted");
        tool.input(format!("{name}:{encrypted}\n"))
            .check(&action)
            .map(drop)
    }

    /// Deletes an account. Its home stays.
    ///
    /// # Errors
    /// `Failed` if userdel(8) refuses, as it does while a process of the user runs.
    pub fn delete_account(&self, name: &str) -> Result<()> {
        let action = format!("remove the account `{name}`");
        if !self.is_live() {
            return self.edit_accounts(&action, |files| files.remove_user(name));
        }
        let outcome = self.tool("userdel").arg(name).run()?;
        match outcome.code {
            Some(0) => Ok(()),
            // userdel(8): "user currently logged in".
            Some(8) => Err(busy(name, &outcome)),
            _ => Err(outcome.into_error(&action, Path::new("/usr/sbin/userdel"))),
        }
    }
}

fn busy(name: &str, outcome: &Output) -> Error {
    Error::new(
        ErrorKind::Failed,
        Finding::new(format!("could not remove the account `{name}`"))
            .why(
                outcome
                    .stderr
                    .trim()
                    .trim_start_matches("userdel: ")
                    .to_owned(),
            )
            .hint("its sessions run until they end or are killed"),
    )
}
/// Expiry date of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Expiry {
    /// No expiry date.
    Never,
    /// Expired: no login is possible.
    Closed,
    /// Expires at the start of this day, in days since 1970-01-01.
    Day(i64),
}

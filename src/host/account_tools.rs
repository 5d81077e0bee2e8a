//! Changing accounts: on the running system by shadow's tools, which take shadow's locks and know its
//! files; in a directory by edits of its files (`rooted_accounts`).

use std::path::Path;

use super::account_entry::{AccountFields, NewAccount};
use super::command::{Invocation, Output};
use super::writer::Host;
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::layout::NONEXISTENT;

/// `useradd --expiredate` and `usermod --expiredate` of a closed account: the first day after the epoch, since 0 has two meanings in shadow(5).
const CLOSED: &str = "1970-01-02";

impl Host {
    /// Makes a group. As the only id of the range it is checked under groupadd(8)'s lock; one given by `--gid` is checked before.
    pub fn create_group(&self, name: &str, gid: u32) -> Result<()> {
        let deed = format!("make the group `{name}`");
        if !self.is_live() {
            return self.edit_accounts(&deed, |files| files.add_group(name, gid));
        }
        let tool = tool("groupadd")
            .args(["--key", &format!("GID_MIN={gid}")])
            .args(["--key", &format!("GID_MAX={gid}")])
            .arg(name);
        tool.check_id_free(&deed)
    }

    /// Removes a group.
    pub fn delete_group(&self, name: &str) -> Result<()> {
        let deed = format!("remove the group `{name}`");
        if !self.is_live() {
            return self.edit_accounts(&deed, |files| files.remove_group(name));
        }
        tool("groupdel").arg(name).check(&deed).map(drop)
    }

    /// Makes an account, closed. No home, no mail spool, no rows of subordinate ids: a jailed user has no use for them, and they would outlive it.
    pub fn create_account(&self, account: &NewAccount) -> Result<()> {
        let deed = format!("make the account `{}`", account.name);
        if !self.is_live() {
            return self.edit_accounts(&deed, |files| files.add_user(account));
        }
        let tool = tool("useradd")
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
        tool.check_id_free(&deed)
    }

    /// Makes an account belong where `to` says. A further group that the host has no longer is passed over.
    pub fn modify_account(&self, name: &str, to: &AccountFields) -> Result<()> {
        let accounts = self.accounts()?;
        let Some(found) = accounts.user(name) else {
            return Ok(());
        };
        let from = accounts.belonging(found);
        let deed = format!("change the account `{name}`");
        if !self.is_live() {
            return self.edit_accounts(&deed, |files| files.modify_user(name, to));
        }
        if from.gid != to.gid {
            // usermod(8) gives what the old group has in the home to the new one, and the host may have a directory where a jail has the home.
            let away = ["--home", NONEXISTENT, "--gid", &to.gid.to_string(), name];
            tool("usermod").args(away).check(&deed)?;
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
        tool("usermod")
            .args(options)
            .arg(name)
            .check(&deed)
            .map(drop)
    }

    /// Lets an account log in, or no longer.
    pub fn set_expiry(&self, name: &str, expires: Expiry) -> Result<()> {
        let date = match expires {
            Expiry::Never => String::new(),
            Expiry::Closed => CLOSED.to_owned(),
            Expiry::Day(day) => day.to_string(),
        };
        let deed = if expires == Expiry::Closed {
            "close"
        } else {
            "open"
        };
        let deed = format!("{deed} the account `{name}`");
        if !self.is_live() {
            return self.edit_accounts(&deed, |files| files.set_expiry(name, expires));
        }
        let tool = tool("usermod").arg("--expiredate").arg(date).arg(name);
        tool.check(&deed).map(drop)
    }

    /// Sets the encrypted password, a crypt(5) hash or `*`. It goes through standard input: arguments can be read by everybody.
    pub fn set_password(&self, name: &str, encrypted: &str) -> Result<()> {
        let deed = format!("set the password of `{name}`");
        if !self.is_live() {
            return self.edit_accounts(&deed, |files| files.set_password(name, encrypted));
        }
        let tool = tool("chpasswd").arg("--encrypted");
        tool.input(format!("{name}:{encrypted}\n"))
            .check(&deed)
            .map(drop)
    }

    /// Removes an account. Its home is left alone. Refuses while a process of the user runs.
    pub fn delete_account(&self, name: &str) -> Result<()> {
        let deed = format!("remove the account `{name}`");
        if !self.is_live() {
            return self.edit_accounts(&deed, |files| files.remove_user(name));
        }
        let outcome = tool("userdel").arg(name).run()?;
        match outcome.code {
            Some(0) => Ok(()),
            // userdel(8): "user currently logged in".
            Some(8) => Err(busy(name, &outcome)),
            _ => Err(outcome.into_error(&deed, Path::new("/usr/sbin/userdel"))),
        }
    }
}

/// One of shadow's tools, for the running system: in a directory they would load its libraries and
/// follow its links.
fn tool(name: &str) -> Invocation {
    Invocation::new(format!("/usr/sbin/{name}"))
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
            .hint("its sessions go on until they end or are ended"),
    )
}
/// When an account expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Expiry {
    /// It does not.
    Never,
    /// It has: nobody can log in.
    Closed,
    /// At the beginning of this day, in days since the epoch.
    Day(i64),
}

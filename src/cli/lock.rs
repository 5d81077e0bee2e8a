//! `lock` and `unlock`: close the account of a user at once, until it is unlocked.

use std::fmt::Write as _;

use clap::Args;

use super::spec_files::load_built;
use super::transact::{Transactions, show_plans};
use super::who::logins;
use super::{CommandOutput, OutputOptions, RootOption, WriteOptions};
use crate::apply::session_control;
use crate::error::{Error, Finding, Result};
use crate::host::{Host, HostView, Process, UserEntry};
use crate::plan::{self, Manifest, Plan, lock_plan, locked_users};
use crate::resolve::jail_of;
use crate::show::count;

/// Arguments of `lock`.
#[derive(Debug, Args)]
pub(crate) struct Lock {
    /// User of a jail.
    user: String,
    /// Terminate the sessions of the user, too.
    #[arg(long)]
    kill: bool,
    #[command(flatten)]
    root: RootOption,
    #[command(flatten)]
    writing: WriteOptions,
}

/// Arguments of `unlock`.
#[derive(Debug, Args)]
pub(crate) struct Unlock {
    /// User of a jail.
    user: String,
    #[command(flatten)]
    root: RootOption,
    #[command(flatten)]
    writing: WriteOptions,
}

/// The account and the manifest of a user of a jail.
fn find(user: &str, view: &HostView) -> Result<(UserEntry, Manifest)> {
    let accounts = view.accounts()?;
    let jailed = accounts
        .user(user)
        .and_then(|found| Some((found, jail_of(found)?)));
    if let Some((found, jail)) = jailed
        && let Some(manifest) = Manifest::load(view, &jail)?
    {
        return Ok((found.clone(), manifest));
    }
    Err(
        Finding::new(format!("`{}` is not a user of a jail", user.escape_debug()))
            .why("no jail of this host has such an account")
            .hint("`jailctl list` lists the jails with their users")
            .into(),
    )
}

impl Lock {
    pub(crate) fn run(self, output: OutputOptions) -> Result<CommandOutput> {
        let path = self.root.path()?;
        if self.writing.dry_run {
            let view = HostView::new(&path)?;
            let (user, manifest) = find(&self.user, &view)?;
            let plan = lock_plan(manifest, &user, true, &view)?;
            return Ok(show_plans(&[plan], &[], self.writing.json, output));
        }
        let host = Host::new(&path)?;
        let mut transactions = Transactions::begin(&host, &self.writing, output)?;
        let (user, manifest) = find(&self.user, &host)?;
        let name = manifest.name.clone();
        let plan = lock_plan(manifest.clone(), &user, true, &host)?;
        let text = if plan.steps.is_empty() {
            format!("{}: it is locked already\n", user.name)
        } else {
            format!("{}: locked\n", user.name)
        };
        transactions.run(format!("lock of {}", user.name), |applier| {
            applier.apply(plan)
        })?;
        // sshd uses the account as it was when the connection named it.
        Process::kill_unauthenticated(&host, &[user.uid])?;
        let mut failed: Option<Error> = None;
        let mut killed = None;
        if self.kill {
            match session_control::kill_user(&host, &manifest, &user) {
                Ok(count) => killed = Some(count),
                Err(error) => failed = Some(error),
            }
        }
        let open = logins(Some(&[name]), &host)?.into_iter();
        for login in open.filter(|login| login.user == user.name) {
            transactions.notice(format!(
                "a session stays open: {}; `jailctl lock --kill {}` ends it",
                login.line(),
                user.name
            ));
        }
        let mut report = transactions.report();
        if !self.writing.json {
            report.text = text;
            if let Some(killed) = killed.filter(|killed| *killed > 0) {
                let processes = count(killed, "process", "processes");
                // Writing to a String cannot fail.
                let _ = writeln!(report.text, "{}: {processes} ended", user.name);
            }
        }
        if let Some(error) = failed {
            report.code = error.kind as u8;
            report.failed = Some(error);
        }
        Ok(report)
    }
}

impl Unlock {
    pub(crate) fn run(self, output: OutputOptions) -> Result<CommandOutput> {
        let path = self.root.path()?;
        if self.writing.dry_run {
            let view = HostView::new(&path)?;
            let (user, manifest) = find(&self.user, &view)?;
            let plan = lock_plan(manifest, &user, false, &view)?;
            return Ok(show_plans(&[plan], &[], self.writing.json, output));
        }
        let host = Host::new(&path)?;
        let mut transactions = Transactions::begin(&host, &self.writing, output)?;
        let (user, manifest) = find(&self.user, &host)?;
        let text = if locked_users(&host, &manifest.name)?.contains(&user.name) {
            format!("{}: unlocked\n", user.name)
        } else {
            format!("{}: it is not locked\n", user.name)
        };
        transactions.run(format!("unlock of {}", user.name), |applier| {
            applier.apply(lock_plan(manifest.clone(), &user, false, &host)?)?;
            // The build verifies the jail before it opens the account.
            applier.apply(open_plan(&manifest, &host)?)
        })?;
        let mut report = transactions.report();
        if !self.writing.json {
            report.text = text;
        }
        Ok(report)
    }
}

/// Plans the jail as its recorded spec says, which opens the account that is no longer locked.
fn open_plan(manifest: &Manifest, view: &HostView) -> Result<Plan> {
    let (spec, origin) = load_built(manifest, view)?;
    let plan = plan::build_plan(&spec, origin, view)?;
    plan.refuse_vanished_root(view)?;
    plan::ensure_whole_family(&plan, "update", "", view)?;
    Ok(plan)
}

//! Carrying a [`Plan`] out: the only code that writes. It decides nothing; each step leaves word of how it is undone, and an error
//! undoes all that went before.

mod removal;
mod tree;
mod undo;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::host::sshd::{Config, DROP_INS, Daemon, Facts, Reload};
use crate::host::{Digest, Dir, Expiry, Host, Ownership, View};
use crate::names::{JailName, JailPath};
use crate::plan::manifest::{AccountRecord, FORMAT, MANIFEST, SPEC};
use crate::plan::{Manifest, Plan, Step, Wanted, expiry};
use crate::resolve::{MARKER, Marker, ResolvedJail, Tree};
use crate::spec::Password;
use undo::Undo;

/// What a run is told besides its plan.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// sshd is not told to read its configuration anew.
    pub no_reload: bool,
}

/// One or more plans carried out as one: all of them, or none.
///
/// Each plan is made after the one before it was carried out, since it has to see the accounts that this one made.
#[derive(Debug)]
pub struct Transaction<'h> {
    host: &'h Host,
    options: &'h Options,
    done: Vec<Taken>,
    notices: Vec<String>,
}

/// What is left of a plan that was carried out.
#[derive(Debug)]
struct Taken {
    root: Option<PathBuf>,
    undo: Vec<Undo>,
    facts: Option<Facts>,
}

/// A plan being carried out.
struct Run<'r> {
    host: &'r Host,
    plan: &'r Plan,
    options: &'r Options,
    undo: Vec<Undo>,
    digests: BTreeMap<JailPath, Digest>,
    notices: Vec<String>,
}

impl<'h> Transaction<'h> {
    /// Nothing done yet.
    pub fn new(host: &'h Host, options: &'h Options) -> Self {
        Self {
            host,
            options,
            done: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Carries one plan out. `on_step` hears of each step before it is taken.
    ///
    /// After an error nothing more may be carried out; [`Transaction::roll_back`] puts everything back.
    pub fn carry_out(&mut self, plan: &Plan, on_step: &mut dyn FnMut(&Step)) -> Result<()> {
        let mut run = Run {
            host: self.host,
            plan,
            options: self.options,
            undo: Vec::new(),
            digests: BTreeMap::new(),
            notices: Vec::new(),
        };
        let outcome = plan.steps.iter().try_for_each(|step| {
            on_step(step);
            run.take(step)
        });
        self.notices.append(&mut run.notices);
        self.done.push(Taken {
            root: plan
                .steps
                .contains(&Step::WriteTree)
                .then(|| plan.root.clone()),
            undo: run.undo,
            facts: plan.facts().cloned(),
        });
        outcome
    }

    /// Ends it: what was swapped out becomes the previous tree. Gives what an admin should know.
    pub fn finish(mut self) -> Vec<String> {
        for root in self.done.iter().filter_map(|taken| taken.root.as_ref()) {
            let kept = self
                .host
                .open_root(root)
                .and_then(|dir| dir.map_or(Ok(()), |dir| tree::keep_previous(&dir)));
            if let Err(error) = kept {
                self.notices
                    .push(format!("the previous tree was not kept: {error}"));
            }
        }
        self.notices
    }

    /// Undoes every step that was taken, in reverse, and gives `error` back with what could not be undone.
    pub fn roll_back(self, mut error: Error) -> Error {
        let mut cleanup = |outcome: Result<()>| {
            if let Err(failed) = outcome {
                error
                    .findings
                    .extend(failed.findings.into_iter().map(|mut finding| {
                        finding.what = format!("while putting things back: {}", finding.what);
                        finding
                    }));
            }
        };
        for taken in self.done.into_iter().rev() {
            let mut reload = false;
            for undo in taken.undo.into_iter().rev() {
                reload |= undo == Undo::Reload;
                cleanup(undo.run(self.host));
            }
            // In reverse, the mark comes before the file that it is about is back.
            if let Some(facts) = taken.facts.filter(|_| reload) {
                cleanup(tell_sshd(self.host, self.options, &facts).map(drop));
            }
        }
        error
    }
}

/// Tells sshd to read its configuration anew, where there is one to tell; `None` where there is not.
fn tell_sshd(host: &Host, options: &Options, facts: &Facts) -> Result<Option<Reload>> {
    if options.no_reload || !host.is_live() {
        return Ok(None);
    }
    Daemon::find(host)?.reload(facts).map(Some)
}

/// Makes only a tree, in the directory `target` of the running system, which must be new or empty.
pub fn output(view: &View, tree: &Tree, target: &Path) -> Result<()> {
    let host = Host::new(Path::new("/"))?;
    let dir = host.dir(target, Ownership::root(0o755))?;
    if !dir.entries()?.is_empty() {
        return Err(
            Error::failed(format!("could not make a tree in `{}`", target.display()))
                .why("it is not empty")
                .hint("name a directory that is new or empty"),
        );
    }
    dir.own(Ownership::root(0o755))?;
    tree::output(view, &dir, tree).map_err(|mut error| {
        // Half a tree is of no use; why it is only half is what counts.
        for (name, _) in dir.entries().unwrap_or_default() {
            if let Err(cleanup) = dir.remove_all(Path::new(&name)) {
                error.findings.extend(cleanup.findings);
            }
        }
        error
    })
}

impl Run<'_> {
    fn name(&self) -> &JailName {
        &self.plan.name
    }

    fn state(&self) -> PathBuf {
        ResolvedJail::state(self.name())
    }

    /// The jail's root; `None` before it is made.
    fn root(&self) -> Result<Option<Dir>> {
        self.host.open_root(&self.plan.root)
    }

    fn need_root(&self) -> Result<Dir> {
        self.root()?.ok_or_else(|| {
            Error::failed(format!("could not open `{}`", self.plan.root.display()))
                .why("it is gone")
        })
    }

    fn wanted(&self) -> Result<&Wanted> {
        self.plan
            .wanted
            .as_ref()
            .ok_or_else(|| Error::failed("could not build from a plan that removes"))
    }

    fn take(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Close { user } => self.close(user),
            Step::MakeRoot => self.make_root(),
            Step::MakeGroup { name, gid } => {
                self.host.make_group(name, *gid)?;
                self.undo.push(Undo::DeleteGroup(name.clone()));
                Ok(())
            }
            Step::MakeAccount(account) => {
                self.host.make_account(account)?;
                self.undo.push(Undo::DeleteAccount(account.name.clone()));
                Ok(())
            }
            Step::AlterAccount { name, to, from } => {
                self.undo
                    .push(Undo::AlterAccount(name.clone(), from.clone()));
                self.host.alter_account(name, to)
            }
            Step::WriteTree => self.write_tree(),
            Step::InstallSnippet { file, text } => self.install_snippet(file, text),
            Step::VerifySnippet => self.verify(),
            Step::WriteKeys { user, text } => self.write_keys(user, text),
            Step::SetPassword { user, password } => self.set_password(user, password),
            Step::Open { user, until } => {
                let before = self.expiry(user)?;
                self.undo.push(Undo::Expire(user.clone(), before));
                self.host.set_expiry(user, *until)
            }
            Step::Record => {
                let before = self.state_file(MANIFEST)?;
                self.undo.push(Undo::Restore(
                    self.state().join(MANIFEST),
                    before,
                    Ownership::root(0o600),
                ));
                let before = self.state_file(SPEC)?;
                self.undo.push(Undo::Restore(
                    self.state().join(SPEC),
                    before,
                    Ownership::root(0o600),
                ));
                self.record()
            }
            Step::DeleteAccount { user, uid, purge } => self.delete_account(user, *uid, *purge),
            Step::EndSessions { root, uids, kill } => self.end_sessions(root, uids, *kill),
            Step::RemoveTree { purge } => self.remove_tree(*purge),
            Step::Forget => self.forget(),
            Step::DeleteGroup { name } => self.delete_group(name),
            Step::RemoveSnippet { file } => self.remove_snippet(file),
        }
    }

    fn close(&mut self, user: &str) -> Result<()> {
        let before = self.expiry(user)?;
        self.undo.push(Undo::Expire(user.to_owned(), before));
        self.host.set_expiry(user, Expiry::Closed)?;
        let path = self.state().join("keys").join(user);
        if let Some(keys) = self.host.read(&path, 1 << 20)? {
            self.undo.push(Undo::Restore(
                path.clone(),
                Some(keys),
                Ownership::root(0o644),
            ));
            let (dir, name) = self.host.parent_of(&path)?;
            dir.remove_file(Path::new(name))?;
        }
        Ok(())
    }

    fn expiry(&self, user: &str) -> Result<Expiry> {
        let accounts = self.host.accounts()?;
        Ok(accounts
            .user(user)
            .map_or(Expiry::Closed, |found| expiry(found.expires)))
    }

    fn make_root(&mut self) -> Result<()> {
        let mut missing: Vec<PathBuf> = Vec::new();
        for directory in self.plan.root.ancestors() {
            if self.host.lstat(directory)?.is_some() {
                break;
            }
            missing.push(directory.to_owned());
        }
        missing.reverse();
        let before = self.host.lstat(&self.plan.root)?;
        let marker = self.marker()?;
        if let Some(before) = &before {
            self.undo
                .push(Undo::Own(self.plan.root.clone(), before.ownership()));
        }
        if marker.is_none() {
            self.undo
                .push(Undo::RemoveRoot(self.plan.root.clone(), missing.clone()));
        }
        let root = self.host.dir(&self.plan.root, Ownership::root(0o755))?;
        root.own(Ownership::root(0o755))?;
        tree::private(&root)?;
        let marker = marker.unwrap_or(Marker {
            jail: self.name().clone(),
            made: missing,
            left: Vec::new(),
        });
        Self::write_marker(&root, &marker)
    }

    /// The note in the root.
    fn marker(&self) -> Result<Option<Marker>> {
        Marker::read(self.host, &self.plan.root)
    }

    fn write_marker(root: &Dir, marker: &Marker) -> Result<()> {
        root.replace_file(
            Path::new(MARKER),
            &marker.to_json()?,
            Ownership::root(0o600),
        )
    }

    fn write_tree(&mut self) -> Result<()> {
        let root = self.need_root()?;
        tree::private(&root)?;
        let mut moves = Vec::new();
        let written = tree::write(
            self.host,
            &root,
            self.plan,
            &self.wanted()?.jail.tree,
            &mut moves,
        );
        self.undo.push(Undo::Tree(self.plan.root.clone(), moves));
        self.digests = written?;
        Ok(())
    }

    fn verify(&self) -> Result<()> {
        crate::plan::verify(self.host, &self.wanted()?.jail)
    }

    fn install_snippet(&mut self, file: &str, text: &str) -> Result<()> {
        self.verify()?;
        let path = Path::new(DROP_INS).join(file);
        let before = self.host.read(&path, 1 << 20)?;
        self.undo
            .push(Undo::Restore(path.clone(), before, Ownership::root(0o644)));
        self.undo.push(Undo::Reload);
        let (dir, name) = self.host.parent_of(&path)?;
        dir.replace_file(Path::new(name), text.as_bytes(), Ownership::root(0o644))?;
        self.reload()
    }

    fn reload(&mut self) -> Result<()> {
        let Some(facts) = self.plan.facts() else {
            return Ok(());
        };
        let told = tell_sshd(self.host, self.options, facts)?;
        if told == Some(Reload::NotRunning) && self.plan.wanted.is_some() {
            self.notices.push(
                "sshd does not run here now: the jail's accounts can log in once it does"
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn write_keys(&mut self, user: &str, text: &str) -> Result<()> {
        let keys = self.state_dir(Path::new("keys"))?;
        let path = self.state().join("keys").join(user);
        let before = self.host.read(&path, 1 << 20)?;
        self.undo
            .push(Undo::Restore(path, before, Ownership::root(0o644)));
        keys.replace_file(Path::new(user), text.as_bytes(), Ownership::root(0o644))
    }

    fn set_password(&mut self, user: &str, password: &Password) -> Result<()> {
        let encrypted = match password {
            Password::Locked => "*",
            Password::Keep => return Ok(()),
            Password::Hash(hash) => hash,
        };
        let accounts = self.host.accounts()?;
        if let Some(before) = accounts.user(user).and_then(|found| found.password.clone()) {
            self.undo.push(Undo::Password(user.to_owned(), before));
        }
        self.host.set_password(user, encrypted)
    }

    /// A directory below the jail's state directory, made where it is missing: to be passed through by everybody, to be listed by root.
    fn state_dir(&mut self, below: &Path) -> Result<Dir> {
        let path = if below == Path::new("") {
            self.state()
        } else {
            self.state().join(below)
        };
        let mut missing: Vec<PathBuf> = Vec::new();
        for directory in path.ancestors() {
            if self.host.lstat(directory)?.is_some() {
                break;
            }
            missing.push(directory.to_owned());
        }
        if !missing.is_empty() {
            self.undo.push(Undo::RemoveDirs(missing));
        }
        self.host.dir(&path, Ownership::root(0o711))
    }

    fn state_file(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        self.state_dir(Path::new(""))?;
        self.host.read(&self.state().join(name), 1 << 28)
    }

    /// Writes the manifest and the spec as built.
    fn record(&mut self) -> Result<()> {
        // Before the facts of the files are taken: removing another name of an inode moves its time of last change.
        if self.plan.steps.contains(&Step::WriteTree) {
            self.need_root()?.remove_all(Path::new(tree::PREVIOUS))?;
        }
        let wanted = self.wanted()?;
        let jail = &wanted.jail;
        let entries = tree::records(
            self.host,
            &jail.root,
            &jail.tree,
            &self.digests,
            self.plan.manifest.as_ref(),
        )?;
        let before = self.plan.manifest.as_ref();
        let mut places = before
            .map(|manifest| manifest.places.clone())
            .unwrap_or_default();
        places.extend(
            jail.tree
                .iter()
                .filter(|(_, entry)| entry.kept)
                .map(|(path, _)| path.clone()),
        );
        let root = self.need_root()?;
        let mut standing = BTreeSet::new();
        for place in places {
            if root.lstat(place.relative())?.is_some() {
                standing.insert(place);
            }
        }
        let mut facts = wanted.facts.clone();
        facts.stamp = Daemon::find(self.host)?.stamp(&Config::read(self.host)?)?;
        let manifest = Manifest {
            format: FORMAT,
            name: jail.name.clone(),
            root: jail.root.clone(),
            spec: wanted.origin.name.clone(),
            group: (jail.group.name.clone(), jail.group.gid),
            accounts: jail
                .accounts
                .iter()
                .map(|account| AccountRecord {
                    name: account.name.clone(),
                    uid: account.uid,
                    home: account.home.clone(),
                    expires: account.expires,
                })
                .collect(),
            snippet: (
                jail.sshd.file.clone(),
                Digest::of(jail.sshd.text.as_bytes()),
            ),
            sshd: facts,
            places: standing,
            entries,
        };
        let spec = wanted.origin.text.clone();
        let state = self.state_dir(Path::new(""))?;
        state.replace_file(Path::new(SPEC), spec.as_bytes(), Ownership::root(0o600))?;
        state.replace_file(
            Path::new(MANIFEST),
            &manifest.to_json()?,
            Ownership::root(0o600),
        )
    }
}

//! What would be done: [`ResolvedJail`] and what is found, to a [`Plan`]. Reads only; `apply` carries a plan out and decides nothing.

mod accounts;
mod diff;
mod digests;
mod drift;
mod interrupted;
mod live_sessions;
pub mod manifest;
mod preconditions;
mod removal;
mod rollback;
mod session_policy;
mod sshd;
pub mod store_index;
mod ways_in;
pub mod why;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jailctl_session::network::Fault;

pub use diff::{Change, ChangeKind, Depth, EXCHANGED_DIRS, compare, dirs_to_exchange};
pub use digests::RecordedDigests;
pub use drift::{Difference, Drift, Kind as DriftKind, drift, processes_outside};
pub use interrupted::{JOURNAL, interrupted};
pub use live_sessions::{ensure_account_idle, ensure_empty, ensure_no_sessions};
pub use manifest::{Manifest, OriginalAccount};
pub use removal::{RemoveOptions, removal};
pub use rollback::{
    PreviousBuild, ensure_whole_family, other_member_affected, roll_back, roll_back_to,
};
use sshd::SnippetOrder;
pub use sshd::{sshd_info as sshd_facts, verify_snippet};
pub use ways_in::{WaysIn, exposure_as_built};

use crate::error::{Error, Result};
use crate::host::pam::Edit;
use crate::host::sshd::SshdInfo;
use crate::host::{AccountFields, Expiry, HostView, Inventory, NewAccount, Stat, UserEntry};
use crate::names::{JailName, JailPath};
use crate::resolve::{Marker, ResolvedJail, Tree, is_managed};
use crate::spec::{Password, Spec};

/// Drop-ins are text; one above this size is not.
const SNIPPET_LIMIT: u64 = 1 << 20;

/// One deed, complete: whoever carries it out needs to know nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Takes an account's keys away and lets it expire.
    DisableAccount {
        /// Login name.
        user: String,
    },
    /// Makes the root, its parents and the marker in it.
    CreateRoot,
    /// Makes the jail's group.
    CreateGroup {
        /// Its name.
        name: String,
        /// Its id.
        gid: u32,
    },
    /// Makes an account, closed.
    CreateAccount(NewAccount),
    /// Masks systemd's manager of a user, which would run outside of the jail.
    MaskUserManager {
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
    },
    /// Gives an account another primary group, home or login shell.
    ModifyAccount {
        /// Login name.
        name: String,
        /// As it is to be.
        to: AccountFields,
        /// As it is.
        from: AccountFields,
    },
    /// Stages what changes of the tree and swaps it in.
    WriteTree,
    /// Sees to it that nobody is in the jail, or stops.
    RequireEmpty {
        /// The jail's root.
        root: PathBuf,
        /// The ids of its users.
        uids: Vec<u32>,
    },
    /// Writes what sessions have of their own.
    WritePolicy {
        /// The whole file.
        text: String,
        /// The rules of the jail's network for nft(8), as they are and as they are to be, where they change.
        rules: Option<(String, String)>,
    },
    /// Loads the rules of the jail's network again, and puts back what else was taken from it while somebody is in it.
    RepairNetwork {
        /// What is wrong with it.
        faults: Vec<Fault>,
    },
    /// Makes the jail a plain chroot.
    RemovePolicy,
    /// Writes the stack of PAM for jailed accounts, or our lines in sshd's; or takes them away where the jail stays.
    WritePamService(Edit),
    /// The same at the end, with the last jail that needs them.
    RemovePamService(Edit),
    /// Verifies the settings that all jails share, makes them live, and reloads sshd.
    WriteCommonSnippet(Edit),
    /// Takes them away with the last jail, and reloads sshd.
    RemoveCommonSnippet(Edit),
    /// Verifies the snippet, makes it live, and reloads sshd.
    InstallSnippet {
        /// File name in `sshd_config.d`.
        file: String,
        /// Its text.
        text: String,
    },
    /// Verifies the snippet that is live.
    VerifySnippet,
    /// Writes an account's authorized_keys.
    WriteKeys {
        /// Login name.
        user: String,
        /// The whole file.
        text: String,
    },
    /// Sets an account's password.
    SetPassword {
        /// Login name.
        user: String,
        /// What it is to be.
        password: Password,
    },
    /// Lets an account log in.
    EnableAccount {
        /// Login name.
        user: String,
        /// Until when.
        until: Expiry,
    },
    /// Writes the manifest.
    WriteManifest,
    /// Removes an account that jailctl made; its home stays.
    DeleteAccount {
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
        /// Whether its mail goes too.
        purge: bool,
    },
    /// Gives an account that was taken over back what it had; its home in the jail stays.
    RestoreAccount {
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
        /// What it had.
        to: OriginalAccount,
    },
    /// Sees to it that nobody is in the jail.
    EndSessions {
        /// The jail's root.
        root: PathBuf,
        /// The ids of its users.
        uids: Vec<u32>,
        /// Whether sessions are ended, or a reason to stop.
        kill: bool,
    },
    /// Removes what the manifest records of the tree, and with `purge` the whole root.
    RemoveTree {
        /// Whether homes and other places of users go too.
        purge: bool,
    },
    /// Removes the records of the jail.
    DeleteRecords,
    /// Removes the jail's group.
    DeleteGroup {
        /// Its name.
        name: String,
    },
    /// Removes the snippet and reloads sshd.
    RemoveSnippet {
        /// File name in `sshd_config.d`.
        file: String,
    },
}

impl Step {
    /// Whether the step changes what an admin or a user can see.
    pub fn is_change(&self) -> bool {
        !matches!(
            self,
            Self::WriteManifest
                | Self::VerifySnippet
                | Self::EndSessions { .. }
                | Self::RequireEmpty { .. }
        )
    }

    /// Whether the step is taken only when all that can be undone is done: it is not undone, but finished.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::EnableAccount { .. }
                | Self::DeleteAccount { .. }
                | Self::RestoreAccount { .. }
                | Self::RemoveTree { .. }
                | Self::DeleteRecords
                | Self::DeleteGroup { .. }
                | Self::RemoveSnippet { .. }
                | Self::RemovePamService(_)
                | Self::RemoveCommonSnippet(_)
        )
    }
}

/// Where the spec of a plan came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// As it was named.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What would be done to make one jail what its spec says, or to make it go away.
#[derive(Debug)]
pub struct Plan {
    /// The jail.
    pub name: JailName,
    /// Where it stands.
    pub root: PathBuf,
    /// What becomes of each path of the tree.
    pub changes: Vec<Change>,
    /// What is done, in this order. Empty where there is nothing to do.
    pub steps: Vec<Step>,
    /// The snippet as it is and as it is to be, where it changes.
    pub snippet: Option<(Option<String>, Option<String>)>,
    /// Whether what was built before is kept, for a rollback.
    pub keep_previous: bool,
    /// What an admin should know.
    pub notices: Vec<String>,
    /// Paths in the jail that are neither jailctl's nor in a user's place.
    pub unmanaged: Vec<String>,
    /// What the jail is to be; `None` where it is to go away.
    pub target: Option<Target>,
    /// How the jail goes away, where it does.
    pub removal: Option<RemoveOptions>,
    /// What was built last.
    pub manifest: Option<Manifest>,
}

/// What a jail is to be, with what is needed to record it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The jail itself.
    pub jail: ResolvedJail,
    /// Where its spec came from.
    pub origin: Origin,
    /// What sshd says of itself, where it locks accounts in.
    pub sshd: Option<SshdInfo>,
    /// What its accounts that were taken over were before, by name.
    pub original_accounts: BTreeMap<String, OriginalAccount>,
}

impl Plan {
    /// What sshd says of itself.
    pub fn facts(&self) -> Option<&SshdInfo> {
        let wanted = self.target.as_ref().and_then(|wanted| wanted.sshd.as_ref());
        wanted.or_else(|| Some(&self.manifest.as_ref()?.lock.as_ref()?.sshd))
    }

    /// Whether sshd is asked, when the plan is carried out, if it would lock the jail's accounts in.
    pub fn needs_sshd(&self) -> bool {
        self.steps.iter().any(|step| {
            matches!(
                step,
                Step::InstallSnippet { .. } | Step::VerifySnippet | Step::WriteCommonSnippet(_)
            )
        })
    }

    /// Whether sshd can be asked before the plan is carried out: it knows the accounts already.
    fn is_known_to_sshd(&self) -> bool {
        self.steps.iter().all(|step| {
            !matches!(
                step,
                Step::CreateGroup { .. } | Step::CreateAccount(_) | Step::ModifyAccount { .. }
            )
        })
    }

    /// Refuses what carrying the plan out would refuse when it asks sshd, as far as sshd can be asked yet: accounts that do not exist it does not know.
    pub fn preflight(&self, view: &HostView) -> Result<()> {
        match &self.target {
            Some(wanted) if self.needs_sshd() && self.is_known_to_sshd() => {
                sshd::verify_snippet(view, &wanted.jail).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Leaves out what plans that are carried out before it do for it: what all members of a family share, and PAM's stacks.
    pub fn drop_steps_done_by(&mut self, earlier: &[Self]) {
        let is_done = |step: &Step| earlier.iter().any(|plan| plan.steps.contains(step));
        let is_stack =
            |step: &Step| matches!(step, Step::WritePamService(_) | Step::WriteCommonSnippet(_));
        self.steps.retain(|step| !is_stack(step) || !is_done(step));
        for step in &mut self.steps {
            if matches!(step, Step::InstallSnippet { .. }) && is_done(step) {
                *step = Step::VerifySnippet;
                self.snippet = None;
            }
        }
    }

    /// Refuses to make a root anew that is gone with what its users had in it: the disk may not be mounted.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Failed`], with the way to say that it is meant.
    pub fn refuse_vanished_root(&self, view: &HostView) -> Result<()> {
        let Some(manifest) = &self.manifest else {
            return Ok(());
        };
        let makes_root = self
            .steps
            .iter()
            .any(|step| matches!(step, Step::CreateRoot));
        if !makes_root || manifest.places.is_empty() || view.lstat(&manifest.root)?.is_some() {
            return Ok(());
        }
        let places: Vec<String> = manifest
            .places
            .iter()
            .map(|place| format!("`{place}`"))
            .collect();
        Err(
            Error::failed(format!("could not build the jail `{}`", self.name))
                .why(format!(
                    "its root `{}` is gone, and with it {} of its users",
                    manifest.root.display(),
                    places.join(", ")
                ))
                .hint("mount the disk that it is on, and try again")
                .hint("if it is gone for good, `--recreate` makes the jail anew, with empty homes"),
        )
    }

    /// The accounts and groups that it makes.
    pub fn created_ids(&self) -> (Vec<NewAccount>, Vec<(String, u32)>) {
        let mut made = (Vec::new(), Vec::new());
        for step in &self.steps {
            match step {
                Step::CreateAccount(account) => made.0.push(account.clone()),
                Step::CreateGroup { name, gid } => made.1.push((name.clone(), *gid)),
                _ => {}
            }
        }
        made
    }

    /// Whether there is anything that an admin or a user could see the effect of.
    pub fn is_change(&self) -> bool {
        self.steps.iter().any(Step::is_change)
    }
}

/// Plans to make the host match `spec`.
pub fn plan(spec: &Spec, origin: Origin, view: &HostView) -> Result<Plan> {
    plan_at(spec, origin, Depth::Metadata, view)
}

/// As [`plan`], looking as closely at the jail's files as `depth` says.
pub fn plan_at(spec: &Spec, origin: Origin, depth: Depth, view: &HostView) -> Result<Plan> {
    plan_with(spec, origin, depth, None, view)
}

fn plan_with(
    spec: &Spec,
    origin: Origin,
    depth: Depth,
    built: Option<Tree>,
    view: &HostView,
) -> Result<Plan> {
    let name = &spec.name.value;
    let manifest = Manifest::load(view, name)?;
    preconditions::check_root_conflicts(spec, manifest.as_ref(), view)?;
    preconditions::shown_in_others(spec, view)?;
    let facts = sshd::sshd_info_if_needed(spec, manifest.as_ref(), view)?;
    let wanted = crate::resolve::resolve(spec, view, facts.as_ref(), built)?;
    let inventory = inventory_of(&wanted.root, &wanted.tree, manifest.as_ref(), view)?;
    let marker = Marker::read(view, &wanted.root)?;
    preconditions::check_root_is_ours(spec, marker.as_ref(), inventory.as_ref())?;
    preconditions::check_no_mounts(&wanted.root, view)?;
    let store = match &inventory {
        Some(_) => store_index::Index::load(view, &store_index::store_of(&wanted.root))?,
        None => store_index::Index::default(),
    };
    let changes = compare(
        &wanted.tree,
        manifest.as_ref(),
        inventory.as_ref(),
        &store,
        depth,
        view,
    )?;
    let mut notices = wanted.notices.clone();
    let strangers = match &inventory {
        Some(inventory) if marker.is_some() => {
            preconditions::unmanaged_paths(&wanted, manifest.as_ref(), inventory)?
        }
        _ => Vec::new(),
    };
    for stranger in &strangers {
        notices.push(format!(
            "`{}` in the jail is none of the spec's, and is left alone",
            stranger.escape_debug()
        ));
    }
    let accounts = view.accounts()?;
    let mut steps = Vec::new();
    let gid = accounts.group(&name.group()).map(|group| group.gid);
    let dropped: Vec<_> = accounts
        .users
        .iter()
        .filter(|user| {
            is_managed(user, name, gid)
                && wanted
                    .accounts
                    .iter()
                    .all(|account| account.name != user.name)
        })
        .collect();
    for user in &dropped {
        live_sessions::ensure_account_idle(view, &user.name, user.uid)?;
        steps.push(Step::DisableAccount {
            user: user.name.clone(),
        });
    }
    let sessions = session_policy::PolicyState::observe(view, &wanted)?;
    let staying: Vec<&UserEntry> = (wanted.accounts.iter())
        .filter_map(|account| accounts.user(&account.name))
        .filter(|user| is_managed(user, name, gid))
        .collect();
    let is_closed = sessions.plan_switchover(view, &wanted, &staying, &mut steps)?;
    let is_open = |stat: &Stat| (stat.uid, stat.gid, stat.permissions()) == (0, 0, 0o755);
    let root = inventory
        .as_ref()
        .and_then(|inventory| inventory.get(&JailPath::root()));
    if marker.is_none() || !root.is_some_and(is_open) {
        steps.push(Step::CreateRoot);
    }
    let taken_over = accounts::original_accounts(&wanted, &accounts, manifest.as_ref())?;
    preconditions::check_homes(spec, &taken_over, view)?;
    accounts::steps(&wanted, &accounts, manifest.as_ref(), view, &mut steps)?;
    if !changes.is_empty() {
        steps.push(Step::WriteTree);
    }
    let family = spec.family.as_ref();
    sessions.keep_services_off(&mut steps);
    let turn = sshd::snippet_order(&wanted, view)?;
    if turn == SnippetOrder::Last {
        sessions.install(&mut steps);
    }
    let (known, lately) = (facts.as_ref(), manifest.as_ref());
    let snippet = sshd::steps(&wanted, family, known, lately, view, &mut steps)?;
    if turn == SnippetOrder::First {
        sessions.install(&mut steps);
    }
    sessions.uninstall(&mut steps);
    accounts::credential_steps(&wanted, &accounts, is_closed, view, &mut steps)?;
    let opened = accounts::enable_steps(&wanted, &accounts, is_closed, manifest.as_ref());
    let spec_moved = manifest
        .as_ref()
        .is_none_or(|manifest| manifest.spec != origin.name)
        || spec_as_built(view, name)?.as_ref() != Some(&origin.text);
    if is_closed {
        // Whoever was let in just before it was closed is in by now.
        steps.push(session_policy::require_empty(&wanted, &staying));
    }
    if !steps.is_empty() || !opened.is_empty() || spec_moved {
        steps.push(Step::WriteManifest);
    }
    steps.extend(opened);
    // All of a family go back together, though only some may change.
    let is_part = spec.family.is_some() && spec_moved;
    // What is mended in a network is no other build than the one before.
    let is_built = |step: &Step| step.is_change() && !matches!(step, Step::RepairNetwork { .. });
    let keeps = is_part || steps.iter().any(is_built);
    for user in dropped {
        steps.push(accounts::account_exit_step(user, manifest.as_ref(), false)?);
        notices.push(format!(
            "the files of `{}` stay in the jail, with the user id {}",
            user.name, user.uid
        ));
    }
    Ok(Plan {
        name: name.clone(),
        root: wanted.root.clone(),
        changes,
        steps,
        snippet,
        keep_previous: keeps,
        notices,
        unmanaged: strangers,
        target: Some(Target {
            jail: wanted,
            origin,
            sshd: facts,
            original_accounts: taken_over,
        }),
        removal: None,
        manifest,
    })
}

fn inventory_of(
    root: &Path,
    tree: &Tree,
    manifest: Option<&Manifest>,
    view: &HostView,
) -> Result<Option<Inventory>> {
    let top = JailPath::root();
    let recorded = manifest
        .iter()
        .flat_map(|manifest| manifest.entries.keys().chain(&manifest.places));
    let paths = tree
        .iter()
        .map(|(path, _)| path)
        .chain(recorded)
        .chain([&top]);
    view.inventory(root, &EXCHANGED_DIRS, paths)
}

/// The text of the spec that a jail was built from.
pub fn spec_as_built(view: &HostView, name: &JailName) -> Result<Option<String>> {
    let bytes = view.read(
        &ResolvedJail::state(name).join(manifest::SPEC),
        SNIPPET_LIMIT,
    )?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Whether an account is closed.
pub fn is_closed(expires: Option<i64>) -> bool {
    expires.is_some_and(|day| day <= 1)
}

/// What an account's expiry was, for putting it back.
pub fn expiry(expires: Option<i64>) -> Expiry {
    match expires {
        None => Expiry::Never,
        Some(day) if is_closed(Some(day)) => Expiry::Closed,
        Some(day) => Expiry::Day(day),
    }
}

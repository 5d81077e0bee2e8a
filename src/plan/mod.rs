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
mod step;
pub mod store_index;
mod types;
mod ways_in;
pub mod why;

use std::path::Path;

pub use diff::{Change, ChangeKind, Depth, EXCHANGED_DIRS, compare, dirs_to_exchange};
pub use digests::RecordedDigests;
pub use drift::{Difference, Drift, Kind as DriftKind, drift, processes_outside};
pub use interrupted::interrupted;
pub use live_sessions::{ensure_account_idle, ensure_empty, ensure_no_sessions};
pub use manifest::{Manifest, OriginalAccount};
pub use removal::{RemoveOptions, removal};
pub use rollback::{
    PreviousBuild, ensure_whole_family, other_member_affected, roll_back, roll_back_to,
};
use sshd::SnippetOrder;
pub use sshd::{sshd_info as sshd_facts, verify_snippet};
pub use step::Step;
pub use types::{Origin, Plan, Target};
pub use ways_in::{WaysIn, exposure_as_built};

use crate::error::Result;
use crate::host::{Expiry, HostView, Inventory, Stat, UserEntry};
use crate::layout::SPEC;
use crate::names::{JailName, JailPath};
use crate::resolve::{Marker, ResolvedJail, Tree, is_managed};
use crate::spec::Spec;

/// Drop-ins are text; one above this size is not.
const SNIPPET_LIMIT: u64 = 1 << 20;

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
    let bytes = view.read(&ResolvedJail::state(name).join(SPEC), SNIPPET_LIMIT)?;
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

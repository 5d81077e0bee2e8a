//! What a plan does, in sentences: one deed for each step that an admin or a user can see the effect of, and one for each path.

use serde::Serialize;

use crate::host::{Expiry, manager_unit};
use crate::layout::SSHD_CONFIG_DIR;
use crate::names::JailPath;
use crate::plan::manifest::RecordKind;
use crate::plan::{Change, ChangeKind, Plan, Step};
use crate::resolve::{Content, EntryKind, home_in_jail};
use crate::spec::{Day, Password};

/// What one step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StepSummary {
    /// Whether something comes, changes or goes.
    pub(super) act: ChangeKind,
    /// What it is about: `account`, `group`, `keys`, `tree`, `sshd`, …
    pub(super) step: &'static str,
    /// The login name, where it is about an account.
    pub(super) user: Option<String>,
    /// The rest of the sentence.
    pub(super) does: String,
    /// What was before, where that is known, and what is afterwards; a line each.
    pub(super) before: Option<String>,
    /// See `before`.
    pub(super) after: Option<String>,
}

impl StepSummary {
    fn new(act: ChangeKind, step: &'static str, does: impl Into<String>) -> Self {
        let does = does.into();
        let line = format!("{step} {does}");
        Self {
            act,
            step,
            user: None,
            before: (act == ChangeKind::Remove).then(|| line.clone()),
            after: (act != ChangeKind::Remove).then_some(line),
            does,
        }
    }

    fn of(user: &str, act: ChangeKind, step: &'static str, does: impl Into<String>) -> Self {
        Self {
            user: Some(user.to_owned()),
            ..Self::new(act, step, does)
        }
    }
}

/// What a step does; `None` for what nobody needs to read, and for the tree, whose story the paths tell.
pub(super) fn of_step(step: &Step) -> Option<StepSummary> {
    use ChangeKind::{Add, Change, Remove};
    Some(match step {
        Step::DisableAccount { user } => StepSummary::of(
            user,
            Change,
            "account",
            format!("{user}: closed, its keys taken away"),
        ),
        Step::CreateRoot => StepSummary::new(Add, "root", "made, for root alone to write in"),
        Step::CreateGroup { name, gid } => {
            StepSummary::new(Add, "group", format!("{name} (gid {gid})"))
        }
        Step::CreateAccount(account) => StepSummary::of(
            &account.name,
            Add,
            "account",
            format!(
                "{} (uid {}), home {}, shell {}",
                account.name,
                account.uid,
                home_in_jail(&account.home),
                account.shell
            ),
        ),
        Step::MaskUserManager { user, uid } => StepSummary::of(
            user,
            Add,
            "account",
            format!("{user}: `{}` masked", manager_unit(*uid).display()),
        ),
        Step::ModifyAccount { name, to, from } => {
            let says = |is: &crate::host::AccountFields| {
                let groups = if from.groups == to.groups {
                    String::new()
                } else if is.groups.is_empty() {
                    ", no further groups".to_owned()
                } else {
                    format!(", also in {}", is.groups.join(", "))
                };
                format!(
                    "{name}: gid {}, home {}, shell {}{groups}",
                    is.gid, is.home, is.shell
                )
            };
            StepSummary {
                before: Some(format!("account {}", says(from))),
                ..StepSummary::of(name, Change, "account", says(to))
            }
        }
        Step::WriteKeys { user, text } => {
            let keys = text.lines().count();
            StepSummary::of(
                user,
                Change,
                "keys",
                format!("{user}: {}", super::super::count(keys, "key", "keys")),
            )
        }
        Step::SetPassword { user, password } => {
            let what = match password {
                Password::Locked => "none works",
                Password::Keep | Password::Hash(_) => "set",
            };
            StepSummary::of(user, Change, "password", format!("{user}: {what}"))
        }
        Step::EnableAccount { user, until } => {
            let until = match until {
                Expiry::Day(day) => format!(" before {}", Day(*day)),
                Expiry::Never | Expiry::Closed => String::new(),
            };
            StepSummary::of(
                user,
                Change,
                "account",
                format!("{user}: may log in{until}"),
            )
        }
        Step::InstallSnippet { file, .. } => StepSummary {
            // The snippet's own lines say what was and what is.
            before: None,
            after: None,
            ..StepSummary::new(Change, "sshd", format!("{SSHD_CONFIG_DIR}/{file}"))
        },
        Step::WritePolicy { rules, .. } => {
            let does = "have namespaces and mounts of their own";
            let mut deed = StepSummary::new(Change, "sessions", does);
            if let Some((was, to)) = rules {
                let lines = |line: Option<String>, rules: &str| {
                    let all = format!("{}\n{rules}", line.unwrap_or_default());
                    Some(all.trim().to_owned())
                };
                deed.before = lines(deed.before, was);
                deed.after = lines(deed.after, to);
            }
            deed
        }
        Step::RepairNetwork { faults } => {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            let does = format!("put back what somebody took from it: {}", faults.join("; "));
            StepSummary::new(Change, "network", does)
        }
        Step::RemovePolicy => StepSummary::new(Remove, "sessions", "of their own"),
        Step::WritePamService(edit)
        | Step::RemovePamService(edit)
        | Step::WriteCommonSnippet(edit)
        | Step::RemoveCommonSnippet(edit) => {
            let act = match (&edit.from, &edit.to) {
                (None, _) => Add,
                (_, None) => Remove,
                _ => Change,
            };
            let lines =
                |text: &Option<String>| text.as_deref().map(|text| text.trim_end().to_owned());
            let is_stack = matches!(step, Step::WritePamService(_) | Step::RemovePamService(_));
            let what = if is_stack { "pam" } else { "sshd" };
            let mut does = edit.path.display().to_string();
            if edit.is_refusal() {
                does.push_str(": refuses jailed accounts");
            }
            StepSummary {
                before: lines(&edit.from),
                after: lines(&edit.to),
                ..StepSummary::new(act, what, does)
            }
        }
        Step::DeleteAccount { user, uid, .. } => {
            StepSummary::of(user, Remove, "account", format!("{user} (uid {uid})"))
        }
        Step::RestoreAccount { user, to, .. } => StepSummary::of(
            user,
            Change,
            "account",
            format!(
                "{user}: given back its gid {}, home {}, shell {}",
                to.belonging.gid, to.belonging.home, to.belonging.shell
            ),
        ),
        Step::RemoveTree { purge: true } => {
            StepSummary::new(Remove, "tree", "all of the root, homes included")
        }
        Step::RemoveTree { purge: false } => {
            StepSummary::new(Remove, "tree", "what was built; homes stay")
        }
        Step::DeleteGroup { name } => StepSummary::new(Remove, "group", name.clone()),
        Step::RemoveSnippet { file } => {
            StepSummary::new(Remove, "sshd", format!("{SSHD_CONFIG_DIR}/{file}"))
        }
        Step::DeleteRecords => StepSummary::new(Remove, "records", "of the jail"),
        Step::EndSessions { kill: true, .. } => StepSummary::new(Remove, "sessions", "ended"),
        Step::EndSessions { .. }
        | Step::RequireEmpty { .. }
        | Step::WriteTree
        | Step::VerifySnippet
        | Step::WriteManifest => {
            return None;
        }
    })
}

/// What becomes of one path, with what both forms say of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PathSummary<'p> {
    /// The path.
    pub(super) path: &'p JailPath,
    /// What is done.
    pub(super) act: ChangeKind,
    /// What differs, where the path stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) because: Option<&'p str>,
    /// Bytes of the file that is made, or that goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
    /// Where the link leads that is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<String>,
    #[serde(skip)]
    pub(super) is_directory: bool,
}

/// What becomes of each path, in the order of the paths.
pub(super) fn of_paths(plan: &Plan) -> Vec<PathSummary<'_>> {
    plan.changes
        .iter()
        .map(|change| of_path(plan, change))
        .collect()
}

fn of_path<'p>(plan: &'p Plan, change: &'p Change) -> PathSummary<'p> {
    let mut deed = PathSummary {
        path: &change.path,
        act: change.act,
        because: change.because.as_deref(),
        size: None,
        link: None,
        is_directory: false,
    };
    if change.act == ChangeKind::Remove {
        let record = plan
            .manifest
            .as_ref()
            .and_then(|manifest| manifest.entries.get(&change.path));
        match record.map(|record| &record.kind) {
            Some(RecordKind::File { stat, .. }) => deed.size = Some(stat.size),
            Some(RecordKind::Directory) => deed.is_directory = true,
            _ => {}
        }
        return deed;
    }
    let entry = plan
        .target
        .as_ref()
        .and_then(|wanted| wanted.jail.tree.get(&change.path));
    match entry.map(|entry| &entry.kind) {
        Some(EntryKind::File(Content::Host { stat, .. })) => deed.size = Some(stat.size),
        Some(EntryKind::File(Content::Text(text))) => deed.size = Some(text.len() as u64),
        Some(EntryKind::File(Content::Recorded { size, .. })) => deed.size = Some(*size),
        Some(EntryKind::Symlink(target)) => deed.link = Some(target.display().to_string()),
        Some(EntryKind::Directory) => deed.is_directory = true,
        Some(EntryKind::Device { .. }) | None => {}
    }
    deed
}

/// How many paths come, change and go, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Totals {
    /// Paths that are made.
    pub(super) added: usize,
    /// Paths that are made anew.
    pub(super) changed: usize,
    /// Paths that are taken away.
    pub(super) removed: usize,
    /// Bytes of files that are made or made anew.
    pub(super) written: u64,
    /// Bytes of files that are taken away.
    pub(super) freed: u64,
}

impl Totals {
    /// Of these paths.
    pub(super) fn of<'p>(deeds: impl IntoIterator<Item = &'p PathSummary<'p>>) -> Self {
        let mut sum = Self::default();
        for deed in deeds {
            let size = deed.size.unwrap_or(0);
            match deed.act {
                ChangeKind::Add => sum.added += 1,
                ChangeKind::Change => sum.changed += 1,
                ChangeKind::Remove => sum.removed += 1,
            }
            if deed.act == ChangeKind::Remove {
                sum.freed += size;
            } else {
                sum.written += size;
            }
        }
        sum
    }
}

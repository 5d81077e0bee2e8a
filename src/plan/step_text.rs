//! The texts about the steps of a plan: of plans, of progress and of the system log.

use std::path::PathBuf;

use jailctl_session::policy::Policy;

use super::compare::ChangeKind;
use super::policy_text::policy_lines;
use super::step::Step;
use crate::host::pam::Edit;
use crate::host::{AccountFields, Expiry, manager_unit};
use crate::layout::SSHD_CONFIG_DIR;
use crate::resolve::home_in_jail;
use crate::spec::{Day, Password};

/// The texts about a step.
#[derive(Clone, Debug, Default)]
pub struct StepText {
    /// The line of a plan; `None` for what has no visible effect, and for `WriteTree`, whose paths
    /// are shown.
    pub summary: Option<StepSummary>,
    /// The part of the system log's line; `None` for what is not logged.
    pub audit: Option<String>,
    /// The progress line, where it is not the line of a plan.
    pub progress: Option<String>,
}

/// The line of a plan about a step.
#[derive(Clone, Debug)]
pub struct StepSummary {
    /// Whether something is added, changed or removed.
    pub kind: ChangeKind,
    /// The subject: `account`, `group`, `keys`, `tree`, `sshd`, …
    pub subject: &'static str,
    /// The rest of the line.
    pub detail: String,
    /// Login name, if the subject belongs to an account.
    pub user: Option<String>,
    /// The part of the line of a new account that the step adds to it.
    pub account: Option<AccountPart>,
    /// The line about the state before, in the difference of a plan.
    pub before: Option<String>,
    /// The line about the state after, in the difference of a plan.
    pub after: Option<String>,
}

/// A property that a step gives to a new account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountPart {
    /// The number of its authorized keys.
    Keys(usize),
    /// A password.
    Password,
    /// Its expiry, as the first day on which it cannot log in, in days since 1970-01-01.
    Expires(i64),
    /// The masked unit of its user manager.
    MaskedManager(PathBuf),
}

impl StepSummary {
    fn new(kind: ChangeKind, subject: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let line = format!("{subject} {detail}");
        Self {
            kind,
            subject,
            user: None,
            account: None,
            before: (kind == ChangeKind::Remove).then(|| line.clone()),
            after: (kind != ChangeKind::Remove).then_some(line),
            detail,
        }
    }

    fn of_user(
        user: &str,
        kind: ChangeKind,
        subject: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            user: Some(user.to_owned()),
            ..Self::new(kind, subject, detail)
        }
    }

    fn with_part(self, part: AccountPart) -> Self {
        Self {
            account: Some(part),
            ..self
        }
    }

    /// The texts of a step that is logged as `audit`.
    fn logged(self, audit: impl Into<String>) -> StepText {
        StepText {
            summary: Some(self),
            audit: Some(audit.into()),
            progress: None,
        }
    }

    /// The texts of a step that is not logged.
    fn unlogged(self) -> StepText {
        StepText {
            summary: Some(self),
            ..StepText::default()
        }
    }
}

impl Step {
    /// The texts about the step: of plans, of progress and of the system log.
    pub fn text(&self) -> StepText {
        use ChangeKind::{Add, Change, Remove};
        let only_logged = |audit: &str, progress: &str| StepText {
            summary: None,
            audit: Some(audit.to_owned()),
            progress: Some(progress.to_owned()),
        };
        match self {
            Self::DisableAccount { user } => {
                let detail = format!("{user}: disabled, its keys deleted");
                StepSummary::of_user(user, Change, "account", detail)
                    .logged(format!("account {user} disabled"))
            }
            Self::CreateRoot { .. } => {
                StepSummary::new(Add, "root", "created, root:root 0755").unlogged()
            }
            Self::MoveRoot { from, to, .. } => {
                let detail = format!("{} moved to {}", from.display(), to.display());
                StepSummary::new(Change, "root", detail).logged("root moved")
            }
            Self::RenameAccount { from, to } => {
                let detail = format!("{} renamed to {}", from.0, to.0);
                StepSummary::of_user(&to.0, Change, "account", detail.clone())
                    .logged(format!("account {detail}"))
            }
            Self::RenamePath {
                from,
                to,
                user,
                subject,
                ..
            } => {
                let detail = format!("{} moved to {}", from.display(), to.display());
                StepSummary::of_user(user, Change, subject, detail).unlogged()
            }
            Self::EditSpec(edit) => StepSummary {
                before: None,
                after: None,
                ..StepSummary::new(Change, "spec", edit.path.display().to_string())
            }
            .logged("spec edited"),
            Self::CreateGroup { name, gid } => {
                StepSummary::new(Add, "group", format!("{name} (gid {gid})"))
                    .logged(format!("group {name} created"))
            }
            Self::CreateAccount(account) => {
                let detail = format!(
                    "{} (uid {}), home {}, shell {}",
                    account.name,
                    account.uid,
                    home_in_jail(&account.home),
                    account.shell
                );
                StepSummary::of_user(&account.name, Add, "account", detail)
                    .logged(format!("account {} created", account.name))
            }
            Self::MaskUserManager { user, uid } => {
                let unit = manager_unit(*uid);
                let detail = format!("{user}: `{}` masked", unit.display());
                StepSummary::of_user(user, Add, "account", detail)
                    .with_part(AccountPart::MaskedManager(unit))
                    .logged(format!("user manager of {user} masked"))
            }
            Self::ModifyAccount { name, to, from } => {
                let with_groups = from.groups != to.groups;
                let (before, after) = (
                    fields_text(name, from, with_groups),
                    fields_text(name, to, with_groups),
                );
                StepSummary {
                    before: Some(format!("account {before}")),
                    ..StepSummary::of_user(name, Change, "account", after)
                }
                .logged(format!("account {name} modified"))
            }
            Self::WriteKeys { user, text, .. } => {
                let keys = text.lines().count();
                let detail = format!("{user}: {keys} {}", if keys == 1 { "key" } else { "keys" });
                StepSummary::of_user(user, Change, "keys", detail)
                    .with_part(AccountPart::Keys(keys))
                    .logged(format!("keys of {user} written"))
            }
            Self::WriteLocks { users, user } => {
                let action = if users.contains(user) {
                    "locked"
                } else {
                    "unlocked"
                };
                StepSummary::of_user(user, Change, "lock", format!("{user}: {action}"))
                    .logged(format!("{user} {action}"))
            }
            Self::SetPassword { user, password } => {
                let audit = format!("password of {user} set");
                let summary = |what: &str| {
                    StepSummary::of_user(user, Change, "password", format!("{user}: {what}"))
                };
                match password {
                    Password::Locked => summary("locked").logged(audit),
                    Password::Unchanged | Password::Hash(_) => summary("set")
                        .with_part(AccountPart::Password)
                        .logged(audit),
                }
            }
            Self::EnableAccount { user, until } => {
                let audit = format!("account {user} enabled");
                let summary = |until: &str| {
                    let detail = format!("{user}: may log in{until}");
                    StepSummary::of_user(user, Change, "account", detail)
                };
                match until {
                    Expiry::Day(day) => summary(&format!(" before {}", Day(*day)))
                        .with_part(AccountPart::Expires(*day))
                        .logged(audit),
                    Expiry::Never | Expiry::Closed => summary("").logged(audit),
                }
            }
            Self::WriteTree { .. } => only_logged("tree written", "writing the tree"),
            Self::InstallSnippet { file, before, .. } => {
                let kind = if before.is_none() { Add } else { Change };
                let summary = StepSummary {
                    // The lines of the snippet are in the difference of a plan.
                    before: None,
                    after: None,
                    ..StepSummary::new(kind, "sshd", format!("{SSHD_CONFIG_DIR}/{file}"))
                };
                StepText {
                    progress: Some(format!("verifying and installing {file}")),
                    ..summary.logged("sshd snippet written")
                }
            }
            Self::VerifySnippet { .. } => StepText {
                progress: Some("verifying the sshd snippet".to_owned()),
                ..StepText::default()
            },
            Self::WritePolicy {
                text,
                before,
                rules,
            } => {
                let mut summary = StepSummary {
                    before: before.as_deref().map(sessions_text),
                    after: Some(sessions_text(text)),
                    ..StepSummary::new(Change, "sessions", SESSIONS)
                };
                if let Some((from, to)) = rules {
                    let with_rules = |line: Option<String>, rules: &str| {
                        let lines = format!("{}\n{rules}", line.unwrap_or_default());
                        Some(lines.trim().to_owned())
                    };
                    summary.before = with_rules(summary.before, from);
                    summary.after = with_rules(summary.after, to);
                }
                summary.logged("session policy written")
            }
            Self::RepairNetwork { faults } => {
                let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                let detail = format!("repaired: {}", faults.join("; "));
                StepSummary::new(Change, "network", detail).logged("network repaired")
            }
            Self::RemovePolicy { before } => StepSummary {
                before: before.as_deref().map(sessions_text),
                ..StepSummary::new(Remove, "sessions", SESSIONS)
            }
            .logged("session policy removed"),
            Self::WritePamService(edit) | Self::RemovePamService(edit) => {
                of_edit(edit, "pam").logged("PAM service changed")
            }
            Self::WriteCommonSnippet { edit, .. } => {
                of_edit(edit, "sshd").logged("sshd settings of all jails written")
            }
            Self::RemoveCommonSnippet(edit) => {
                of_edit(edit, "sshd").logged("sshd settings of all jails removed")
            }
            Self::DeleteAccount { user, uid, .. } => {
                let detail = format!("{user} (uid {uid})");
                StepSummary::of_user(user, Remove, "account", detail)
                    .logged(format!("account {user} deleted"))
            }
            Self::RestoreAccount { user, to, .. } => {
                let fields = &to.belonging;
                let detail = format!(
                    "{user}: restored to gid {}, home {}, shell {}",
                    fields.gid, fields.home, fields.shell
                );
                StepSummary::of_user(user, Change, "account", detail)
                    .logged(format!("account {user} restored"))
            }
            Self::RemoveTree { purge, .. } => {
                let detail = if *purge {
                    "the whole root, with homes"
                } else {
                    "recorded files; homes stay"
                };
                StepSummary::new(Remove, "tree", detail).logged("tree removed")
            }
            Self::PurgeRoot { orphans, .. } => {
                let users: Vec<&str> = orphans.iter().map(|home| home.user.as_str()).collect();
                let detail = if users.is_empty() {
                    "the whole root".to_owned()
                } else {
                    format!("the whole root, with the homes of {}", users.join(", "))
                };
                StepSummary::new(Remove, "tree", detail).logged("left files purged")
            }
            Self::DeleteGroup { name, .. } => StepSummary::new(Remove, "group", name.clone())
                .logged(format!("group {name} deleted")),
            Self::RemoveSnippet { path } => {
                StepSummary::new(Remove, "sshd", path.display().to_string())
                    .logged("sshd snippet removed")
            }
            Self::DeleteRecords { .. } => {
                StepSummary::new(Remove, "records", "of the jail").unlogged()
            }
            Self::EndSessions { options, .. } if options.kill => {
                StepSummary::new(Remove, "sessions", "ended").unlogged()
            }
            Self::EndSessions { .. } | Self::RequireEmpty { .. } | Self::WriteManifest { .. } => {
                StepText::default()
            }
        }
    }
}

/// The detail of a plan about sessions.
const SESSIONS: &str = "with namespaces and mounts of their own";

/// The lines about the sessions of a policy file, in the difference of a plan.
fn sessions_text(policy: &str) -> String {
    let lines = Policy::parse(policy).map(|policy| policy_lines(&policy));
    let lines = lines.unwrap_or_default();
    std::iter::once(format!("sessions {SESSIONS}"))
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The fields of an account that are shown, with its supplementary groups where they change.
fn fields_text(name: &str, fields: &AccountFields, with_groups: bool) -> String {
    let groups = if !with_groups {
        String::new()
    } else if fields.groups.is_empty() {
        ", no supplementary groups".to_owned()
    } else {
        format!(", also in {}", fields.groups.join(", "))
    };
    format!(
        "{name}: gid {}, home {}, shell {}{groups}",
        fields.gid, fields.home, fields.shell
    )
}

/// The line about the change of a file that other programs share.
fn of_edit(edit: &Edit, subject: &'static str) -> StepSummary {
    let kind = match (&edit.from, &edit.to) {
        (None, _) => ChangeKind::Add,
        (_, None) => ChangeKind::Remove,
        _ => ChangeKind::Change,
    };
    let lines = |text: &Option<String>| text.as_deref().map(|text| text.trim_end().to_owned());
    let mut detail = edit.path.display().to_string();
    if edit.is_refusal() {
        detail.push_str(if edit.adds_refusal() {
            ": refuses jailed accounts"
        } else {
            ": no longer refuses jailed accounts"
        });
    }
    StepSummary {
        before: lines(&edit.from),
        after: lines(&edit.to),
        ..StepSummary::new(kind, subject, detail)
    }
}

//! The steps of a plan: their data, their classes and their texts.
//!
//! A new step is added here, with its texts, in `apply::steps`, with its execution and undo, and in
//! the planner that emits it.

use std::path::PathBuf;
use std::sync::Arc;

use jailctl_session::network::Fault;

use super::compare::{Change, ChangeKind};
use super::manifest::{Manifest, OriginalAccount};
use super::target::{RemoveOptions, Target};
use crate::host::pam::Edit;
use crate::host::{AccountFields, Expiry, NewAccount, manager_unit};
use crate::layout::SSHD_CONFIG_DIR;
use crate::resolve::{ResolvedJail, home_in_jail};
use crate::spec::{Day, Password};

/// One step of a plan, with all data that its execution needs but the jail's name and root.
#[derive(Clone, Debug)]
pub enum Step {
    /// Deletes an account's keys and lets it expire.
    DisableAccount {
        /// Login name.
        user: String,
    },
    /// Creates the root, its parents and its marker, or makes the root root-owned again.
    CreateRoot {
        /// The root.
        root: PathBuf,
    },
    /// Creates a group.
    CreateGroup {
        /// Name of the group.
        name: String,
        /// Group id.
        gid: u32,
    },
    /// Creates an account, disabled.
    CreateAccount(NewAccount),
    /// Masks systemd's user manager of an account, which would run outside of the jail.
    MaskUserManager {
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
    },
    /// Changes the primary group, home, login shell, comment or supplementary groups of an account.
    ModifyAccount {
        /// Login name.
        name: String,
        /// The new fields.
        to: AccountFields,
        /// The fields before.
        from: AccountFields,
    },
    /// Stages the changed paths of the tree, tests them, and exchanges them with the live ones.
    WriteTree {
        /// The jail with its tree.
        jail: Arc<ResolvedJail>,
        /// The paths that change.
        changes: Arc<[Change]>,
        /// The manifest of the last build.
        recorded: Option<Arc<Manifest>>,
    },
    /// Fails unless the jail has no process.
    RequireEmpty {
        /// The jail's root.
        root: PathBuf,
        /// User ids of the jail's accounts.
        uids: Vec<u32>,
    },
    /// Writes the session policy.
    WritePolicy {
        /// The whole file.
        text: String,
        /// The nft(8) rules of the jail's network before and after, if they change.
        rules: Option<(String, String)>,
    },
    /// Restores the jail's network to its policy while sessions are in it.
    RepairNetwork {
        /// Its differences from the policy.
        faults: Vec<Fault>,
    },
    /// Removes the session policy: the jail is a plain chroot then.
    RemovePolicy,
    /// Writes jailctl's block into a PAM service file, or removes it while the jail stays.
    WritePamService(Edit),
    /// Removes jailctl's block from a PAM service file with the last jail that needs it.
    RemovePamService(Edit),
    /// Verifies the snippet that all jails share, writes it, and reloads sshd.
    WriteCommonSnippet {
        /// The change of the file.
        edit: Edit,
        /// The jail whose accounts it is verified for.
        jail: Arc<ResolvedJail>,
    },
    /// Removes the snippet that all jails share with the last jail, and reloads sshd.
    RemoveCommonSnippet(Edit),
    /// Verifies the jail's snippet, writes it, and reloads sshd.
    InstallSnippet {
        /// File name in `sshd_config.d`.
        file: String,
        /// Text of the snippet, as a block of its own.
        text: String,
        /// The snippet before.
        before: Option<String>,
        /// The jail whose accounts it is verified for.
        jail: Arc<ResolvedJail>,
    },
    /// Verifies the jail's snippet as it is written.
    VerifySnippet {
        /// The jail whose accounts it is verified for.
        jail: Arc<ResolvedJail>,
    },
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
        /// The password.
        password: Password,
    },
    /// Lets an account log in.
    EnableAccount {
        /// Login name.
        user: String,
        /// Expiry of the account.
        until: Expiry,
    },
    /// Writes the manifest and the spec as built.
    WriteManifest {
        /// The jail as built.
        target: Arc<Target>,
        /// The manifest of the last build.
        recorded: Option<Arc<Manifest>>,
    },
    /// Deletes an account that jailctl created; its home stays.
    DeleteAccount {
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
        /// Id of the jail's group.
        gid: u32,
        /// Whether its mail is deleted too.
        purge: bool,
    },
    /// Restores an adopted account to its original fields; its home in the jail stays.
    RestoreAccount {
        /// Login name.
        user: String,
        /// User id.
        uid: u32,
        /// Original fields of the account.
        to: OriginalAccount,
    },
    /// Ends the sessions of the jail, or fails while it has one.
    EndSessions {
        /// The jail's root.
        root: PathBuf,
        /// User ids of the jail's accounts.
        uids: Vec<u32>,
        /// Id of the jail's group.
        gid: Option<u32>,
        /// Options of the removal; `kill` ends sessions.
        options: RemoveOptions,
    },
    /// Deletes the recorded tree, and with `purge` the whole root.
    RemoveTree {
        /// Whether homes and other user directories are deleted too.
        purge: bool,
        /// The manifest of the last build.
        recorded: Arc<Manifest>,
    },
    /// Deletes the records of the jail.
    DeleteRecords {
        /// The manifest of the last build; `None` where only the directory is left.
        recorded: Option<Arc<Manifest>>,
    },
    /// Deletes a group that jailctl created.
    DeleteGroup {
        /// Name of the group.
        name: String,
        /// Recorded group id.
        gid: Option<u32>,
    },
    /// Deletes the jail's snippet, and reloads sshd.
    RemoveSnippet {
        /// File that has it.
        path: PathBuf,
    },
}

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
    /// Whether the step has an effect that an admin or a user can see.
    pub fn is_change(&self) -> bool {
        !matches!(
            self,
            Self::WriteManifest { .. }
                | Self::VerifySnippet { .. }
                | Self::EndSessions { .. }
                | Self::RequireEmpty { .. }
        )
    }

    /// Whether the step is executed after the commit: it is not undone, but finished.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::EnableAccount { .. }
                | Self::DeleteAccount { .. }
                | Self::RestoreAccount { .. }
                | Self::RemoveTree { .. }
                | Self::DeleteRecords { .. }
                | Self::DeleteGroup { .. }
                | Self::RemoveSnippet { .. }
                | Self::RemovePamService(_)
                | Self::RemoveCommonSnippet(_)
        )
    }

    /// Whether the step writes or verifies drop-ins of sshd. The steps of several plans for that
    /// are executed together.
    pub fn is_of_sshd(&self) -> bool {
        matches!(
            self,
            Self::WriteCommonSnippet { .. }
                | Self::InstallSnippet { .. }
                | Self::VerifySnippet { .. }
        )
    }

    /// Whether both steps write the same content to the same file that jails share.
    pub(super) fn writes_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::WritePamService(one), Self::WritePamService(another))
            | (
                Self::WriteCommonSnippet { edit: one, .. },
                Self::WriteCommonSnippet { edit: another, .. },
            ) => one == another,
            (
                Self::InstallSnippet { file, text, .. },
                Self::InstallSnippet {
                    file: other_file,
                    text: other_text,
                    ..
                },
            ) => (file, text) == (other_file, other_text),
            _ => false,
        }
    }

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
            Self::WriteKeys { user, text } => {
                let keys = text.lines().count();
                let detail = format!("{user}: {keys} {}", if keys == 1 { "key" } else { "keys" });
                StepSummary::of_user(user, Change, "keys", detail)
                    .with_part(AccountPart::Keys(keys))
                    .logged(format!("keys of {user} written"))
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
            Self::WritePolicy { rules, .. } => {
                let detail = "with namespaces and mounts of their own";
                let mut summary = StepSummary::new(Change, "sessions", detail);
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
            Self::RemovePolicy => StepSummary::new(
                Remove,
                "sessions",
                "with namespaces and mounts of their own",
            )
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

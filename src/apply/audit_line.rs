//! What the system log is told of a plan that was carried out.

use crate::plan::{Plan, Step};

/// One line for a jail whose accounts, tree or snippet changed; `None` for one where nothing did.
pub(super) fn audit_line(plan: &Plan) -> Option<String> {
    let mut deeds: Vec<String> = plan.steps.iter().filter_map(step_text).collect();
    deeds.dedup();
    let what = if plan.removal.is_some() {
        "removed"
    } else {
        "changed"
    };
    (!deeds.is_empty()).then(|| format!("jail {} {what}: {}", plan.name, deeds.join(", ")))
}

fn step_text(step: &Step) -> Option<String> {
    Some(match step {
        Step::CreateAccount(account) => format!("account {} made", account.name),
        Step::MaskUserManager { user, .. } => format!("user manager of {user} masked"),
        Step::ModifyAccount { name, .. } => format!("account {name} altered"),
        Step::DisableAccount { user } => format!("account {user} closed"),
        Step::EnableAccount { user, .. } => format!("account {user} opened"),
        Step::DeleteAccount { user, .. } => format!("account {user} removed"),
        Step::RestoreAccount { user, .. } => format!("account {user} given back"),
        Step::WriteKeys { user, .. } => format!("keys of {user} written"),
        Step::SetPassword { user, .. } => format!("password of {user} set"),
        Step::CreateGroup { name, .. } => format!("group {name} made"),
        Step::DeleteGroup { name } => format!("group {name} removed"),
        Step::WriteTree => "tree written".to_owned(),
        Step::RemoveTree { .. } => "tree removed".to_owned(),
        Step::InstallSnippet { .. } => "sshd snippet written".to_owned(),
        Step::WriteCommonSnippet(_) => "sshd settings of all jails written".to_owned(),
        Step::RemoveCommonSnippet(_) => "sshd settings of all jails removed".to_owned(),
        Step::RemoveSnippet { .. } => "sshd snippet removed".to_owned(),
        Step::WritePolicy { .. } => "session policy written".to_owned(),
        Step::RepairNetwork { .. } => "network mended".to_owned(),
        Step::RemovePolicy => "session policy removed".to_owned(),
        Step::WritePamService(_) | Step::RemovePamService(_) => "PAM stack changed".to_owned(),
        Step::CreateRoot
        | Step::RequireEmpty { .. }
        | Step::VerifySnippet
        | Step::WriteManifest
        | Step::EndSessions { .. }
        | Step::DeleteRecords => return None,
    })
}

//! What the system log is told of a plan that was carried out.

use crate::plan::{Plan, Step};

/// One line for a jail whose accounts, tree or snippet changed; `None` for one where nothing did.
pub(super) fn line(plan: &Plan) -> Option<String> {
    let mut deeds: Vec<String> = plan.steps.iter().filter_map(deed).collect();
    deeds.dedup();
    let what = if plan.removal.is_some() {
        "removed"
    } else {
        "changed"
    };
    (!deeds.is_empty()).then(|| format!("jail {} {what}: {}", plan.name, deeds.join(", ")))
}

fn deed(step: &Step) -> Option<String> {
    Some(match step {
        Step::MakeAccount(account) => format!("account {} made", account.name),
        Step::MaskUserManager { user, .. } => format!("user manager of {user} masked"),
        Step::AlterAccount { name, .. } => format!("account {name} altered"),
        Step::Close { user } => format!("account {user} closed"),
        Step::Open { user, .. } => format!("account {user} opened"),
        Step::DeleteAccount { user, .. } => format!("account {user} removed"),
        Step::Release { user, .. } => format!("account {user} given back"),
        Step::WriteKeys { user, .. } => format!("keys of {user} written"),
        Step::SetPassword { user, .. } => format!("password of {user} set"),
        Step::MakeGroup { name, .. } => format!("group {name} made"),
        Step::DeleteGroup { name } => format!("group {name} removed"),
        Step::WriteTree => "tree written".to_owned(),
        Step::RemoveTree { .. } => "tree removed".to_owned(),
        Step::InstallSnippet { .. } => "sshd snippet written".to_owned(),
        Step::WriteCommon(_) => "sshd settings of all jails written".to_owned(),
        Step::RemoveCommon(_) => "sshd settings of all jails removed".to_owned(),
        Step::RemoveSnippet { .. } => "sshd snippet removed".to_owned(),
        Step::WritePolicy { .. } => "session policy written".to_owned(),
        Step::MendNetwork { .. } => "network mended".to_owned(),
        Step::RemovePolicy => "session policy removed".to_owned(),
        Step::WriteStack(_) | Step::LeaveStack(_) => "PAM stack changed".to_owned(),
        Step::MakeRoot
        | Step::FindNobody { .. }
        | Step::VerifySnippet
        | Step::Record
        | Step::EndSessions { .. }
        | Step::Forget => return None,
    })
}

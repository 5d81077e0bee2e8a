//! The line of the system log about an applied plan.

use crate::plan::Plan;

/// The line about a jail whose accounts, tree or files changed; `None` where none did.
pub(super) fn audit_line(plan: &Plan) -> Option<String> {
    let steps = plan.steps.iter();
    let mut changes: Vec<String> = steps.filter_map(|step| step.text().audit).collect();
    changes.dedup();
    let verb = if plan.removal.is_some() {
        "removed"
    } else {
        "changed"
    };
    let jail = &plan.name;
    (!changes.is_empty()).then(|| format!("jail {jail} {verb}: {}", changes.join(", ")))
}

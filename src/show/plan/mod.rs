//! A plan, told: as a page for people and as JSON for programs. Both are forms of the same [`StepSummary`]s, so that they tell the same story.

mod collapse;
mod json;
mod summary;
mod text;

pub use json::json;
pub use text::text;

use crate::plan::Step;

/// What a step does, for those who watch.
pub fn progress(step: &Step) -> Option<String> {
    match step {
        Step::WriteTree => Some("writing the tree".to_owned()),
        Step::InstallSnippet { file, .. } => Some(format!("verifying and installing {file}")),
        Step::VerifySnippet => Some("verifying the sshd snippet".to_owned()),
        Step::WriteManifest => None,
        other => summary::of_step(other).map(|deed| {
            let sign = text::symbol(deed.act);
            format!("{sign} {} {}", deed.step, deed.does)
        }),
    }
}

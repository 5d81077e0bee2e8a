//! Plans as JSON, for `plan --json` and all commands that apply plans: one object, with the fields
//! that configuration managers read (`changed`, `diff`, `warnings`).

use serde_json::{Value, json};

use super::paths::{Totals, path_summaries};
use crate::plan::{ChangeKind, Plan, Step, WaysIn};
use crate::show::session_view::session_json;

/// The JSON object about plans, applied or not, with notices of their run.
pub fn json(plans: &[&Plan], warnings: &[String]) -> Value {
    let jails: Vec<Value> = plans.iter().map(|plan| jail(plan)).collect();
    let notices = plans.iter().flat_map(|plan| &plan.notices).chain(warnings);
    json!({
        "schema": 1,
        "changed": plans.iter().any(|plan| plan.is_change()),
        "jails": jails,
        "warnings": notices.collect::<Vec<_>>(),
    })
}

fn jail(plan: &Plan) -> Value {
    let paths = path_summaries(plan);
    let totals = Totals::of(&paths);
    let mut steps = Vec::new();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let ways_in = plan.ways_in();
    if let Some(ways) = ways_in.filter(|ways| ways.before.is_none() || ways.is_change()) {
        let line = |access| format!("ways in: {}", WaysIn::list(access));
        before.extend(ways.before.map(line));
        after.push(line(ways.after));
    }
    for step in &plan.steps {
        if matches!(step, Step::WriteTree { .. }) {
            steps.push(json!({ "step": "tree", "changes": paths, "totals": totals }));
        } else if let Some(summary) = step.text().summary {
            steps.push(json!({ "step": summary.subject, "detail": summary.detail }));
            before.extend(summary.before);
            after.extend(summary.after);
        }
    }
    for summary in &paths {
        let path = summary.path.to_string();
        if summary.kind != ChangeKind::Add {
            let reason = summary.reason.map(|reason| format!(" ({reason})"));
            before.push(format!("{path}{}", reason.unwrap_or_default()));
        }
        if summary.kind != ChangeKind::Remove {
            after.push(path);
        }
    }
    if let Some((from, to)) = &plan.snippet {
        let lines = |text: &String| text.lines().map(str::to_owned).collect::<Vec<_>>();
        before.extend(from.iter().flat_map(lines));
        after.extend(to.iter().flat_map(lines));
    }
    let join =
        |lines: Vec<String>| -> String { lines.iter().flat_map(|line| [line, "\n"]).collect() };
    json!({
        "name": plan.name,
        "root": plan.root,
        "changed": plan.is_change(),
        "ways_in": ways_in.map(|ways| ways.after),
        "session": session_json(plan.target.as_ref().and_then(|to| to.jail.session.as_ref())),
        "packages": plan.target.as_ref().map(|target| &target.jail.packages),
        "steps": steps,
        "diff": { "before": join(before), "after": join(after) },
    })
}

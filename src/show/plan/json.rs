//! `build --json`, `plan --json` and `remove --json`: one object, in the shape that a configuration manager hands through.

use serde_json::{Value, json};

use super::summary::{StepSummary, Totals, of_paths, of_step};
use crate::plan::{ChangeKind, Plan, Step, WaysIn};

/// What plans do, or did.
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
    let paths = of_paths(plan);
    let sum = Totals::of(&paths);
    let mut steps = Vec::new();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let ways_in = plan.ways_in();
    if let Some(ways) = ways_in.filter(|ways| ways.before.is_none() || ways.is_change()) {
        let line = |doors| format!("ways in: {}", WaysIn::list(doors));
        before.extend(ways.before.map(line));
        after.push(line(ways.after));
    }
    for step in &plan.steps {
        if *step == Step::WriteTree {
            steps.push(json!({ "step": "tree", "changes": paths, "totals": sum }));
        } else if let Some(deed) = of_step(step) {
            let StepSummary { step, does, .. } = &deed;
            steps.push(json!({ "step": step, "detail": does }));
            before.extend(deed.before);
            after.extend(deed.after);
        }
    }
    for deed in &paths {
        let path = deed.path.to_string();
        if deed.act != ChangeKind::Add {
            let because = deed.because.map(|because| format!(" ({because})"));
            before.push(format!("{path}{}", because.unwrap_or_default()));
        }
        if deed.act != ChangeKind::Remove {
            after.push(path);
        }
    }
    if let Some((was, is)) = &plan.snippet {
        before.extend(was.iter().flat_map(|text| text.lines().map(str::to_owned)));
        after.extend(is.iter().flat_map(|text| text.lines().map(str::to_owned)));
    }
    let whole =
        |lines: Vec<String>| -> String { lines.iter().flat_map(|line| [line, "\n"]).collect() };
    json!({
        "name": plan.name,
        "root": plan.root,
        "changed": plan.is_change(),
        "ways_in": ways_in.map(|ways| ways.after),
        "steps": steps,
        "diff": { "before": whole(before), "after": whole(after) },
    })
}

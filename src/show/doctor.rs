//! Output of `doctor`: problems with their fixes.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::style::{Style, Styler};
use crate::doctor::Problem;
use crate::spec::display::visible;

/// Problems of `subject` as text. `ok` is the summary without problems, `failed` the summary with
/// problems.
pub fn text(subject: &str, ok: &str, failed: &str, problems: &[Problem], paint: Styler) -> String {
    if problems.is_empty() {
        return format!("{subject}: {}\n", paint.apply(Style::Good, ok));
    }
    let mut text = String::new();
    let out = &mut text;
    let count = super::count(problems.len(), "problem", "problems");
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(
        out,
        "{}",
        paint.apply(Style::Strong, &format!("{subject}: {failed}, {count}"))
    );
    for problem in problems {
        let line: String = problem.finding.to_string().chars().map(visible).collect();
        let _ = writeln!(out, "  {} {line}", paint.apply(Style::Bad, "-"));
        for hint in &problem.finding.hints {
            let hint: String = hint.chars().map(visible).collect();
            let _ = writeln!(out, "    -> {hint}");
        }
    }
    text
}

/// Output of `doctor --json`.
pub fn json(user: Option<&str>, jail: Option<&str>, problems: &[Problem]) -> Value {
    let problems: Vec<Value> = problems
        .iter()
        .map(|problem| {
            json!({
                "code": problem.code,
                "what": problem.finding.what,
                "why": problem.finding.why,
                "fix": problem.finding.hints,
            })
        })
        .collect();
    json!({ "schema": 1, "user": user, "jail": jail, "ok": problems.is_empty(), "problems": problems })
}

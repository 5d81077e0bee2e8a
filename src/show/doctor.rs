//! What keeps somebody out, or a host from having jails: each reason with its mend.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::style::{Style, Styler};
use crate::doctor::Problem;
use crate::spec::display::visible;

/// Reasons as text, one after the other. `about` is who or what was looked at; `fine` is said where there is none, and `wrong` where there are some.
pub fn text(about: &str, fine: &str, wrong: &str, reasons: &[Problem], paint: Styler) -> String {
    if reasons.is_empty() {
        return format!("{about}: {}\n", paint.apply(Style::Good, fine));
    }
    let mut text = String::new();
    let out = &mut text;
    let count = super::count(reasons.len(), "reason", "reasons");
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(
        out,
        "{}",
        paint.apply(Style::Strong, &format!("{about}: {wrong}, for {count}"))
    );
    for reason in reasons {
        let said: String = reason.finding.to_string().chars().map(visible).collect();
        let _ = writeln!(out, "  {} {said}", paint.apply(Style::Bad, "-"));
        for hint in &reason.finding.hints {
            let hint: String = hint.chars().map(visible).collect();
            let _ = writeln!(out, "    -> {hint}");
        }
    }
    text
}

/// `doctor --json`.
pub fn json(user: Option<&str>, jail: Option<&str>, problems: &[Problem]) -> Value {
    let problems: Vec<Value> = problems
        .iter()
        .map(|reason| {
            json!({
                "code": reason.code,
                "what": reason.finding.what,
                "why": reason.finding.why,
                "fix": reason.finding.hints,
            })
        })
        .collect();
    json!({ "schema": 1, "user": user, "jail": jail, "ok": problems.is_empty(), "problems": problems })
}

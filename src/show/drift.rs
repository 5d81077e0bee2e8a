//! Output of `check`, as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json as object};

use super::style::{Style, Styler};
use crate::names::JailName;
use crate::plan::Difference;

/// Result for one jail.
#[derive(Debug)]
pub struct Checked {
    /// Name of the jail.
    pub jail: JailName,
    /// Differences between the host and the records.
    pub differences: Vec<Difference>,
}

/// One line per jail, and one per difference below it.
pub fn text(checked: &[Checked], paint: Styler) -> String {
    let mut text = String::new();
    for one in checked {
        let state = if one.differences.is_empty() {
            "unchanged".to_owned()
        } else {
            super::count(one.differences.len(), "difference", "differences")
        };
        // Writing to a String cannot fail.
        let name = paint.apply(Style::Strong, one.jail.as_str());
        let _ = writeln!(text, "{name}: {state}");
        for difference in &one.differences {
            let _ = writeln!(
                text,
                "  {}: {}",
                paint.apply(Style::Warning, &difference.name.escape_debug().to_string()),
                difference.text
            );
        }
    }
    text
}

/// Output of `check --json`.
pub fn json(checked: &[Checked], warnings: &[String]) -> Value {
    let jails: Vec<Value> = checked
        .iter()
        .map(|one| {
            object!({
                "name": one.jail,
                "clean": one.differences.is_empty(),
                "differences": one.differences,
            })
        })
        .collect();
    object!({
        "schema": 1,
        "clean": checked.iter().all(|one| one.differences.is_empty()),
        "jails": jails,
        "warnings": warnings,
    })
}

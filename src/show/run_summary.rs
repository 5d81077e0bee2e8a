//! The lines about the jails of a run that changed the host: one for each, or few for many.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::count;
use crate::names::JailName;

/// Most jails of a family, and most unchanged jails, that have a line each.
const MOST: usize = 8;

/// The effect of a run on a jail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The jail was built or changed.
    Built,
    /// The jail was removed.
    Removed,
    /// Nothing had to be done.
    Unchanged,
}

/// The line about one jail.
#[derive(Clone, Debug)]
pub struct JailLine {
    /// Name of the jail.
    pub jail: JailName,
    /// Effect of the run.
    pub outcome: Outcome,
    /// The line, without the name and without a newline.
    pub text: String,
}

/// The lines of a run in their order. Without `all`, a large family has the lines of its changed
/// jails, if these are few, and one with numbers; many other unchanged jails have one line.
pub fn run_summary(lines: &[JailLine], all: bool) -> String {
    let mut families: BTreeMap<&str, Vec<&JailLine>> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.jail.is_member()) {
        let family = families.entry(line.jail.family_name()).or_default();
        family.push(line);
    }
    families.retain(|_, members| !all && members.len() > MOST);
    let is_alone = |line: &&JailLine| !families.contains_key(line.jail.family_name());
    let is_unchanged = |line: &&JailLine| line.outcome == Outcome::Unchanged;
    let unchanged = lines.iter().filter(is_alone).filter(is_unchanged).count();
    let folds_unchanged = !all && unchanged > MOST;
    let mut text = String::new();
    // Writing to a String cannot fail, here and below.
    for line in lines.iter().filter(is_alone) {
        if !(folds_unchanged && is_unchanged(&line)) {
            let _ = writeln!(text, "{}: {}", line.jail, line.text);
        }
    }
    for (name, members) in families {
        let changed: Vec<&&JailLine> = members.iter().filter(|line| !is_unchanged(line)).collect();
        if changed.len() <= MOST {
            for line in &changed {
                let _ = writeln!(text, "{}: {}", line.jail, line.text);
            }
        }
        let _ = writeln!(text, "{name}: {}", numbers(&members));
    }
    if folds_unchanged {
        let jails = count(unchanged, "jail", "jails");
        let _ = writeln!(text, "{jails}: nothing to do");
    }
    text
}

/// `1 built, 1 removed, 48 unchanged`.
fn numbers(members: &[&JailLine]) -> String {
    let parts = [
        (Outcome::Built, "built"),
        (Outcome::Removed, "removed"),
        (Outcome::Unchanged, "unchanged"),
    ];
    let parts = parts.into_iter().filter_map(|(outcome, word)| {
        let its = members
            .iter()
            .filter(|line| line.outcome == outcome)
            .count();
        (its > 0).then(|| format!("{its} {word}"))
    });
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(names: impl IntoIterator<Item = String>, outcome: Outcome) -> Vec<JailLine> {
        let text = match outcome {
            Outcome::Built => "built at /srv",
            Outcome::Removed => "removed",
            Outcome::Unchanged => "nothing to do",
        };
        (names.into_iter())
            .map(|name| JailLine {
                jail: JailName::parse(&name).expect("a name"),
                outcome,
                text: text.to_owned(),
            })
            .collect()
    }

    #[test]
    fn a_large_family_has_one_line_with_numbers() {
        let member = |number: usize| format!("acme.u{number}");
        let mut all = lines([member(0)], Outcome::Removed);
        all.extend(lines([member(1)], Outcome::Built));
        all.extend(lines((2..50).map(member), Outcome::Unchanged));
        all.extend(lines(["web".to_owned()], Outcome::Unchanged));
        assert_eq!(
            run_summary(&all, false),
            "web: nothing to do\nacme.u0: removed\nacme.u1: built at /srv\nacme: 1 built, 1 removed, 48 unchanged\n"
        );
        assert_eq!(run_summary(&all, true).lines().count(), 51);
        let new = lines((0..50).map(member), Outcome::Built);
        assert_eq!(run_summary(&new, false), "acme: 50 built\n");
    }

    #[test]
    fn many_unchanged_jails_have_one_line() {
        let mut all = lines(
            (0..20).map(|number| format!("j{number}")),
            Outcome::Unchanged,
        );
        all.extend(lines(["web".to_owned()], Outcome::Built));
        assert_eq!(
            run_summary(&all, false),
            "web: built at /srv\n20 jails: nothing to do\n"
        );
        let few = lines(["a", "b"].map(str::to_owned), Outcome::Unchanged);
        assert_eq!(
            run_summary(&few, false),
            "a: nothing to do\nb: nothing to do\n"
        );
    }
}

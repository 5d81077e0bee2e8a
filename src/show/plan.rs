//! A plan as a page for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::host::Expiry;
use crate::plan::{Act, Change, Plan, Step};
use crate::resolve::{Content, EntryKind, Tree};
use crate::spec::{Day, Password};

/// More changed paths than this are counted, not listed, unless asked for.
const LISTED: usize = 60;

/// The plan as text. `all` lists every path.
pub fn text(plan: &Plan, all: bool) -> String {
    let mut text = String::new();
    let out = &mut text;
    // Writing to a String cannot fail, here and below.
    if !plan.is_change() {
        let _ = writeln!(out, "{}: nothing to do", plan.name);
        return text;
    }
    let _ = writeln!(out, "{} at {}", plan.name, plan.root.display());
    for step in &plan.steps {
        match step {
            Step::WriteTree => tree(plan, all, out),
            Step::InstallSnippet { file, .. } => {
                let sign = if plan
                    .snippet
                    .as_ref()
                    .is_some_and(|(before, _)| before.is_some())
                {
                    '~'
                } else {
                    '+'
                };
                let _ = writeln!(
                    out,
                    "  {sign} sshd     {}/{file}",
                    crate::host::sshd::DROP_INS
                );
                snippet(plan, out);
            }
            other => {
                if let Some((sign, what, rest)) = line(other) {
                    let _ = writeln!(out, "  {sign} {what:<8} {rest}");
                }
            }
        }
    }
    for notice in &plan.notices {
        let _ = writeln!(out, "  ! {notice}");
    }
    text
}

/// Sign, kind and text of a step that one line says all of; `None` for what nobody needs to read.
fn line(step: &Step) -> Option<(char, &'static str, String)> {
    Some(match step {
        Step::Close { user } => (
            '~',
            "account",
            format!("{user}: closed, its keys taken away"),
        ),
        Step::MakeRoot => ('+', "root", "made, root's alone".to_owned()),
        Step::MakeGroup { name, gid } => ('+', "group", format!("{name} (gid {gid})")),
        Step::MakeAccount(account) => (
            '+',
            "account",
            format!(
                "{} (uid {}), home {}, shell {}",
                account.name, account.uid, account.home, account.shell
            ),
        ),
        Step::AlterAccount { name, to, .. } => (
            '~',
            "account",
            format!(
                "{name}: gid {}, home {}, shell {}",
                to.gid, to.home, to.shell
            ),
        ),
        Step::WriteKeys { user, text } => (
            '~',
            "keys",
            format!(
                "{user}: {}",
                super::count(text.lines().count(), "key", "keys")
            ),
        ),
        Step::SetPassword { user, password } => {
            let what = if *password == Password::Locked {
                "locked"
            } else {
                "set"
            };
            ('~', "password", format!("{user}: {what}"))
        }
        Step::Open { user, until } => {
            let until = match until {
                Expiry::Day(day) => format!(" before {}", Day(*day)),
                Expiry::Never | Expiry::Closed => String::new(),
            };
            ('~', "account", format!("{user}: may log in{until}"))
        }
        Step::DeleteAccount { user, uid, .. } => ('-', "account", format!("{user} (uid {uid})")),
        Step::RemoveTree { purge: true } => {
            ('-', "tree", "all of the root, homes included".to_owned())
        }
        Step::RemoveTree { purge: false } => ('-', "tree", "what was built; homes stay".to_owned()),
        Step::DeleteGroup { name } => ('-', "group", name.clone()),
        Step::RemoveSnippet { file } => (
            '-',
            "sshd",
            format!("{}/{file}", crate::host::sshd::DROP_INS),
        ),
        Step::Forget => ('-', "records", "of the jail".to_owned()),
        Step::EndSessions { kill: true, .. } => ('-', "sessions", "ended".to_owned()),
        Step::EndSessions { .. }
        | Step::WriteTree
        | Step::InstallSnippet { .. }
        | Step::VerifySnippet
        | Step::Record => {
            return None;
        }
    })
}

/// What a step does, for those who watch.
pub fn progress(step: &Step) -> Option<String> {
    match step {
        Step::WriteTree => Some("writing the tree".to_owned()),
        Step::InstallSnippet { file, .. } => Some(format!("verifying and installing {file}")),
        Step::VerifySnippet => Some("verifying the sshd snippet".to_owned()),
        Step::Record => None,
        other => line(other).map(|(sign, what, rest)| format!("{sign} {what} {rest}")),
    }
}

fn tree(plan: &Plan, all: bool, out: &mut String) {
    let of = |act: Act| {
        plan.changes
            .iter()
            .filter(move |change| change.act == act)
            .count()
    };
    let size = plan
        .wanted
        .as_ref()
        .map_or(0, |wanted| tree_size(&wanted.jail.tree, &plan.changes));
    let _ = writeln!(
        out,
        "  ~ tree     {} added, {} changed, {} removed; {} of files",
        of(Act::Add),
        of(Act::Change),
        of(Act::Remove),
        super::bytes(size)
    );
    let listed = if all || plan.changes.len() <= LISTED {
        plan.changes.as_slice()
    } else {
        &[]
    };
    for change in listed {
        let sign = match change.act {
            Act::Add => '+',
            Act::Change => '~',
            Act::Remove => '-',
        };
        let because = change
            .because
            .as_ref()
            .map(|because| format!(": {because}"))
            .unwrap_or_default();
        let _ = writeln!(out, "      {sign} {}{because}", change.path);
    }
    if listed.len() < plan.changes.len() {
        let _ = writeln!(out, "      (`--verbose` lists them)");
    }
}

/// Bytes of the files that are made or made anew.
fn tree_size(tree: &Tree, changes: &[Change]) -> u64 {
    let size = |change: &Change| match tree.get(&change.path).map(|entry| &entry.kind) {
        Some(EntryKind::File(Content::Host { stat, .. })) => stat.size,
        Some(EntryKind::File(Content::Text(text))) => text.len() as u64,
        _ => 0,
    };
    changes
        .iter()
        .filter(|change| change.act != Act::Remove)
        .map(size)
        .sum()
}

fn snippet(plan: &Plan, out: &mut String) {
    let Some((before, after)) = &plan.snippet else {
        return;
    };
    let lines = |text: &Option<String>| -> Vec<String> {
        text.iter()
            .flat_map(|text| text.lines().map(str::to_owned))
            .collect()
    };
    let (before, after) = (lines(before), lines(after));
    for line in before.iter().filter(|line| !after.contains(line)) {
        let _ = writeln!(out, "      -{line}");
    }
    for line in after.iter().filter(|line| !before.contains(line)) {
        let _ = writeln!(out, "      +{line}");
    }
}

/// `build --json` and `plan --json`: one object, in the shape that a configuration manager hands through.
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
    let steps: Vec<Value> = plan
        .steps
        .iter()
        .filter(|step| step.is_change())
        .map(|step| match step {
            Step::WriteTree => json!({ "step": "tree", "changes": plan.changes }),
            Step::InstallSnippet { file, .. } => {
                json!({ "step": "sshd", "does": format!("{file} written") })
            }
            other => {
                let (_, what, does) = line(other).unwrap_or((' ', "other", String::new()));
                json!({ "step": what, "does": does })
            }
        })
        .collect();
    let side = |skip: Act, snippet: Option<&String>| {
        let mut text = String::new();
        for change in plan.changes.iter().filter(|change| change.act != skip) {
            let because = change
                .because
                .as_ref()
                .filter(|_| skip == Act::Add)
                .map(|because| format!(" ({because})"));
            let _ = writeln!(text, "{}{}", change.path, because.unwrap_or_default());
        }
        text.push_str(snippet.map_or("", String::as_str));
        text
    };
    let (before, after) = plan
        .snippet
        .as_ref()
        .map_or((None, None), |(before, after)| {
            (before.as_ref(), after.as_ref())
        });
    json!({
        "name": plan.name,
        "root": plan.root,
        "changed": plan.is_change(),
        "steps": steps,
        "diff": { "before": side(Act::Add, before), "after": side(Act::Remove, after) },
    })
}

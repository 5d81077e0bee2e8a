//! A plan as a page for people.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use super::collapse::{Item, items};
use super::summary::{PathSummary, Totals, of_paths, of_step};
use crate::plan::{ChangeKind, Plan, Step, WaysIn};
use crate::show::style::{Style, Styler};
use crate::show::{bytes, count};
use crate::spec::display::visible;

/// About as many lines as the paths of a plan get, unless all are asked for.
const LISTED: usize = 40;
/// Lines of the snippet that are shown around those that change.
const CONTEXT: usize = 2;

/// The plan as text. `all` lists every path.
pub fn text(plan: &Plan, all: bool, paint: Styler) -> String {
    let mut page = Page {
        text: String::new(),
        paint,
    };
    if plan.is_change() {
        page.plan(plan, all);
    } else {
        page.line(&format!("{}: nothing to do", plan.name));
        page.ways_in(plan);
    }
    for notice in plan.notices.iter().chain(&plan.exposure()) {
        page.line(&format!("  {} {notice}", paint.apply(Style::Warning, "!")));
    }
    if plan.is_change() {
        page.line(&summary(plan));
    }
    page.text
}

/// The sign of a deed.
pub(super) fn symbol(act: ChangeKind) -> char {
    match act {
        ChangeKind::Add => '+',
        ChangeKind::Change => '~',
        ChangeKind::Remove => '-',
    }
}

fn style(act: ChangeKind) -> Style {
    match act {
        ChangeKind::Add => Style::Good,
        ChangeKind::Change => Style::Warning,
        ChangeKind::Remove => Style::Bad,
    }
}

struct Page {
    text: String,
    paint: Styler,
}

impl Page {
    fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    fn deed(&mut self, act: ChangeKind, step: &str, does: &str) {
        let sign = self.paint.apply(style(act), &symbol(act).to_string());
        self.line(&format!("  {sign} {step:<8} {does}"));
    }

    fn plan(&mut self, plan: &Plan, all: bool) {
        let title = format!("{} at {}", plan.name, plan.root.display());
        let title = self.paint.apply(Style::Strong, &title);
        self.line(&title);
        self.ways_in(plan);
        let made = |user: &Option<String>| {
            let is_it = |step: &Step| matches!(step, Step::CreateAccount(account) if Some(&account.name) == user.as_ref());
            plan.steps.iter().any(is_it)
        };
        for step in &plan.steps {
            match step {
                Step::WriteTree => self.tree(&of_paths(plan), all),
                Step::InstallSnippet { file, .. } => {
                    let is_new = plan.snippet.as_ref().is_some_and(|(was, _)| was.is_none());
                    let act = if is_new {
                        ChangeKind::Add
                    } else {
                        ChangeKind::Change
                    };
                    self.deed(
                        act,
                        "sshd",
                        &format!("{}/{file}", crate::layout::SSHD_CONFIG_DIR),
                    );
                    self.snippet(plan);
                }
                Step::WritePamService(edit)
                | Step::RemovePamService(edit)
                | Step::WriteCommonSnippet(edit) => {
                    if let Some(deed) = of_step(step) {
                        self.deed(deed.act, deed.step, &deed.does);
                    }
                    // A refusal is one line, the same in each service.
                    if !edit.is_refusal() {
                        let text = |text: &Option<String>| text.clone().unwrap_or_default();
                        self.lines(&text(&edit.from), &text(&edit.to));
                    }
                }
                Step::WritePolicy {
                    rules: Some((was, to)),
                    ..
                } => {
                    if let Some(deed) = of_step(step) {
                        self.deed(deed.act, deed.step, &deed.does);
                    }
                    let name = format!("rules of the jail's network: jailctl-{}", plan.name);
                    self.deed(ChangeKind::Change, "nft", &name);
                    self.lines(was, to);
                }
                other => {
                    let Some(mut deed) = of_step(other) else {
                        continue;
                    };
                    if let (Step::RemoveTree { .. }, Some(manifest)) = (other, &plan.manifest) {
                        let paths = manifest.entries.len();
                        let does = count_and_size(paths, crate::show::jail_list::size(manifest));
                        deed.does = format!("{}: {does}", deed.does);
                    }
                    if let Step::CreateAccount(account) = other {
                        let does = format!("{}{}", deed.does, account_extras(plan, &account.name));
                        self.deed(deed.act, deed.step, &does);
                    } else if !made(&deed.user) {
                        self.deed(deed.act, deed.step, &deed.does);
                    }
                }
            }
        }
    }

    /// The ways into the jail, with those of before where they change.
    fn ways_in(&mut self, plan: &Plan) {
        let Some(ways) = plan.ways_in() else { return };
        let after = WaysIn::list(ways.after);
        match ways.before {
            Some(before) if ways.is_change() => {
                let before = WaysIn::list(before);
                self.deed(
                    ChangeKind::Change,
                    "ways in",
                    &format!("{after} (before: {before})"),
                );
            }
            _ if plan.manifest.is_some() => self.line(&format!("    {:<8} {after}", "ways in")),
            _ => self.deed(ChangeKind::Add, "ways in", &after),
        }
    }

    fn tree(&mut self, paths: &[PathSummary<'_>], all: bool) {
        let sum = Totals::of(paths);
        let act = match (sum.changed, sum.added, sum.removed) {
            (0, _, 0) => ChangeKind::Add,
            (0, 0, _) => ChangeKind::Remove,
            _ => ChangeKind::Change,
        };
        self.deed(act, "tree", &totals_text(sum));
        let most = if all { usize::MAX } else { LISTED };
        let mut hidden = false;
        for item in items(paths, most) {
            match item {
                Item::Path(deed) => self.path(deed),
                Item::Below(directory, below) => {
                    hidden = true;
                    let sum = Totals::of(below.iter().copied());
                    let act = below[0].act;
                    let (act, said) = if below.iter().all(|deed| deed.act == act) {
                        (act, count_and_size(below.len(), sum.written + sum.freed))
                    } else {
                        (ChangeKind::Change, totals_text(sum))
                    };
                    let sign = self.paint.apply(style(act), &symbol(act).to_string());
                    self.line(&format!("      {sign} {directory}/…  {said}"));
                }
            }
        }
        if hidden {
            let hint = self
                .paint
                .apply(Style::Faint, "(`--verbose` lists every path)");
            self.line(&format!("      {hint}"));
        }
    }

    fn path(&mut self, deed: &PathSummary<'_>) {
        let sign = self
            .paint
            .apply(style(deed.act), &symbol(deed.act).to_string());
        let slash = if deed.is_directory { "/" } else { "" };
        let mut line = format!("      {sign} {}{slash}", deed.path);
        if let Some(target) = &deed.link {
            let _ = write!(line, " -> {}", target.escape_debug());
        }
        if let Some(size) = deed.size {
            let _ = write!(line, "  {}", bytes(size));
        }
        if let Some(because) = deed.because {
            let _ = write!(line, ": {because}");
        }
        self.line(&line);
    }

    fn snippet(&mut self, plan: &Plan) {
        let Some((was, is)) = &plan.snippet else {
            return;
        };
        self.lines(
            was.as_deref().unwrap_or_default(),
            is.as_deref().unwrap_or_default(),
        );
    }

    /// The lines that come and go, with those around them.
    fn lines(&mut self, was: &str, is: &str) {
        let diff = TextDiff::from_lines(was, is);
        for (index, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
            if index > 0 {
                self.line("       …");
            }
            for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                let line: String = change.value().trim_end().chars().map(visible).collect();
                let shown = match change.tag() {
                    ChangeTag::Equal => format!(" {line}"),
                    ChangeTag::Insert => self.paint.apply(Style::Good, &format!("+{line}")),
                    ChangeTag::Delete => self.paint.apply(Style::Bad, &format!("-{line}")),
                };
                self.line(&format!("      {shown}"));
            }
        }
    }
}

/// What a new account gets besides itself, as the end of its line.
fn account_extras(plan: &Plan, user: &str) -> String {
    let mut text = String::new();
    let steps = plan.steps.iter().filter_map(of_step);
    for deed in steps.filter(|deed| deed.user.as_deref() == Some(user)) {
        let what = deed
            .does
            .strip_prefix(user)
            .and_then(|rest| rest.strip_prefix(": "));
        match (deed.step, what) {
            ("keys", Some(keys)) => text.extend([", ", keys]),
            ("password", Some("set")) => text.push_str(", a password"),
            ("account", Some(until)) if until != "may log in" => {
                text.extend([", ", until]);
            }
            _ => {}
        }
    }
    text
}

/// `3 paths, 1.2 MiB`.
fn count_and_size(paths: usize, size: u64) -> String {
    let mut text = count(paths, "path", "paths");
    if size > 0 {
        let _ = write!(text, ", {}", bytes(size));
    }
    text
}

/// `3 added, 1 removed; 1.2 MiB to write; 4.0 KiB freed`.
fn totals_text(sum: Totals) -> String {
    let mut parts = Vec::new();
    if sum.added > 0 {
        parts.push(format!("{} added", sum.added));
    }
    if sum.changed > 0 {
        parts.push(format!("{} changed", sum.changed));
    }
    if sum.removed > 0 {
        parts.push(format!("{} removed", sum.removed));
    }
    let mut text = parts.join(", ");
    if sum.written > 0 {
        let _ = write!(text, "; {} to write", bytes(sum.written));
    }
    if sum.freed > 0 {
        let _ = write!(text, "; {} freed", bytes(sum.freed));
    }
    text
}

/// The last line of a page: what the lines above come to.
fn summary(plan: &Plan) -> String {
    let mut parts = Vec::new();
    let paths = Totals::of(&of_paths(plan));
    if paths != Totals::default() {
        parts.push(totals_text(paths));
    }
    let steps = |wanted: fn(&Step) -> bool| plan.steps.iter().filter(|step| wanted(step)).count();
    for (number, deed) in [
        (steps(|step| matches!(step, Step::CreateAccount(_))), "made"),
        (
            steps(|step| matches!(step, Step::ModifyAccount { .. })),
            "changed",
        ),
        (
            steps(|step| matches!(step, Step::DeleteAccount { .. })),
            "deleted",
        ),
    ] {
        if number > 0 {
            parts.push(format!("{} {deed}", count(number, "account", "accounts")));
        }
    }
    let is_common = |step: &Step| {
        matches!(
            step,
            Step::WriteCommonSnippet(_) | Step::RemoveCommonSnippet(_)
        )
    };
    if plan.snippet.is_some() || plan.steps.iter().any(is_common) {
        parts.push("sshd reads its configuration anew".to_owned());
    }
    let what = if parts.is_empty() {
        "as above".to_owned()
    } else {
        parts.join("; ")
    };
    format!("{}: {what}. Nothing has been done yet.", plan.name)
}

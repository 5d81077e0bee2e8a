//! A plan as text.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use super::collapse::{Item, items};
use super::paths::{PathSummary, Totals, path_summaries};
use crate::plan::{AccountPart, ChangeKind, Plan, Step, StepSummary, WaysIn};
use crate::show::style::{Style, Styler};
use crate::show::{bytes, count};
use crate::spec::Day;
use crate::spec::display::visible;

/// About the number of lines for the paths of a plan, without `--verbose`.
const LISTED: usize = 40;
/// Number of unchanged lines that are shown around changed ones of a file.
const CONTEXT: usize = 2;

/// The plan as text. `all` lists every path.
pub(super) fn text(plan: &Plan, all: bool, paint: Styler) -> String {
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

/// The symbol before a line.
pub(super) fn symbol(kind: ChangeKind) -> char {
    match kind {
        ChangeKind::Add => '+',
        ChangeKind::Change => '~',
        ChangeKind::Remove => '-',
    }
}

fn style(kind: ChangeKind) -> Style {
    match kind {
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

    fn step(&mut self, kind: ChangeKind, subject: &str, detail: &str) {
        let symbol = self.paint.apply(style(kind), &symbol(kind).to_string());
        self.line(&format!("  {symbol} {subject:<8} {detail}"));
    }

    fn summary(&mut self, summary: &StepSummary) {
        self.step(summary.kind, summary.subject, &summary.detail);
    }

    fn plan(&mut self, plan: &Plan, all: bool) {
        let title = format!("{} at {}", plan.name, plan.root.display());
        let title = self.paint.apply(Style::Strong, &title);
        self.line(&title);
        self.ways_in(plan);
        let summaries: Vec<(&Step, Option<StepSummary>)> = (plan.steps.iter())
            .map(|step| (step, step.text().summary))
            .collect();
        let is_created = |user: &str| {
            let mut steps = plan.steps.iter();
            steps.any(|step| matches!(step, Step::CreateAccount(account) if account.name == user))
        };
        for (step, summary) in &summaries {
            if let Step::WriteTree { .. } = step {
                self.packages(plan);
                self.tree(&path_summaries(plan), all);
            }
            let Some(summary) = summary else {
                continue;
            };
            match step {
                Step::CreateAccount(account) => {
                    let parts = summaries.iter().filter_map(|(_, other)| other.as_ref());
                    let parts = parts
                        .filter(|other| other.user.as_ref() == Some(&account.name))
                        .filter_map(|other| other.account.as_ref());
                    let parts: String = parts.map(account_part).collect();
                    let detail = format!("{}{parts}", summary.detail);
                    self.step(summary.kind, summary.subject, &detail);
                }
                // The line of a new account has it.
                _ if summary.user.as_deref().is_some_and(is_created) => {}
                Step::InstallSnippet { text, before, .. } => {
                    self.summary(summary);
                    self.diff(before.as_deref().unwrap_or_default(), text);
                }
                Step::WritePamService(edit)
                | Step::RemovePamService(edit)
                | Step::WriteCommonSnippet { edit, .. } => {
                    self.summary(summary);
                    // A refusal is one line, the same in each service.
                    if !edit.is_refusal() {
                        let text = |text: &Option<String>| text.clone().unwrap_or_default();
                        self.diff(&text(&edit.from), &text(&edit.to));
                    }
                }
                Step::WritePolicy { rules, .. } => {
                    self.summary(summary);
                    self.session_diff(summary, rules.as_ref());
                    let Some((from, to)) = rules else { continue };
                    let table = format!("rules of the jail's network: jailctl-{}", plan.name);
                    self.step(ChangeKind::Change, "nft", &table);
                    self.diff(from, to);
                }
                Step::RemovePolicy { .. } => {
                    self.summary(summary);
                    self.session_diff(summary, None);
                }
                Step::RemoveTree { recorded, .. } => {
                    let size = crate::show::jail_list::size(recorded);
                    let total = count_and_size(recorded.entries.len(), size);
                    let detail = format!("{}: {total}", summary.detail);
                    self.step(summary.kind, summary.subject, &detail);
                }
                _ => self.summary(summary),
            }
        }
    }

    /// The lines about sessions that change, without the first, which is the line of the step, and
    /// without the rules of the network, which follow.
    fn session_diff(&mut self, summary: &StepSummary, rules: Option<&(String, String)>) {
        let lines = |text: &Option<String>, rules: Option<&String>| -> String {
            let text = text.as_deref().unwrap_or_default();
            let text = match rules {
                Some(rules) => text.strip_suffix(rules.trim()).unwrap_or(text),
                None => text,
            };
            let rest = text.lines().skip(1);
            rest.flat_map(|line| [line, "\n"]).collect()
        };
        let before = lines(&summary.before, rules.map(|(from, _)| from));
        let after = lines(&summary.after, rules.map(|(_, to)| to));
        self.diff(&before, &after);
    }

    /// The ways into the jail, with the previous ones if they change.
    fn ways_in(&mut self, plan: &Plan) {
        let Some(ways) = plan.ways_in() else { return };
        let after = WaysIn::list(ways.after);
        match ways.before {
            Some(before) if ways.is_change() => {
                let before = WaysIn::list(before);
                self.step(
                    ChangeKind::Change,
                    "ways in",
                    &format!("{after} (before: {before})"),
                );
            }
            _ if plan.manifest.is_some() => self.line(&format!("    {:<8} {after}", "ways in")),
            _ => self.step(ChangeKind::Add, "ways in", &after),
        }
    }

    /// The packages that the spec names, with the dependencies and the size of each.
    fn packages(&mut self, plan: &Plan) {
        let jail = plan.target.as_ref().map(|target| &target.jail);
        for package in jail.into_iter().flat_map(|jail| &jail.packages) {
            let others = match package.dependencies.len() {
                0 => String::new(),
                number => format!(" with {}", count(number, "dependency", "dependencies")),
            };
            self.line(&format!(
                "    {:<8} {} {}{others}: {}",
                "package",
                package.name,
                package.version,
                count_and_size(package.files, package.bytes)
            ));
        }
    }

    fn tree(&mut self, paths: &[PathSummary<'_>], all: bool) {
        let totals = Totals::of(paths);
        let kind = match (totals.changed, totals.added, totals.removed) {
            (0, _, 0) => ChangeKind::Add,
            (0, 0, _) => ChangeKind::Remove,
            _ => ChangeKind::Change,
        };
        self.step(kind, "tree", &totals_text(totals));
        let most = if all { usize::MAX } else { LISTED };
        let mut is_collapsed = false;
        for item in items(paths, most) {
            match item {
                Item::Path(path) => self.path(path),
                Item::Collapsed(directory, below) => {
                    is_collapsed = true;
                    let totals = Totals::of(below.iter().copied());
                    let kind = below[0].kind;
                    let (kind, text) = if below.iter().all(|path| path.kind == kind) {
                        let size = totals.written + totals.freed;
                        (kind, count_and_size(below.len(), size))
                    } else {
                        (ChangeKind::Change, totals_text(totals))
                    };
                    let symbol = self.paint.apply(style(kind), &symbol(kind).to_string());
                    self.line(&format!("      {symbol} {directory}/…  {text}"));
                }
            }
        }
        if is_collapsed {
            let hint = self
                .paint
                .apply(Style::Faint, "(`--verbose` lists every path)");
            self.line(&format!("      {hint}"));
        }
    }

    fn path(&mut self, path: &PathSummary<'_>) {
        let symbol = self
            .paint
            .apply(style(path.kind), &symbol(path.kind).to_string());
        let slash = if path.is_directory { "/" } else { "" };
        let mut line = format!("      {symbol} {}{slash}", path.path);
        if let Some(target) = &path.link {
            let _ = write!(line, " -> {}", target.escape_debug());
        }
        if let Some(size) = path.size {
            let _ = write!(line, "  {}", bytes(size));
        }
        if let Some(reason) = path.reason {
            let _ = write!(line, ": {reason}");
        }
        self.line(&line);
    }

    /// The lines that differ, with those around them.
    fn diff(&mut self, from: &str, to: &str) {
        let diff = TextDiff::from_lines(from, to);
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

/// A property of a new account, at the end of its line.
fn account_part(part: &AccountPart) -> String {
    match part {
        AccountPart::Keys(keys) => format!(", {}", count(*keys, "key", "keys")),
        AccountPart::Password => ", a password".to_owned(),
        AccountPart::Expires(day) => format!(", may log in before {}", Day(*day)),
        AccountPart::MaskedManager(unit) => format!(", `{}` masked", unit.display()),
    }
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
fn totals_text(totals: Totals) -> String {
    let mut parts = Vec::new();
    if totals.added > 0 {
        parts.push(format!("{} added", totals.added));
    }
    if totals.changed > 0 {
        parts.push(format!("{} changed", totals.changed));
    }
    if totals.removed > 0 {
        parts.push(format!("{} removed", totals.removed));
    }
    let mut text = parts.join(", ");
    if totals.written > 0 {
        let _ = write!(text, "; {} to write", bytes(totals.written));
    }
    if totals.freed > 0 {
        let _ = write!(text, "; {} freed", bytes(totals.freed));
    }
    text
}

/// The changes of a plan in one line, after it was applied: "built at /srv/jails/web: 2 paths
/// changed, keys of carol changed".
pub fn changes(plan: &Plan) -> String {
    let mut parts = Vec::new();
    let paths = Totals::of(&path_summaries(plan));
    let numbers = [
        (paths.added, "added"),
        (paths.changed, "changed"),
        (paths.removed, "removed"),
    ];
    for (number, word) in numbers {
        if number > 0 {
            parts.push(format!("{} {word}", count(number, "path", "paths")));
        }
    }
    for step in &plan.steps {
        let Some(summary) = step.text().summary else {
            continue;
        };
        let user = summary.user.map(|user| format!(" of {user}"));
        let user = user.unwrap_or_default();
        let verb = match (summary.kind, summary.subject) {
            (_, "lock") => continue,
            (ChangeKind::Add, _) => "created",
            (ChangeKind::Change, _) => "changed",
            (ChangeKind::Remove, _) => "removed",
        };
        let part = format!("{}{user} {verb}", summary.subject);
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    if let Some(ways) = plan.ways_in().filter(WaysIn::is_change) {
        parts.push(format!("ways in now {}", WaysIn::list(ways.after)));
    }
    format!("built at {}: {}", plan.root.display(), parts.join(", "))
}

/// The last line of the page: the totals.
fn summary(plan: &Plan) -> String {
    let mut parts = Vec::new();
    let paths = Totals::of(&path_summaries(plan));
    if paths != Totals::default() {
        parts.push(totals_text(paths));
    }
    let steps = |is_counted: fn(&Step) -> bool| {
        let steps = plan.steps.iter();
        steps.filter(|step| is_counted(step)).count()
    };
    for (number, verb) in [
        (
            steps(|step| matches!(step, Step::CreateAccount(_))),
            "created",
        ),
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
            parts.push(format!("{} {verb}", count(number, "account", "accounts")));
        }
    }
    let is_common = |step: &Step| {
        matches!(
            step,
            Step::WriteCommonSnippet { .. } | Step::RemoveCommonSnippet(_)
        )
    };
    if plan.snippet.is_some() || plan.steps.iter().any(is_common) {
        parts.push("sshd is reloaded".to_owned());
    }
    let totals = if parts.is_empty() {
        "as above".to_owned()
    } else {
        parts.join("; ")
    };
    format!("{}: {totals}. Nothing has been done yet.", plan.name)
}

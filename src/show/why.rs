//! The reasons for files of a jail, as chains from what somebody said down to the file.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::bytes;
use super::style::{Style, Styler};
use crate::layout::PRIVATE_DIR;
use crate::names::{JailName, JailPath};
use crate::plan::Manifest;
use crate::plan::manifest::RecordKind;
use crate::plan::why::{ReasonLink, Reasons};
use crate::resolve::{Content, Entry, EntryKind, Reason, Tree};

/// Reasons that are told of one file, unless all are asked for.
const TOLD: usize = 3;

/// What is at a path.
#[derive(Debug)]
pub struct PathInfo {
    path: JailPath,
    what: String,
    kept: bool,
}

impl PathInfo {
    /// Every path of a jail as it was built.
    pub fn of_manifest(manifest: &Manifest) -> Vec<Self> {
        let what = |kind: &RecordKind| match kind {
            RecordKind::Directory => "a directory".to_owned(),
            RecordKind::File { source, stat, .. } => file(
                stat.size,
                source.as_ref().map(|(path, _)| path.display().to_string()),
            ),
            RecordKind::Symlink { target } => format!("a link to `{}`", target.display()),
            RecordKind::Device { major, minor } => format!("the device {major}:{minor}"),
        };
        let entries = manifest.entries.iter();
        entries
            .map(|(path, record)| Self {
                path: path.clone(),
                what: what(&record.kind),
                kept: record.kept,
            })
            .collect()
    }

    /// Every path of a jail as it would be built.
    pub fn of_tree(tree: &Tree) -> Vec<Self> {
        let what = |entry: &Entry| match &entry.kind {
            EntryKind::Directory => "a directory".to_owned(),
            EntryKind::File(Content::Host { source, stat }) => {
                file(stat.size, Some(source.display().to_string()))
            }
            EntryKind::File(Content::Text(text)) => file(text.len() as u64, None),
            EntryKind::File(Content::Recorded { size, source, .. }) => {
                let source = source.as_ref().map(|(path, _)| path.display().to_string());
                file(*size, source)
            }
            EntryKind::Symlink(target) => format!("a link to `{}`", target.display()),
            EntryKind::Device { major, minor } => format!("the device {major}:{minor}"),
        };
        tree.iter()
            .map(|(path, entry)| Self {
                path: path.clone(),
                what: what(entry),
                kept: entry.user_owned,
            })
            .collect()
    }
}

fn file(size: u64, source: Option<String>) -> String {
    match source {
        Some(source) => format!("a file of {}, a copy of the host's `{source}`", bytes(size)),
        None => format!("a file of {}, written by jailctl", bytes(size)),
    }
}

/// Why one path is there.
#[derive(Debug)]
pub struct Answer<'j> {
    /// As it was asked for.
    pub path: JailPath,
    /// Whether the jail has it, by the records or because it is jailctl's or a user's own.
    pub is_there: bool,
    /// The entry that this means, and what it is.
    what: String,
    /// From the first reason down to the path.
    chains: Vec<Vec<ReasonLink<'j>>>,
}

impl<'j> Answer<'j> {
    /// Looks for the reasons of `path`; below a place of a user's, for those of the place.
    pub fn new(path: &JailPath, reasons: &Reasons<'j>, places: &[PathInfo]) -> Self {
        let describe = |entry: &JailPath| {
            let at = places.binary_search_by(|place| place.path.cmp(entry));
            at.ok().map(|at| &places[at])
        };
        let answer = |what: String, chains| Self {
            path: path.clone(),
            is_there: true,
            what,
            chains,
        };
        if let Some(entry) = reasons.find(path) {
            let what = describe(entry).map_or_else(String::new, |place| place.what.clone());
            let what = if entry == path {
                what
            } else {
                format!("`{entry}`, {what}")
            };
            return answer(what, reasons.chains(entry));
        }
        if *path == JailPath::root() || path.top() == PRIVATE_DIR {
            let what = if *path == JailPath::root() {
                "the root of the jail"
            } else {
                "jailctl's own, closed to the jail's users: staging, the tree before this one, and whose root this is"
            };
            return answer(what.to_owned(), Vec::new());
        }
        let mut above = path.parent();
        while let Some(directory) = above {
            let place = reasons.find(&directory).and_then(describe);
            if let Some(place) = place.filter(|place| place.kept) {
                let what = format!(
                    "in `{}`, a place of users: what is there is theirs, and jailctl leaves it alone",
                    place.path
                );
                return answer(what, reasons.chains(&place.path));
            }
            above = directory.parent();
        }
        Self {
            is_there: false,
            ..answer("not in the jail".to_owned(), Vec::new())
        }
    }
}

/// The answers as text. `all` tells every reason.
pub fn text(answers: &[Answer<'_>], all: bool, paint: Styler) -> String {
    let mut text = String::new();
    let out = &mut text;
    for (index, answer) in answers.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        // Writing to a String cannot fail, here and below.
        let path = paint.apply(Style::Strong, answer.path.as_str());
        let _ = writeln!(out, "{path}: {}", answer.what);
        let most = if all { usize::MAX } else { TOLD };
        for chain in answer.chains.iter().take(most) {
            for (index, (path, why)) in chain.iter().enumerate() {
                if index == 0 {
                    let _ = writeln!(out, "  because {}", reason_text(why));
                }
                let how = link_text(why);
                let gap = if how.is_empty() { "" } else { "  " };
                let how = paint.apply(Style::Faint, &how);
                let _ = writeln!(out, "    {}{path}{gap}{how}", "  ".repeat(index));
            }
        }
        if answer.chains.len() > most {
            let more = super::count(answer.chains.len() - most, "more reason", "more reasons");
            let hint = format!("and {more} (`--verbose` tells them all)");
            let _ = writeln!(out, "  {}", paint.apply(Style::Faint, &hint));
        }
    }
    text
}

/// The first reason of a chain.
fn reason_text(why: &Reason) -> String {
    match why {
        Reason::Spec { place, says } => format!("{place} says `{says}`"),
        Reason::Builtin { reason } => format!("jails have it: {reason}"),
        Reason::Dependency { .. } | Reason::ParentDir { .. } | Reason::Rule { .. } => String::new(),
    }
}

/// How an entry follows from the one before it; empty for the first one.
fn link_text(why: &Reason) -> String {
    match why {
        // A soname, or how it is needed in words.
        Reason::Dependency { name, .. } if name.contains(' ') => name.clone(),
        Reason::Dependency { name, .. } => format!("needed as {name}"),
        Reason::ParentDir { .. } => "holds it".to_owned(),
        Reason::Rule { rule, reason, .. } => format!("by the rule {rule}: {reason}"),
        Reason::Spec { .. } | Reason::Builtin { .. } => String::new(),
    }
}

#[derive(Serialize)]
struct Link<'j> {
    path: &'j JailPath,
    why: &'j Reason,
}

/// `why --json`: every reason of every path.
pub fn json(jail: &JailName, answers: &[Answer<'_>]) -> Value {
    let answers: Vec<Value> = answers
        .iter()
        .map(|answer| {
            let reasons: Vec<Vec<Link<'_>>> = answer
                .chains
                .iter()
                .map(|chain| chain.iter().map(|(path, why)| Link { path, why }).collect())
                .collect();
            json!({
                "path": answer.path,
                "is_there": answer.is_there,
                "what": answer.what,
                "reasons": reasons,
            })
        })
        .collect();
    json!({ "schema": 1, "jail": jail, "paths": answers })
}

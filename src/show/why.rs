//! Output of `why`: the reasons for paths of a jail, as chains from a line of the spec to the path.

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

/// Number of reasons per path without `--verbose`.
const SHOWN: usize = 3;

/// Path of a jail, with a description.
#[derive(Debug)]
pub struct PathInfo {
    path: JailPath,
    what: String,
    user_owned: bool,
}

impl PathInfo {
    /// All paths of a jail as built.
    pub fn of_manifest(manifest: &Manifest) -> Vec<Self> {
        let what = |kind: &RecordKind| match kind {
            RecordKind::Directory => "a directory".to_owned(),
            RecordKind::File { source, stat, .. } => file(
                stat.size,
                source.as_ref().map(|(path, _)| path.display().to_string()),
            ),
            RecordKind::Symlink { target } => format!("a symbolic link to `{}`", target.display()),
            RecordKind::Device { major, minor } => format!("the device {major}:{minor}"),
        };
        let entries = manifest.entries.iter();
        entries
            .map(|(path, record)| Self {
                path: path.clone(),
                what: what(&record.kind),
                user_owned: record.kept,
            })
            .collect()
    }

    /// All paths of a jail as it would be built.
    pub fn of_tree(tree: &Tree) -> Vec<Self> {
        let what = |entry: &Entry| match &entry.kind {
            EntryKind::Directory => "a directory".to_owned(),
            EntryKind::File(Content::Host { source, stat }) => {
                file(stat.size, Some(source.display().to_string()))
            }
            EntryKind::File(Content::Generated(content)) => file(content.len() as u64, None),
            EntryKind::File(Content::Recorded { size, source, .. }) => {
                let source = source.as_ref().map(|(path, _)| path.display().to_string());
                file(*size, source)
            }
            EntryKind::Symlink(target) => format!("a symbolic link to `{}`", target.display()),
            EntryKind::Device { major, minor } => format!("the device {major}:{minor}"),
        };
        tree.iter()
            .map(|(path, entry)| Self {
                path: path.clone(),
                what: what(entry),
                user_owned: entry.user_owned,
            })
            .collect()
    }
}

fn file(size: u64, source: Option<String>) -> String {
    match source {
        Some(source) => format!("a file of {}, copied from `{source}`", bytes(size)),
        None => format!("a file of {}, written by jailctl", bytes(size)),
    }
}

/// Reasons for one path.
#[derive(Debug)]
pub struct Answer<'j> {
    /// Requested path.
    pub path: JailPath,
    /// Whether the jail has the path. Paths of jailctl and of users count.
    pub exists: bool,
    /// Description of the entry.
    what: String,
    /// Chains from the first reason to the path.
    chains: Vec<Vec<ReasonLink<'j>>>,
}

impl<'j> Answer<'j> {
    /// Finds the reasons of `path`, or of the user directory that contains it. `paths` is sorted.
    pub fn new(path: &JailPath, reasons: &Reasons<'j>, paths: &[PathInfo]) -> Self {
        let describe = |entry: &JailPath| {
            let at = paths.binary_search_by(|info| info.path.cmp(entry));
            at.ok().map(|at| &paths[at])
        };
        let answer = |what: String, chains| Self {
            path: path.clone(),
            exists: true,
            what,
            chains,
        };
        if let Some(entry) = reasons.find(path) {
            let what = describe(entry).map_or_else(String::new, |info| info.what.clone());
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
                "reserved by jailctl, not accessible to users: staging area, previous tree, root marker"
            };
            return answer(what.to_owned(), Vec::new());
        }
        let mut above = path.parent();
        while let Some(directory) = above {
            let info = reasons.find(&directory).and_then(describe);
            if let Some(info) = info.filter(|info| info.user_owned) {
                let what = format!(
                    "below `{}`, a directory of a user: jailctl does not manage its content",
                    info.path
                );
                return answer(what, reasons.chains(&info.path));
            }
            above = directory.parent();
        }
        Self {
            exists: false,
            ..answer("not in the jail".to_owned(), Vec::new())
        }
    }
}

/// Output of `why`; `all` prints every reason.
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
        let most = if all { usize::MAX } else { SHOWN };
        for chain in answer.chains.iter().take(most) {
            for (index, (path, why)) in chain.iter().enumerate() {
                if index == 0 {
                    let _ = writeln!(out, "  because {}", reason_text(why));
                }
                let link = link_text(why);
                let gap = if link.is_empty() { "" } else { "  " };
                let link = paint.apply(Style::Faint, &link);
                let _ = writeln!(out, "    {}{path}{gap}{link}", "  ".repeat(index));
            }
        }
        if answer.chains.len() > most {
            let more = super::count(answer.chains.len() - most, "more reason", "more reasons");
            let hint = format!("and {more} (see `--verbose`)");
            let _ = writeln!(out, "  {}", paint.apply(Style::Faint, &hint));
        }
    }
    text
}

/// Text of the first reason of a chain.
fn reason_text(why: &Reason) -> String {
    match why {
        Reason::Spec { place, says } => format!("{place}: `{says}`"),
        Reason::Builtin { reason } => format!("built in: {reason}"),
        Reason::Dependency { .. } | Reason::ParentDir { .. } | Reason::Rule { .. } => String::new(),
    }
}

/// Relation of an entry to the previous one; empty for the first one.
fn link_text(why: &Reason) -> String {
    match why {
        // A soname, or a description.
        Reason::Dependency { name, .. } if name.contains(' ') => name.clone(),
        Reason::Dependency { name, .. } => format!("needed as {name}"),
        Reason::ParentDir { .. } => "parent directory".to_owned(),
        Reason::Rule { rule, reason, .. } => format!("by the rule {rule}: {reason}"),
        Reason::Spec { .. } | Reason::Builtin { .. } => String::new(),
    }
}

#[derive(Serialize)]
struct LinkJson<'j> {
    path: &'j JailPath,
    why: ReasonJson<'j>,
}

/// A [`Reason`] in the output. Manifests keep the names of the first format.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum ReasonJson<'j> {
    Spec {
        location: &'j str,
        value: &'j str,
    },
    Dependency {
        by: &'j str,
        name: &'j str,
    },
    ParentDir {
        path: &'j JailPath,
    },
    Rule {
        rule: &'j str,
        reason: &'j str,
        by: &'j JailPath,
    },
    Builtin {
        reason: &'j str,
    },
}

impl<'j> From<&'j Reason> for ReasonJson<'j> {
    fn from(reason: &'j Reason) -> Self {
        match reason {
            Reason::Spec { place, says } => Self::Spec {
                location: place,
                value: says,
            },
            Reason::Dependency { by, name } => Self::Dependency { by, name },
            Reason::ParentDir { path } => Self::ParentDir { path },
            Reason::Rule { rule, reason, by } => Self::Rule { rule, reason, by },
            Reason::Builtin { reason } => Self::Builtin { reason },
        }
    }
}

/// Output of `why --json`: every reason of every path.
pub fn json(jail: &JailName, answers: &[Answer<'_>]) -> Value {
    let answers: Vec<Value> = answers
        .iter()
        .map(|answer| {
            let link = |(path, why): &ReasonLink<'_>| {
                json!(LinkJson {
                    path,
                    why: (*why).into()
                })
            };
            let reasons: Vec<Vec<Value>> = answer
                .chains
                .iter()
                .map(|chain| chain.iter().map(link).collect())
                .collect();
            json!({
                "path": answer.path,
                "exists": answer.exists,
                "what": answer.what,
                "reasons": reasons,
            })
        })
        .collect();
    json!({ "schema": 1, "jail": jail, "paths": answers })
}

//! Output of `deps`: a list of paths, a tree, a graph for dot(1), JSON, or the paths to one
//! library.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::elf::{Closure, Missing, Object, ObjectKind, Reason};

/// All paths, one per line; then, with a slash at the end, empty directories that must exist.
pub fn list(closure: &Closure) -> String {
    let mut text = String::with_capacity(closure.objects.len() * 64);
    for path in closure.objects.keys() {
        text.push_str(&plain(path));
        text.push('\n');
    }
    let is_empty = |directory: &Path| {
        let behind = (Bound::Excluded(directory), Bound::Unbounded);
        let mut next = closure.objects.range::<Path, _>(behind);
        next.next()
            .is_none_or(|(path, _)| !path.starts_with(directory))
    };
    for path in closure.directories.iter().filter(|path| is_empty(path)) {
        text.push_str(&plain(path));
        text.push_str("/\n");
    }
    text
}

/// Conditions for the files to work in another root.
pub fn notices(closure: &Closure) -> Vec<String> {
    let mut notices: Vec<String> = closure
        .needs_proc
        .iter()
        .map(|path| {
            let path = plain(path);
            format!("`{path}` finds libraries by `$ORIGIN`, so it does not start without /proc")
        })
        .collect();
    if closure.needs_cache && !closure.objects.contains_key(Path::new("/etc/ld.so.cache")) {
        notices.push("some libraries are found only through `/etc/ld.so.cache`, which does not exist: run ldconfig(8)".to_owned());
    }
    notices
}

/// Output of `deps --json`. Here and below, fields are sorted by name.
#[derive(Serialize)]
struct DepsJson<'c> {
    directories: Vec<Cow<'c, str>>,
    missing: Vec<MissingJson<'c>>,
    needs_cache: bool,
    needs_proc: Vec<Cow<'c, str>>,
    objects: Vec<Entry<'c>>,
    schema: u8,
}

#[derive(Serialize)]
struct MissingJson<'c> {
    fatal: bool,
    name: Cow<'c, str>,
    needed_by: Cow<'c, str>,
    why: Option<String>,
}

#[derive(Serialize)]
struct Entry<'c> {
    interpreter: Option<Cow<'c, str>>,
    kind: &'static str,
    needed: Vec<Library<'c>>,
    path: Cow<'c, str>,
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Cow<'c, str>>,
}

#[derive(Serialize)]
struct Library<'c> {
    name: Cow<'c, str>,
    path: Cow<'c, str>,
}

/// The closure as JSON.
pub fn json(closure: &Closure) -> String {
    let missing = closure.missing.iter().map(|missing| MissingJson {
        fatal: missing.fatal,
        name: missing.name.to_string_lossy(),
        needed_by: missing.needed_by.to_string_lossy(),
        why: missing.why.as_ref().map(ToString::to_string),
    });
    let directories = closure.directories.iter();
    let output = DepsJson {
        directories: directories.map(|path| path.to_string_lossy()).collect(),
        missing: missing.collect(),
        needs_cache: closure.needs_cache,
        needs_proc: closure
            .needs_proc
            .iter()
            .map(|path| path.to_string_lossy())
            .collect(),
        objects: closure.objects.iter().map(entry).collect(),
        schema: 1,
    };
    // Strings and numbers always serialize.
    let mut text = serde_json::to_string(&output).unwrap_or_default();
    text.push('\n');
    text
}

fn entry<'c>((path, object): (&'c PathBuf, &'c Object)) -> Entry<'c> {
    let needed = object.needed.iter().map(|needed| Library {
        name: needed.name.to_string_lossy(),
        path: needed.path.to_string_lossy(),
    });
    Entry {
        interpreter: object
            .interpreter
            .as_ref()
            .map(|path| path.to_string_lossy()),
        kind: kind(object),
        needed: needed.collect(),
        path: path.to_string_lossy(),
        reason: object.reasons.first().map(ToString::to_string),
        target: match &object.kind {
            ObjectKind::Link { target } => Some(target.to_string_lossy()),
            _ => None,
        },
    }
}

fn kind(object: &Object) -> &'static str {
    match object.kind {
        ObjectKind::Elf => "elf",
        ObjectKind::Script => "script",
        ObjectKind::Link { .. } => "link",
        ObjectKind::File => "file",
    }
}

/// Messages about missing libraries and programs.
pub fn missing(closure: &Closure) -> Vec<String> {
    closure
        .missing
        .iter()
        .map(|missing| {
            let by = plain(&missing.needed_by);
            let name = missing.name.display().to_string();
            let why = missing.why.as_ref();
            let why = why.map_or(String::new(), |why| format!(" ({why})"));
            format!(
                "could not find `{}`: it is needed by `{by}`{why}",
                name.escape_debug()
            )
        })
        .collect()
}

/// Edges of the graph: for each path the names and paths of its dependencies.
type Edges<'c> = BTreeMap<&'c Path, Vec<(String, &'c Path)>>;

/// Edges between files; symbolic links are resolved.
fn edges(closure: &Closure) -> Edges<'_> {
    let mut edges: Edges<'_> = BTreeMap::new();
    for (path, object) in &closure.objects {
        let mut seen = BTreeSet::new();
        for needed in &object.needed {
            let name = needed.name.display().to_string().escape_debug().to_string();
            if seen.insert((name.clone(), &*needed.path)) {
                edges.entry(path).or_default().push((name, &needed.path));
            }
        }
    }
    for (path, object) in &closure.objects {
        for reason in &object.reasons {
            let (from, name) = match reason {
                Reason::Interpreter { of } => (of, "interpreter"),
                Reason::Env { of } => (of, "env"),
                Reason::Dlopen { by, .. } => (by, "dlopen"),
                _ => continue,
            };
            let below = edges.entry(from).or_default();
            // The interpreter is first, because it is started first.
            let at = if name == "dlopen" { below.len() } else { 0 };
            below.insert(at, (name.to_owned(), path));
        }
    }
    edges
}

/// Missing libraries by the file that needs them.
fn missing_libraries(closure: &Closure) -> BTreeMap<&Path, Vec<&Missing>> {
    let mut lacks: BTreeMap<&Path, Vec<&Missing>> = BTreeMap::new();
    for missing in &closure.missing {
        lacks.entry(&missing.needed_by).or_default().push(missing);
    }
    lacks
}

/// Files that no other file needs: arguments, and implicit libraries with their reason.
fn roots(closure: &Closure) -> impl Iterator<Item = (&Path, String)> {
    closure.objects.iter().filter_map(|(path, object)| {
        let mut reasons = object
            .reasons
            .iter()
            .filter(|reason| matches!(reason, Reason::Named | Reason::Implicit { .. }));
        let is_named = reasons.clone().any(|reason| *reason == Reason::Named);
        let about = if is_named {
            String::new()
        } else {
            format!(" ({})", reasons.next()?)
        };
        Some((path.as_path(), about))
    })
}

/// Tree for each argument. The dependencies of a file are printed once per tree.
pub fn tree(closure: &Closure) -> String {
    let (edges, lacks) = (edges(closure), missing_libraries(closure));
    let mut text = String::new();
    for (root, about) in roots(closure) {
        line(&mut text, &format!("{}{about}", plain(root)));
        let mut seen = BTreeSet::from([root]);
        // Not recursive: a hostile chain of libraries can be arbitrarily long.
        let mut open = vec![branches(&edges, &lacks, root)];
        while let Some(level) = open.last_mut() {
            let Some((label, below)) = level.pop_front() else {
                open.pop();
                continue;
            };
            let last = level.is_empty();
            let mut stem = String::new();
            for level in &open[..open.len() - 1] {
                stem.push_str(if level.is_empty() { "   " } else { "│  " });
            }
            let turn = if last { "└─ " } else { "├─ " };
            let is_new = below.is_some_and(|below| seen.insert(below));
            line(&mut text, &format!("{stem}{turn}{label}"));
            if let Some(below) = below.filter(|_| is_new && open.len() < 64) {
                open.push(branches(&edges, &lacks, below));
            }
        }
    }
    text
}

type Branches<'c> = VecDeque<(String, Option<&'c Path>)>;

fn branches<'c>(
    edges: &Edges<'c>,
    lacks: &BTreeMap<&Path, Vec<&Missing>>,
    path: &Path,
) -> Branches<'c> {
    let found = edges.get(path).into_iter().flatten();
    let mut branches: Branches<'c> = found
        .map(|(name, to)| (format!("{name} => {}", plain(to)), Some(*to)))
        .collect();
    for missing in lacks.get(path).into_iter().flatten() {
        let name = missing.name.display().to_string();
        branches.push_back((format!("{} => not found", name.escape_debug()), None));
    }
    branches
}

/// A graph in the language of dot(1).
pub fn dot(closure: &Closure) -> String {
    let quote = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut text = String::from("digraph deps {\n\trankdir=LR;\n\tnode [shape=box];\n");
    for (root, _) in roots(closure) {
        line(
            &mut text,
            &format!("\t{} [style=bold];", quote(&plain(root))),
        );
    }
    for (from, below) in edges(closure) {
        for (name, to) in below {
            let (from, to, name) = (quote(&plain(from)), quote(&plain(to)), quote(&name));
            line(&mut text, &format!("\t{from} -> {to} [label={name}];"));
        }
    }
    for missing in &closure.missing {
        let name = quote(
            &missing
                .name
                .display()
                .to_string()
                .escape_debug()
                .to_string(),
        );
        let from = quote(&plain(&missing.needed_by));
        line(
            &mut text,
            &format!("\t{name} [style=dashed];\n\t{from} -> {name};"),
        );
    }
    text.push_str("}\n");
    text
}

/// Shortest paths to the library `name` (a soname, a file name or a path) from each argument and
/// each implicit library. Empty if nothing needs it.
pub fn why(closure: &Closure, name: &str) -> String {
    let (edges, lacks) = (edges(closure), missing_libraries(closure));
    let is_match = |label: &str, path: &Path| {
        label == name || path == Path::new(name) || path.file_name().is_some_and(|own| own == name)
    };
    let mut text = String::new();
    for (root, about) in roots(closure) {
        if !about.is_empty() && is_match("", root) {
            line(&mut text, &format!("{}{about}", plain(root)));
            continue;
        }
        let mut from: BTreeMap<&Path, (&Path, &str)> = BTreeMap::new();
        let mut queue = VecDeque::from([root]);
        let mut end = None;
        'search: while let Some(here) = queue.pop_front() {
            let mut absent = lacks.get(here).into_iter().flatten();
            if absent.any(|missing| missing.name.to_str() == Some(name)) {
                end = Some((here, true));
                break;
            }
            for (label, to) in edges.get(here).into_iter().flatten() {
                if *to != root && !from.contains_key(to) {
                    from.insert(to, (here, label));
                    queue.push_back(to);
                }
                if is_match(label, to) && from.get(to).is_some_and(|(by, _)| *by == here) {
                    end = Some((to, false));
                    break 'search;
                }
            }
        }
        let Some((end, absent)) = end else {
            continue;
        };
        let mut steps = Vec::new();
        if absent {
            steps.push(format!("{} => not found", name.escape_debug()));
        }
        let mut here = end;
        while let Some((by, label)) = from.get(here) {
            steps.push(format!("{label} => {}", plain(here)));
            here = by;
        }
        line(&mut text, &format!("{}{about}", plain(root)));
        for (depth, step) in steps.iter().rev().enumerate() {
            line(&mut text, &format!("{}└─ {step}", "   ".repeat(depth)));
        }
    }
    text
}

/// A path for a line of text: control characters, which file names may hold, are escaped.
fn plain(path: &Path) -> Cow<'_, str> {
    let text = path.to_string_lossy();
    if text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_control()) {
        return text;
    }
    if text.chars().any(char::is_control) {
        return text.escape_debug().to_string().into();
    }
    text
}

fn line(text: &mut String, content: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{content}");
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use serde_json::{Value, json};

    use super::*;
    use crate::elf::Needed;
    use crate::host::Stat;

    fn object(kind: ObjectKind, needed: &[(&str, &str)], reason: Reason) -> Object {
        Object {
            kind,
            stat: Stat {
                dev: 1,
                ino: 1,
                mode: 0o100_755,
                uid: 0,
                gid: 0,
                size: 0,
                links: 1,
                mtime: (0, 0),
                ctime: (0, 0),
                rdev: 0,
            },
            needed: needed
                .iter()
                .map(|(name, path)| Needed {
                    name: OsStr::new(name).into(),
                    path: Path::new(path).into(),
                    opened: None,
                    via: None,
                })
                .collect(),
            interpreter: None,
            reasons: vec![reason],
        }
    }

    fn sample() -> Closure {
        let way = || Reason::SymlinkTo {
            to: Path::new("/l/a.so").into(),
        };
        let needed = |by: &str| Reason::Needed {
            by: Path::new(by).into(),
            name: OsStr::new("a.so").into(),
        };
        let link = ObjectKind::Link { target: "l".into() };
        let mut closure = Closure::default();
        for (path, object) in [
            ("/lib", object(link, &[], way())),
            (
                "/l/a.so",
                object(ObjectKind::Elf, &[("b.so", "/l/b.so")], needed("/p")),
            ),
            (
                "/l/b.so",
                object(ObjectKind::Elf, &[("a.so", "/l/a.so")], needed("/l/a.so")),
            ),
            (
                "/p",
                object(
                    ObjectKind::Elf,
                    &[("a.so", "/l/a.so"), ("b.so", "/l/b.so")],
                    Reason::Named,
                ),
            ),
        ] {
            closure.objects.insert(path.into(), object);
        }
        closure.missing.push(Missing {
            name: "c\n.so".into(),
            needed_by: "/l/b.so".into(),
            why: None,
            fatal: true,
        });
        closure
    }

    #[test]
    fn a_tree_opens_each_file_once_and_ends_where_files_need_each_other() {
        insta::assert_snapshot!(tree(&sample()), @r"
        /p
        ├─ a.so => /l/a.so
        │  └─ b.so => /l/b.so
        │     ├─ a.so => /l/a.so
        │     └─ c\n.so => not found
        └─ b.so => /l/b.so
        ");
    }

    #[test]
    fn what_was_not_named_says_why_it_is_there() {
        let mut closure = sample();
        let why_known = "loaded for the service x".to_owned();
        let known = object(
            ObjectKind::Elf,
            &[("b.so", "/l/b.so")],
            Reason::Implicit { why: why_known },
        );
        closure.objects.insert("/l/nss.so".into(), known);
        insta::assert_snapshot!(why(&closure, "nss.so"), @"/l/nss.so (loaded for the service x)");
        insta::assert_snapshot!(why(&closure, "b.so"), @r"
        /l/nss.so (loaded for the service x)
        └─ b.so => /l/b.so
        /p
        └─ b.so => /l/b.so
        ");
        assert!(tree(&closure).starts_with("/l/nss.so (loaded for the service x)\n└─ b.so"));
    }

    #[test]
    fn directories_end_in_a_slash_and_conditions_are_told() {
        let mut closure = sample();
        closure.directories.insert("/opt/d".into());
        closure.needs_cache = true;
        closure.needs_proc.push("/p".into());
        assert!(list(&closure).ends_with("/p\n/opt/d/\n"));
        let notices_text = notices(&closure).join("\n");
        assert!(
            notices_text.contains("`/p` finds") && notices_text.contains("`/etc/ld.so.cache`"),
            "{notices_text}"
        );
    }

    #[test]
    fn a_way_is_the_shortest() {
        insta::assert_snapshot!(why(&sample(), "b.so"), @r"
        /p
        └─ b.so => /l/b.so
        ");
        insta::assert_snapshot!(why(&sample(), "c\n.so"), @r"
        /p
        └─ b.so => /l/b.so
           └─ c\n.so => not found
        ");
        assert_eq!(why(&sample(), "d.so"), "");
    }

    #[test]
    fn a_graph_and_a_list_name_each_path() {
        insta::assert_snapshot!(dot(&sample()), @r#"
        digraph deps {
        	rankdir=LR;
        	node [shape=box];
        	"/p" [style=bold];
        	"/l/a.so" -> "/l/b.so" [label="b.so"];
        	"/l/b.so" -> "/l/a.so" [label="a.so"];
        	"/p" -> "/l/a.so" [label="a.so"];
        	"/p" -> "/l/b.so" [label="b.so"];
        	"c\\n.so" [style=dashed];
        	"/l/b.so" -> "c\\n.so";
        }
        "#);
        assert_eq!(list(&sample()), "/l/a.so\n/l/b.so\n/lib\n/p\n");
    }

    #[test]
    fn json_has_the_documented_shape() {
        let value: Value = serde_json::from_str(&json(&sample())).unwrap();
        assert_eq!(value["objects"][0]["path"], "/l/a.so");
        assert_eq!(value["objects"][0]["kind"], "elf");
        assert_eq!(
            value["objects"][0]["needed"][0],
            json!({"name": "b.so", "path": "/l/b.so"})
        );
        assert_eq!(value["objects"][0]["reason"], "/p needs a.so");
        assert_eq!(value["objects"][2]["kind"], "link");
        assert_eq!(value["missing"][0]["needed_by"], "/l/b.so");
    }
}

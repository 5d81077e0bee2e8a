//! Reference of all keys: `docs/reference.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::spec::constraint::{Constraint, ValueType};
use crate::spec::schema::{KEYS, KeySchema, header, keys_of};

const HEAD: &str = "\
# Reference of the spec

This page is generated from the schema that jailctl validates specs with: `UPDATE=1 cargo test --test
packaging` writes it again. `jailctl schema` prints the same as a JSON Schema for editors.

A spec is a TOML file. All errors are reported at once, each with its line. Unknown keys are errors. Neither the file nor any directory on its path may be writable by users
other than root and the caller of jailctl.

On the paths of specs, templates, `source`, `skel`, `--output` and `--root`, a symbolic link is followed
only if no user other than root and the caller could have created it. A `source` in a directory that
another user can write to must be owned by that user or world-readable, and have one hard link; `mode` does
not grant read access to users who lack it on the host. Only world-readable files are copied from `skel`.
";

/// Text of the page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    let out = &mut page;
    let mut rules = BTreeMap::new();
    section(out, "", &mut rules);
    for key in KEYS.iter().filter(|key| is_table(key)) {
        section(out, key.path, &mut rules);
    }
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(out, "\n## Types of values\n");
    for (name, help) in rules {
        let _ = writeln!(out, "- **{name}**: {help}.");
    }
    page
}

fn is_table(key: &KeySchema) -> bool {
    matches!(key.shape, ValueType::Table | ValueType::Tables(_))
}

/// Section of one table.
fn section(out: &mut String, path: &str, rules: &mut BTreeMap<&'static str, String>) {
    let title = if path.is_empty() {
        "Top level, before the first table".to_owned()
    } else {
        header(path)
    };
    let _ = writeln!(out, "\n## {title}\n");
    let table = KEYS.iter().find(|key| key.path == path);
    if let Some(table) = table {
        let _ = writeln!(out, "{}.\n", capital(table.doc));
    }
    let _ = writeln!(
        out,
        "| key | type | meaning | default | example |\n|---|---|---|---|---|"
    );
    for key in keys_of(path).filter(|key| !is_table(key)) {
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | `{}` |",
            key.name(),
            value(key.shape, rules),
            meaning(key),
            without(key),
            key.example,
        );
    }
}

/// Meaning of a key; for a list that templates can have too, also how the lists are merged.
fn meaning(key: &KeySchema) -> String {
    match (key.meets(), key.replaces) {
        (false, _) => key.doc.to_owned(),
        (true, true) => format!("{}; **replaces** the list of templates", key.doc),
        (true, false) => format!("{}; concatenated with the lists of templates", key.doc),
    }
}

fn without(key: &KeySchema) -> String {
    match (key.required, key.default) {
        (true, _) => "required".to_owned(),
        (false, "") => "–".to_owned(),
        (false, default) if default.starts_with(['"', '[']) && !default.contains(' ') => {
            format!("`{default}`")
        }
        (false, default) => default.to_owned(),
    }
}

/// Type of a value; its constraint is added to `rules` for the end of the page.
fn value(shape: ValueType, rules: &mut BTreeMap<&'static str, String>) -> String {
    match shape {
        ValueType::Text(rule) => text(rule, rules),
        ValueType::Texts(rule) => format!("array, each {}", text(rule, rules)),
        ValueType::Integer(from, to) => format!("integer from {from} to {to}"),
        ValueType::Boolean => "`true` or `false`".to_owned(),
        ValueType::Date => "date, not quoted".to_owned(),
        ValueType::Table | ValueType::Tables(_) => shape.description().to_owned(),
    }
}

fn text(rule: Constraint, rules: &mut BTreeMap<&'static str, String>) -> String {
    if let Constraint::Word(words) = rule {
        let quoted = |words: &[&str]| -> String {
            let words: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            words.join(", ")
        };
        return format!("one of {}", quoted(words.now));
    }
    rules.insert(rule.description(), rule.help().into_owned());
    rule.description().to_owned()
}

/// `text` with its first letter in upper case.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

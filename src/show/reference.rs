//! The table of keys as a page for people: `docs/reference.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::spec::constraint::{Constraint, ValueType};
use crate::spec::schema::{KEYS, KeySchema, header, keys_of};

const HEAD: &str = "\
# The spec, key by key

This page is made from the table that jailctl itself reads specs by: `UPDATE=1 cargo test --test packaging` writes it anew. `jailctl schema` prints
the same for editors, as a JSON Schema.

A spec is a TOML file. Everything that is wrong with one is said at once, each with its line; a key that is not in these tables is an error, and one
that does not work yet is refused, so that nobody relies on it. Neither the file nor a directory on the way to it may be writable by others than
root and whoever calls jailctl.

On the way to a spec, a template, a `source`, a `skel`, `--output` or `--root`, a symbolic link is followed only where nobody but root and whoever
calls jailctl could have put it. A `source` in a directory that another user may write to has to be that user's own or readable by everybody, with one
hard link, and `mode` does not let anybody read it who could not. A `skel` takes only what everybody may read, wherever it lies.
";

/// The page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    let out = &mut page;
    let mut rules = BTreeMap::new();
    section(out, "", &mut rules);
    for key in KEYS.iter().filter(|key| is_table(key)) {
        section(out, key.path, &mut rules);
    }
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(out, "\n## What the words mean\n");
    for (words, sentence) in rules {
        let _ = writeln!(out, "- **{words}**: {sentence}.");
    }
    page
}

fn is_table(key: &KeySchema) -> bool {
    matches!(key.shape, ValueType::Table | ValueType::Tables(_))
}

/// One table's keys.
fn section(out: &mut String, path: &str, rules: &mut BTreeMap<&'static str, String>) {
    let title = if path.is_empty() {
        "At the top, before the first table".to_owned()
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
        "| key | is | meaning | without it | example |\n|---|---|---|---|---|"
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

/// What a key means, and for a list that templates may have too, how it meets theirs.
fn meaning(key: &KeySchema) -> String {
    match (key.meets(), key.replaces) {
        (false, _) => key.doc.to_owned(),
        (true, true) => format!("{}; **replaces** the list of templates", key.doc),
        (true, false) => format!("{}; joined with the lists of templates", key.doc),
    }
}

fn without(key: &KeySchema) -> String {
    match (key.required, key.default) {
        (true, _) => "an error".to_owned(),
        (false, "") => "–".to_owned(),
        (false, default) if default.starts_with(['"', '[']) && !default.contains(' ') => {
            format!("`{default}`")
        }
        (false, default) => default.to_owned(),
    }
}

/// What a value is, in words; the rule behind them is noted for the end of the page.
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
        let now = quoted(words.now);
        return if words.later.is_empty() {
            format!("one of {now}")
        } else {
            format!("one of {now} (not yet: {})", quoted(words.later))
        };
    }
    rules.insert(rule.description(), rule.help().into_owned());
    rule.description().to_owned()
}

/// With its first letter a capital, as a sentence begins.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

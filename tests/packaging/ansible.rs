//! Options of the Ansible modules, from the table of keys: argument specs and their documentation.

use std::fmt::Write as _;

use jailctl::spec::constraint::{Constraint, ValueType};
use jailctl::spec::schema::{KEYS, KeySchema, keys_of};

/// First lines of a generated file.
const HEADER: &str = "\
# Copyright: the jailctl authors
# MIT or Apache-2.0, as jailctl (see LICENSE-MIT and LICENSE-APACHE)
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Generated from the table of keys of jailctl: `UPDATE=1 cargo test --test packaging` writes it again.

from __future__ import absolute_import, division, print_function

__metaclass__ = type
";

/// Columns of a line of documentation.
const WIDTH: usize = 96;

/// `plugins/module_utils/spec_options.py`: the argument spec of specs.
pub(crate) fn options() -> String {
    let mut text = format!("{HEADER}\nSPEC_OPTIONS = {{\n");
    table("", 1, &mut text);
    text.push_str("}\n\n# Dates, which TOML has without quotes.\nDATE_KEYS = {\n");
    for key in keys(|shape| shape == ValueType::Date) {
        let _ = writeln!(text, "    {:?},", option_path(key));
    }
    text.push_str("}\n\n# Octal digits, which YAML reads as numbers unless they have quotes.\n");
    text.push_str("QUOTED_KEYS = {\n");
    for key in keys(is_octal) {
        let example = key.example.rsplit('"').nth(1).expect("a string");
        let _ = writeln!(text, "    {:?}: {example:?},", option_path(key));
    }
    let name = Constraint::JailName.pattern();
    let _ = write!(text, "}}\n\nNAME_PATTERN = {name:?}\n");
    text
}

/// `plugins/doc_fragments/spec.py`: the documentation of [`options`].
pub(crate) fn documentation() -> String {
    let mut text = format!(
        "{HEADER}\n\nclass ModuleDocFragment(object):\n    \"\"\"Options of specs.\"\"\"\n\n    DOCUMENTATION = r\"\"\"\noptions:\n"
    );
    for (name, about, shape) in [
        ("spec", "The spec of one jail.", "    type: dict\n"),
        (
            "jails",
            "The specs of several jails, which are built in one transaction.",
            "    type: list\n    elements: dict\n",
        ),
    ] {
        let _ = write!(
            text,
            "  {name}:\n    description: {about}\n{shape}    suboptions:\n"
        );
        suboptions("", 6, &mut text);
    }
    text.push_str("\"\"\"\n");
    text
}

fn keys(of: impl Fn(ValueType) -> bool) -> impl Iterator<Item = &'static KeySchema> {
    KEYS.iter().filter(move |key| of(key.shape))
}

/// Whether a value is octal digits, which several constraints describe in these words.
fn is_octal(shape: ValueType) -> bool {
    constraint(shape).is_some_and(|constraint| constraint.help().contains("octal digits"))
}

/// Path of a key in the arguments: `user.name`.
fn option_path(key: &KeySchema) -> String {
    key.path.replace("[]", "")
}

/// Type of an option, and that of the elements of a list.
fn types(shape: ValueType) -> (&'static str, Option<&'static str>) {
    match shape {
        ValueType::Table => ("dict", None),
        ValueType::Tables(_) => ("list", Some("dict")),
        // A conversion would make other digits of a number.
        shape if is_octal(shape) => ("raw", None),
        ValueType::Text(_) | ValueType::Date => ("str", None),
        ValueType::Texts(_) => ("list", Some("str")),
        ValueType::Integer(..) => ("int", None),
        ValueType::Boolean => ("bool", None),
    }
}

fn constraint(shape: ValueType) -> Option<Constraint> {
    match shape {
        ValueType::Text(constraint) | ValueType::Texts(constraint) => Some(constraint),
        _ => None,
    }
}

fn choices(shape: ValueType) -> &'static [&'static str] {
    match constraint(shape) {
        Some(Constraint::Word(words)) => words.now,
        _ => &[],
    }
}

/// Whether Ansible must neither print nor log the values.
fn is_secret(shape: ValueType) -> bool {
    constraint(shape).is_some_and(Constraint::is_secret)
}

/// Whether the value is a table, or a list of tables.
fn has_keys(shape: ValueType) -> bool {
    matches!(shape, ValueType::Table | ValueType::Tables(_))
}

/// Options of the table at `path` as Python.
fn table(path: &str, depth: usize, text: &mut String) {
    let indent = "    ".repeat(depth);
    for key in keys_of(path) {
        let (kind, elements) = types(key.shape);
        let _ = write!(text, "{indent}{:?}: {{\"type\": {kind:?}", key.name());
        if let Some(elements) = elements {
            let _ = write!(text, ", \"elements\": {elements:?}");
        }
        if key.required {
            text.push_str(", \"required\": True");
        }
        let choices = choices(key.shape);
        if !choices.is_empty() {
            let _ = write!(text, ", \"choices\": {choices:?}");
        }
        if is_secret(key.shape) {
            text.push_str(", \"no_log\": True");
        }
        if has_keys(key.shape) {
            text.push_str(", \"options\": {\n");
            table(key.path, depth + 1, text);
            let _ = write!(text, "{indent}}}");
        }
        text.push_str("},\n");
    }
}

/// Documentation of the options of the table at `path` as YAML.
fn suboptions(path: &str, indent: usize, text: &mut String) {
    let pad = " ".repeat(indent);
    for key in keys_of(path) {
        let (kind, elements) = types(key.shape);
        let _ = write!(text, "{pad}{}:\n{pad}  description:\n", key.name());
        for sentence in sentences(key) {
            let _ = writeln!(text, "{pad}    - >-");
            wrap(&sentence, indent + 6, text);
        }
        let _ = writeln!(text, "{pad}  type: {kind}");
        if let Some(elements) = elements {
            let _ = writeln!(text, "{pad}  elements: {elements}");
        }
        if key.required {
            let _ = writeln!(text, "{pad}  required: true");
        }
        let choices = choices(key.shape);
        if !choices.is_empty() {
            let _ = writeln!(text, "{pad}  choices: [{}]", choices.join(", "));
        }
        if has_keys(key.shape) {
            let _ = writeln!(text, "{pad}  suboptions:");
            suboptions(key.path, indent + 4, text);
        }
    }
}

fn sentences(key: &KeySchema) -> Vec<String> {
    let mut sentences = vec![sentence(key.doc)];
    if !key.default.is_empty() && !key.required {
        sentences.push(sentence(&format!("default: {}", key.default)));
    }
    if let Some(constraint) = constraint(key.shape).filter(|_| choices(key.shape).is_empty()) {
        sentences.push(sentence(&constraint.help()));
    }
    sentences
}

/// A sentence in the markup of Ansible.
fn sentence(text: &str) -> String {
    let mut sentence = String::new();
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 0 {
            sentence.push_str(part);
        } else {
            let _ = write!(sentence, "C({part})");
        }
    }
    let mut letters = sentence.chars();
    let first = letters.next().expect("a text");
    // A sentence that begins with a literal keeps it.
    if text.starts_with('`') {
        return format!("{sentence}.");
    }
    format!("{}{}.", first.to_uppercase(), letters.as_str())
}

fn wrap(text: &str, indent: usize, into: &mut String) {
    let pad = " ".repeat(indent);
    let mut line = pad.clone();
    for word in text.split(' ') {
        if line.len() > pad.len() && line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(into, "{line}");
            line.clone_from(&pad);
        }
        if line.len() > pad.len() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(into, "{line}");
}

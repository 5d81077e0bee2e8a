//! The schema compared with itself and with `load`: each key with its example, with values of wrong
//! types, and with hostile values.

use super::super::constraint::{Constraint, ValueType};
use super::super::schema::{KEYS, KeySchema, header};
use super::*;
use crate::show::diagnostic::render;

/// Spec with `line` in the table of `key`, and the other keys that the table requires.
fn spec_with(key: &KeySchema, line: &str) -> String {
    let name = key.name();
    let beside = |needed: &[(&str, &str)]| -> String {
        needed
            .iter()
            .filter(|(beside, _)| *beside != name)
            .flat_map(|(_, line)| [line, "\n"])
            .collect()
    };
    let user = "[[user]]\nname = \"harlequin\"\n";
    let top = "binaries = [\"bash\"]\n";
    let allow = |word: &str| format!("[sshd]\nallow = [\"{word}\"]\n");
    let is_way = |table: &str| {
        let mut protocols = jailctl_gate::Protocol::ALL.into_iter();
        protocols.any(|protocol| protocol.as_str() == table)
    };
    match key.table() {
        "" if is_way(name) => format!("name = \"a\"\n{line}\n{}", allow(name)),
        table if is_way(table) => {
            format!("name = \"a\"\n{}[{table}]\n{line}\n", allow(table))
        }
        "sshd" if name == "command" => {
            format!("name = \"a\"\n{}{line}\n", allow("command"))
        }
        "user[]" if name == "command" => {
            format!("name = \"a\"\n[[user]]\nname = \"u\"\nallow = [\"command\"]\n{line}\n")
        }
        "" if matches!(key.shape, ValueType::Table | ValueType::Tables(_)) && name != "user" => {
            format!("name = \"a\"\n{line}\n{user}")
        }
        "" => format!("{}{line}\n", beside(&[("name", "name = \"a\"")])),
        "user[]" => format!(
            "name = \"a\"\n{top}[[user]]\n{}{line}\n",
            beside(&[("name", "name = \"u\"")])
        ),
        "file[]" if name == "source" => format!("name = \"a\"\n[[file]]\n{line}\n"),
        "file[]" => format!(
            "name = \"a\"\n[[file]]\n{}{line}\n",
            beside(&[("target", "target = \"/x\""), ("content", "content = \"\"")])
        ),
        "dir[]" if name == "group" => {
            format!("name = \"a\"\n{user}[[dir]]\npath = \"/x\"\n{line}\n")
        }
        "dir[]" => format!(
            "name = \"a\"\n{user}[[dir]]\n{}{line}\n",
            beside(&[("path", "path = \"/x\"")])
        ),
        "mount[]" => format!(
            "name = \"a\"\n[[mount]]\n{}{line}\n",
            beside(&[("source", "source = \"/x\""), ("target", "target = \"/x\"")])
        ),
        "limits" if name == "swap" => {
            format!("name = \"a\"\n[limits]\nmemory = \"1G\"\n{line}\n")
        }
        "test[]" => format!("name = \"a\"\n{user}[[test]]\n{line}\n"),
        // What sftp alone can have does not stand beside a shell.
        "sshd" if name != "allow" => format!("name = \"a\"\n[sshd]\n{line}\n"),
        "sshd" => format!("name = \"a\"\n{top}[sshd]\n{line}\n"),
        table if table.ends_with("[]") => {
            format!(
                "name = \"a\"\n[[{}]]\n{line}\n",
                table.trim_end_matches("[]")
            )
        }
        table => format!("name = \"a\"\n[{table}]\n{line}\n"),
    }
}

fn said(spec: &str) -> Vec<String> {
    let error = load_text(spec).expect_err(spec);
    assert!(!error.findings.is_empty(), "{spec}");
    error.findings.iter().map(ToString::to_string).collect()
}

#[test]
fn rows_are_documented_and_in_order() {
    for (index, key) in KEYS.iter().enumerate() {
        assert!(
            !key.doc.is_empty() && !key.doc.ends_with('.'),
            "{}",
            key.path
        );
        assert!(!key.doc.starts_with(char::is_uppercase), "{}", key.path);
        assert!(key.example.contains(key.name()), "{}", key.path);
        let of_table = key.table().is_empty()
            || KEYS[..index].iter().any(|table| {
                table.path == key.table()
                    && matches!(table.shape, ValueType::Table | ValueType::Tables(_))
            });
        assert!(of_table, "{} stands before its table", key.path);
        let doubles = KEYS.iter().filter(|other| other.path == key.path).count();
        assert_eq!(doubles, 1, "{}", key.path);
        let tables = matches!(key.shape, ValueType::Tables(_));
        assert_eq!(tables, key.path.ends_with("[]"), "{}", key.path);
    }
}

#[test]
fn each_example_is_good() {
    for key in KEYS {
        let spec = spec_with(key, key.example);
        load_text(&spec).unwrap_or_else(|error| panic!("{spec}{}", render(&error, false)));
    }
}

/// Strings of the value of an example.
fn strings(example: &str) -> Vec<String> {
    let value: toml::Table = example.parse().expect(example);
    let texts = |value: &toml::Value| match value {
        toml::Value::String(text) => vec![text.clone()],
        toml::Value::Array(items) => items
            .iter()
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    };
    value.values().flat_map(texts).collect()
}

#[test]
fn each_example_and_default_obeys_its_rule() {
    for key in KEYS {
        let (ValueType::Text(rule) | ValueType::Texts(rule)) = key.shape else {
            continue;
        };
        let examples = strings(key.example);
        assert!(!examples.is_empty(), "{}", key.path);
        for text in examples {
            assert_eq!(rule.check(&text), Ok(()), "{}", key.path);
        }
        if key.default.starts_with('"') && !key.default.contains('<') && !key.default.contains(' ')
        {
            for text in strings(&format!("x = {}", key.default)) {
                assert_eq!(rule.check(&text), Ok(()), "{}", key.path);
            }
        }
    }
}

#[test]
fn each_key_refuses_each_other_type() {
    let values = [
        ("\"text\"", "a string"),
        ("[\"text\"]", "an array"),
        ("[[\"text\"]]", "an array"),
        ("5", "an integer"),
        ("5.5", "a float"),
        ("true", "a boolean"),
        ("2027-01-31", "a date or time"),
        ("{ text = 1 }", "a table"),
    ];
    for key in KEYS {
        for (value, kind) in values {
            let fits = match key.shape {
                ValueType::Text(_) => kind == "a string",
                ValueType::Texts(_) | ValueType::Tables(_) => kind == "an array",
                ValueType::Integer(..) => kind == "an integer",
                ValueType::Boolean => kind == "a boolean",
                ValueType::Date => kind == "a date or time",
                ValueType::Table => kind == "a table",
            };
            if fits && value != "[[\"text\"]]" {
                continue;
            }
            let spec = spec_with(key, &format!("{} = {value}", key.name()));
            let said = said(&spec);
            let shown = key.path.trim_end_matches("[]").replace("[].", "[0].");
            assert!(
                said.iter()
                    .any(|said| said.starts_with(&format!("`{shown}"))
                        && said.contains(" is ")
                        && said.contains(", not ")),
                "{spec}{said:?}"
            );
        }
    }
}

#[test]
fn each_text_refuses_what_is_hostile() {
    let hostile = [
        "\\u001b[2J",
        "a\\u0000",
        "a\\rb",
        "\\u202ea",
        "\\u200b",
        "a\\u2028b",
        "\\U000e0041",
    ];
    let unfit = [
        "", " ", "..", "/..", "/a/../b", "a b", "/a//b", "$(id)", "`id`", "a;b", "a\\nb", "%h",
        "\\\"", "a\\tb", "é", "-rf",
    ];
    for key in KEYS {
        let (rule, wrap) = match key.shape {
            ValueType::Text(rule) => (rule, false),
            ValueType::Texts(rule) => (rule, true),
            _ => continue,
        };
        let long = "a".repeat(100_000);
        let cases = hostile.iter().chain(&unfit).copied().chain([long.as_str()]);
        for (index, text) in cases.enumerate() {
            if matches!(rule, Constraint::Content | Constraint::Argument) && index >= hostile.len()
            {
                continue;
            }
            let value = if wrap {
                format!("[\"{text}\"]")
            } else {
                format!("\"{text}\"")
            };
            let spec = spec_with(key, &format!("{} = {value}", key.name()));
            let error = load_text(&spec).expect_err(&spec);
            let shown = render(&error, false);
            let expected = key.path.replace("[]", "[0]");
            assert!(
                shown.contains(&format!("error: `{expected}")),
                "{spec}{shown}"
            );
            assert!(shown.contains("= hint: "), "{shown}");
            assert!(shown.lines().count() <= 51 && shown.len() < 4000, "{shown}");
        }
    }
}

#[test]
fn numbers_stay_in_their_range() {
    for key in KEYS {
        let ValueType::Integer(from, to) = key.shape else {
            continue;
        };
        for good in [from, to] {
            let spec = spec_with(key, &format!("{} = {good}", key.name()));
            assert!(load_text(&spec).is_ok(), "{spec}");
        }
        for bad in [
            "0",
            "-1",
            "99999999999999999999999",
            &(from - 1).to_string(),
            &(to + 1).to_string(),
        ] {
            let said = said(&spec_with(key, &format!("{} = {bad}", key.name())));
            assert!(
                said[0].contains(&format!("`{bad}` is not between {from} and {to}")),
                "{said:?}"
            );
        }
    }
}

#[test]
fn slips_in_any_key_are_understood() {
    for key in KEYS {
        if key.table().is_empty() {
            continue;
        }
        let slip = format!("{}z", key.name());
        let spec = spec_with(key, &format!("{slip} = 1"));
        let error = load_text(&spec).expect_err(&spec);
        let finding = error
            .findings
            .iter()
            .find(|finding| finding.what.starts_with("unknown key"))
            .expect(&spec);
        let (_, label) = finding.span.as_ref().expect("site");
        assert_eq!(*label, format!("did you mean `{}`?", key.name()), "{spec}");
    }
}

#[test]
fn required_keys_are_missed() {
    for key in KEYS.iter().filter(|key| key.required) {
        let line = "";
        let said = said(&spec_with(key, line));
        let expected = format!("missing key `{}`", key.path.replace("[]", "[0]"));
        assert!(
            said.iter().any(|said| said.starts_with(&expected)),
            "{said:?}"
        );
    }
}

#[test]
fn headers_read_as_written() {
    assert_eq!(header("user[]"), "`[[user]]`");
    assert_eq!(header("sshd"), "`[sshd]`");
    assert_eq!(header(""), "a spec");
}

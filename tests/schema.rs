//! What `jailctl schema` prints, held against specs by a validator that knows nothing of jailctl:
//! good ones pass, and so do the examples of every key; what jailctl itself refuses for its type,
//! range or form does not.
#![expect(clippy::disallowed_methods, reason = "the files are read as they are")]

use std::fs;
use std::sync::Arc;

use jailctl::show::schema::{SchemaKind, schema};
use jailctl::span::SourceText;
use jailctl::spec::constraint::{Constraint, ValueType};
use jailctl::spec::schema::{KEYS, KeySchema, keys_of};
use jailctl::spec::{self, BuiltIn};
use serde_json::Value;

/// A TOML text as JSON, with dates as strings, as editors see it.
fn json(text: &str) -> Value {
    fn value(given: toml::Value) -> Value {
        match given {
            toml::Value::Datetime(date) => Value::String(date.to_string()),
            toml::Value::Array(items) => items.into_iter().map(value).collect(),
            toml::Value::Table(table) => table
                .into_iter()
                .map(|(key, item)| (key, value(item)))
                .collect(),
            other => serde_json::to_value(other).expect("plain values"),
        }
    }
    let table: toml::Table = text.parse().expect(text);
    value(toml::Value::Table(table))
}

fn validator(of: SchemaKind) -> jsonschema::Validator {
    jsonschema::options()
        .should_validate_formats(true)
        .build(&schema(of))
        .expect("a schema")
}

#[test]
fn the_specs_and_templates_that_come_along_obey() {
    let mut files = 0;
    for (directory, of) in [
        ("jails", SchemaKind::Spec),
        ("templates", SchemaKind::Template),
    ] {
        let validator = validator(of);
        for file in fs::read_dir(directory).expect("a directory") {
            let path = file.expect("a file").path();
            let text = fs::read_to_string(&path).expect("a text");
            let errors: Vec<String> = validator
                .iter_errors(&json(&text))
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert_eq!(errors, Vec::<String>::new(), "{}", path.display());
            files += 1;
        }
    }
    assert!(files >= 5, "only {files} files");
}

/// A public key of ssh-ed25519, for documents that leave it out.
const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIKLW/9v1NuUyultBVkZJNjz2vNi4eV8Vq20GZ01ZeKPs";

#[test]
fn specs_in_documents_are_accepted() {
    let validator = validator(SchemaKind::Spec);
    let recipes = fs::read_dir("docs/recipes").expect("a directory");
    let recipes = recipes.map(|file| file.expect("a file").path());
    let mut specs = 0;
    for path in recipes.chain(["README.md".into(), "docs/sessions.md".into()]) {
        let document = fs::read_to_string(&path).expect("a text");
        for (number, text) in blocks(&document) {
            let name = format!("{}:{number}", path.display());
            let errors: Vec<String> = validator
                .iter_errors(&json(&text))
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert_eq!(errors, Vec::<String>::new(), "{name}");
            let source = Arc::new(SourceText { name, text });
            if let Err(error) = spec::load(&source, &BuiltIn) {
                panic!("{}: {error}", source.name);
            }
            specs += 1;
        }
    }
    assert!(specs >= 12, "only {specs} specs");
}

/// The TOML code blocks of a Markdown document that are whole specs, with the line that each begins
/// in.
fn blocks(document: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut lines = document.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line == "```toml" {
            let block: Vec<&str> = (lines.by_ref().map(|(_, line)| line))
                .take_while(|line| *line != "```")
                .collect();
            if block.iter().any(|line| line.starts_with("name ")) {
                let text = block.join("\n").replace("AAAA…", KEY) + "\n";
                found.push((number + 2, text));
            }
        }
    }
    found
}

/// A spec with `line` in the table that has `key`, and with what else that table requires.
fn spec_with(key: &KeySchema, line: &str) -> String {
    let needed: String = keys_of(key.table())
        .filter(|beside| beside.required && beside.path != key.path && beside.path != "name")
        .flat_map(|beside| [beside.example, "\n"])
        .collect();
    let beside = match key.path {
        "file[].target" | "file[].mode" => "content = ''\ntarget = '/x'\n",
        "file[].content" => "target = '/x'\n",
        _ => "",
    };
    let beside: String = beside
        .split_inclusive('\n')
        .filter(|line| !line.starts_with(key.name()))
        .collect();
    let name = if key.path == "name" {
        ""
    } else {
        "name = 'a'\n"
    };
    match key.table() {
        "" => format!("{name}{line}\n"),
        table => {
            let header = match table.strip_suffix("[]") {
                Some(table) => format!("[[{table}]]"),
                None => format!("[{table}]"),
            };
            format!("{name}{header}\n{needed}{beside}{line}\n")
        }
    }
}

#[test]
fn every_example_obeys_and_every_other_type_does_not() {
    let validator = validator(SchemaKind::Spec);
    for key in KEYS {
        let good = spec_with(key, key.example);
        let errors: Vec<String> = validator
            .iter_errors(&json(&good))
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, Vec::<String>::new(), "{good}");
        for (value, shape) in [
            ("'text'", "a string"),
            ("['text']", "an array"),
            ("[['text']]", "an array"),
            ("5", "an integer"),
            ("5.5", "a float"),
            ("true", "a boolean"),
            ("{ text = 1 }", "a table"),
        ] {
            let fits = match key.shape {
                ValueType::Text(_) | ValueType::Date => shape == "a string",
                ValueType::Texts(_) => value == "['text']",
                ValueType::Integer(..) => shape == "an integer",
                ValueType::Boolean => shape == "a boolean",
                ValueType::Table | ValueType::Tables(_) => false,
            };
            let bad = spec_with(key, &format!("{} = {value}", key.name()));
            assert!(fits || !validator.is_valid(&json(&bad)), "{bad}");
        }
        if let ValueType::Integer(from, to) = key.shape {
            for bad in [from - 1, to + 1] {
                let bad = spec_with(key, &format!("{} = {bad}", key.name()));
                assert!(!validator.is_valid(&json(&bad)), "{bad}");
            }
        }
    }
}

/// Invalid values of all types.
const VALUES: &[&str] = &[
    "",
    " ",
    "a",
    "A",
    "0",
    "é",
    "/",
    "//",
    "/a",
    "/a/",
    "/a/b",
    "/a b",
    "/../a",
    "a/b",
    "-a",
    "_a",
    "a-b",
    "a b",
    "%u",
    "/srv/%u",
    "~",
    "$6$",
    "*",
    "!",
    "0644",
    "0777",
    "644",
    "4755",
    "0022",
    "0700",
    "locked",
    "unchanged",
    "lockd",
    "sftp",
    "none",
    "2027-01-31",
    "2027-13-01",
    "ssh-ed25519",
    "#",
    "root",
    "ls -l",
    "sh",
    "[",
    "a.b",
    "a:b",
    "a;b",
    "$(id)",
    "/etc/passwd",
    "/upload",
    "/srv/jails/a",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

#[test]
fn what_jailctl_takes_the_schema_takes() {
    let validator = validator(SchemaKind::Spec);
    let (mut taken, mut stopped) = (0, 0);
    for key in KEYS {
        let (ValueType::Text(rule) | ValueType::Texts(rule)) = key.shape else {
            continue;
        };
        for value in VALUES {
            let quoted = match key.shape {
                ValueType::Texts(_) => format!("['{value}']"),
                _ => format!("'{value}'"),
            };
            let text = spec_with(key, &format!("{} = {quoted}", key.name()));
            let by_schema = validator.is_valid(&json(&text));
            if rule.check(value).is_ok() {
                assert!(by_schema, "{text}");
                taken += 1;
            } else if !by_schema {
                stopped += 1;
            } else if matches!(
                rule,
                Constraint::Word(_) | Constraint::Mode | Constraint::Umask | Constraint::JailName
            ) {
                panic!("the schema can say this: {text}");
            }
            let source = Arc::new(SourceText {
                name: "test.toml".to_owned(),
                text: text.clone(),
            });
            assert!(
                by_schema || spec::load(&source, &BuiltIn).is_err(),
                "{text}"
            );
        }
    }
    assert!(taken > 100 && stopped > 300, "{taken} and {stopped}");
}

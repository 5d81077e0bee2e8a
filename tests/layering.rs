//! What keeps the house in order: who may use whom, read from the sources themselves, and documents that name code.
#![expect(
    clippy::disallowed_methods,
    reason = "the sources are read as they are"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Each part of the crate, and the parts that it may use.
const MAY_USE: [(&str, &[&str]); 13] = [
    ("layout", &[]),
    ("error", &["span"]),
    ("span", &[]),
    ("names", &["layout"]),
    ("host", &["layout", "error", "names"]),
    ("spec", &["layout", "error", "span", "names"]),
    ("elf", &["error", "host"]),
    (
        "resolve",
        &["layout", "error", "span", "names", "host", "spec", "elf"],
    ),
    (
        "plan",
        &[
            "layout", "error", "span", "names", "host", "spec", "resolve",
        ],
    ),
    (
        "apply",
        &[
            "layout", "error", "span", "names", "host", "spec", "resolve", "plan",
        ],
    ),
    (
        "doctor",
        &[
            "layout", "error", "names", "host", "spec", "elf", "resolve", "plan",
        ],
    ),
    (
        "show",
        &[
            "layout", "error", "span", "names", "host", "spec", "elf", "resolve", "plan", "doctor",
        ],
    ),
    (
        "cli",
        &[
            "layout", "error", "span", "names", "host", "spec", "elf", "resolve", "plan", "apply",
            "doctor", "show",
        ],
    ),
];

#[test]
fn every_part_uses_only_what_lies_below_it() {
    let mut wrong = Vec::new();
    for (part, allowed) in MAY_USE {
        for file in files(part) {
            let text = fs::read_to_string(&file).expect("a readable source file");
            for used in uses(&text) {
                if used != part && !allowed.contains(&used.as_str()) {
                    wrong.push(format!("{} uses crate::{used}", file.display()));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_part_is_in_the_table() {
    let library = fs::read_to_string("src/lib.rs").expect("the crate's root");
    let parts: Vec<&str> = library
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert_eq!(parts.len(), MAY_USE.len());
    for part in parts {
        assert!(MAY_USE.iter().any(|(known, _)| *known == part), "{part}");
    }
}

#[test]
fn only_the_readers_half_of_a_host_is_known_above_it() {
    for part in ["elf", "resolve", "plan", "doctor"] {
        for file in files(part) {
            let text = fs::read_to_string(&file).expect("a readable source file");
            for word in ["Host,", "Host}", "Host>", "&Host", "Dir,", "Invocation"] {
                let found = text.lines().find(|line| {
                    line.replace("HostView", "").contains(word)
                        && (line.contains("crate::host") || word.starts_with('&'))
                });
                assert_eq!(found, None, "{}", file.display());
            }
        }
    }
}

/// The files of one part: `src/part.rs`, or all below `src/part/`.
fn files(part: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut ahead = vec![PathBuf::from(format!("src/{part}"))];
    while let Some(directory) = ahead.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("a readable directory").path();
            if path.is_dir() {
                ahead.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !is_test(&path) {
                found.push(path);
            }
        }
    }
    let single = PathBuf::from(format!("src/{part}.rs"));
    if single.exists() {
        found.push(single);
    }
    assert!(!found.is_empty(), "{part} has no files");
    found
}

/// Tests beside the code may show what they find with any part.
fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests")
        || path.file_name().is_some_and(|name| name == "tests.rs")
}

/// The parts named after `crate::`, comments and tests at the end of a file left out.
fn uses(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect()
        })
        .filter(|part: &String| !part.is_empty())
        .collect()
}

#[test]
fn every_test_that_the_security_cases_name_exists() {
    let table = fs::read_to_string("docs/security-cases.md").expect("the table of cases");
    let mut sources = String::new();
    let mut ahead = vec![PathBuf::from("tests/it"), PathBuf::from("session/tests")];
    while let Some(directory) = ahead.pop() {
        for entry in fs::read_dir(&directory).expect("a directory of tests") {
            let path = entry.expect("a readable directory").path();
            if path.is_dir() {
                ahead.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                sources.push_str(&fs::read_to_string(&path).expect("a readable test"));
            }
        }
    }
    let rows = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| case"));
    let mut named = 0;
    for row in rows {
        let name = row.rsplit('`').nth(1).expect("a test in the last column");
        assert!(sources.contains(&format!("fn {name}(")), "{name}");
        named += 1;
    }
    assert!(named > 10, "only {named} cases were read");
}

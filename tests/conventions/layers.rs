//! The layers of the crate: which part may use which.

use std::path::{Path, PathBuf};

use crate::assert_none;
use crate::cycles::crate_paths;
use crate::source::{Source, files_below, is_test, read};

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
    let mut findings = Vec::new();
    for (part, allowed) in MAY_USE {
        for file in files(part) {
            let text = read(&file);
            for used in uses(&text) {
                if used != part && !allowed.contains(&used.as_str()) {
                    findings.push(format!("{}: uses `crate::{used}`", file.display()));
                }
            }
        }
    }
    assert_none(&findings);
}

#[test]
fn every_part_is_in_the_table() {
    let library = read("src/lib.rs");
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
            let text = read(&file);
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

/// The files of one part: `src/part.rs` and all below `src/part/`, without tests.
fn files(part: &str) -> Vec<PathBuf> {
    let mut found = files_below("src", "rs");
    found.retain(|path| {
        (path.starts_with(format!("src/{part}")) || *path == Path::new(&format!("src/{part}.rs")))
            && !is_test(path)
    });
    assert!(!found.is_empty(), "{part} has no files");
    found
}

/// The parts named after `crate::`, comments and tests at the end of a file left out.
fn uses(text: &str) -> Vec<String> {
    crate_paths(Source::parse(text).product_code())
        .into_iter()
        .filter_map(|path| path.into_iter().next())
        .filter(|part| part.starts_with(|c: char| c.is_ascii_lowercase()))
        .collect()
}

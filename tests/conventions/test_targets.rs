//! Test targets and the attribute of their tests.

use std::path::Path;

use crate::assert_none;
use crate::source::{files_below, read};

/// Test targets with the harness of `disposable`, which `#[test]` does not register a test with:
/// rustc leaves out such a function without a word.
const OWN_HARNESS: [&str; 4] = [
    "tests/it",
    "tests/elf_oracle",
    "tests/disposable/tests",
    "session/tests",
];

#[test]
fn every_test_is_registered_with_the_harness_of_its_target() {
    let mut findings = Vec::new();
    for directory in OWN_HARNESS {
        for file in files_below(directory, "rs") {
            findings.extend(unregistered(&file, &read(&file)));
        }
    }
    assert_none(&findings);
}

fn unregistered(file: &Path, text: &str) -> Vec<String> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| line.trim() == "#[test]")
        .map(|(index, line)| format!("{}:{}: {}", file.display(), index + 1, line.trim()))
        .collect()
}

#[test]
fn a_planted_attribute_is_found() {
    let text = "#[disposable::test]\nfn one() {}\n\n#[test]\nfn two() {}\n";
    assert_eq!(unregistered(Path::new("a.rs"), text), ["a.rs:4: #[test]"]);
}

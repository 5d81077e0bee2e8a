//! Tests, files and versions that documents name.

use std::path::Path;

use crate::assert_none;
use crate::source::{files_below, read};

#[test]
fn every_test_that_the_security_cases_name_exists() {
    let table = read("docs/security-cases.md");
    let sources: String = ["tests/it", "session/tests"]
        .into_iter()
        .flat_map(|directory| files_below(directory, "rs"))
        .map(read)
        .collect();
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

#[test]
fn every_file_that_a_document_names_exists() {
    let mut files = files_below("docs", "md");
    files.extend(["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(Into::into));
    let mut findings = Vec::new();
    for file in files {
        for (line, path) in paths(&read(&file)) {
            if !Path::new(path).exists() {
                findings.push(format!("{}:{line}: no file `{path}`", file.display()));
            }
        }
    }
    assert_none(&findings);
}

/// The paths of the repository between backticks: `(line, path)`.
fn paths(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for code in line.split('`').skip(1).step_by(2) {
            let is_path = [
                "src/",
                "session/",
                "pam/src/",
                "tests/",
                "docs/",
                "packaging/",
            ]
            .iter()
            .any(|directory| code.starts_with(directory));
            if is_path && !code.contains([' ', '*', '{', '<', '%', '…']) {
                found.push((index + 1, code));
            }
        }
    }
    found
}

#[test]
fn planted_paths_are_read() {
    let text = "`src/lib.rs` and `cargo test`\nin `tests/none.rs`, `src/*.rs`\n";
    assert_eq!(paths(text), [(1, "src/lib.rs"), (2, "tests/none.rs")]);
}

#[test]
fn documents_name_the_rust_version_of_the_manifest() {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("TOML");
    let version = manifest["workspace"]["package"]["rust-version"]
        .as_str()
        .expect("a version");
    for file in ["README.md", "CONTRIBUTING.md"] {
        let named = rust_versions(&read(file));
        assert!(!named.is_empty(), "{file} names no Rust version");
        for (line, name) in named {
            assert_eq!(name, version, "{file}:{line}");
        }
    }
}

/// The versions after the word Rust: `(line, version)`.
fn rust_versions(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for rest in line.split("Rust ").skip(1) {
            let version: String = rest
                .chars()
                .take_while(|c| c.is_ascii_digit() || *c == '.')
                .collect();
            if !version.is_empty() {
                found.push((index + 1, version.trim_end_matches('.').to_owned()));
            }
        }
    }
    found
}

#[test]
fn planted_versions_are_read() {
    let text = "Rust\nneeds Rust 1.88, not Rust.\nand Rust 1.90.\n";
    let expected = [(2, "1.88"), (3, "1.90")].map(|(line, name)| (line, name.to_owned()));
    assert_eq!(rust_versions(text), expected);
}

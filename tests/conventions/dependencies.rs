//! Licences, bans and sources of the dependencies, by the lists of `deny.toml`.
//!
//! `cargo deny check bans licenses sources` checks the same lists, and `.ci/run` runs it where it
//! is installed. It is in no Debian release and takes many minutes to build, so these tests read
//! `cargo metadata` for everyone else. The source of a package is the registry that `Cargo.lock`
//! names: a mirror that the machine's Cargo configuration puts in its place does not change it.

use std::process::Command;

use serde_json::Value;

use crate::assert_none;
use crate::source::read;

fn lists() -> toml::Table {
    read("deny.toml").parse().expect("TOML")
}

/// The strings of an array in `deny.toml`; of tables, their `crate`.
fn list(table: &str, key: &str) -> Vec<String> {
    let lists = lists();
    let values = lists[table][key].as_array().expect("an array");
    values
        .iter()
        .map(|value| value.get("crate").unwrap_or(value))
        .map(|value| value.as_str().expect("a string").to_owned())
        .collect()
}

/// The packages of the tree, for the platform that jailctl is built for.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .output()
        .expect("cargo metadata");
    assert!(output.status.success(), "{output:?}");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().expect("a name")
}

#[test]
fn every_licence_is_allowed() {
    let allowed = list("licenses", "allow");
    let findings: Vec<String> = packages()
        .iter()
        .filter_map(|package| {
            let licence = package["license"].as_str().unwrap_or("none");
            (!is_allowed(licence, &allowed))
                .then(|| format!("Cargo.lock: {}: {licence}", name(package)))
        })
        .collect();
    assert_none(&findings);
}

#[test]
fn no_banned_crate_is_in_the_tree() {
    let banned = list("bans", "deny");
    let findings: Vec<String> = packages()
        .iter()
        .filter(|package| banned.iter().any(|banned| banned == name(package)))
        .map(|package| format!("Cargo.lock: {}", name(package)))
        .collect();
    assert_none(&findings);
}

#[test]
fn every_crate_comes_from_an_allowed_registry() {
    let allowed = list("sources", "allow-registry");
    let lock: toml::Table = read("Cargo.lock").parse().expect("TOML");
    let findings: Vec<String> = lock["package"]
        .as_array()
        .expect("packages")
        .iter()
        .filter_map(|package| {
            // Members of the workspace have no source.
            let source = package.get("source")?.as_str()?;
            let registry = source.strip_prefix("registry+");
            let is_allowed = registry.is_some_and(|url| allowed.iter().any(|known| known == url));
            (!is_allowed).then(|| format!("Cargo.lock: {}: {source}", package["name"]))
        })
        .collect();
    assert_none(&findings);
}

/// Whether an SPDX expression can be met by allowed licences; `/` is the older form of `OR`.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let is_met = any(&mut words, allowed);
    is_met && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &[String]) -> bool {
    let mut is_met = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        is_met |= all(words, allowed);
    }
    is_met
}

fn all(words: &mut Words<'_>, allowed: &[String]) -> bool {
    let mut is_met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        is_met &= one(words, allowed);
    }
    is_met
}

fn one(words: &mut Words<'_>, allowed: &[String]) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let is_met = any(words, allowed);
        return words.next_if_eq(&")").is_some() && is_met;
    }
    let Some(licence) = words.next() else {
        return false;
    };
    let mut whole = licence.to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        whole = format!("{licence} WITH {}", words.next().unwrap_or_default());
    }
    allowed.iter().any(|known| **known == whole)
}

#[test]
fn planted_licences_are_refused() {
    let allowed = ["MIT", "Unicode-3.0"].map(str::to_owned);
    for good in [
        "MIT",
        "GPL-3.0-only OR MIT",
        "MIT/Apache-2.0",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
    ] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in [
        "none",
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "MIT WITH LLVM-exception",
        "(MIT OR Apache-2.0) AND Zlib",
        "MIT MIT",
    ] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}

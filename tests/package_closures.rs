//! Dependencies of packages, compared with those that apt-cache(8) finds on this host. The option
//! `--installed` of apt-cache skips virtual packages, so that the closure is computed here from its
//! list for each package, providers included.

#![allow(
    clippy::disallowed_methods,
    reason = "apt-cache is the other side of the comparison"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use jailctl::host::{HostView, Match, OpenDatabase};

/// Number of packages that are compared.
const COMPARED: usize = 60;

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Installed dependencies of each installed package, by apt-cache: a line for each package, then
/// one for each dependency, and one for each package that provides it.
fn dependencies(installed: &BTreeSet<String>) -> BTreeMap<String, BTreeSet<String>> {
    let mut arguments = vec!["depends"];
    arguments.extend([
        "--no-recommends",
        "--no-suggests",
        "--no-conflicts",
        "--no-breaks",
        "--no-replaces",
        "--no-enhances",
    ]);
    arguments.extend(installed.iter().map(String::as_str));
    let text = output("apt-cache", &arguments);
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        let target = line.rsplit(' ').next().unwrap_or_default();
        let target = target.split(':').next().unwrap_or_default().to_owned();
        if !line.starts_with([' ', '|']) {
            current = target;
            found.entry(current.clone()).or_default();
        } else if installed.contains(&target) {
            found.entry(current.clone()).or_default().insert(target);
        }
    }
    found
}

#[test]
fn the_closure_of_a_package_is_that_of_apt() {
    let view = HostView::new(Path::new("/")).expect("the host");
    let OpenDatabase::Read(database) = view.package_database().expect("read") else {
        panic!("this host has no database of dpkg");
    };
    let text = output(
        "dpkg-query",
        &["-W", "-f", "${Package} ${db:Status-Status}\n"],
    );
    let installed: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .map(str::to_owned)
        .collect();
    let graph = dependencies(&installed);
    let step = (installed.len() / COMPARED).max(1);
    let mut compared = 0;
    for name in installed.iter().step_by(step).take(COMPARED) {
        // A package of several architectures has to be named with one.
        let Match::One(first) = database.find(name) else {
            continue;
        };
        let ours: BTreeSet<&str> = database
            .closure(first, false, |_| false)
            .into_iter()
            .map(|one| database.get(one.package).name.as_str())
            .collect();
        let mut theirs = BTreeSet::from([name.as_str()]);
        let mut queue = vec![name.as_str()];
        while let Some(next) = queue.pop() {
            let targets = graph.get(next).into_iter().flatten().map(String::as_str);
            queue.extend(targets.filter(|target| theirs.insert(target)));
        }
        assert_eq!(ours, theirs, "{name}");
        compared += 1;
    }
    assert!(compared >= COMPARED * 9 / 10, "only {compared} packages");
}

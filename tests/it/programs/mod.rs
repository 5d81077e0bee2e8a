//! Programs of common packages: each works in a jail whose spec names it alone.

mod costs;
mod everyday;
mod sessions;

use std::sync::atomic::{AtomicUsize, Ordering};

use disposable::DisposableHost;

use crate::support::host;

/// Debian packages whose programs are tried.
const PACKAGES: &str = "bash coreutils grep sed gawk findutils tar gzip xz-utils less nano vim-nox file curl openssh-client rsync git";

/// Programs of the packages, with the names of Debian's alternatives for them.
fn programs(host: &DisposableHost) -> Vec<String> {
    let script = format!(
        r#"
        for package in {PACKAGES}; do
            dpkg -L $package
        done | grep -E '^(/usr)?/s?bin/.' | sort -u >/run/own
        for link in /etc/alternatives/*; do
            if grep -qxF "$(readlink $link)" /run/own; then
                for place in /usr/bin /usr/sbin; do
                    if [ "$(readlink $place/${{link##*/}})" = $link ]; then echo $place/${{link##*/}}; fi
                done
            fi
        done | cat /run/own -
        "#
    );
    let found = host.sh(&script).ok();
    found.stdout().lines().map(str::to_owned).collect()
}

#[disposable::test]
fn every_program_alone_works_as_on_the_host() {
    let host = host();
    host.write("/run/tasks", include_str!("tasks.txt"));
    host.sh(include_str!("data.sh")).ok();
    let programs = programs(&host);
    assert!(programs.len() > 180, "{programs:#?}");
    // A few at a time, so that both processors are busy until the end.
    let parts: Vec<&[String]> = programs.chunks(6).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut differences = Vec::new();
        while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            differences.extend(alone(&host, part));
        }
        differences
    };
    let differences = std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut differences = work();
        differences.extend(other.join().expect("the other half ends"));
        differences
    });
    assert_eq!(differences, Vec::<String>::new());
}

/// Differences between programs in jails of their own and on the host.
fn alone(host: &DisposableHost, programs: &[String]) -> Vec<String> {
    let script = include_str!("alone.sh");
    let line = [
        "unshare",
        "--mount",
        "bash",
        "-c",
        script,
        "alone",
        "/run/tasks",
    ];
    let said = host
        .run_with_input(line, &(programs.join("\n") + "\n"))
        .ok();
    let mut lines: Vec<String> = said.stdout().lines().map(str::to_owned).collect();
    let count = format!("done {}", programs.len());
    if lines.last() == Some(&count) {
        lines.pop();
    } else {
        lines.push(format!("not all of {programs:?} were tried"));
    }
    lines
}

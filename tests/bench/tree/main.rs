//! Time of building trees, as ratios in one run: against programs that get the complete list and do
//! nothing else, and against jailkit.
//!
//! `cargo bench --bench tree`, as root; `-- DIR` names the directory to write in, on the disk that
//! is measured (about 10 GiB; default `target/bench`). Missing packages are installed. The exit
//! status is 0 if this run was within the limits.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    clippy::missing_panics_doc,
    clippy::format_push_string,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "a measurement prints, and its floor must not use what it measures"
)]

mod floor;
mod jails;
mod rounds;
mod workload;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use jailctl::host::HostView;
use jailctl::resolve;
use jailctl::spec;
use rounds::{Contender, Times, contender};

const JAILCTL: &str = env!("CARGO_BIN_EXE_jailctl");

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if arguments.first().is_some_and(|last| last == "floor") {
        run_floor(&arguments[1..]);
        return ExitCode::SUCCESS;
    }
    if arguments.first().is_some_and(|last| last == "inside") {
        let word = |at: usize| arguments[at].to_str().unwrap();
        return code(jails::inside(word(1), word(2)));
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: trees with devices and owners need root");
        return ExitCode::SUCCESS;
    }
    let base = arguments
        .iter()
        .find(|word| !word.as_encoded_bytes().starts_with(b"-"))
        .map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench"),
            PathBuf::from,
        );
    install();
    let base = rounds::fresh(&base, "tree");
    let mut promises = Promises { kept: true };
    outputs(&base, "W1", 21, &mut promises);
    outputs(&base, "W2", 9, &mut promises);
    for (name, on_disk) in [("W1", true), ("W2", false), ("W2", true), ("W3", true)] {
        promises.kept &= jails::measure(&base, name, on_disk);
    }
    fs::remove_dir_all(&base).unwrap();
    code(promises.kept)
}

fn code(kept: bool) -> ExitCode {
    if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs one of the lower bounds, in this process.
fn run_floor(arguments: &[OsString]) {
    let path = |at: usize| Path::new(&arguments[at]);
    match arguments[0].to_str().unwrap() {
        "copy" => floor::copy(path(1), path(2)),
        "link" => floor::link(path(1), path(2), path(3)),
        "link-known" => floor::link_known(path(1), path(2), path(3)),
        "lstat" => floor::lstat(path(1), path(2)),
        "digest" => floor::digest(path(1), path(2)),
        other => panic!("no floor `{other}`"),
    }
    if arguments.last().is_some_and(|last| last == "sync") {
        floor::sync(path(arguments.len() - 2));
    }
}

/// Command for one of the lower bounds.
fn floor_command(arguments: &[&std::ffi::OsStr]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("floor").args(arguments);
    command
}

/// `build --output` against the copier and jailkit.
fn outputs(base: &Path, name: &str, rounds: usize, promises: &mut Promises) {
    let place = base.join(name);
    fs::create_dir_all(&place).unwrap();
    let file = place.join("spec.toml");
    fs::write(&file, workload::spec(name, "bench")).unwrap();
    let list = place.join("list");
    let entries = write_list(&file, &list, &place.join("texts"));
    let programs = programs(if name == "W1" {
        &workload::W1
    } else {
        &workload::W2
    });
    let contenders: [Contender<'_>; 3] = [
        contender("copier", |target| {
            floor_command(&["copy".as_ref(), list.as_ref(), target.as_ref()])
        }),
        contender("jailctl", |target| {
            let mut command = Command::new(JAILCTL);
            command
                .args(["-q", "build"])
                .arg(&file)
                .arg("--output")
                .arg(target);
            command
        }),
        Contender {
            name: "jk_cp",
            rounds: 3,
            command: Box::new(|target| {
                let mut command = Command::new("jk_cp");
                command.arg("-j").arg(target).args(&programs);
                command
            }),
        },
    ];
    let times = rounds::run(&place, rounds, &contenders);
    println!("{name}, build --output: {entries} entries");
    show(&times);
    let (copier, ours, jailkit) = (&times[0], &times[1], &times[2]);
    let (most, least) = if name == "W1" {
        (2.0, 10.0)
    } else {
        (1.2, 30.0)
    };
    promises.at_most("times the copier", ours.ratio(copier), most);
    promises.at_least(
        "times as fast as jk_cp",
        jailkit.median() / ours.median(),
        least,
    );
    // Lower bound of a program that copies each file.
    println!(
        "  {:<24} {:>9.2}",
        "the copier itself",
        jailkit.median() / copier.median()
    );
    let peak = peak(
        Command::new("/usr/bin/time")
            .args(["-f", "%M"])
            .arg(JAILCTL)
            .args(["-q", "build"])
            .arg(&file)
            .arg("--output")
            .arg(place.join("peak")),
    );
    promises.at_most("MiB at the peak", peak, 12.0);
}

/// Peak memory of a command in MiB, measured by GNU time.
fn peak(command: &mut Command) -> f64 {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let kib: f64 = said.lines().last().unwrap().parse().unwrap();
    kib / 1024.0
}

/// Writes the list of the tree that jailctl builds from a spec. Returns the number of entries.
fn write_list(file: &Path, list: &Path, texts: &Path) -> usize {
    let source = spec::source("bench", fs::read(file).unwrap()).unwrap();
    let spec = spec::load(&source, &spec::BuiltIn).unwrap();
    let view = HostView::new(Path::new("/")).unwrap();
    let (tree, _) = resolve::resolve_tree(&spec, &view).unwrap();
    floor::write_list(&tree, list, texts);
    tree.len()
}

/// Paths of the programs.
fn programs(names: &[&str]) -> Vec<PathBuf> {
    let view = HostView::new(Path::new("/")).unwrap();
    names
        .iter()
        .map(|name| {
            if name.starts_with('/') {
                PathBuf::from(name)
            } else {
                view.which(name).unwrap().unwrap()
            }
        })
        .collect()
}

/// Prints times in milliseconds: median, minimum, maximum.
fn show(times: &[Times]) {
    for times in times {
        let mut all = times.seconds.clone();
        all.sort_by(f64::total_cmp);
        println!(
            "  {:<24} {:>9.2} ms  [{:.2} to {:.2}]",
            times.name,
            times.median() * 1e3,
            all[0] * 1e3,
            all[all.len() - 1] * 1e3
        );
    }
}

/// Limits, and whether all hold.
struct Promises {
    kept: bool,
}

impl Promises {
    fn at_most(&mut self, what: &str, is: f64, most: f64) {
        self.report(what, is, &format!("at most {most}"), is <= most);
    }

    fn at_least(&mut self, what: &str, is: f64, least: f64) {
        self.report(what, is, &format!("at least {least}"), is >= least);
    }

    fn report(&mut self, what: &str, is: f64, wanted: &str, good: bool) {
        self.kept &= good;
        let verdict = if good { "" } else { "  NOT KEPT" };
        println!("  {what:<24} {is:>9.2}     {wanted}{verdict}");
    }
}

/// Installs missing packages, without starting their services.
fn install() {
    let script = r#"
        missing=()
        for package; do
            dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
        done
        [ ${#missing[@]} -gt 0 ] || exit 0
        policy=/usr/sbin/policy-rc.d
        if [ ! -e $policy ]; then
            trap 'rm -f $policy' EXIT
            printf '#!/bin/sh\nexit 101\n' >$policy
            chmod 755 $policy
        fi
        apt-get -qq update
        DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "${missing[@]}" >&2
    "#;
    let status = Command::new("bash")
        .args(["-euc", script, "install"])
        .args(workload::PACKAGES)
        .status()
        .unwrap();
    assert!(status.success(), "packages could not be installed");
}

//! Whole builds in a disposable copy of the machine: the second jail with the same content, builds
//! that change nothing, a hundred jails.
//!
//! Jails and lower bounds are on the disk that the caller names, and in a second run in memory,
//! where waiting for the disk has no effect.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use disposable::DisposableHost;

use crate::rounds::{Times, median, timed};
use crate::{Promises, floor_command, peak, show, workload, write_list};

const JAILS: &str = "/srv/jails";
const ROUNDS: usize = 9;

/// Runs all measurements for one workload in a disposable host of its own, on the disk or in
/// memory.
pub fn measure(base: &Path, name: &str, on_disk: bool) -> bool {
    let mut builder = DisposableHost::builder()
        .jailctl(crate::JAILCTL)
        .limit(std::time::Duration::from_secs(900));
    if on_disk {
        let place = base.join(format!("jails-{name}"));
        fs::create_dir_all(&place).unwrap();
        builder = builder.directory(place, JAILS);
    }
    let host = builder.make();
    let this = std::env::current_exe().unwrap();
    let place = if on_disk { "disk" } else { "memory" };
    let output = host.run([this.to_str().unwrap(), "inside", name, place]);
    print!("{}", output.stdout());
    assert!(output.code() < 2, "{output:?}");
    output.success()
}

/// Measurements inside the disposable host.
pub fn inside(name: &str, place: &str) -> bool {
    let mut promises = Promises { kept: true };
    let jails = Path::new(JAILS);
    fs::create_dir_all(jails).unwrap();
    let _ = Command::new("chattr").arg("+T").arg(jails).output();
    let spec = |jail: &str| {
        let path = PathBuf::from(format!("/root/{jail}.toml"));
        fs::write(&path, workload::spec(name, jail)).unwrap();
        path
    };
    let build = |path: &Path| {
        let mut command = Command::new("jailctl");
        command.args(["-q", "build"]).arg(path);
        command
    };
    let first = spec("first");
    timed(&mut build(&first));
    let list = Path::new("/root/list");
    let entries = write_list(&first, list, Path::new("/root/texts"));
    println!(
        "{name}, whole builds, jails {}: {entries} entries",
        if place == "disk" {
            "on the disk"
        } else {
            "in memory"
        }
    );

    let root = jails.join("first");
    let on_root = |floor: &str| floor_command(&[floor.as_ref(), list.as_ref(), root.as_ref()]);
    let check = |deep: &[&str]| {
        let mut command = Command::new("jailctl");
        command.args(["-q", "check", "first"]).args(deep);
        command
    };
    // Before another jail exists, which changes the link counts of shared files; and files that
    // were changed a moment ago are not cached.
    std::thread::sleep(std::time::Duration::from_millis(3100));
    timed(&mut build(&first));
    timed(&mut check(&[]));
    let still = rounds(
        ["nothing to do", "lstat", "check", "digest", "check --deep"],
        |_| {
            [
                timed(&mut build(&first)),
                timed(&mut on_root("lstat")),
                timed(&mut check(&[])),
                timed(&mut on_root("digest")),
                timed(&mut check(&["--deep"])),
            ]
        },
    );
    let [nothing, lstat, facts, digest, bytes] = &still;
    let most = if name == "W3" { 60.0 } else { 10.0 };
    promises.at_most("ms for nothing to do", nothing.median() * 1e3, most);
    promises.at_most("times lstat to check", facts.ratio(lstat), 4.0);
    promises.at_most("times digests, --deep", bytes.ratio(digest), 1.5);

    let names = ["link", "link, synced", "link what is known", "second jail"];
    let second = rounds(names, |round| {
        let fresh = |what: &str| {
            let path = jails.join(format!("{what}{round}"));
            fs::create_dir(&path).unwrap();
            crate::floor::sync(&path);
            path
        };
        let link = |how: &str, target: &Path, last: &str| {
            floor_command(&[
                how.as_ref(),
                list.as_ref(),
                root.as_ref(),
                target.as_os_str(),
                last.as_ref(),
            ])
        };
        [
            timed(&mut link("link", &fresh("link"), "")),
            timed(&mut link("link", &fresh("synced"), "sync")),
            timed(&mut link("link-known", &fresh("known"), "")),
            timed(&mut build(&spec(&format!("second{round}")))),
        ]
    });
    let [link, synced, known, second] = &second;
    let floor = if place == "disk" { synced } else { link };
    promises.at_most("times the link floor", second.ratio(floor), 3.0);
    // Lower bound of a program that queries each file once.
    println!(
        "  {:<24} {:>9.2}",
        "its floor, to the links",
        known.ratio(link)
    );
    let memory = peak(
        Command::new("/usr/bin/time")
            .args(["-f", "%M", "jailctl", "-q", "build"])
            .arg(spec("peak")),
    );
    promises.at_most("MiB at the peak", memory, 12.0);
    if name == "W2" && place != "disk" {
        let jailkit = jailkit();
        println!("  {:<24} {:>9.2} ms", "jk_init -k", jailkit * 1e3);
        promises.at_least("times as fast as jk_init", jailkit / second.median(), 100.0);
        // Lower bound of a program that links each file.
        println!(
            "  {:<24} {:>9.2}",
            "the link floor itself",
            jailkit / link.median()
        );
    }
    if name == "W1" {
        hundred(&spec, &mut promises);
    }
    promises.kept
}

/// Runs the contenders, round by round. The first round does not count.
fn rounds<const N: usize>(names: [&str; N], run: impl Fn(usize) -> [f64; N]) -> [Times; N] {
    let mut times = names.map(|name| Times {
        name: name.to_owned(),
        seconds: Vec::new(),
    });
    for round in 0..=ROUNDS {
        for (times, seconds) in times.iter_mut().zip(run(round)) {
            if round > 0 {
                times.seconds.push(seconds);
            }
        }
    }
    show(&times);
    times
}

/// jailkit, creating the jail of W2 with hard links.
fn jailkit() -> f64 {
    let programs: Vec<String> = crate::programs(&workload::W2)
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let file = Path::new("/root/jk_init.ini");
    fs::write(
        file,
        format!("[bench]\nexecutables = {}\n", programs.join(", ")),
    )
    .unwrap();
    let rounds: Vec<f64> = (0..3)
        .map(|round| {
            let target = format!("/root/jailkit{round}");
            timed(Command::new("jk_init").args([
                "-k",
                "-c",
                "/root/jk_init.ini",
                "-j",
                &target,
                "bench",
            ]))
        })
        .collect();
    median(&rounds)
}

/// Disk space and memory of a hundred jails with the same content.
fn hundred(spec: &dyn Fn(&str) -> PathBuf, promises: &mut Promises) {
    let blocks = |what: &str| -> f64 {
        let output = Command::new("bash")
            .args(["-c", &format!("find {JAILS}/first {JAILS}/h-* {JAILS}/.jailctl -type f -printf '{what}\\n' 2>/dev/null | sort -u | awk '{{ sum += $2 }} END {{ print sum }}'")])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .unwrap()
    };
    let one = blocks("%i %b");
    let files: Vec<PathBuf> = (1..100)
        .map(|number| spec(&format!("h-{number}")))
        .collect();
    let mut command = Command::new("jailctl");
    command.args(["-q", "build"]).args(&files);
    let seconds = timed(&mut command);
    println!(
        "  {:<24} {:>9.2} ms",
        "99 jails more, each",
        seconds * 1e3 / 99.0
    );
    promises.at_most("times the disk of one", blocks("%i %b") / one, 1.1);

    let read = |jails: &str, how: &str| {
        let script = format!("find {jails} -type f -print0 | xargs -0 {how} >/dev/null");
        timed(Command::new("bash").args(["-c", &script]));
    };
    let first = format!("{JAILS}/first");
    // From dd(1): the cache of a whole file is dropped.
    read(&first, "-I{} dd if={} iflag=nocache count=0 status=none");
    let before = cached();
    read(&first, "cat");
    let one = cached() - before;
    read(&format!("{JAILS}/h-*"), "cat");
    promises.at_most("times the page cache", (cached() - before) / one, 1.1);
}

/// Kilobytes of files in the page cache.
fn cached() -> f64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find(|line| line.starts_with("Cached:"));
    line.and_then(|line| line.split_whitespace().nth(1))
        .and_then(|number| number.parse().ok())
        .unwrap()
}

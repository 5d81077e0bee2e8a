//! How fast closures are, in one run: a thousand programs at once, against the floor of reading each object once, ld.so and lddtree on the same files.
//!
//! `cargo bench --bench elf`. Promised: at least 50 times as fast as `ld.so --list` on each, 20 times as fast as lddtree, at most 3 times the
//! floor, and a few percent of the bytes. The exit status says whether this run kept it.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement prints, and its floor must not use what it measures"
)]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use jailctl::elf::{self, ObjectKind, Options};
use jailctl::host::View;

const PROGRAMS: usize = 1000;
const ROUNDS: usize = 21;

/// Programs and libraries of the system, a thousand if it has as many.
fn programs() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for top in [
        "/usr/bin",
        "/usr/sbin",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib",
    ] {
        for entry in walkdir::WalkDir::new(top).sort_by_file_name() {
            let path = entry.unwrap().into_path();
            let mut head = [0; 5];
            let is_wide = fs::symlink_metadata(&path).unwrap().is_file()
                && File::open(&path)
                    .and_then(|file| file.read_exact_at(&mut head, 0))
                    .is_ok()
                && head == *b"\x7fELF\x02";
            if is_wide && !found.contains(&path) && is_dynamic(&path) {
                found.push(path);
            }
            if found.len() == PROGRAMS {
                return found;
            }
        }
    }
    found
}

fn is_dynamic(path: &Path) -> bool {
    ranges(path).is_some()
}

/// What of an object a loader must read: dynamic section and string table, as offsets and lengths.
fn ranges(path: &Path) -> Option<[(u64, usize); 2]> {
    let file = File::open(path).ok()?;
    let mut head = vec![0; 4096];
    let length = file.read_at(&mut head, 0).ok()?;
    head.truncate(length);
    let word =
        |bytes: &[u8], at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let count = usize::from(u16::from_le_bytes(head.get(56..58)?.try_into().ok()?));
    let start = usize::try_from(word(&head, 32)?).ok()?;
    // Type, offset, address and size in the file of each segment.
    let segments = (0..count)
        .map(|number| {
            let at = start + number * 56;
            let kind = head.get(at)?;
            Some((
                *kind,
                word(&head, at + 8)?,
                word(&head, at + 16)?,
                word(&head, at + 32)?,
            ))
        })
        .collect::<Option<Vec<_>>>()?;
    let dynamic = segments.iter().find(|segment| segment.0 == 2)?;
    let mut bytes = vec![0; usize::try_from(dynamic.3).ok()?];
    file.read_exact_at(&mut bytes, dynamic.1).ok()?;
    let value = |tag: u64| {
        let mut entries = (0..bytes.len() / 16).map(|at| at * 16);
        let at = entries.find(|at| word(&bytes, *at) == Some(tag))?;
        word(&bytes, at + 8)
    };
    let (table, names) = (value(5)?, value(1)?);
    let home = segments
        .iter()
        .find(|segment| segment.0 == 1 && (segment.2..segment.2 + segment.3).contains(&table))?;
    // The names alone, which lie together nearly always.
    let strings = home.1 + table - home.2 + names;
    Some([(dynamic.1, bytes.len()), (strings, 256)])
}

/// The median of some rounds, in seconds.
fn median(rounds: usize, mut round: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[rounds / 2]
}

fn bytes_read() -> u64 {
    let text = fs::read_to_string("/proc/self/io").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("rchar: "));
    line.unwrap().parse().unwrap()
}

fn main() -> ExitCode {
    let programs = programs();
    let view = View::new(Path::new("/")).unwrap();
    let options = Options {
        dlopen: None,
        ..Options::default()
    };
    let before = bytes_read();
    let closure = elf::closure(&view, &programs, &options).unwrap();
    let read = bytes_read() - before;
    let objects: Vec<&PathBuf> = closure
        .objects
        .iter()
        .filter(|(_, object)| object.kind == ObjectKind::Elf)
        .map(|(path, _)| path)
        .collect();
    let size: u64 = objects
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    let plan: Vec<_> = objects
        .iter()
        .map(|path| (path, ranges(path).unwrap_or([(0, 0), (0, 0)])))
        .collect();

    let mut buffer = vec![0; 1 << 20];
    let floor = median(ROUNDS, || {
        for (path, ranges) in &plan {
            let file = File::open(path).unwrap();
            file.metadata().unwrap();
            let _ = file.read_at(&mut buffer[..2048], 0).unwrap();
            for (offset, length) in ranges {
                let _ = file.read_at(&mut buffer[..*length], *offset).unwrap();
            }
        }
    });
    let ours = median(ROUNDS, || {
        elf::closure(&view, &programs, &options).unwrap();
    });
    let command = median(ROUNDS, || {
        run(Command::new(env!("CARGO_BIN_EXE_jailctl"))
            .args(["-q", "deps"])
            .args(&programs));
    });
    let loader = median(3, || {
        for program in &programs {
            run(Command::new("/lib64/ld-linux-x86-64.so.2")
                .arg("--list")
                .arg(program));
        }
    });
    let has_lddtree = Command::new("/usr/bin/python3")
        .args(["-c", "import elftools"])
        .status()
        .is_ok_and(|status| status.success())
        && Path::new("/usr/bin/lddtree").exists();
    let lddtree = has_lddtree.then(|| {
        median(1, || {
            run(Command::new("/usr/bin/python3")
                .arg("/usr/bin/lddtree")
                .args(&programs));
        })
    });

    println!(
        "{} programs, {} objects of {} MiB",
        programs.len(),
        objects.len(),
        size >> 20
    );
    let share = 100.0 * read as f64 / size as f64;
    println!(
        "read            {:>9.1} KiB, {share:.2} %",
        read as f64 / 1024.0
    );
    for (name, seconds) in [
        ("floor", floor),
        ("closure", ours),
        ("jailctl deps", command),
        ("ld.so each", loader),
    ] {
        println!("{name:<15} {:>9.2} ms", seconds * 1e3);
    }
    let mut kept = true;
    let mut promise = |what: &str, ratio: f64, good: bool| {
        kept &= good;
        println!(
            "{what:<15} {ratio:>9.1}{}",
            if good { "" } else { ", less than promised" }
        );
    };
    promise("times the floor", ours / floor, ours <= 3.0 * floor);
    promise("times ld.so", loader / command, loader >= 50.0 * command);
    match lddtree {
        Some(lddtree) => promise(
            "times lddtree",
            lddtree / command,
            lddtree >= 20.0 * command,
        ),
        None => println!("lddtree is not there: packages pax-utils and python3-pyelftools"),
    }
    promise("percent read", share, share <= 5.0);
    if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run(command: &mut Command) {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
}

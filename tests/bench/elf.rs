//! Time of `jailctl deps` for a thousand programs, compared with `ld.so --list` for each, with
//! lddtree for all, and with a lower bound, in one run and in turn.
//!
//! `cargo bench --bench elf`. All are whole processes, from start to end. The lower bound is this
//! program itself, which opens each object of the closure once and reads its headers, dynamic
//! section and names. Limits: at least 50 times as fast as ld.so, 20 times as fast as lddtree, at
//! most 3 times the lower bound, each object opened and read once, and a few percent of the bytes.
//! The exit status is 0 if this run was within them. `--turns N` changes the number of turns.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement prints, and its floor must not use what it measures"
)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use jailctl::elf::{self, ObjectKind, Options};
use jailctl::host::HostView;

const PROGRAMS: usize = 1000;
/// Turns of all contenders, and runs in each turn of those that take milliseconds.
const TURNS: usize = 7;
const EACH: usize = 5;
/// First argument of this program as the lower bound.
const FLOOR: &str = "--floor";

/// A thousand programs and libraries of the system, or all if it has fewer.
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
    let mut buffer = vec![0; 1 << 20];
    File::open(path).is_ok_and(|file| read_object(&file, &mut buffer).is_some())
}

/// Reads the parts of an open object that a loader reads: headers, dynamic section, and the names
/// that it needs, which are nearly always adjacent.
fn read_object(file: &File, buffer: &mut [u8]) -> Option<()> {
    let word =
        |bytes: &[u8], at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let mut head = [0; 2048];
    file.read_at(&mut head, 0).ok()?;
    let count = usize::from(u16::from_le_bytes(head.get(56..58)?.try_into().ok()?));
    let start = usize::try_from(word(&head, 32)?).ok()?;
    // Type, offset, address and size in the file of each segment.
    let segment = |number: usize| {
        let at = start + number * 56;
        Some((
            *head.get(at)?,
            word(&head, at + 8)?,
            word(&head, at + 16)?,
            word(&head, at + 32)?,
        ))
    };
    let dynamic = (0..count).filter_map(segment).find(|part| part.0 == 2)?;
    let bytes = buffer.get_mut(..usize::try_from(dynamic.3).ok()?)?;
    file.read_exact_at(bytes, dynamic.1).ok()?;
    let value = |tag: u64| {
        let mut entries = (0..bytes.len() / 16).map(|at| at * 16);
        let at = entries.find(|at| word(bytes, *at) == Some(tag))?;
        word(bytes, at + 8)
    };
    let (table, name) = (value(5)?, value(1)?);
    let home = (0..count)
        .filter_map(segment)
        .find(|part| part.0 == 1 && (part.2..part.2 + part.3).contains(&table))?;
    let mut names = [0; 256];
    file.read_at(&mut names, home.1 + table - home.2 + name)
        .ok()?;
    Some(())
}

/// The lower bound: opens each of the files once and reads it.
fn floor(paths: impl Iterator<Item = PathBuf>) {
    let mut buffer = vec![0; 1 << 20];
    for path in paths {
        let file = File::open(&path).unwrap();
        file.metadata().unwrap();
        read_object(&file, &mut buffer);
    }
}

/// Seconds that a command takes.
fn time(command: &mut Command) -> f64 {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    command.status().unwrap();
    start.elapsed().as_secs_f64()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn bytes_read() -> u64 {
    let text = fs::read_to_string("/proc/self/io").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("rchar: "));
    line.unwrap().parse().unwrap()
}

/// Number of times that each path below the programs' directories is opened, counted by strace(1).
fn opened_most(programs: &[PathBuf], objects: &[PathBuf]) -> Option<usize> {
    let trace = std::env::temp_dir().join(format!("jailctl-bench-{}", std::process::id()));
    let status = Command::new("strace")
        .args([
            "--follow-forks",
            "--decode-fds=path",
            "--trace=openat,openat2",
            "-o",
        ])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_jailctl"))
        .args(["-q", "deps", "--dlopen=none"])
        .args(programs)
        .stdout(Stdio::null())
        .status();
    let text = fs::read_to_string(&trace).ok()?;
    fs::remove_file(&trace).ok()?;
    status.ok().filter(std::process::ExitStatus::success)?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines() {
        // The loader that starts the process opened its libraries before: by path, not below a
        // directory.
        if let Some((_, opened)) = line.rsplit_once("> = ").or(line.rsplit_once(" = "))
            && !line.contains("AT_FDCWD")
            && let Some(path) = opened.split(['<', '>']).nth(1)
        {
            *counts.entry(path).or_default() += 1;
        }
    }
    let most = objects
        .iter()
        .map(|path| counts.get(path.to_str().unwrap()).copied().unwrap_or(0));
    most.max()
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|first| first == FLOOR).is_some() {
        floor(arguments.map(PathBuf::from));
        return ExitCode::SUCCESS;
    }
    let mut turns = TURNS;
    while let Some(argument) = arguments.next() {
        if argument == "--turns" {
            let number = arguments.next();
            turns = number.unwrap().to_str().unwrap().parse().unwrap();
        }
    }

    let programs = programs();
    let view = HostView::new(Path::new("/")).unwrap();
    let options = Options {
        dlopen: None,
        ..Options::default()
    };
    let before = bytes_read();
    let closure = elf::closure(&view, &programs, &options).unwrap();
    let read = bytes_read() - before;
    let objects: Vec<PathBuf> = closure
        .objects
        .iter()
        .filter(|(_, object)| object.kind == ObjectKind::Elf)
        .map(|(path, _)| path.clone())
        .collect();
    let sizes = objects.iter().map(|path| fs::metadata(path).unwrap().len());
    let size: u64 = sizes.sum();

    let this = std::env::current_exe().unwrap();
    let has_lddtree = Command::new("/usr/bin/python3")
        .args(["-c", "import elftools"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
        && Path::new("/usr/bin/lddtree").exists();
    let (mut floor, mut ours, mut loader, mut lddtree) = (vec![], vec![], vec![], vec![]);
    for turn in 0..turns {
        for _ in 0..EACH {
            floor.push(time(Command::new(&this).arg(FLOOR).args(&objects)));
            ours.push(time(
                Command::new(env!("CARGO_BIN_EXE_jailctl"))
                    .args(["-q", "deps", "--dlopen=none"])
                    .args(&programs),
            ));
        }
        let each = programs.iter().map(|program| {
            time(
                Command::new("/lib64/ld-linux-x86-64.so.2")
                    .arg("--list")
                    .arg(program),
            )
        });
        loader.push(each.sum());
        // It takes a hundred times as long as all the others.
        if has_lddtree && turn == turns / 2 {
            lddtree.push(time(
                Command::new("/usr/bin/python3")
                    .arg("/usr/bin/lddtree")
                    .args(&programs),
            ));
        }
    }
    let (floor, ours, loader) = (median(floor), median(ours), median(loader));

    println!(
        "{} programs, {} objects of {} MiB, {turns} turns",
        programs.len(),
        objects.len(),
        size >> 20
    );
    for (name, seconds) in [
        ("floor", floor),
        ("jailctl deps", ours),
        ("ld.so on each", loader),
    ] {
        println!("{name:<22} {:>9.2} ms", seconds * 1e3);
    }
    let mut kept = true;
    let mut promise = |what: &str, figure: f64, good: bool| {
        kept &= good;
        let word = if good { "" } else { ", not as promised" };
        println!("{what:<22} {figure:>9.2}{word}");
    };
    promise("of the floor, times", ours / floor, ours <= 3.0 * floor);
    promise("ld.so to it, times", loader / ours, loader >= 50.0 * ours);
    match lddtree.first() {
        Some(lddtree) => promise(
            "lddtree to it, times",
            lddtree / ours,
            *lddtree >= 20.0 * ours,
        ),
        None => println!("lddtree is not there: packages pax-utils and python3-pyelftools"),
    }
    let share = 100.0 * read as f64 / size as f64;
    promise("read of the bytes, %", share, share <= 5.0);
    match opened_most(&programs, &objects) {
        Some(most) => promise("opened at most, times", most as f64, most == 1),
        None => println!("strace is not there, so who opens what was not counted"),
    }
    if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

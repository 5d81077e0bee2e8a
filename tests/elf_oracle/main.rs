//! Closures of all ELF files in the program and library directories of the system, compared with
//! their own loaders: the same files, and the same missing names.
//!
//! The oracle is `ld.so --list`, which maps objects and runs no code of them. Files that the loader
//! refuses are not compared; all others are.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::unnecessary_debug_formatting,
    reason = "the oracle must not use what it judges, and its helpers are tests too"
)]

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use jailctl::elf::{self, Closure, ObjectKind, Options, Priority};
use jailctl::host::HostView;

mod deps_command;
mod dlopen_notes;
mod elf_builder;
mod foreign_roots;
mod hostile;
mod load_errors;
mod multiple_paths;
mod musl;
mod resource_limits;
mod search;
mod test_root;

fn main() -> ExitCode {
    disposable::harness::run()
}

/// Needs of one file: real paths, and names that were not found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    files: BTreeSet<PathBuf>,
    missing: BTreeSet<String>,
}

/// Loader of a file, by class and machine; `None` if it is no program or library of this system.
fn loader(path: &Path) -> Option<&'static Path> {
    let mut head = [0; 20];
    fs::File::open(path).ok()?.read_exact(&mut head).ok()?;
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let loader = match (head[4], u16::from_le_bytes([head[18], head[19]])) {
        (2, 62) => "/lib64/ld-linux-x86-64.so.2",
        (1, 3) => "/lib/ld-linux.so.2",
        (1, 62) => "/libx32/ld-linux-x32.so.2",
        (2, 183) => "/lib/ld-linux-aarch64.so.1",
        _ => return None,
    };
    let loader = Path::new(loader);
    // A loader for another processor would not start.
    Command::new(loader)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
        .then_some(loader)
}

/// Needs of a file by its loader; `Err` contains its error output if it refuses the file.
///
/// `--list` stops at the first library that is not found. The loader is then started in trace mode,
/// which lists them all, as ldd(1) does.
fn loader_answer(loader: &Path, path: &Path) -> Result<Answer, String> {
    let run = |trace: bool| {
        let mut command = Command::new(loader);
        command.env_clear().current_dir("/proc/self/fd");
        if trace {
            command.env("LD_TRACE_LOADED_OBJECTS", "1");
        } else {
            command.arg("--list");
        }
        command.arg(path).output().unwrap()
    };
    let mut output = run(false);
    let stderr = String::from_utf8_lossy(&output.stderr);
    if stderr.contains(": cannot open shared object file") {
        output = run(true);
    }
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut answer = Answer::default();
    for line in text.lines().map(str::trim) {
        let (name, place) = line.split_once(" => ").unwrap_or((line, line));
        if place.starts_with("not found") {
            answer.missing.insert(name.to_owned());
        } else if let Some((place, _)) = place.rsplit_once(" (0x")
            && place.starts_with('/')
        {
            answer.files.insert(fs::canonicalize(place).unwrap());
        }
    }
    answer.files.remove(&fs::canonicalize(loader).unwrap());
    answer.files.remove(&fs::canonicalize(path).unwrap());
    Ok(answer)
}

/// Needs of a file by the resolver.
fn resolver_answer(
    view: &HostView,
    options: &Options,
    loader: &Path,
    path: &Path,
) -> Result<Answer, String> {
    let closure =
        elf::closure(view, &[path.to_owned()], options).map_err(|error| error.to_string())?;
    let mut answer = Answer {
        files: closure
            .objects
            .iter()
            .filter(|(_, object)| object.kind == ObjectKind::Elf)
            .map(|(path, _)| path.clone())
            .collect(),
        missing: closure
            .missing
            .iter()
            .map(|missing| missing.name.to_string_lossy().into_owned())
            .collect(),
    };
    for (path, object) in &closure.objects {
        let kind = fs::symlink_metadata(path).unwrap().file_type();
        let is_link = matches!(object.kind, ObjectKind::Link { .. });
        assert_eq!(kind.is_symlink(), is_link, "{path:?}");
    }
    answer.files.remove(&fs::canonicalize(loader).unwrap());
    answer.files.remove(&fs::canonicalize(path).unwrap());
    Ok(answer)
}

fn is_elf(path: &Path) -> bool {
    let mut head = [0; 4];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && head == *b"\x7fELF"
}

fn elf_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for top in ["/usr/bin", "/usr/sbin", "/usr/lib"] {
        for entry in walkdir::WalkDir::new(top) {
            let entry = entry.unwrap();
            if entry.file_type().is_file() && is_elf(entry.path()) {
                files.push(entry.into_path());
            }
        }
    }
    files
}

#[disposable::test]
fn every_closure_equals_the_loader_list() {
    let files = elf_files();
    let next = AtomicUsize::new(0);
    let view = HostView::new(Path::new("/")).unwrap();
    let options = Options {
        dlopen: None,
        ..Options::default()
    };
    let work = || {
        let mut compared = 0;
        let mut refused = 0;
        let mut differences = Vec::new();
        while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Some(loader) = loader(path) else {
                continue;
            };
            match loader_answer(loader, path) {
                Err(_) => refused += 1,
                Ok(expected) => {
                    compared += 1;
                    let found = resolver_answer(&view, &options, loader, path);
                    if found.as_ref() != Ok(&expected) {
                        differences
                            .push(format!("{}: {found:?}, not {expected:?}", path.display()));
                    }
                }
            }
        }
        (compared, refused, differences)
    };
    let (compared, refused, differences) = thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        let mut sum = (0, 0, Vec::new());
        for thread in threads {
            let (compared, refused, differences) = thread.join().unwrap();
            sum.0 += compared;
            sum.1 += refused;
            sum.2.extend(differences);
        }
        sum
    });
    println!("{compared} compared, {refused} refused by the loader");
    assert!(
        differences.is_empty(),
        "{} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(compared > 100);
}

/// Every path of a closure; object, name and library of every need; object and name of every
/// missing library.
type Contents = (
    BTreeSet<PathBuf>,
    BTreeSet<(PathBuf, Arc<OsStr>, Arc<Path>)>,
    BTreeSet<(PathBuf, OsString)>,
);

fn add(whole: &mut Contents, closure: &Closure) {
    for (path, object) in &closure.objects {
        whole.0.insert(path.clone());
        for needed in &object.needed {
            whole
                .1
                .insert((path.clone(), needed.name.clone(), needed.path.clone()));
        }
    }
    for missing in &closure.missing {
        whole
            .2
            .insert((missing.needed_by.clone(), missing.name.clone()));
    }
}

#[disposable::test]
fn closure_of_all_is_the_union_of_each() {
    let view = HostView::new(Path::new("/")).unwrap();
    let options = Options {
        dlopen: Some(Priority::Suggested),
        ..Options::default()
    };
    let mut alone = Contents::default();
    let mut roots = Vec::new();
    for path in elf_files() {
        if let Ok(closure) = elf::closure(&view, std::slice::from_ref(&path), &options) {
            add(&mut alone, &closure);
            roots.push(path);
        }
    }
    let mut together = Contents::default();
    add(
        &mut together,
        &elf::closure(&view, &roots, &options).unwrap(),
    );
    assert!(
        together == alone,
        "{:?}",
        together.1.symmetric_difference(&alone.1)
    );
}

//! Foreign systems: Debian 13, package sets for arm64 and i386, a wheel of PyPI.
//!
//! For each, the output of `jailctl deps --root` is compared with the loader of that system,
//! started inside it, and programs run in a tree of nothing else. arm64 runs by qemu-user. Packages
//! are downloaded from the mirror in apt's configuration into temporary directories; the system
//! itself is not changed.
//!
//! These tests need a network and the packages mmdebstrap and python3-pip. They are run by `cargo
//! test --test roots` as root, not by `tests/run`.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the tests look at what they made with their own means"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use jailctl::elf::{self, ObjectKind, Options};
use jailctl::host::HostView;

use jail::{Folder, build, deps, paths, run, run_in};

mod apt;
mod jail;

/// ELF files of one machine below some directories of a root, by their paths in it.
fn elf_files(root: &Path, machine: u8, directories: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for directory in directories {
        for entry in walkdir::WalkDir::new(root.join(directory)).sort_by_file_name() {
            let entry = entry.unwrap();
            let mut head = [0; 20];
            if entry.file_type().is_file()
                && fs::File::open(entry.path())
                    .and_then(|mut file| file.read_exact(&mut head))
                    .is_ok()
                && head.starts_with(b"\x7fELF")
                && head[18] == machine
            {
                let path = entry.path().strip_prefix(root).unwrap();
                found.push(format!("/{}", path.display()));
            }
        }
    }
    found
}

/// Compares files with the loader of a root, which `loader` starts inside it. Returns the number of
/// files that were compared.
fn compare(root: &Path, loader: &[&str], files: &[String]) -> usize {
    let view = HostView::new(root).unwrap();
    let options = Options {
        dlopen: None,
        ..Options::default()
    };
    let real = |path: &str| view.resolve_links(Path::new(path)).unwrap().unwrap().real;
    let own = real(loader.last().unwrap());
    let mut compared = 0;
    for file in files {
        let program = real(file);
        let output = Command::new("chroot")
            .arg(root)
            .args(loader)
            .args(["--list", file])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            // The loader refuses static programs, and itself.
            assert!(
                !stderr.contains("cannot open shared object file"),
                "{file}: {stderr}"
            );
            continue;
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let expected: BTreeSet<PathBuf> = text
            .lines()
            .filter_map(|line| line.rsplit_once(" (0x"))
            .map(|(line, _)| line.rsplit(" => ").next().unwrap().trim())
            .filter(|path| path.starts_with('/'))
            .map(real)
            .filter(|path| *path != own && *path != program)
            .collect();
        let closure = elf::closure(&view, &[PathBuf::from(file)], &options).unwrap();
        assert_eq!(closure.missing, [], "{file}");
        let found: BTreeSet<PathBuf> = closure
            .objects
            .into_iter()
            .filter(|(_, object)| object.kind == ObjectKind::Elf)
            .map(|(path, _)| path)
            .filter(|path| *path != own && *path != program)
            .collect();
        assert_eq!(found, expected, "{file}");
        compared += 1;
    }
    compared
}

/// Creates a root with Debian 13, with some programs more than the essential ones.
fn debian_13(name: &str) -> Folder {
    let root = Folder::new(name);
    // In a mount namespace of its own, since /proc is mounted in the root for a time.
    run(Command::new("unshare")
        .args(["--mount", "mmdebstrap", "--quiet", "--mode=root"])
        .args(["--variant=essential", "--include=curl,libstdc++6,python3"])
        .args(["--dpkgopt=force-unsafe-io", "trixie"])
        .arg(&root.0)
        .arg(apt::mirror()));
    root
}

#[test]
fn debian_13_programs() {
    let root = debian_13("debian-13");
    let files = elf_files(&root.0, 62, &["usr"]);
    let compared = compare(&root.0, &["/lib64/ld-linux-x86-64.so.2"], &files);
    println!("{compared} of {} files of Debian 13 compared", files.len());
    assert!(compared > 300, "{compared}");

    let programs = ["bash", "ls", "curl", "perl"];
    let jail = build(&root.0, &deps(&root.0, &programs), "debian-13-jail");
    assert_eq!(run_in(&jail, &["bash", "-c", "echo $((6 * 7))"]), "42\n");
    assert!(run_in(&jail, &["ls", "/usr/bin"]).contains("curl\n"));
    assert!(run_in(&jail, &["curl", "--version"]).starts_with("curl 8"));
    assert_eq!(run_in(&jail, &["perl", "-e", "print 6 * 7"]), "42");
}

/// numpy, whose objects find their own libraries by `$ORIGIN/../../numpy.libs`.
#[test]
fn pypi_wheel() {
    let root = debian_13("wheel-root");
    let wheels = Folder::new("wheels");
    run(Command::new("python3")
        .args([
            "-m",
            "pip",
            "--quiet",
            "download",
            "--no-deps",
            "--only-binary=:all:",
        ])
        .args([
            "--python-version=3.13",
            "--platform=manylinux_2_28_x86_64",
            "--dest",
        ])
        .arg(&wheels.0)
        .arg("numpy"));
    let wheel = fs::read_dir(&wheels.0).unwrap().next().unwrap().unwrap();
    let packages = root.0.join("usr/local/lib/python3.13/dist-packages");
    fs::create_dir_all(&packages).unwrap();
    run(Command::new("python3")
        .args(["-m", "zipfile", "--extract"])
        .arg(wheel.path())
        .arg(&packages));

    let mut objects = elf_files(
        &root.0,
        62,
        &["usr/local/lib/python3.13", "usr/lib/python3.13"],
    );
    assert!(objects.iter().any(|path| path.contains("/numpy.libs/")));
    objects.push("/usr/bin/python3".to_owned());
    let compared = compare(&root.0, &["/lib64/ld-linux-x86-64.so.2"], &objects);
    println!("{compared} objects of python and numpy compared");
    // Without the libraries beside the modules: the closure has to find those.
    objects.retain(|path| !path.contains("/numpy.libs/"));
    let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
    let deps = deps(&root.0, &objects);
    assert!(
        paths(&deps, "elf")
            .iter()
            .any(|path| path.contains("/numpy.libs/libscipy_openblas"))
    );

    let jail = build(&root.0, &deps, "wheel-jail");
    // No object needs the text of the modules.
    let mut copy = Command::new("sh");
    copy.args([
        "-c",
        "cd \"$1\" && find usr/lib/python3* usr/local/lib/python3* -name '*.py' | tar --create --files-from - | tar --extract --directory \"$2\"",
        "sh",
    ]);
    run(copy.arg(&root.0).arg(&jail.0));
    let script = "import numpy; print(int(numpy.linalg.inv(numpy.eye(7) / 6)[3, 3].round() * 7))";
    assert_eq!(
        run_in(&jail, &["/usr/bin/python3", "-B", "-c", script]),
        "42\n"
    );
}

#[test]
fn i386_packages() {
    let root = apt::unpack("i386", &["bash", "coreutils", "curl", "git"]);
    let files = elf_files(&root.0, 3, &["usr/bin", "usr/lib"]);
    let compared = compare(&root.0, &["/lib/ld-linux.so.2"], &files);
    println!("{compared} of {} files of i386 compared", files.len());
    assert!(compared > 150, "{compared}");
    let jail = build(&root.0, &deps(&root.0, &["bash", "ls", "git"]), "i386-jail");
    assert!(run_in(&jail, &["ls", "-l", "/usr/bin"]).contains("git"));
    assert!(run_in(&jail, &["git", "version"]).starts_with("git version 2"));
    let script = "[[ $MACHTYPE == i?86* ]] && echo small";
    assert_eq!(run_in(&jail, &["bash", "-c", script]), "small\n");
}

#[test]
fn arm64_packages() {
    let root = apt::unpack("arm64", &["bash", "coreutils", "curl"]);
    let emulator = root.0.join("qemu");
    apt::take(
        "qemu-user-static",
        "/usr/bin/qemu-aarch64-static",
        &emulator,
    );
    let files = elf_files(&root.0, 183, &["usr/bin", "usr/lib/aarch64-linux-gnu"]);
    let compared = compare(&root.0, &["/qemu", "/lib/ld-linux-aarch64.so.1"], &files);
    println!("{compared} of {} files of arm64 compared", files.len());
    assert!(compared > 100, "{compared}");
    let jail = build(&root.0, &deps(&root.0, &["bash", "curl"]), "arm64-jail");
    fs::copy(&emulator, jail.0.join("qemu")).unwrap();
    let script = "[[ $MACHTYPE == aarch64* ]] && echo $((6 * 7))";
    assert_eq!(
        run_in(&jail, &["/qemu", "/usr/bin/bash", "-c", script]),
        "42\n"
    );
    assert!(run_in(&jail, &["/qemu", "/usr/bin/curl", "--version"]).starts_with("curl 7"));
}

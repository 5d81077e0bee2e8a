//! Roots of other machines: with loaders, directories and libraries of their own, and none of the
//! system that runs the tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jailctl::elf::{self, Closure, MissingReason, Options, Priority};
use jailctl::host::HostView;

use super::elf_builder::ElfBuilder;

struct Root(PathBuf);

impl Root {
    fn new(name: &str) -> Self {
        let root =
            std::env::temp_dir().join(format!("jailctl-foreign-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("usr/lib")).unwrap();
        Self(root)
    }

    fn put(&self, path: &str, content: &[u8]) {
        let place = self.0.join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, content).unwrap();
        self.allow(path, 0o755);
    }

    fn allow(&self, path: &str, mode: u32) {
        let place = self.0.join(path.trim_start_matches('/'));
        fs::set_permissions(place, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }

    fn link(&self, target: &str, path: &str) {
        let place = self.0.join(path.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, place).unwrap();
    }

    fn closure_with(&self, path: &str, dlopen: Option<Priority>) -> Closure {
        let view = HostView::new(&self.0).unwrap();
        let options = Options {
            dlopen,
            ..Options::default()
        };
        elf::closure(&view, &[PathBuf::from(path)], &options).unwrap()
    }

    fn closure(&self, path: &str) -> Closure {
        self.closure_with(path, None)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Paths of a closure, and its missing names.
fn paths_and_missing(closure: &Closure) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let paths = closure.objects.keys().map(|path| path.to_str().unwrap());
    let names = closure
        .missing
        .iter()
        .map(|missing| missing.name.to_str().unwrap());
    (paths.collect(), names.collect())
}

#[disposable::test]
fn each_machine_has_its_loader_and_directories() {
    for (name, builder, loader, tuple) in [
        (
            "aarch64",
            ElfBuilder {
                machine: 183,
                ..ElfBuilder::default()
            },
            "/lib/ld-linux-aarch64.so.1",
            "aarch64-linux-gnu",
        ),
        (
            "armhf",
            ElfBuilder {
                wide: false,
                machine: 40,
                flags: 0x0500_0400,
                ..ElfBuilder::default()
            },
            "/lib/ld-linux-armhf.so.3",
            "arm-linux-gnueabihf",
        ),
        (
            "armel",
            ElfBuilder {
                wide: false,
                machine: 40,
                flags: 0x0500_0200,
                ..ElfBuilder::default()
            },
            "/lib/ld-linux.so.3",
            "arm-linux-gnueabi",
        ),
        (
            "riscv64",
            ElfBuilder {
                machine: 243,
                flags: 5,
                ..ElfBuilder::default()
            },
            "/lib/ld-linux-riscv64-lp64d.so.1",
            "riscv64-linux-gnu",
        ),
        (
            "s390x",
            ElfBuilder {
                little: false,
                machine: 22,
                ..ElfBuilder::default()
            },
            "/lib/ld64.so.1",
            "s390x-linux-gnu",
        ),
        (
            "ppc64le",
            ElfBuilder {
                machine: 21,
                flags: 2,
                ..ElfBuilder::default()
            },
            "/lib64/ld64.so.2",
            "powerpc64le-linux-gnu",
        ),
        (
            "i386",
            ElfBuilder {
                wide: false,
                machine: 3,
                ..ElfBuilder::default()
            },
            "/lib/ld-linux.so.2",
            "i386-linux-gnu",
        ),
        (
            "mips64el",
            ElfBuilder {
                machine: 8,
                ..ElfBuilder::default()
            },
            "/lib64/ld.so.1",
            "mips64el-linux-gnuabi64",
        ),
        (
            "loong64",
            ElfBuilder {
                machine: 258,
                flags: 0x43,
                ..ElfBuilder::default()
            },
            "/lib64/ld-linux-loongarch-lp64d.so.1",
            "loongarch64-linux-gnu",
        ),
    ] {
        let root = Root::new(name);
        root.link("usr/lib", "/lib");
        root.link("usr/lib64", "/lib64");
        root.put(
            loader.replacen("/lib", "/usr/lib", 1).as_str(),
            &builder.write(),
        );
        let at = |library: &str| format!("/usr/lib/{tuple}/{library}");
        root.put(
            &at("libown.so.1.0"),
            &ElfBuilder {
                soname: Some("libown.so.1"),
                needed: &["libc.so.6"],
                ..builder
            }
            .write(),
        );
        root.link("libown.so.1.0", &at("libown.so.1"));
        // Only the system that runs the tests has a libc.
        let needed = &["libown.so.1"];
        root.put(
            "/usr/bin/p",
            &ElfBuilder {
                interpreter: Some(loader),
                needed,
                ..builder
            }
            .write(),
        );
        let closure = root.closure("/usr/bin/p");
        let (paths, missing) = paths_and_missing(&closure);
        assert!(
            paths.contains(at("libown.so.1.0").as_str()),
            "{name}: {closure:#?}"
        );
        assert!(
            paths.contains(at("libown.so.1").as_str()) && paths.contains("/lib"),
            "{name}: {paths:?}"
        );
        assert_eq!(missing, BTreeSet::from(["libc.so.6"]), "{name}");
        // A library of the machine that runs the tests, placed where the search finds it first, is
        // skipped or fatal, never accepted.
        root.put(
            &format!("/usr/lib/{tuple}/libown.so.1"),
            &ElfBuilder::default().write(),
        );
        let closure = root.closure("/usr/bin/p");
        assert!(
            paths_and_missing(&closure).1.contains("libown.so.1"),
            "{name}: {closure:#?}"
        );
    }
}

#[disposable::test]
fn two_machines_of_one_root_do_not_mix() {
    let root = Root::new("mixed");
    root.link("usr/lib", "/lib");
    let small = ElfBuilder {
        wide: false,
        machine: 3,
        ..ElfBuilder::default()
    };
    let wide = ElfBuilder::default();
    for (builder, tuple) in [(small, "i386-linux-gnu"), (wide, "x86_64-linux-gnu")] {
        root.put(&format!("/usr/lib/{tuple}/libx.so"), &builder.write());
    }
    root.put("/usr/lib/ld-linux.so.2", &small.write());
    root.put("/usr/lib64/ld-linux-x86-64.so.2", &wide.write());
    root.link("usr/lib64", "/lib64");
    let needed = &["libx.so"];
    root.put(
        "/bin/small",
        &ElfBuilder {
            interpreter: Some("/lib/ld-linux.so.2"),
            needed,
            ..small
        }
        .write(),
    );
    root.put(
        "/bin/wide",
        &ElfBuilder {
            interpreter: Some("/lib64/ld-linux-x86-64.so.2"),
            needed,
            ..wide
        }
        .write(),
    );
    let view = HostView::new(&root.0).unwrap();
    let roots = ["/bin/small", "/bin/wide"].map(PathBuf::from);
    let closure = elf::closure(&view, &roots, &Options::default()).unwrap();
    for (program, library) in [("small", "i386"), ("wide", "x86_64")] {
        let object = &closure.objects[Path::new(&format!("/bin/{program}"))];
        assert_eq!(
            object.needed[0].path,
            PathBuf::from(format!("/usr/lib/{library}-linux-gnu/libx.so")).into()
        );
    }
}

#[disposable::test]
fn a_missing_interpreter_is_said() {
    let root = Root::new("interpreter");
    root.put(
        "/bin/p",
        &ElfBuilder {
            interpreter: Some("/lib64/ld-linux-x86-64.so.2"),
            ..ElfBuilder::default()
        }
        .write(),
    );
    assert_eq!(
        paths_and_missing(&root.closure("/bin/p")).1,
        BTreeSet::from(["/lib64/ld-linux-x86-64.so.2"])
    );
}

#[disposable::test]
fn dlopen_notes_count_by_priority() {
    let root = Root::new("notes");
    for name in ["librec.so.1", "libsug.so.1", "libreq.so.1", "libdeep.so"] {
        root.put(
            &format!("/usr/lib/{name}"),
            &ElfBuilder {
                soname: Some(name),
                ..ElfBuilder::default()
            }
            .write(),
        );
    }
    root.link("usr/lib", "/lib");
    let deep = ElfBuilder {
        soname: Some("librec.so.1"),
        needed: &["libdeep.so"],
        ..ElfBuilder::default()
    };
    root.put("/usr/lib/librec.so.1", &deep.write());
    let text = r#"[{"soname":["librec.so.2","librec.so.1"],"feature":"zip"},
        {"soname":["libsug.so.1"],"priority":"suggested"},
        {"soname":["libreq.so.1"],"priority":"required"},
        {"soname":["libgone.so.1"],"priority":"required","feature":"rest"},
        5, {"priority":"required"}, {"soname":["libodd.so"],"priority":"unheard"},
        {"soname":["libnone.so.1"],"priority":"recommended"}]"#;
    root.put(
        "/bin/p",
        &ElfBuilder {
            dlopen: Some(text),
            ..ElfBuilder::default()
        }
        .write(),
    );
    let closure = root.closure_with("/bin/p", Some(Priority::Recommended));
    let (paths, missing) = paths_and_missing(&closure);
    assert!(
        paths.is_superset(&BTreeSet::from([
            "/usr/lib/librec.so.1",
            "/usr/lib/libreq.so.1",
            "/usr/lib/libdeep.so"
        ])),
        "{closure:#?}"
    );
    assert!(!paths.contains("/usr/lib/libsug.so.1"));
    assert_eq!(missing, BTreeSet::from(["libgone.so.1"]));
    assert!(!closure.missing[0].fatal);
    let reason = closure.objects[Path::new("/usr/lib/librec.so.1")].reasons[0].to_string();
    assert_eq!(reason, "/bin/p may load it (recommended: zip)");
    assert!(
        paths_and_missing(&root.closure_with("/bin/p", Some(Priority::Suggested)))
            .0
            .contains("/usr/lib/libsug.so.1")
    );
    assert_eq!(root.closure("/bin/p").objects.len(), 1);
}

#[disposable::test]
fn scripts_lead_to_their_interpreters() {
    let root = Root::new("scripts");
    root.put("/bin/sh", &ElfBuilder::default().write());
    root.put("/usr/bin/env", &ElfBuilder::default().write());
    root.put(
        "/usr/bin/tool",
        &ElfBuilder {
            needed: &["libgone.so"],
            ..ElfBuilder::default()
        }
        .write(),
    );
    root.put("/s/plain", b"#!/bin/sh -e\n");
    root.put("/s/env", b"#! /usr/bin/env -S A=1 tool --flag\n");
    root.put("/s/nested", b"#!/s/plain\n");
    root.put("/s/crlf", b"#!/bin/sh\r\n");
    root.put("/s/gone", b"#!/bin/gone\n");
    root.put("/s/nothing", b"#!/usr/bin/env nothing\n");
    root.put("/s/empty", b"#!\n");
    root.put("/s/self", b"#!/s/self\n");
    assert_eq!(
        paths_and_missing(&root.closure("/s/plain")).0,
        BTreeSet::from(["/bin/sh", "/s/plain"])
    );
    let closure = root.closure("/s/env");
    assert!(paths_and_missing(&closure).0.contains("/usr/bin/tool"));
    assert!(paths_and_missing(&closure).1.contains("libgone.so"));
    assert_eq!(
        paths_and_missing(&root.closure("/s/nested")).0,
        BTreeSet::from(["/bin/sh", "/s/nested", "/s/plain"])
    );
    let closure = root.closure("/s/crlf");
    assert_eq!(paths_and_missing(&closure).1, BTreeSet::from(["/bin/sh\r"]));
    assert_eq!(closure.missing[0].why, Some(MissingReason::CarriageReturn));
    assert_eq!(
        paths_and_missing(&root.closure("/s/gone")).1,
        BTreeSet::from(["/bin/gone"])
    );
    let closure = root.closure("/s/nothing");
    assert!(!closure.missing[0].fatal && paths_and_missing(&closure).1.contains("nothing"));
    assert_eq!(root.closure("/s/empty").missing.len(), 1);
    let closure = root.closure("/s/self");
    assert_eq!((closure.objects.len(), closure.missing.len()), (1, 1));
}

/// execve(2): `ELOOP` after five scripts, whatever the path to each of them.
#[disposable::test]
fn nested_scripts_end_as_in_the_kernel() {
    let root = Root::new("chains");
    root.put("/bin/sh", &ElfBuilder::default().write());
    root.put("/s/0", b"#!/bin/sh\n");
    for number in 1..=7 {
        root.put(
            &format!("/s/{number}"),
            format!("#!/s/{}\n", number - 1).as_bytes(),
        );
    }
    root.put("/s/ring", b"#!/s/gnir\n");
    root.put("/s/gnir", b"#!/s/ring\n");
    for first in ["/s/0", "/s/3"] {
        let view = HostView::new(&root.0).unwrap();
        let paths = [first, "/s/7", "/s/4", "/s/ring"].map(PathBuf::from);
        let closure = elf::closure(&view, &paths, &Options::default()).unwrap();
        let by: BTreeSet<_> = closure
            .missing
            .iter()
            .map(|lack| lack.needed_by.to_str().unwrap())
            .collect();
        assert_eq!(
            by,
            BTreeSet::from(["/s/5", "/s/6", "/s/7", "/s/gnir", "/s/ring"])
        );
        assert!(closure.missing.iter().all(|lack| lack.fatal));
    }
}

#[disposable::test]
fn env_searches_its_path() {
    let root = Root::new("path");
    for path in [
        "/usr/bin/env",
        "/opt/bin/tool",
        "/usr/bin/tool",
        "/opt/no/tool",
    ] {
        root.put(path, &ElfBuilder::default().write());
    }
    root.allow("/opt/no/tool", 0o644);
    root.put(
        "/s/given",
        b"#!/usr/bin/env -S PATH=/opt/none:/opt/no:/opt/bin tool\n",
    );
    let paths = root.closure("/s/given");
    assert_eq!(
        paths_and_missing(&paths).0,
        BTreeSet::from(["/opt/bin/tool", "/s/given", "/usr/bin/env"])
    );
    root.put("/s/lost", b"#!/usr/bin/env -S PATH=/opt/none tool\n");
    assert_eq!(
        paths_and_missing(&root.closure("/s/lost")).1,
        BTreeSet::from(["tool"])
    );
}

#[disposable::test]
fn an_interpreter_must_be_executable() {
    let root = Root::new("mode");
    root.put("/bin/sh", &ElfBuilder::default().write());
    root.allow("/bin/sh", 0o644);
    root.put("/s/plain", b"#!/bin/sh\n");
    let closure = root.closure("/s/plain");
    let missing = &closure.missing[0];
    assert!(missing.fatal);
    assert_eq!(missing.why, Some(MissingReason::InterpreterNotExecutable));
}

#[disposable::test]
fn known_libraries_are_added_if_they_exist() {
    let root = Root::new("known");
    root.link("usr/lib", "/lib");
    root.put(
        "/usr/lib/libnss_x.so.2",
        &ElfBuilder {
            soname: Some("libnss_x.so.2"),
            needed: &["libdeep.so"],
            ..ElfBuilder::default()
        }
        .write(),
    );
    root.put(
        "/usr/lib/libdeep.so",
        &ElfBuilder {
            soname: Some("libdeep.so"),
            ..ElfBuilder::default()
        }
        .write(),
    );
    root.put(
        "/usr/lib64/ld-linux-x86-64.so.2",
        &ElfBuilder::default().write(),
    );
    root.link("usr/lib64", "/lib64");
    root.put(
        "/bin/p",
        &ElfBuilder {
            interpreter: Some("/lib64/ld-linux-x86-64.so.2"),
            ..ElfBuilder::default()
        }
        .write(),
    );
    root.put("/bin/static", &ElfBuilder::default().write());
    let libraries = elf::implicit::nss_modules("passwd: files x\n", &["passwd"]);
    let options = Options {
        libraries,
        ..Options::default()
    };
    let view = HostView::new(&root.0).unwrap();
    let closure = elf::closure(&view, &[PathBuf::from("/bin/p")], &options).unwrap();
    let (paths, missing) = paths_and_missing(&closure);
    assert!(paths.contains("/usr/lib/libnss_x.so.2") && paths.contains("/usr/lib/libdeep.so"));
    assert!(missing.is_empty(), "files is part of libc");
    let reasons = &closure.objects[Path::new("/usr/lib/libnss_x.so.2")].reasons;
    assert_eq!(
        reasons[0].to_string(),
        "loaded for passwd: x of nsswitch.conf"
    );
    // A program without a loader loads no libraries.
    let closure = elf::closure(&view, &[PathBuf::from("/bin/static")], &options).unwrap();
    assert_eq!(closure.objects.len(), 1);
}

#[disposable::test]
fn relative_paths_are_reported_and_not_followed() {
    let root = Root::new("relative");
    for path in ["/w/libx.so", "/libx.so", "/bin/libx.so"] {
        root.put(path, &ElfBuilder::default().write());
    }
    root.put("/bin/sh", &ElfBuilder::default().write());
    let by_name = ElfBuilder {
        needed: &["w/libx.so"],
        ..ElfBuilder::default()
    };
    let by_path = ElfBuilder {
        needed: &["libx.so"],
        runpath: Some("w::."),
        ..ElfBuilder::default()
    };
    root.put("/bin/name", &by_name.write());
    root.put("/bin/path", &by_path.write());
    root.put("/bin/script", b"#!bin/sh\n");
    for (file, name, why) in [
        ("/bin/name", "w/libx.so", MissingReason::RelativePath),
        ("/bin/path", "libx.so", MissingReason::RelativeSearchPath),
        ("/bin/script", "bin/sh", MissingReason::RelativePath),
    ] {
        let closure = root.closure(file);
        assert_eq!(
            paths_and_missing(&closure),
            (BTreeSet::from([file]), BTreeSet::from([name]))
        );
        assert_eq!(closure.missing[0].why, Some(why));
    }
}

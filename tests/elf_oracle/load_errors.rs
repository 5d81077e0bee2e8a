//! Files that the loader accepts, skips and fails on, and the path by which it opens those that it
//! accepts: each compared with the loader, started inside the root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::test_root::{LOADER, LinkOptions, TestRoot, has, lacks, plain_library};

#[disposable::test]
fn library_origin_is_the_opened_path() {
    let root = TestRoot::glibc();
    let link = LinkOptions {
        soname: Some("liba.so"),
        needed: &["libb.so", "libc.so.6"],
        runpath: Some("$ORIGIN:$ORIGIN/../up"),
        ..LinkOptions::default()
    };
    root.library("/real/store/liba.so", link);
    plain_library(&root, "/real/store/libb.so");
    plain_library(&root, "/shown/libb.so");
    plain_library(&root, "/real/up/libu.so");
    root.link("../real/store/liba.so", "/shown/liba.so");
    root.link("/real/store", "/alias");
    root.program(
        "/bin/p",
        LinkOptions {
            needed: &["liba.so"],
            runpath: Some("/shown"),
            ..LinkOptions::default()
        },
    );
    root.program(
        "/bin/q",
        LinkOptions {
            needed: &["liba.so"],
            runpath: Some("/alias"),
            ..LinkOptions::default()
        },
    );
    root.program(
        "/bin/r",
        LinkOptions {
            needed: &["libu.so"],
            runpath: Some("/alias/../up"),
            ..LinkOptions::default()
        },
    );
    has(&root.compare("/bin/p"), "/shown/libb.so");
    has(&root.compare("/bin/q"), "/real/store/libb.so");
    has(&root.compare("/bin/r"), "/real/up/libu.so");
    let closure = root.closure("/bin/r");
    assert!(
        closure.directories.contains(Path::new("/real/store")),
        "{closure:?}"
    );
}

/// `_dl_get_origin` reads /proc/self/exe for the program, and uses the opened path of a library.
/// There is no /proc in these roots.
#[disposable::test]
fn program_origin_needs_proc() {
    let root = TestRoot::glibc();
    root.compile(
        "/opt/lib/libx.so",
        "int x;",
        &["-shared", "-fPIC", "-Wl,-soname,libx.so"],
    );
    root.compile(
        "/opt/bin/lib/libx.so",
        "int x;",
        &["-shared", "-fPIC", "-Wl,-soname,libx.so"],
    );
    root.put(
        root.at("/opt/lib/libx.so").to_str().unwrap(),
        "/usr/lib/liby.so",
    );
    root.link("/usr/lib/liby.so", "/opt/up/liby.so");
    let library = root.at("/opt/lib/libx.so");
    let library = library.to_str().unwrap();
    let middle = [
        "-shared",
        "-fPIC",
        "-Wl,-soname,libmiddle.so",
        library,
        "-Wl,-rpath,$ORIGIN",
    ];
    root.compile("/opt/lib/libmiddle.so", "int middle;", &middle);
    let middle = root.at("/opt/lib/libmiddle.so");
    let middle = middle.to_str().unwrap();
    root.compile(
        "/.stubs/liby.so",
        "int y;",
        &["-shared", "-fPIC", "-Wl,-soname,liby.so"],
    );
    let elsewhere = root.at("/.stubs/liby.so");
    let elsewhere = elsewhere.to_str().unwrap();
    for (name, linked, path, needs_proc) in [
        ("own", library, "/none:${ORIGIN}/../lib", true),
        ("first", library, "$ORIGIN/lib:/opt/lib", true),
        ("plain", library, "/opt/lib:$ORIGIN/../gone", false),
        ("below", library, "$ORIGIN/plugins:/opt/bin/lib", false),
        ("same", library, "$ORIGIN/../lib:/opt/lib", false),
        ("system", elsewhere, "$ORIGIN/../up", false),
        ("library", middle, "/opt/lib", false),
    ] {
        let program = format!("/opt/bin/{name}");
        let rpath = format!("-Wl,-rpath,{path}");
        root.compile(
            &program,
            "int main(void) { return 0; }",
            &[linked, &rpath, "-Wl,--allow-shlib-undefined"],
        );
        let closure = root.closure(&program);
        assert_eq!(closure.missing, [], "{name}");
        assert_eq!(!closure.needs_proc.is_empty(), needs_proc, "{name}");
        let copy = root.copy(&closure);
        let mut chroot = Command::new("chroot");
        let status = chroot.arg(&copy.path).arg(&program).status().unwrap();
        // `first` finds another file if there is no /proc, and its copy does not have that file.
        assert_eq!(status.success(), !needs_proc, "{name}");
    }
}

#[disposable::test]
fn program_origin_is_its_real_path() {
    let root = TestRoot::glibc();
    plain_library(&root, "/opt/app/libx.so");
    plain_library(&root, "/bin/libx.so");
    let link = LinkOptions {
        needed: &["libx.so"],
        runpath: Some("$ORIGIN"),
        ..LinkOptions::default()
    };
    root.program("/opt/app/p", link);
    root.link("/opt/app/p", "/bin/p");
    // ld.so cannot check this: it does not resolve a program that is an argument as the kernel
    // does.
    let answer = root.found("/bin/p");
    has(&answer, "/opt/app/libx.so");
    assert!(
        root.closure("/bin/p")
            .objects
            .contains_key(Path::new("/bin/p"))
    );
}

#[disposable::test]
fn names_with_a_slash_are_opened_directly() {
    let root = TestRoot::glibc();
    plain_library(&root, "/opt/libx.so");
    plain_library(&root, "/opt/o/liby.so");
    let needed = &["/opt/libx.so", "$ORIGIN/o/liby.so", "/opt/none.so"];
    root.program(
        "/opt/p",
        LinkOptions {
            needed,
            ..LinkOptions::default()
        },
    );
    let answer = root.compare("/opt/p");
    has(&answer, "/opt/o/liby.so");
    assert_eq!(answer.1.len(), 1);
}

#[disposable::test]
fn objects_for_other_machines_are_skipped() {
    let root = TestRoot::glibc();
    for directory in ["/opt/class", "/opt/machine", "/opt/good"] {
        plain_library(&root, &format!("{directory}/libx.so"));
    }
    let patch = |path: &str, at: usize, byte: u8| {
        let mut bytes = fs::read(root.at(path)).unwrap();
        bytes[at] = byte;
        fs::write(root.at(path), bytes).unwrap();
    };
    patch("/opt/class/libx.so", 4, 1);
    patch("/opt/machine/libx.so", 18, 183);
    let runpath = Some("/opt/class:/opt/machine:/opt/good");
    root.program(
        "/bin/p",
        LinkOptions {
            needed: &["libx.so"],
            runpath,
            ..LinkOptions::default()
        },
    );
    has(&root.compare("/bin/p"), "/opt/good/libx.so");
}

#[disposable::test]
fn first_match_that_is_no_library_is_fatal() {
    let root = TestRoot::glibc();
    plain_library(&root, "/opt/good/libx.so");
    root.program("/opt/prog/libx.so", LinkOptions::default());
    plain_library(&root, "/opt/whole");
    let whole = fs::read(root.at("/opt/whole")).unwrap();
    let mut order = whole.clone();
    order[5] = 2;
    let mut system = whole.clone();
    system[7] = 9;
    let mut kind = whole.clone();
    kind[16] = 1;
    let mut size = whole.clone();
    size[54] = 32;
    for (name, content) in [
        ("empty", b"".as_slice()),
        (
            "text",
            &b"INPUT(libreal.so) and text enough to fill the header of an ELF file\n"[..],
        ),
        ("header", &whole[..60]),
        ("order", &order),
        ("system", &system),
        ("kind", &kind),
        ("size", &size),
        ("segments", &whole[..80]),
    ] {
        root.write(&format!("/opt/{name}/libx.so"), content);
    }
    root.dir("/opt/directory/libx.so");
    for name in [
        "prog",
        "empty",
        "text",
        "header",
        "order",
        "system",
        "kind",
        "size",
        "segments",
        "directory",
    ] {
        let runpath = format!("/opt/{name}:/opt/good");
        let program = format!("/bin/{name}");
        root.program(
            &program,
            LinkOptions {
                needed: &["libx.so"],
                runpath: Some(&runpath),
                ..LinkOptions::default()
            },
        );
        let refusal = root.expected(&program).unwrap_err();
        let closure = root.closure(&program);
        assert_eq!(closure.missing.len(), 1, "{name}: {refusal} {closure:?}");
        let why = closure.missing[0].why.as_ref().unwrap().to_string();
        assert!(
            why.contains(&format!("`/opt/{name}/libx.so` is found first")),
            "{why}"
        );
    }
}

/// A program that the kernel loads, and that glibc's loader refuses as a library.
#[disposable::test]
fn header_faults_are_fatal() {
    const OFFSET: usize = 64 + 8;
    let patches: [(&[(usize, u8)], bool); 9] = [
        (&[(8, 1)], false),
        (&[(7, 3), (8, 3)], true),
        (&[(7, 3), (8, 9)], false),
        (&[(7, 9)], false),
        (&[(6, 2)], false),
        (&[(9, 1)], false),
        (&[(20, 2)], false),
        (&[(OFFSET, 1)], false),
        (&[], true),
    ];
    let root = TestRoot::glibc();
    plain_library(&root, "/opt/whole.so");
    plain_library(&root, "/opt/b/libx.so");
    let whole = fs::read(root.at("/opt/whole.so")).unwrap();
    assert_eq!(whole[64], 1, "the first segment is one to load");
    let link = LinkOptions {
        needed: &["libx.so"],
        runpath: Some("/opt/a:/opt/b"),
        ..LinkOptions::default()
    };
    root.program("/bin/p", link);
    for (patch, is_good) in patches {
        let mut bytes = whole.clone();
        for (at, byte) in patch {
            bytes[*at] = *byte;
        }
        root.write("/opt/a/libx.so", &bytes);
        if is_good {
            has(&root.compare("/bin/p"), "/opt/a/libx.so");
        } else {
            let refusal = root.expected("/bin/p").expect_err(&format!("{patch:?}"));
            assert!(refusal.contains("libx.so"), "{patch:?}: {refusal}");
            lacks(&root.found("/bin/p"), "libx.so");
        }
    }
}

#[disposable::test]
fn debug_symbols_are_no_library() {
    let root = TestRoot::glibc();
    plain_library(&root, "/opt/b/libx.so");
    let (from, to) = (root.at("/opt/b/libx.so"), root.at("/opt/libx.so"));
    let mut objcopy = Command::new("objcopy");
    let status = objcopy.arg("--only-keep-debug").arg(from).arg(to).status();
    assert!(status.unwrap().success());
    let link = LinkOptions {
        needed: &["libx.so"],
        runpath: Some("/opt:/opt/b"),
        ..LinkOptions::default()
    };
    root.program("/bin/p", link);
    let refusal = root.expected("/bin/p").expect_err("the loader refuses it");
    assert!(refusal.contains("no dynamic section"), "{refusal}");
    lacks(&root.found("/bin/p"), "libx.so");
}

#[disposable::test]
fn link_loop_ends_one_search_path() {
    let root = TestRoot::glibc();
    plain_library(&root, "/opt/good/libx.so");
    root.link("libx.so", "/opt/loop/libx.so");
    let link = |runpath| LinkOptions {
        needed: &["libx.so"],
        runpath: Some(runpath),
        ..LinkOptions::default()
    };
    root.program("/bin/p", link("/opt/loop:/opt/good"));
    lacks(&root.compare("/bin/p"), "libx.so");
    plain_library(&root, "/usr/lib/libx.so");
    has(&root.compare("/bin/p"), "/usr/lib/libx.so");
}

#[disposable::test]
fn two_names_of_one_inode_are_one_object() {
    let root = TestRoot::glibc();
    plain_library(&root, "/opt/libx.so");
    fs::hard_link(root.at("/opt/libx.so"), root.at("/opt/liby.so")).unwrap();
    root.link("libx.so", "/opt/libz.so");
    let needed = &["libx.so", "liby.so", "libz.so"];
    root.program(
        "/bin/p",
        LinkOptions {
            needed,
            runpath: Some("/opt"),
            ..LinkOptions::default()
        },
    );
    let expected = root.expected("/bin/p").unwrap();
    // The second name must exist too, so that the loader can find that it is the same file: --list
    // does not show this.
    let found = root.found("/bin/p");
    assert!(expected.0.is_subset(&found.0) && found.0.contains(Path::new("/opt/liby.so")));
}

#[disposable::test]
fn odd_search_path_elements() {
    let root = TestRoot::glibc();
    plain_library(&root, "/opt/a/libx.so");
    let long = format!("/{}", "x".repeat(5000));
    for (number, runpath) in [
        "::/opt/a",
        "/opt//a/",
        "/opt/a/.",
        "/none:/opt/a",
        "/opt/a/libx.so:/opt/a",
        &format!("{long}:/opt/a"),
    ]
    .iter()
    .enumerate()
    {
        let program = format!("/bin/p{number}");
        root.program(
            &program,
            LinkOptions {
                needed: &["libx.so"],
                runpath: Some(runpath),
                ..LinkOptions::default()
            },
        );
        root.compare(&program);
    }
}

#[disposable::test]
fn links_lead_inside_the_root_only() {
    let root = TestRoot::glibc();
    plain_library(&root, "/opt/real/libx.so.1.2");
    root.link("/opt/real", "/opt/absolute");
    root.link(
        "../../../../../../../../opt/absolute/libx.so.1.2",
        "/opt/deep/libx.so.1",
    );
    root.link("libx.so.1", "/opt/deep/libx.so");
    root.program(
        "/bin/p",
        LinkOptions {
            needed: &["libx.so"],
            runpath: Some("/opt/deep"),
            ..LinkOptions::default()
        },
    );
    has(&root.compare("/bin/p"), "/opt/real/libx.so.1.2");
    let closure = root.closure("/bin/p");
    for link in [
        "/lib64",
        "/opt/absolute",
        "/opt/deep/libx.so",
        "/opt/deep/libx.so.1",
    ] {
        assert!(closure.objects.contains_key(Path::new(link)), "{link}");
    }
}

#[disposable::test]
fn static_programs_need_nothing() {
    let root = TestRoot::glibc();
    for (name, flags) in [
        ("fixed", &["-static"][..]),
        ("movable", &["-static", "-pie", "--no-dynamic-linker"]),
    ] {
        let path = format!("/bin/{name}");
        root.program(
            &path,
            LinkOptions {
                extra: flags,
                ..LinkOptions::default()
            },
        );
        if name == "fixed" {
            continue;
        }
        assert_eq!(root.closure(&path).objects.len(), 1, "{name}");
    }
    assert!(root.closure("/bin/fixed").missing.is_empty());
}

#[disposable::test]
fn loader_may_be_needed_by_name() {
    let root = TestRoot::glibc();
    let loader = LOADER.rsplit('/').next().unwrap();
    root.program(
        "/bin/p",
        LinkOptions {
            needed: &[loader, "libc.so.6"],
            ..LinkOptions::default()
        },
    );
    assert!(root.compare("/bin/p").1.is_empty());
    let closure = root.closure("/bin/p");
    assert!(
        closure.objects[Path::new("/bin/p")]
            .needed
            .iter()
            .any(|needed| {
                needed.name.to_str() == Some(loader)
                    && needed.path.starts_with(PathBuf::from("/usr"))
            })
    );
}

#[disposable::test]
fn library_includes_the_loader_that_it_needs() {
    let root = TestRoot::glibc();
    let link = LinkOptions {
        needed: &[LOADER.rsplit('/').next().unwrap(), "libc.so.6"],
        ..LinkOptions::default()
    };
    root.library("/opt/libx.so", link);
    let closure = root.closure("/opt/libx.so");
    let library = &closure.objects[Path::new("/opt/libx.so")];
    assert_eq!(library.needed.len(), 2);
    for needed in &library.needed {
        assert!(closure.objects.contains_key(&*needed.path), "{needed:?}");
    }
    for link in ["/lib64", "/usr/lib64/ld-linux-x86-64.so.2"] {
        assert!(
            closure.objects.contains_key(Path::new(link)),
            "{link}: {closure:#?}"
        );
    }
}

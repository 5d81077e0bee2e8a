//! What the loader takes, passes over and fails on, and by which path it opens what it takes: each
//! compared with what it says inside its root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::test_root::{LOADER, Make, World, has, lacks, plain};

#[disposable::test]
fn the_origin_of_a_library_is_where_it_was_opened() {
    let world = World::glibc();
    let make = Make {
        soname: Some("liba.so"),
        needed: &["libb.so", "libc.so.6"],
        runpath: Some("$ORIGIN:$ORIGIN/../up"),
        ..Make::default()
    };
    world.library("/real/store/liba.so", make);
    plain(&world, "/real/store/libb.so");
    plain(&world, "/shown/libb.so");
    plain(&world, "/real/up/libu.so");
    world.link("../real/store/liba.so", "/shown/liba.so");
    world.link("/real/store", "/alias");
    world.program(
        "/bin/p",
        Make {
            needed: &["liba.so"],
            runpath: Some("/shown"),
            ..Make::default()
        },
    );
    world.program(
        "/bin/q",
        Make {
            needed: &["liba.so"],
            runpath: Some("/alias"),
            ..Make::default()
        },
    );
    world.program(
        "/bin/r",
        Make {
            needed: &["libu.so"],
            runpath: Some("/alias/../up"),
            ..Make::default()
        },
    );
    has(&world.agree("/bin/p"), "/shown/libb.so");
    has(&world.agree("/bin/q"), "/real/store/libb.so");
    has(&world.agree("/bin/r"), "/real/up/libu.so");
    let closure = world.closure("/bin/r");
    assert!(
        closure.directories.contains(Path::new("/real/store")),
        "{closure:?}"
    );
}

/// `_dl_get_origin` reads /proc/self/exe for the program, and knows of a library how it was opened.
/// There is no /proc in these worlds.
#[disposable::test]
fn who_finds_libraries_by_its_own_place_needs_proc() {
    let world = World::glibc();
    world.compile(
        "/opt/lib/libx.so",
        "int x;",
        &["-shared", "-fPIC", "-Wl,-soname,libx.so"],
    );
    world.compile(
        "/opt/bin/lib/libx.so",
        "int x;",
        &["-shared", "-fPIC", "-Wl,-soname,libx.so"],
    );
    world.put(
        world.at("/opt/lib/libx.so").to_str().unwrap(),
        "/usr/lib/liby.so",
    );
    world.link("/usr/lib/liby.so", "/opt/up/liby.so");
    let library = world.at("/opt/lib/libx.so");
    let library = library.to_str().unwrap();
    let middle = [
        "-shared",
        "-fPIC",
        "-Wl,-soname,libmiddle.so",
        library,
        "-Wl,-rpath,$ORIGIN",
    ];
    world.compile("/opt/lib/libmiddle.so", "int middle;", &middle);
    let middle = world.at("/opt/lib/libmiddle.so");
    let middle = middle.to_str().unwrap();
    world.compile(
        "/.stubs/liby.so",
        "int y;",
        &["-shared", "-fPIC", "-Wl,-soname,liby.so"],
    );
    let elsewhere = world.at("/.stubs/liby.so");
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
        world.compile(
            &program,
            "int main(void) { return 0; }",
            &[linked, &rpath, "-Wl,--allow-shlib-undefined"],
        );
        let closure = world.closure(&program);
        assert_eq!(closure.missing, [], "{name}");
        assert_eq!(!closure.needs_proc.is_empty(), needs_proc, "{name}");
        let copy = world.copy(&closure);
        let mut chroot = Command::new("chroot");
        let status = chroot.arg(&copy.root).arg(&program).status().unwrap();
        // `first` looks for another file where there is no /proc, which its copy does not have.
        assert_eq!(status.success(), !needs_proc, "{name}");
    }
}

#[disposable::test]
fn the_origin_of_a_program_is_where_it_really_is() {
    let world = World::glibc();
    plain(&world, "/opt/app/libx.so");
    plain(&world, "/bin/libx.so");
    let make = Make {
        needed: &["libx.so"],
        runpath: Some("$ORIGIN"),
        ..Make::default()
    };
    world.program("/opt/app/p", make);
    world.link("/opt/app/p", "/bin/p");
    // ld.so cannot be asked for this: given as an argument, the program is not resolved as the
    // kernel does.
    let answer = world.found("/bin/p");
    has(&answer, "/opt/app/libx.so");
    assert!(
        world
            .closure("/bin/p")
            .objects
            .contains_key(Path::new("/bin/p"))
    );
}

#[disposable::test]
fn names_with_a_slash_are_opened_as_they_are() {
    let world = World::glibc();
    plain(&world, "/opt/libx.so");
    plain(&world, "/opt/o/liby.so");
    let needed = &["/opt/libx.so", "$ORIGIN/o/liby.so", "/opt/none.so"];
    world.program(
        "/opt/p",
        Make {
            needed,
            ..Make::default()
        },
    );
    let answer = world.agree("/opt/p");
    has(&answer, "/opt/o/liby.so");
    assert_eq!(answer.1.len(), 1);
}

#[disposable::test]
fn objects_for_other_machines_are_passed_over() {
    let world = World::glibc();
    for directory in ["/opt/class", "/opt/machine", "/opt/good"] {
        plain(&world, &format!("{directory}/libx.so"));
    }
    let patch = |path: &str, at: usize, byte: u8| {
        let mut bytes = fs::read(world.at(path)).unwrap();
        bytes[at] = byte;
        fs::write(world.at(path), bytes).unwrap();
    };
    patch("/opt/class/libx.so", 4, 1);
    patch("/opt/machine/libx.so", 18, 183);
    let runpath = Some("/opt/class:/opt/machine:/opt/good");
    world.program(
        "/bin/p",
        Make {
            needed: &["libx.so"],
            runpath,
            ..Make::default()
        },
    );
    has(&world.agree("/bin/p"), "/opt/good/libx.so");
}

#[disposable::test]
fn what_is_found_first_and_is_no_library_is_fatal() {
    let world = World::glibc();
    plain(&world, "/opt/good/libx.so");
    world.program("/opt/prog/libx.so", Make::default());
    plain(&world, "/opt/whole");
    let whole = fs::read(world.at("/opt/whole")).unwrap();
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
        world.write(&format!("/opt/{name}/libx.so"), content);
    }
    world.dir("/opt/directory/libx.so");
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
        world.program(
            &program,
            Make {
                needed: &["libx.so"],
                runpath: Some(&runpath),
                ..Make::default()
            },
        );
        let refusal = world.expected(&program).unwrap_err();
        let closure = world.closure(&program);
        assert_eq!(closure.missing.len(), 1, "{name}: {refusal} {closure:?}");
        let why = closure.missing[0].why.as_deref().unwrap_or_default();
        assert!(
            why.contains(&format!("`/opt/{name}/libx.so` is found first")),
            "{why}"
        );
    }
}

/// What the kernel loads as a program, and glibc's loader refuses as a library.
#[disposable::test]
fn flaws_of_the_header_are_fatal_to_the_loader() {
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
    let world = World::glibc();
    plain(&world, "/opt/whole.so");
    plain(&world, "/opt/b/libx.so");
    let whole = fs::read(world.at("/opt/whole.so")).unwrap();
    assert_eq!(whole[64], 1, "the first segment is one to load");
    let make = Make {
        needed: &["libx.so"],
        runpath: Some("/opt/a:/opt/b"),
        ..Make::default()
    };
    world.program("/bin/p", make);
    for (patch, is_good) in patches {
        let mut bytes = whole.clone();
        for (at, byte) in patch {
            bytes[*at] = *byte;
        }
        world.write("/opt/a/libx.so", &bytes);
        if is_good {
            has(&world.agree("/bin/p"), "/opt/a/libx.so");
        } else {
            let words = world.expected("/bin/p").expect_err(&format!("{patch:?}"));
            assert!(words.contains("libx.so"), "{patch:?}: {words}");
            lacks(&world.found("/bin/p"), "libx.so");
        }
    }
}

#[disposable::test]
fn a_file_of_debug_symbols_is_no_library() {
    let world = World::glibc();
    plain(&world, "/opt/b/libx.so");
    let (from, to) = (world.at("/opt/b/libx.so"), world.at("/opt/libx.so"));
    let mut objcopy = Command::new("objcopy");
    let status = objcopy.arg("--only-keep-debug").arg(from).arg(to).status();
    assert!(status.unwrap().success());
    let make = Make {
        needed: &["libx.so"],
        runpath: Some("/opt:/opt/b"),
        ..Make::default()
    };
    world.program("/bin/p", make);
    let words = world.expected("/bin/p").expect_err("the loader refuses it");
    assert!(words.contains("no dynamic section"), "{words}");
    lacks(&world.found("/bin/p"), "libx.so");
}

#[disposable::test]
fn a_loop_of_links_ends_one_search_path_and_not_the_search() {
    let world = World::glibc();
    plain(&world, "/opt/good/libx.so");
    world.link("libx.so", "/opt/loop/libx.so");
    let make = |runpath| Make {
        needed: &["libx.so"],
        runpath: Some(runpath),
        ..Make::default()
    };
    world.program("/bin/p", make("/opt/loop:/opt/good"));
    lacks(&world.agree("/bin/p"), "libx.so");
    plain(&world, "/usr/lib/libx.so");
    has(&world.agree("/bin/p"), "/usr/lib/libx.so");
}

#[disposable::test]
fn two_names_of_one_file_are_one_object() {
    let world = World::glibc();
    plain(&world, "/opt/libx.so");
    fs::hard_link(world.at("/opt/libx.so"), world.at("/opt/liby.so")).unwrap();
    world.link("libx.so", "/opt/libz.so");
    let needed = &["libx.so", "liby.so", "libz.so"];
    world.program(
        "/bin/p",
        Make {
            needed,
            runpath: Some("/opt"),
            ..Make::default()
        },
    );
    let expected = world.expected("/bin/p").unwrap();
    // The second name must be there too, for the loader to find that it is the same: more than
    // --list tells.
    let found = world.found("/bin/p");
    assert!(expected.0.is_subset(&found.0) && found.0.contains(Path::new("/opt/liby.so")));
}

#[disposable::test]
fn odd_elements_of_a_path_do_no_harm() {
    let world = World::glibc();
    plain(&world, "/opt/a/libx.so");
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
        world.program(
            &program,
            Make {
                needed: &["libx.so"],
                runpath: Some(runpath),
                ..Make::default()
            },
        );
        world.agree(&program);
    }
}

#[disposable::test]
fn links_lead_inside_the_root_only() {
    let world = World::glibc();
    plain(&world, "/opt/real/libx.so.1.2");
    world.link("/opt/real", "/opt/absolute");
    world.link(
        "../../../../../../../../opt/absolute/libx.so.1.2",
        "/opt/deep/libx.so.1",
    );
    world.link("libx.so.1", "/opt/deep/libx.so");
    world.program(
        "/bin/p",
        Make {
            needed: &["libx.so"],
            runpath: Some("/opt/deep"),
            ..Make::default()
        },
    );
    has(&world.agree("/bin/p"), "/opt/real/libx.so.1.2");
    let closure = world.closure("/bin/p");
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
    let world = World::glibc();
    for (name, flags) in [
        ("fixed", &["-static"][..]),
        ("movable", &["-static", "-pie", "--no-dynamic-linker"]),
    ] {
        let path = format!("/bin/{name}");
        world.program(
            &path,
            Make {
                extra: flags,
                ..Make::default()
            },
        );
        if name == "fixed" {
            continue;
        }
        assert_eq!(world.closure(&path).objects.len(), 1, "{name}");
    }
    assert!(world.closure("/bin/fixed").missing.is_empty());
}

#[disposable::test]
fn the_loader_itself_may_be_asked_for_by_name() {
    let world = World::glibc();
    let loader = LOADER.rsplit('/').next().unwrap();
    world.program(
        "/bin/p",
        Make {
            needed: &[loader, "libc.so.6"],
            ..Make::default()
        },
    );
    assert!(world.agree("/bin/p").1.is_empty());
    let closure = world.closure("/bin/p");
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
fn a_library_alone_brings_the_loader_that_it_asks_for() {
    let world = World::glibc();
    let make = Make {
        needed: &[LOADER.rsplit('/').next().unwrap(), "libc.so.6"],
        ..Make::default()
    };
    world.library("/opt/libx.so", make);
    let closure = world.closure("/opt/libx.so");
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

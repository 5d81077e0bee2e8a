//! Hard cases of the search, each made anew and compared with what the loader says inside its root.

use std::fs;
use std::path::{Path, PathBuf};

use super::world::{Answer, LOADER, Make, TUPLE, World};

fn has(answer: &Answer, path: &str) {
    assert!(
        answer.0.contains(Path::new(path)),
        "no {path} in {answer:?}"
    );
}

fn lacks(answer: &Answer, name: &str) {
    assert!(answer.1.contains(name), "{name} is found: {answer:?}");
}

/// A library of this name and nothing else.
fn plain(world: &World, path: &str) {
    let soname = path.rsplit('/').next();
    world.library(
        path,
        Make {
            soname,
            ..Make::default()
        },
    );
}

#[test]
fn rpath_is_inherited_and_runpath_is_not() {
    let Some(world) = World::glibc() else { return };
    plain(&world, "/opt/a/libleaf.so");
    let middle = Make {
        soname: Some("libmiddle.so"),
        needed: &["libleaf.so"],
        ..Make::default()
    };
    world.library("/opt/a/libmiddle.so", middle);
    let needed = &["libmiddle.so", "libc.so.6"];
    world.program(
        "/bin/old",
        Make {
            needed,
            rpath: Some("/opt/a"),
            ..Make::default()
        },
    );
    world.program(
        "/bin/new",
        Make {
            needed,
            runpath: Some("/opt/a"),
            ..Make::default()
        },
    );
    has(&world.agree("/bin/old"), "/opt/a/libleaf.so");
    lacks(&world.agree("/bin/new"), "libleaf.so");
}

#[test]
fn runpath_of_the_asker_shuts_out_every_rpath() {
    let Some(world) = World::glibc() else { return };
    plain(&world, "/opt/rpath/libleaf.so");
    plain(&world, "/opt/runpath/libleaf.so");
    for (name, runpath) in [("libshut.so", Some("/opt/nowhere")), ("libopen.so", None)] {
        let make = Make {
            soname: Some(name),
            needed: &["libleaf.so"],
            runpath,
            ..Make::default()
        };
        world.library(&format!("/opt/rpath/{name}"), make);
    }
    let make = |name| Make {
        needed: name,
        rpath: Some("/opt/rpath"),
        ..Make::default()
    };
    world.program("/bin/shut", make(&["libshut.so"]));
    world.program("/bin/open", make(&["libopen.so"]));
    lacks(&world.agree("/bin/shut"), "libleaf.so");
    has(&world.agree("/bin/open"), "/opt/rpath/libleaf.so");
}

#[test]
fn runpath_comes_before_the_cache_and_the_cache_before_built_in_directories() {
    let Some(world) = World::glibc() else { return };
    for directory in ["/opt/conf", "/opt/runpath", TUPLE, "/usr/lib"] {
        plain(&world, &format!("{directory}/libx.so.1"));
    }
    world.write("/etc/ld.so.conf", b"include /etc/ld.so.conf.d/*.conf\n");
    world.write("/etc/ld.so.conf.d/a.conf", b"# ours\n/opt/conf\n");
    world.ldconfig();
    let needed = &["libx.so.1", "libc.so.6"];
    world.program(
        "/bin/plain",
        Make {
            needed,
            ..Make::default()
        },
    );
    world.program(
        "/bin/runpath",
        Make {
            needed,
            runpath: Some("/opt/runpath"),
            ..Make::default()
        },
    );
    let answer = world.agree("/bin/plain");
    has(&answer, "/opt/conf/libx.so.1");
    assert!(world.closure("/bin/plain").needs_cache);
    has(&world.agree("/bin/runpath"), "/opt/runpath/libx.so.1");
    // A stale entry is passed over.
    fs::remove_file(world.at("/opt/conf/libx.so.1")).unwrap();
    has(
        &world.agree("/bin/plain"),
        &format!("/usr{TUPLE}/libx.so.1"),
    );
    fs::remove_file(world.at("/etc/ld.so.cache")).unwrap();
    has(
        &world.agree("/bin/plain"),
        &format!("/usr{TUPLE}/libx.so.1"),
    );
}

#[test]
fn the_first_to_load_a_soname_wins_breadth_first() {
    let Some(world) = World::glibc() else { return };
    for directory in ["/opt/deep", "/opt/main"] {
        plain(&world, &format!("{directory}/libx.so"));
    }
    let deep = Make {
        soname: Some("libdeep.so"),
        needed: &["libx.so"],
        runpath: Some("/opt/deep"),
        ..Make::default()
    };
    world.library("/opt/main/libdeep.so", deep);
    let first = Make {
        soname: Some("libfirst.so"),
        needed: &["libdeep.so"],
        runpath: Some("/opt/main"),
        ..Make::default()
    };
    world.library("/opt/main/libfirst.so", first);
    let needed = &["libfirst.so", "libx.so"];
    world.program(
        "/bin/p",
        Make {
            needed,
            runpath: Some("/opt/main"),
            ..Make::default()
        },
    );
    let answer = world.agree("/bin/p");
    has(&answer, "/opt/main/libx.so");
    assert!(!answer.0.contains(Path::new("/opt/deep/libx.so")));
}

#[test]
fn a_soname_other_than_the_file_name_counts_once_it_is_loaded() {
    let Some(world) = World::glibc() else { return };
    world.library(
        "/opt/libfile.so",
        Make {
            soname: Some("libtrue.so.9"),
            ..Make::default()
        },
    );
    let user = Make {
        soname: Some("libuser.so"),
        needed: &["libtrue.so.9"],
        ..Make::default()
    };
    world.library("/opt/libuser.so", user);
    let both = &["libfile.so", "libuser.so"];
    world.program(
        "/bin/p",
        Make {
            needed: both,
            runpath: Some("/opt"),
            ..Make::default()
        },
    );
    assert!(world.agree("/bin/p").1.is_empty());
    let turned = &["libuser.so", "libfile.so"];
    world.program(
        "/bin/q",
        Make {
            needed: turned,
            runpath: Some("/opt"),
            ..Make::default()
        },
    );
    assert!(world.agree("/bin/q").1.is_empty());
    world.program(
        "/bin/r",
        Make {
            needed: &["libuser.so"],
            runpath: Some("/opt"),
            ..Make::default()
        },
    );
    lacks(&world.agree("/bin/r"), "libtrue.so.9");
}

#[test]
fn tokens_are_put_in() {
    let Some(world) = World::glibc() else { return };
    plain(&world, "/opt/app/lib/liborigin.so");
    plain(&world, "/opt/app/bin/libcurly.so");
    plain(&world, "/opt/lib/x86_64-linux-gnu/liblib.so");
    plain(&world, "/opt/x86_64/libplatform.so");
    plain(&world, "/opt/$ORIGINAL/libodd.so");
    plain(&world, "/opt/${NO}/libno.so");
    let runpath =
        "$ORIGIN/../lib:${ORIGIN}:/opt/$LIB:/opt/${PLATFORM}:/opt/$ORIGINAL:/opt/${NO}:${ORIGIN";
    let needed = &[
        "liborigin.so",
        "libcurly.so",
        "liblib.so",
        "libplatform.so",
        "libodd.so",
        "libno.so",
    ];
    world.program(
        "/opt/app/bin/p",
        Make {
            needed,
            runpath: Some(runpath),
            ..Make::default()
        },
    );
    let answer = world.agree("/opt/app/bin/p");
    assert!(answer.0.len() >= 5, "{answer:?}");
}

#[test]
fn the_origin_of_a_library_is_where_it_was_opened() {
    let Some(world) = World::glibc() else { return };
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

#[test]
fn the_origin_of_a_program_is_where_it_really_is() {
    let Some(world) = World::glibc() else { return };
    plain(&world, "/opt/app/libx.so");
    plain(&world, "/bin/libx.so");
    let make = Make {
        needed: &["libx.so"],
        runpath: Some("$ORIGIN"),
        ..Make::default()
    };
    world.program("/opt/app/p", make);
    world.link("/opt/app/p", "/bin/p");
    // ld.so cannot be asked for this: given as an argument, the program is not resolved as the kernel does.
    let answer = world.found("/bin/p");
    has(&answer, "/opt/app/libx.so");
    assert!(
        world
            .closure("/bin/p")
            .objects
            .contains_key(Path::new("/bin/p"))
    );
}

#[test]
fn names_with_a_slash_are_opened_as_they_are() {
    let Some(world) = World::glibc() else { return };
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

#[test]
fn objects_for_other_machines_are_passed_over() {
    let Some(world) = World::glibc() else { return };
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

#[test]
fn what_is_found_first_and_is_no_library_is_fatal() {
    let Some(world) = World::glibc() else { return };
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

#[test]
fn a_loop_of_links_ends_one_search_path_and_not_the_search() {
    let Some(world) = World::glibc() else { return };
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

#[test]
fn nodeflib_shuts_out_the_built_in_directories_and_their_cache_entries() {
    let Some(world) = World::glibc() else { return };
    plain(&world, "/usr/lib/libx.so");
    plain(&world, "/opt/conf/liby.so");
    world.write("/etc/ld.so.conf", b"/opt/conf\n");
    let make = Make {
        needed: &["libx.so", "liby.so"],
        extra: &["-z", "nodefaultlib"],
        ..Make::default()
    };
    world.program("/bin/p", make);
    world.ldconfig();
    let answer = world.agree("/bin/p");
    lacks(&answer, "libx.so");
    has(&answer, "/opt/conf/liby.so");
}

#[test]
fn without_a_cache_the_directories_that_ldconfig_would_read_are_searched() {
    let Some(world) = World::glibc() else { return };
    plain(&world, "/opt/conf/libx.so");
    plain(&world, "/opt/more/liby.so");
    world.write(
        "/etc/ld.so.conf",
        b"include sub/*.conf\ninclude /etc/ld.so.conf\n",
    );
    world.write("/etc/sub/b.conf", b"/opt/more/ # ours\n");
    world.write("/etc/sub/a.conf", b"hwcap 1 x\n/opt/conf\n/opt/none");
    world.program(
        "/bin/p",
        Make {
            needed: &["libx.so", "liby.so"],
            ..Make::default()
        },
    );
    let answer = world.found("/bin/p");
    assert!(world.closure("/bin/p").needs_cache);
    world.ldconfig();
    assert_eq!(world.agree("/bin/p"), answer);
}

#[test]
fn subdirectories_for_the_processor_come_first() {
    let Some(world) = World::glibc() else { return };
    let below = [
        "",
        "/glibc-hwcaps/x86-64-v2",
        "/glibc-hwcaps/x86-64-v3",
        "/glibc-hwcaps/x86-64-v9",
        "/tls",
        "/x86_64",
        "/tls/x86_64/x86_64",
    ];
    let names = [
        "libv0.so",
        "libv2.so",
        "libv3.so",
        "libv9.so",
        "libtls.so",
        "libplat.so",
        "libdeep.so",
    ];
    for directory in ["/opt", "/opt/conf", "/usr/lib"] {
        for (at, name) in names.iter().enumerate() {
            plain(&world, &format!("{directory}/{name}"));
            plain(&world, &format!("{directory}{}/{name}", below[at]));
        }
    }
    world.program(
        "/bin/default",
        Make {
            needed: &names,
            ..Make::default()
        },
    );
    world.program(
        "/bin/runpath",
        Make {
            needed: &names,
            runpath: Some("/opt"),
            ..Make::default()
        },
    );
    world.agree("/bin/default");
    world.agree("/bin/runpath");
    world.write("/etc/ld.so.conf", b"/opt/conf\n");
    world.ldconfig();
    world.agree("/bin/default");
}

#[test]
fn filters_are_loaded_before_the_object_and_auxiliary_ones_may_be_missing() {
    let Some(world) = World::glibc() else { return };
    for directory in ["/opt/aux", "/opt/main"] {
        plain(&world, &format!("{directory}/libx.so"));
    }
    let aux = Make {
        soname: Some("libaux.so"),
        needed: &["libx.so"],
        runpath: Some("/opt/aux"),
        ..Make::default()
    };
    world.library("/opt/main/libaux.so", aux);
    let filter = Make {
        soname: Some("libf.so"),
        runpath: Some("/opt/main"),
        extra: &["-f", "libnone.so", "-f", "libaux.so"],
        ..Make::default()
    };
    world.library("/opt/main/libf.so", filter);
    let last = Make {
        soname: Some("liblast.so"),
        needed: &["libx.so"],
        runpath: Some("/opt/main"),
        ..Make::default()
    };
    world.library("/opt/main/liblast.so", last);
    let needed = &["libf.so", "liblast.so"];
    world.program(
        "/bin/p",
        Make {
            needed,
            runpath: Some("/opt/main"),
            ..Make::default()
        },
    );
    has(&world.found("/bin/p"), "/opt/main/libaux.so");
    // Tracing tells of a missing auxiliary object as of any other, and --list shows what the program would get.
    let filter = Make {
        soname: Some("libf.so"),
        runpath: Some("/opt/main"),
        extra: &["-f", "libaux.so"],
        ..Make::default()
    };
    world.library("/opt/main/libf.so", filter);
    world.agree("/bin/p");
    let filter = Make {
        soname: Some("libf.so"),
        runpath: Some("/opt/main"),
        extra: &["-F", "libaux.so"],
        ..Make::default()
    };
    world.library("/opt/main/libf.so", filter);
    world.agree("/bin/p");
}

#[test]
fn two_names_of_one_file_are_one_object() {
    let Some(world) = World::glibc() else { return };
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
    // The second name must be there too, for the loader to find that it is the same: more than --list tells.
    let found = world.found("/bin/p");
    assert!(expected.0.is_subset(&found.0) && found.0.contains(Path::new("/opt/liby.so")));
}

#[test]
fn odd_elements_of_a_path_do_no_harm() {
    let Some(world) = World::glibc() else { return };
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

#[test]
fn links_lead_inside_the_root_only() {
    let Some(world) = World::glibc() else { return };
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

#[test]
fn static_programs_need_nothing() {
    let Some(world) = World::glibc() else { return };
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

#[test]
fn the_loader_itself_may_be_asked_for_by_name() {
    let Some(world) = World::glibc() else { return };
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

#[test]
fn musl_has_one_path_for_all() {
    let Some(world) = World::musl() else { return };
    plain(&world, "/lib/libx.so");
    plain(&world, "/usr/lib/libx.so");
    plain(&world, "/usr/local/lib/liby.so");
    plain(&world, "/opt/a/libleaf.so");
    let middle = Make {
        soname: Some("libmiddle.so"),
        needed: &["libleaf.so", "libc.so"],
        ..Make::default()
    };
    world.library("/opt/a/libmiddle.so", middle);
    let needed = &["libx.so", "liby.so", "libmiddle.so", "libc.so"];
    // Here a RUNPATH is inherited as an RPATH is.
    world.program(
        "/bin/p",
        Make {
            needed,
            runpath: Some("/opt/a"),
            ..Make::default()
        },
    );
    let answer = world.agree("/bin/p");
    has(&answer, "/opt/a/libleaf.so");
    has(&answer, "/usr/local/lib/liby.so");
    world.program(
        "/opt/a/q",
        Make {
            needed: &["libleaf.so"],
            runpath: Some("$ORIGIN"),
            ..Make::default()
        },
    );
    world.agree("/opt/a/q");
    world.program(
        "/opt/a/r",
        Make {
            needed: &["libleaf.so"],
            runpath: Some("/opt/a:$LIB"),
            ..Make::default()
        },
    );
    lacks(&world.agree("/opt/a/r"), "libleaf.so");
    world.write("/etc/ld-musl-x86_64.path", b"/usr/lib\n\n/opt/a:\n");
    let answer = world.agree("/bin/p");
    has(&answer, "/usr/lib/libx.so");
    lacks(&answer, "liby.so");
}

#[test]
fn musl_takes_the_first_file_of_the_name() {
    let Some(world) = World::musl() else { return };
    world.write("/opt/a/libx.so", b"text");
    plain(&world, "/opt/b/libx.so");
    world.program(
        "/bin/p",
        Make {
            needed: &["libx.so"],
            runpath: Some("/opt/a:/opt/b"),
            ..Make::default()
        },
    );
    lacks(&world.agree("/bin/p"), "libx.so");
    // Not by soname: by the name under which it was found.
    world.library(
        "/opt/c/libfile.so",
        Make {
            soname: Some("libtrue.so"),
            ..Make::default()
        },
    );
    world.program(
        "/bin/q",
        Make {
            needed: &["libfile.so", "libtrue.so"],
            runpath: Some("/opt/c"),
            ..Make::default()
        },
    );
    lacks(&world.agree("/bin/q"), "libtrue.so");
}

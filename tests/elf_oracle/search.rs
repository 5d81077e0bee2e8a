//! Hard cases of the order of the search, each made anew and compared with what the loader says
//! inside its root.

use std::fs;
use std::path::Path;

use super::test_root::{Make, TUPLE, World, has, lacks, plain};

#[disposable::test]
fn rpath_is_inherited_and_runpath_is_not() {
    let world = World::glibc();
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

#[disposable::test]
fn runpath_of_the_asker_shuts_out_every_rpath() {
    let world = World::glibc();
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

#[disposable::test]
fn runpath_comes_before_the_cache_and_the_cache_before_built_in_directories() {
    let world = World::glibc();
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
    let closure = world.closure("/bin/plain");
    assert!(closure.needs_cache && closure.objects.contains_key(Path::new("/etc/ld.so.cache")));
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

#[disposable::test]
fn the_first_to_load_a_soname_wins_breadth_first() {
    let world = World::glibc();
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

#[disposable::test]
fn a_soname_other_than_the_file_name_counts_once_it_is_loaded() {
    let world = World::glibc();
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

#[disposable::test]
fn tokens_are_put_in() {
    let world = World::glibc();
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

#[disposable::test]
fn nodeflib_shuts_out_the_built_in_directories_and_their_cache_entries() {
    let world = World::glibc();
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

#[disposable::test]
fn without_a_cache_the_directories_that_ldconfig_would_read_are_searched() {
    let world = World::glibc();
    plain(&world, "/opt/conf/libx.so");
    plain(&world, "/opt/more/liby.so");
    world.write(
        "/etc/ld.so.conf",
        b"include sub/*.conf\ninclude /etc/ld.so.conf\n",
    );
    world.write("/etc/sub/b.conf", b"/opt/more/ # ours\n");
    let conf = b"hwcap 1 x\n/opt/conf\n/opt/none\n/opt/my libs\n/opt/a:/opt/b\n/opt/c=libc6 ";
    world.write("/etc/sub/a.conf", conf);
    for path in [
        "/opt/my libs/libspace.so",
        "/opt/a/libcolon.so",
        "/opt/c/libold.so",
    ] {
        plain(&world, path);
    }
    world.program(
        "/bin/p",
        Make {
            needed: &[
                "libx.so",
                "liby.so",
                "libspace.so",
                "libcolon.so",
                "libold.so",
            ],
            ..Make::default()
        },
    );
    let answer = world.found("/bin/p");
    assert!(world.closure("/bin/p").needs_cache);
    lacks(&answer, "libcolon.so");
    world.ldconfig();
    assert_eq!(world.agree("/bin/p"), answer);
}

#[disposable::test]
fn subdirectories_for_the_processor_come_first() {
    let world = World::glibc();
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

#[disposable::test]
fn filters_are_loaded_before_the_object_and_auxiliary_ones_may_be_missing() {
    let world = World::glibc();
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
    // Tracing tells of a missing auxiliary object as of any other, and --list shows what the
    // program would get.
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

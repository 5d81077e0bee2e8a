//! Order of the search in hard cases, each built by the test and compared with the loader, started
//! inside the root.

use std::fs;
use std::path::Path;

use super::test_root::{LinkOptions, TUPLE, TestRoot, has, lacks, plain_library};

#[disposable::test]
fn rpath_is_inherited_and_runpath_is_not() {
    let root = TestRoot::glibc();
    plain_library(&root, "/opt/a/libleaf.so");
    let middle = LinkOptions {
        soname: Some("libmiddle.so"),
        needed: &["libleaf.so"],
        ..LinkOptions::default()
    };
    root.library("/opt/a/libmiddle.so", middle);
    let needed = &["libmiddle.so", "libc.so.6"];
    root.program(
        "/bin/old",
        LinkOptions {
            needed,
            rpath: Some("/opt/a"),
            ..LinkOptions::default()
        },
    );
    root.program(
        "/bin/new",
        LinkOptions {
            needed,
            runpath: Some("/opt/a"),
            ..LinkOptions::default()
        },
    );
    has(&root.compare("/bin/old"), "/opt/a/libleaf.so");
    lacks(&root.compare("/bin/new"), "libleaf.so");
}

#[disposable::test]
fn runpath_excludes_every_rpath() {
    let root = TestRoot::glibc();
    plain_library(&root, "/opt/rpath/libleaf.so");
    plain_library(&root, "/opt/runpath/libleaf.so");
    for (name, runpath) in [("libshut.so", Some("/opt/nowhere")), ("libopen.so", None)] {
        let link = LinkOptions {
            soname: Some(name),
            needed: &["libleaf.so"],
            runpath,
            ..LinkOptions::default()
        };
        root.library(&format!("/opt/rpath/{name}"), link);
    }
    let link = |name| LinkOptions {
        needed: name,
        rpath: Some("/opt/rpath"),
        ..LinkOptions::default()
    };
    root.program("/bin/shut", link(&["libshut.so"]));
    root.program("/bin/open", link(&["libopen.so"]));
    lacks(&root.compare("/bin/shut"), "libleaf.so");
    has(&root.compare("/bin/open"), "/opt/rpath/libleaf.so");
}

#[disposable::test]
fn runpath_cache_and_default_directories_in_order() {
    let root = TestRoot::glibc();
    for directory in ["/opt/conf", "/opt/runpath", TUPLE, "/usr/lib"] {
        plain_library(&root, &format!("{directory}/libx.so.1"));
    }
    root.write("/etc/ld.so.conf", b"include /etc/ld.so.conf.d/*.conf\n");
    root.write("/etc/ld.so.conf.d/a.conf", b"# ours\n/opt/conf\n");
    root.ldconfig();
    let needed = &["libx.so.1", "libc.so.6"];
    root.program(
        "/bin/plain",
        LinkOptions {
            needed,
            ..LinkOptions::default()
        },
    );
    root.program(
        "/bin/runpath",
        LinkOptions {
            needed,
            runpath: Some("/opt/runpath"),
            ..LinkOptions::default()
        },
    );
    let answer = root.compare("/bin/plain");
    has(&answer, "/opt/conf/libx.so.1");
    let closure = root.closure("/bin/plain");
    assert!(closure.needs_cache && closure.objects.contains_key(Path::new("/etc/ld.so.cache")));
    has(&root.compare("/bin/runpath"), "/opt/runpath/libx.so.1");
    // A stale entry is skipped.
    fs::remove_file(root.at("/opt/conf/libx.so.1")).unwrap();
    has(
        &root.compare("/bin/plain"),
        &format!("/usr{TUPLE}/libx.so.1"),
    );
    fs::remove_file(root.at("/etc/ld.so.cache")).unwrap();
    has(
        &root.compare("/bin/plain"),
        &format!("/usr{TUPLE}/libx.so.1"),
    );
}

#[disposable::test]
fn first_loaded_soname_wins_breadth_first() {
    let root = TestRoot::glibc();
    for directory in ["/opt/deep", "/opt/main"] {
        plain_library(&root, &format!("{directory}/libx.so"));
    }
    let deep = LinkOptions {
        soname: Some("libdeep.so"),
        needed: &["libx.so"],
        runpath: Some("/opt/deep"),
        ..LinkOptions::default()
    };
    root.library("/opt/main/libdeep.so", deep);
    let first = LinkOptions {
        soname: Some("libfirst.so"),
        needed: &["libdeep.so"],
        runpath: Some("/opt/main"),
        ..LinkOptions::default()
    };
    root.library("/opt/main/libfirst.so", first);
    let needed = &["libfirst.so", "libx.so"];
    root.program(
        "/bin/p",
        LinkOptions {
            needed,
            runpath: Some("/opt/main"),
            ..LinkOptions::default()
        },
    );
    let answer = root.compare("/bin/p");
    has(&answer, "/opt/main/libx.so");
    assert!(!answer.0.contains(Path::new("/opt/deep/libx.so")));
}

#[disposable::test]
fn soname_other_than_the_file_name() {
    let root = TestRoot::glibc();
    root.library(
        "/opt/libfile.so",
        LinkOptions {
            soname: Some("libtrue.so.9"),
            ..LinkOptions::default()
        },
    );
    let user = LinkOptions {
        soname: Some("libuser.so"),
        needed: &["libtrue.so.9"],
        ..LinkOptions::default()
    };
    root.library("/opt/libuser.so", user);
    let both = &["libfile.so", "libuser.so"];
    root.program(
        "/bin/p",
        LinkOptions {
            needed: both,
            runpath: Some("/opt"),
            ..LinkOptions::default()
        },
    );
    assert!(root.compare("/bin/p").1.is_empty());
    let turned = &["libuser.so", "libfile.so"];
    root.program(
        "/bin/q",
        LinkOptions {
            needed: turned,
            runpath: Some("/opt"),
            ..LinkOptions::default()
        },
    );
    assert!(root.compare("/bin/q").1.is_empty());
    root.program(
        "/bin/r",
        LinkOptions {
            needed: &["libuser.so"],
            runpath: Some("/opt"),
            ..LinkOptions::default()
        },
    );
    lacks(&root.compare("/bin/r"), "libtrue.so.9");
}

#[disposable::test]
fn tokens_are_expanded() {
    let root = TestRoot::glibc();
    plain_library(&root, "/opt/app/lib/liborigin.so");
    plain_library(&root, "/opt/app/bin/libcurly.so");
    plain_library(&root, "/opt/lib/x86_64-linux-gnu/liblib.so");
    plain_library(&root, "/opt/x86_64/libplatform.so");
    plain_library(&root, "/opt/$ORIGINAL/libodd.so");
    plain_library(&root, "/opt/${NO}/libno.so");
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
    root.program(
        "/opt/app/bin/p",
        LinkOptions {
            needed,
            runpath: Some(runpath),
            ..LinkOptions::default()
        },
    );
    let answer = root.compare("/opt/app/bin/p");
    assert!(answer.0.len() >= 5, "{answer:?}");
}

#[disposable::test]
fn nodeflib_excludes_default_directories() {
    let root = TestRoot::glibc();
    plain_library(&root, "/usr/lib/libx.so");
    plain_library(&root, "/opt/conf/liby.so");
    root.write("/etc/ld.so.conf", b"/opt/conf\n");
    let link = LinkOptions {
        needed: &["libx.so", "liby.so"],
        extra: &["-z", "nodefaultlib"],
        ..LinkOptions::default()
    };
    root.program("/bin/p", link);
    root.ldconfig();
    let answer = root.compare("/bin/p");
    lacks(&answer, "libx.so");
    has(&answer, "/opt/conf/liby.so");
}

#[disposable::test]
fn ldso_conf_is_searched_without_a_cache() {
    let root = TestRoot::glibc();
    plain_library(&root, "/opt/conf/libx.so");
    plain_library(&root, "/opt/more/liby.so");
    root.write(
        "/etc/ld.so.conf",
        b"include sub/*.conf\ninclude /etc/ld.so.conf\n",
    );
    root.write("/etc/sub/b.conf", b"/opt/more/ # ours\n");
    let conf = b"hwcap 1 x\n/opt/conf\n/opt/none\n/opt/my libs\n/opt/a:/opt/b\n/opt/c=libc6 ";
    root.write("/etc/sub/a.conf", conf);
    for path in [
        "/opt/my libs/libspace.so",
        "/opt/a/libcolon.so",
        "/opt/c/libold.so",
    ] {
        plain_library(&root, path);
    }
    root.program(
        "/bin/p",
        LinkOptions {
            needed: &[
                "libx.so",
                "liby.so",
                "libspace.so",
                "libcolon.so",
                "libold.so",
            ],
            ..LinkOptions::default()
        },
    );
    let answer = root.found("/bin/p");
    assert!(root.closure("/bin/p").needs_cache);
    lacks(&answer, "libcolon.so");
    root.ldconfig();
    assert_eq!(root.compare("/bin/p"), answer);
}

#[disposable::test]
fn subdirectories_for_the_processor_come_first() {
    let root = TestRoot::glibc();
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
            plain_library(&root, &format!("{directory}/{name}"));
            plain_library(&root, &format!("{directory}{}/{name}", below[at]));
        }
    }
    root.program(
        "/bin/default",
        LinkOptions {
            needed: &names,
            ..LinkOptions::default()
        },
    );
    root.program(
        "/bin/runpath",
        LinkOptions {
            needed: &names,
            runpath: Some("/opt"),
            ..LinkOptions::default()
        },
    );
    root.compare("/bin/default");
    root.compare("/bin/runpath");
    root.write("/etc/ld.so.conf", b"/opt/conf\n");
    root.ldconfig();
    root.compare("/bin/default");
}

#[disposable::test]
fn filters_are_loaded_before_the_object() {
    let root = TestRoot::glibc();
    for directory in ["/opt/aux", "/opt/main"] {
        plain_library(&root, &format!("{directory}/libx.so"));
    }
    let aux = LinkOptions {
        soname: Some("libaux.so"),
        needed: &["libx.so"],
        runpath: Some("/opt/aux"),
        ..LinkOptions::default()
    };
    root.library("/opt/main/libaux.so", aux);
    let filter = LinkOptions {
        soname: Some("libf.so"),
        runpath: Some("/opt/main"),
        extra: &["-f", "libnone.so", "-f", "libaux.so"],
        ..LinkOptions::default()
    };
    root.library("/opt/main/libf.so", filter);
    let last = LinkOptions {
        soname: Some("liblast.so"),
        needed: &["libx.so"],
        runpath: Some("/opt/main"),
        ..LinkOptions::default()
    };
    root.library("/opt/main/liblast.so", last);
    let needed = &["libf.so", "liblast.so"];
    root.program(
        "/bin/p",
        LinkOptions {
            needed,
            runpath: Some("/opt/main"),
            ..LinkOptions::default()
        },
    );
    has(&root.found("/bin/p"), "/opt/main/libaux.so");
    // Trace mode reports a missing auxiliary object as any other; --list shows the objects that the
    // program would load.
    let filter = LinkOptions {
        soname: Some("libf.so"),
        runpath: Some("/opt/main"),
        extra: &["-f", "libaux.so"],
        ..LinkOptions::default()
    };
    root.library("/opt/main/libf.so", filter);
    root.compare("/bin/p");
    let filter = LinkOptions {
        soname: Some("libf.so"),
        runpath: Some("/opt/main"),
        extra: &["-F", "libaux.so"],
        ..LinkOptions::default()
    };
    root.library("/opt/main/libf.so", filter);
    root.compare("/bin/p");
}

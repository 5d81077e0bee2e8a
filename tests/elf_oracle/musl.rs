//! Rules of musl, each compared with its loader, started inside the root.

use std::process::Command;

use super::test_root::{LinkOptions, TestRoot, has, lacks, plain_library};

#[disposable::test]
fn musl_has_one_path_for_all() {
    let root = TestRoot::musl();
    plain_library(&root, "/lib/libx.so");
    plain_library(&root, "/usr/lib/libx.so");
    plain_library(&root, "/usr/local/lib/liby.so");
    plain_library(&root, "/opt/a/libleaf.so");
    let middle = LinkOptions {
        soname: Some("libmiddle.so"),
        needed: &["libleaf.so", "libc.so"],
        ..LinkOptions::default()
    };
    root.library("/opt/a/libmiddle.so", middle);
    let needed = &["libx.so", "liby.so", "libmiddle.so", "libc.so"];
    // In musl a RUNPATH is inherited as an RPATH is.
    root.program(
        "/bin/p",
        LinkOptions {
            needed,
            runpath: Some("/opt/a"),
            ..LinkOptions::default()
        },
    );
    let answer = root.compare("/bin/p");
    has(&answer, "/opt/a/libleaf.so");
    has(&answer, "/usr/local/lib/liby.so");
    root.program(
        "/opt/a/q",
        LinkOptions {
            needed: &["libleaf.so"],
            runpath: Some("$ORIGIN"),
            ..LinkOptions::default()
        },
    );
    root.compare("/opt/a/q");
    root.program(
        "/opt/a/r",
        LinkOptions {
            needed: &["libleaf.so"],
            runpath: Some("/opt/a:$LIB"),
            ..LinkOptions::default()
        },
    );
    lacks(&root.compare("/opt/a/r"), "libleaf.so");
    root.write("/etc/ld-musl-x86_64.path", b"/usr/lib\n\n/opt/a:\n");
    let answer = root.compare("/bin/p");
    has(&answer, "/usr/lib/libx.so");
    lacks(&answer, "liby.so");
}

#[disposable::test]
fn musl_accepts_the_first_file_of_a_name() {
    let root = TestRoot::musl();
    root.write("/opt/a/libx.so", b"text");
    plain_library(&root, "/opt/b/libx.so");
    root.program(
        "/bin/p",
        LinkOptions {
            needed: &["libx.so"],
            runpath: Some("/opt/a:/opt/b"),
            ..LinkOptions::default()
        },
    );
    lacks(&root.compare("/bin/p"), "libx.so");
    // Not by soname, but by the name of the search.
    root.library(
        "/opt/c/libfile.so",
        LinkOptions {
            soname: Some("libtrue.so"),
            ..LinkOptions::default()
        },
    );
    root.program(
        "/bin/q",
        LinkOptions {
            needed: &["libfile.so", "libtrue.so"],
            runpath: Some("/opt/c"),
            ..LinkOptions::default()
        },
    );
    lacks(&root.compare("/bin/q"), "libtrue.so");
}

#[disposable::test]
fn musl_binds_the_first_searched_path() {
    let root = TestRoot::musl();
    plain_library(&root, "/opt/x/liba.so");
    root.link("liba.so", "/opt/x/libb.so");
    plain_library(&root, "/opt/y/libb.so");
    for (name, rpath) in [("libone.so", "/opt/x"), ("libtwo.so", "/opt/y")] {
        let link = LinkOptions {
            soname: Some(name),
            needed: &["libb.so"],
            rpath: Some(rpath),
            ..LinkOptions::default()
        };
        root.library(&format!("/lib/{name}"), link);
    }
    let link = |needed| LinkOptions {
        needed,
        rpath: Some("/opt/x"),
        ..LinkOptions::default()
    };
    root.program("/bin/p", link(&["liba.so", "libone.so"]));
    root.compare("/bin/p");
    // Loaded as liba.so: every object that needs libb.so starts a search.
    let needed = &["liba.so", "libone.so", "libtwo.so"];
    root.program("/bin/q", link(needed));
    has(&root.compare("/bin/q"), "/opt/y/libb.so");
    // Loaded by its path the library has no name, until a search finds it.
    plain_library(&root, "/opt/real.so");
    root.link("../real.so", "/opt/x/libfoo.so");
    root.program("/bin/r", link(&["/opt/real.so", "libfoo.so", "real.so"]));
    assert!(root.compare("/bin/r").1.is_empty());
}

#[disposable::test]
fn musl_ignores_filters() {
    let root = TestRoot::musl();
    let link = LinkOptions {
        soname: Some("libf.so"),
        extra: &["-F", "libmissing.so", "-f", "libaux.so"],
        ..LinkOptions::default()
    };
    root.library("/lib/libf.so", link);
    plain_library(&root, "/lib/libaux.so");
    let program = |needed| LinkOptions {
        needed,
        ..LinkOptions::default()
    };
    root.program("/bin/p", program(&["libf.so"]));
    let answer = root.compare("/bin/p");
    assert!(answer.1.is_empty() && answer.0.len() == 1, "{answer:?}");
    root.compile(
        "/lib/libexe.so",
        "int main(void) { return 0; }",
        &["-static"],
    );
    root.program("/bin/q", program(&["libexe.so"]));
    lacks(&root.compare("/bin/q"), "libexe.so");
}

#[disposable::test]
fn musl_bounds_and_origin() {
    let root = TestRoot::musl();
    plain_library(&root, "/libx.so");
    let long = format!("/{0}/{0}/{0}", "a".repeat(165));
    let least = format!("/{0}/{0}/{1}", "a".repeat(165), "b".repeat(169));
    plain_library(&root, &format!("{long}/libx.so"));
    for directory in [&long, &least] {
        let path = format!("{directory}/libl.so");
        plain_library(&root, &path);
        root.program(
            "/bin/p",
            LinkOptions {
                needed: &["libl.so"],
                rpath: Some(directory),
                ..LinkOptions::default()
            },
        );
        assert_eq!(
            root.compare("/bin/p").1.is_empty(),
            path.len() < 512,
            "{}",
            path.len()
        );
    }
    // The origin of a program in `/` is the part before its slash. The program is started as the
    // kernel does, for a loader that gets a path uses that one.
    root.program(
        "/q",
        LinkOptions {
            needed: &["libx.so"],
            rpath: Some("$ORIGIN"),
            ..LinkOptions::default()
        },
    );
    lacks(&root.found("/q"), "libx.so");
}

#[disposable::test]
fn musl_is_detected_by_its_file() {
    let root = TestRoot::musl();
    plain_library(&root, "/opt/far/libfar.so");
    root.write("/etc/ld-musl-x86_64.path", b"/opt/far\n");
    root.write("/etc/ld-musl-foo.path", b"/opt/none\n");
    let loader = "/lib/ld-musl-x86_64.so.1";
    for interpreter in ["/lib/ld-musl-foo.so.1", "/lib/libc.so", "/lib/ld.so"] {
        root.link("ld-musl-x86_64.so.1", interpreter);
        let link = LinkOptions {
            needed: &["libfar.so"],
            extra: &["--dynamic-linker", interpreter],
            ..LinkOptions::default()
        };
        root.program("/bin/p", link);
        let closure = root.closure("/bin/p");
        assert_eq!(closure.missing, [], "{interpreter}");
        assert!(closure.objects.contains_key(std::path::Path::new(loader)));
    }
}

#[disposable::test]
fn musl_programs_run_in_their_closure() {
    let root = TestRoot::musl();
    root.write("/src/answer.c", b"int answer(void) { return 42; }\n");
    let main = b"#include <stdio.h>\nint answer(void);\nint main(void) { printf(\"%d\\n\", answer()); return 0; }\n";
    root.write("/src/main.c", main);
    root.dir("/app/lib");
    let at = |path: &str| root.at(path).to_str().unwrap().to_owned();
    let build = |arguments: &[&str]| {
        let mut command = Command::new("musl-gcc");
        assert!(
            command.args(arguments).status().unwrap().success(),
            "{arguments:?}"
        );
    };
    let library = at("/app/lib/libanswer.so");
    build(&["-shared", "-fPIC", "-o", &library, &at("/src/answer.c")]);
    let (main, answer) = (at("/src/main.c"), at("/src/answer.c"));
    let rpath = "-Wl,-rpath,/app/lib";
    // By name alone, since a library without a soname would be needed by its path.
    let lib = format!("-L{}", at("/app/lib"));
    build(&["-o", &at("/app/shared"), &main, rpath, &lib, "-lanswer"]);
    build(&["-static", "-o", &at("/app/static"), &main, &answer]);
    for (program, objects) in [("shared", 3), ("static", 1)] {
        let program = format!("/app/{program}");
        let closure = root.closure(&program);
        assert_eq!(closure.missing, [], "{program}");
        assert_eq!(closure.objects.len(), objects, "{closure:#?}");
        assert_eq!(root.copy_of(&program).run(&program), "42\n");
    }
}

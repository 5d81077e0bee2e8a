//! musl's rules, each compared with what its loader says inside its root.

use std::process::Command;

use super::test_root::{LinkOptions, TestRoot, has, lacks, plain_library};

#[test]
fn musl_has_one_path_for_all() {
    let Some(world) = TestRoot::musl() else {
        return;
    };
    plain_library(&world, "/lib/libx.so");
    plain_library(&world, "/usr/lib/libx.so");
    plain_library(&world, "/usr/local/lib/liby.so");
    plain_library(&world, "/opt/a/libleaf.so");
    let middle = LinkOptions {
        soname: Some("libmiddle.so"),
        needed: &["libleaf.so", "libc.so"],
        ..LinkOptions::default()
    };
    world.library("/opt/a/libmiddle.so", middle);
    let needed = &["libx.so", "liby.so", "libmiddle.so", "libc.so"];
    // Here a RUNPATH is inherited as an RPATH is.
    world.program(
        "/bin/p",
        LinkOptions {
            needed,
            runpath: Some("/opt/a"),
            ..LinkOptions::default()
        },
    );
    let answer = world.compare("/bin/p");
    has(&answer, "/opt/a/libleaf.so");
    has(&answer, "/usr/local/lib/liby.so");
    world.program(
        "/opt/a/q",
        LinkOptions {
            needed: &["libleaf.so"],
            runpath: Some("$ORIGIN"),
            ..LinkOptions::default()
        },
    );
    world.compare("/opt/a/q");
    world.program(
        "/opt/a/r",
        LinkOptions {
            needed: &["libleaf.so"],
            runpath: Some("/opt/a:$LIB"),
            ..LinkOptions::default()
        },
    );
    lacks(&world.compare("/opt/a/r"), "libleaf.so");
    world.write("/etc/ld-musl-x86_64.path", b"/usr/lib\n\n/opt/a:\n");
    let answer = world.compare("/bin/p");
    has(&answer, "/usr/lib/libx.so");
    lacks(&answer, "liby.so");
}

#[test]
fn musl_accepts_the_first_file_of_a_name() {
    let Some(world) = TestRoot::musl() else {
        return;
    };
    world.write("/opt/a/libx.so", b"text");
    plain_library(&world, "/opt/b/libx.so");
    world.program(
        "/bin/p",
        LinkOptions {
            needed: &["libx.so"],
            runpath: Some("/opt/a:/opt/b"),
            ..LinkOptions::default()
        },
    );
    lacks(&world.compare("/bin/p"), "libx.so");
    // Not by soname: by the name under which it was found.
    world.library(
        "/opt/c/libfile.so",
        LinkOptions {
            soname: Some("libtrue.so"),
            ..LinkOptions::default()
        },
    );
    world.program(
        "/bin/q",
        LinkOptions {
            needed: &["libfile.so", "libtrue.so"],
            runpath: Some("/opt/c"),
            ..LinkOptions::default()
        },
    );
    lacks(&world.compare("/bin/q"), "libtrue.so");
}

#[test]
fn musl_binds_the_first_searched_path() {
    let Some(world) = TestRoot::musl() else {
        return;
    };
    plain_library(&world, "/opt/x/liba.so");
    world.link("liba.so", "/opt/x/libb.so");
    plain_library(&world, "/opt/y/libb.so");
    for (name, rpath) in [("libone.so", "/opt/x"), ("libtwo.so", "/opt/y")] {
        let link = LinkOptions {
            soname: Some(name),
            needed: &["libb.so"],
            rpath: Some(rpath),
            ..LinkOptions::default()
        };
        world.library(&format!("/lib/{name}"), link);
    }
    let link = |needed| LinkOptions {
        needed,
        rpath: Some("/opt/x"),
        ..LinkOptions::default()
    };
    world.program("/bin/p", link(&["liba.so", "libone.so"]));
    world.compare("/bin/p");
    // Loaded as liba.so: whoever asks for libb.so searches.
    let needed = &["liba.so", "libone.so", "libtwo.so"];
    world.program("/bin/q", link(needed));
    has(&world.compare("/bin/q"), "/opt/y/libb.so");
    // Loaded by its path it has no name, until a search leads to it.
    plain_library(&world, "/opt/real.so");
    world.link("../real.so", "/opt/x/libfoo.so");
    world.program("/bin/r", link(&["/opt/real.so", "libfoo.so", "real.so"]));
    assert!(world.compare("/bin/r").1.is_empty());
}

#[test]
fn musl_ignores_filters() {
    let Some(world) = TestRoot::musl() else {
        return;
    };
    let link = LinkOptions {
        soname: Some("libf.so"),
        extra: &["-F", "libmissing.so", "-f", "libaux.so"],
        ..LinkOptions::default()
    };
    world.library("/lib/libf.so", link);
    plain_library(&world, "/lib/libaux.so");
    let program = |needed| LinkOptions {
        needed,
        ..LinkOptions::default()
    };
    world.program("/bin/p", program(&["libf.so"]));
    let answer = world.compare("/bin/p");
    assert!(answer.1.is_empty() && answer.0.len() == 1, "{answer:?}");
    world.compile(
        "/lib/libexe.so",
        "int main(void) { return 0; }",
        &["-static"],
    );
    world.program("/bin/q", program(&["libexe.so"]));
    lacks(&world.compare("/bin/q"), "libexe.so");
}

#[test]
fn musl_bounds_and_origin() {
    let Some(world) = TestRoot::musl() else {
        return;
    };
    plain_library(&world, "/libx.so");
    let long = format!("/{0}/{0}/{0}", "a".repeat(165));
    let least = format!("/{0}/{0}/{1}", "a".repeat(165), "b".repeat(169));
    plain_library(&world, &format!("{long}/libx.so"));
    for directory in [&long, &least] {
        let path = format!("{directory}/libl.so");
        plain_library(&world, &path);
        world.program(
            "/bin/p",
            LinkOptions {
                needed: &["libl.so"],
                rpath: Some(directory),
                ..LinkOptions::default()
            },
        );
        assert_eq!(
            world.compare("/bin/p").1.is_empty(),
            path.len() < 512,
            "{}",
            path.len()
        );
    }
    // The origin of a program in `/` is what is before its slash. Asked as the kernel starts it, for a loader that is given a path takes that one.
    world.program(
        "/q",
        LinkOptions {
            needed: &["libx.so"],
            rpath: Some("$ORIGIN"),
            ..LinkOptions::default()
        },
    );
    lacks(&world.found("/q"), "libx.so");
}

#[test]
fn musl_is_detected_by_its_file() {
    let Some(world) = TestRoot::musl() else {
        return;
    };
    plain_library(&world, "/opt/far/libfar.so");
    world.write("/etc/ld-musl-x86_64.path", b"/opt/far\n");
    world.write("/etc/ld-musl-foo.path", b"/opt/none\n");
    let loader = "/lib/ld-musl-x86_64.so.1";
    for interpreter in ["/lib/ld-musl-foo.so.1", "/lib/libc.so", "/lib/ld.so"] {
        world.link("ld-musl-x86_64.so.1", interpreter);
        let link = LinkOptions {
            needed: &["libfar.so"],
            extra: &["--dynamic-linker", interpreter],
            ..LinkOptions::default()
        };
        world.program("/bin/p", link);
        let closure = world.closure("/bin/p");
        assert_eq!(closure.missing, [], "{interpreter}");
        assert!(closure.objects.contains_key(std::path::Path::new(loader)));
    }
}

#[test]
fn musl_programs_run_in_their_closure() {
    let Some(world) = TestRoot::musl() else {
        return;
    };
    world.write("/src/answer.c", b"int answer(void) { return 42; }\n");
    let main = b"#include <stdio.h>\nint answer(void);\nint main(void) { printf(\"%d\\n\", answer()); return 0; }\n";
    world.write("/src/main.c", main);
    world.dir("/app/lib");
    let at = |path: &str| world.at(path).to_str().unwrap().to_owned();
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
    // By its name alone, as a library without a soname would be asked for by its path.
    let lib = format!("-L{}", at("/app/lib"));
    build(&["-o", &at("/app/shared"), &main, rpath, &lib, "-lanswer"]);
    build(&["-static", "-o", &at("/app/static"), &main, &answer]);
    for (program, objects) in [("shared", 3), ("static", 1)] {
        let program = format!("/app/{program}");
        let closure = world.closure(&program);
        assert_eq!(closure.missing, [], "{program}");
        assert_eq!(closure.objects.len(), objects, "{closure:#?}");
        assert_eq!(world.copy_of(&program).run(&program), "42\n");
    }
}

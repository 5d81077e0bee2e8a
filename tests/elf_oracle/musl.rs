//! musl's rules, each compared with what its loader says inside its root.

use std::process::Command;

use super::world::{Make, World, has, lacks, plain};

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

#[test]
fn programs_of_musl_run_where_only_their_closure_is() {
    let Some(world) = World::musl() else { return };
    world.write("/src/answer.c", b"int answer(void) { return 42; }\n");
    let main = b"#include <stdio.h>\nint answer(void);\nint main(void) { printf(\"%d\\n\", answer()); return 0; }\n";
    world.write("/src/main.c", main);
    world.dir("/app/lib");
    let at = |path: &str| world.at(path).to_str().unwrap().to_owned();
    let build = |words: &[&str]| {
        let mut command = Command::new("musl-gcc");
        assert!(command.args(words).status().unwrap().success(), "{words:?}");
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

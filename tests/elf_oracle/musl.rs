//! musl's rules, each compared with what its loader says inside its root.

use std::process::Command;

use super::test_root::{Make, World, has, lacks, plain};

#[disposable::test]
fn musl_has_one_path_for_all() {
    let world = World::musl();
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

#[disposable::test]
fn musl_takes_the_first_file_of_the_name() {
    let world = World::musl();
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

#[disposable::test]
fn musl_knows_a_library_by_the_first_path_that_a_search_led_to() {
    let world = World::musl();
    plain(&world, "/opt/x/liba.so");
    world.link("liba.so", "/opt/x/libb.so");
    plain(&world, "/opt/y/libb.so");
    for (name, rpath) in [("libone.so", "/opt/x"), ("libtwo.so", "/opt/y")] {
        let make = Make {
            soname: Some(name),
            needed: &["libb.so"],
            rpath: Some(rpath),
            ..Make::default()
        };
        world.library(&format!("/lib/{name}"), make);
    }
    let make = |needed| Make {
        needed,
        rpath: Some("/opt/x"),
        ..Make::default()
    };
    world.program("/bin/p", make(&["liba.so", "libone.so"]));
    world.agree("/bin/p");
    // Loaded as liba.so: whoever asks for libb.so searches.
    let needed = &["liba.so", "libone.so", "libtwo.so"];
    world.program("/bin/q", make(needed));
    has(&world.agree("/bin/q"), "/opt/y/libb.so");
    // Loaded by its path it has no name, until a search leads to it.
    plain(&world, "/opt/real.so");
    world.link("../real.so", "/opt/x/libfoo.so");
    world.program("/bin/r", make(&["/opt/real.so", "libfoo.so", "real.so"]));
    assert!(world.agree("/bin/r").1.is_empty());
}

#[disposable::test]
fn musl_has_no_filters_and_no_file_without_a_dynamic_section() {
    let world = World::musl();
    let make = Make {
        soname: Some("libf.so"),
        extra: &["-F", "libmissing.so", "-f", "libaux.so"],
        ..Make::default()
    };
    world.library("/lib/libf.so", make);
    plain(&world, "/lib/libaux.so");
    let program = |needed| Make {
        needed,
        ..Make::default()
    };
    world.program("/bin/p", program(&["libf.so"]));
    let answer = world.agree("/bin/p");
    assert!(answer.1.is_empty() && answer.0.len() == 1, "{answer:?}");
    world.compile(
        "/lib/libexe.so",
        "int main(void) { return 0; }",
        &["-static"],
    );
    world.program("/bin/q", program(&["libexe.so"]));
    lacks(&world.agree("/bin/q"), "libexe.so");
}

#[disposable::test]
fn musl_has_bounds_and_an_origin_of_its_own() {
    let world = World::musl();
    plain(&world, "/libx.so");
    let long = format!("/{0}/{0}/{0}", "a".repeat(165));
    let least = format!("/{0}/{0}/{1}", "a".repeat(165), "b".repeat(169));
    plain(&world, &format!("{long}/libx.so"));
    for directory in [&long, &least] {
        let path = format!("{directory}/libl.so");
        plain(&world, &path);
        world.program(
            "/bin/p",
            Make {
                needed: &["libl.so"],
                rpath: Some(directory),
                ..Make::default()
            },
        );
        assert_eq!(
            world.agree("/bin/p").1.is_empty(),
            path.len() < 512,
            "{}",
            path.len()
        );
    }
    // The origin of a program in `/` is what is before its slash. Asked as the kernel starts it,
    // for a loader that is given a path takes that one.
    world.program(
        "/q",
        Make {
            needed: &["libx.so"],
            rpath: Some("$ORIGIN"),
            ..Make::default()
        },
    );
    lacks(&world.found("/q"), "libx.so");
}

#[disposable::test]
fn musl_is_known_by_its_file_and_reads_the_settings_that_it_is_built_with() {
    let world = World::musl();
    plain(&world, "/opt/far/libfar.so");
    world.write("/etc/ld-musl-x86_64.path", b"/opt/far\n");
    world.write("/etc/ld-musl-foo.path", b"/opt/none\n");
    let loader = "/lib/ld-musl-x86_64.so.1";
    for interpreter in ["/lib/ld-musl-foo.so.1", "/lib/libc.so", "/lib/ld.so"] {
        world.link("ld-musl-x86_64.so.1", interpreter);
        let make = Make {
            needed: &["libfar.so"],
            extra: &["--dynamic-linker", interpreter],
            ..Make::default()
        };
        world.program("/bin/p", make);
        let closure = world.closure("/bin/p");
        assert_eq!(closure.missing, [], "{interpreter}");
        assert!(closure.objects.contains_key(std::path::Path::new(loader)));
    }
}

#[disposable::test]
fn programs_of_musl_run_where_only_their_closure_is() {
    let world = World::musl();
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

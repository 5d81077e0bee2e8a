//! What objects say that they may load: each program here does it with dlopen(3), in its world and
//! in a copy of what it needs.

use std::fmt::Write;

use jailctl::elf::Priority;

use super::test_root::World;

/// Of C: a library whose function `load` loads another, and which says so.
fn loader_of(names: &[&str]) -> String {
    let entries: Vec<String> = names
        .iter()
        .map(|name| format!(r#"{{"soname":["{name}"]}}"#))
        .collect();
    let text = format!("[{}]\0", entries.join(","));
    let mut bytes = String::new();
    for byte in text.bytes() {
        write!(bytes, "{byte},").unwrap();
    }
    let bytes = bytes.trim_end_matches(',');
    format!(
        r#"#include <dlfcn.h>
        __asm__(".pushsection .note.dlopen,\"a\",%note\n.balign 4\n.long 4,{},0x407c0c0a\n"
            ".asciz \"FDO\"\n.byte {bytes}\n.balign 4\n.popsection\n");
        void *load(const char *name) {{ return dlopen(name, RTLD_NOW); }}"#,
        text.len(),
    )
}

/// Says of each name that it is given whether `load` gets it.
const MAIN: &str = r#"#include <stdio.h>
    void *load(const char *);
    int main(int count, char **names) {
        for (int at = 1; at < count; at++) printf("%s %d\n", names[at], load(names[at]) != 0);
        return 0;
    }"#;

const EMPTY: &str = "int nothing;";

fn shared<'a>(soname: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["-shared", "-fPIC", soname];
    words.extend(more);
    words
}

/// A world with `/prog`, which loads by a library in `/lib` that names `wishes`, and has an RPATH
/// of `/opt/x`.
fn world_with(world: &World, wishes: &[&str]) {
    let source = loader_of(wishes);
    let rpath = ["-Wl,--disable-new-dtags,-rpath,/opt/x"];
    world.compile(
        "/lib/libload.so",
        &source,
        &shared("-Wl,-soname,libload.so", &rpath),
    );
    let library = world.at("/lib/libload.so");
    world.compile(
        "/prog",
        MAIN,
        &["-Wl,-rpath,/lib", library.to_str().unwrap()],
    );
}

/// What `/prog` says of a name in the world; in the copy it says the same.
fn loads(world: &World, name: &str) -> bool {
    let closure = world.closure_of(&["/prog"], Some(Priority::Recommended));
    let copy = world.copy(&closure);
    let word = world.run_with("/prog", &[name]);
    assert_eq!(copy.run_with("/prog", &[name]), word, "{closure:#?}");
    word == format!("{name} 1\n")
}

/// `l_loader` of an object that dlopen(3) loads is not its caller: `__RTLD_CALLMAP` in
/// `_dl_map_object` of glibc.
#[disposable::test]
fn what_is_loaded_does_not_inherit_the_rpath_of_its_caller() {
    let world = World::glibc();
    world_with(&world, &["libb.so"]);
    world.compile(
        "/opt/x/libc1.so",
        EMPTY,
        &shared("-Wl,-soname,libc1.so", &[]),
    );
    let needed = world.at("/opt/x/libc1.so");
    let needed = [needed.to_str().unwrap()];
    world.compile(
        "/opt/x/libb.so",
        EMPTY,
        &shared("-Wl,-soname,libb.so", &needed),
    );
    assert!(!loads(&world, "libb.so"));
    let closure = world.closure_of(&["/prog"], Some(Priority::Recommended));
    let missing: Vec<_> = closure
        .missing
        .iter()
        .map(|missing| &missing.name)
        .collect();
    assert_eq!(missing, ["libc1.so"]);
}

/// `needed_by` of what dlopen(3) loads is the program: `dlopen` of ldso/dynlink.c of musl.
#[disposable::test]
fn musl_searches_for_the_program_whoever_loads() {
    let world = World::musl();
    world_with(&world, &["libb.so"]);
    world.compile("/opt/x/libb.so", EMPTY, &shared("-Wl,-soname,libb.so", &[]));
    assert!(!loads(&world, "libb.so"));
    let closure = world.closure_of(&["/prog"], Some(Priority::Recommended));
    assert!(!closure.objects.keys().any(|path| path.ends_with("libb.so")));
}

#[disposable::test]
fn each_wish_is_granted_as_if_it_were_the_only_one() {
    let world = World::glibc();
    world_with(&world, &["libx1.so", "libb.so"]);
    for directory in ["/opt/x", "/lib"] {
        let path = format!("{directory}/libz9.so.1");
        world.compile(&path, EMPTY, &shared("-Wl,-soname,libz9.so.1", &[]));
    }
    let needed = world.at("/lib/libz9.so.1");
    let needed = needed.to_str().unwrap();
    let runpath = [needed, "-Wl,--enable-new-dtags,-rpath,/opt/x"];
    world.compile(
        "/lib/libx1.so",
        EMPTY,
        &shared("-Wl,-soname,libx1.so", &runpath),
    );
    world.compile(
        "/lib/libb.so",
        EMPTY,
        &shared("-Wl,-soname,libb.so", &[needed]),
    );
    assert!(loads(&world, "libb.so") && loads(&world, "libx1.so"));
}

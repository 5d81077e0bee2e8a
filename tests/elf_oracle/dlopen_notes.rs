//! Dlopen notes: each program loads the libraries of its notes with dlopen(3), in its root and in a
//! copy of its closure.

use std::fmt::Write;

use jailctl::elf::Priority;

use super::test_root::TestRoot;

/// Source in C of a library whose function `load` calls dlopen(3), with a note that names the
/// libraries.
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

/// Source in C of a program that prints for each argument whether `load` succeeds.
const MAIN: &str = r#"#include <stdio.h>
    void *load(const char *);
    int main(int count, char **names) {
        for (int at = 1; at < count; at++) printf("%s %d\n", names[at], load(names[at]) != 0);
        return 0;
    }"#;

const EMPTY: &str = "int nothing;";

fn shared<'a>(soname: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["-shared", "-fPIC", soname];
    arguments.extend(more);
    arguments
}

/// Adds `/prog`, which loads by a library in `/lib` with a note for `names`, and has an RPATH of
/// `/opt/x`.
fn add_program(root: &TestRoot, names: &[&str]) {
    let source = loader_of(names);
    let rpath = ["-Wl,--disable-new-dtags,-rpath,/opt/x"];
    root.compile(
        "/lib/libload.so",
        &source,
        &shared("-Wl,-soname,libload.so", &rpath),
    );
    let library = root.at("/lib/libload.so");
    root.compile(
        "/prog",
        MAIN,
        &["-Wl,-rpath,/lib", library.to_str().unwrap()],
    );
}

/// Whether `/prog` loads a library in the root; in the copy the result is the same.
fn loads(root: &TestRoot, name: &str) -> bool {
    let closure = root.closure_of(&["/prog"], Some(Priority::Recommended));
    let copy = root.copy(&closure);
    let word = root.run_with("/prog", &[name]);
    assert_eq!(copy.run_with("/prog", &[name]), word, "{closure:#?}");
    word == format!("{name} 1\n")
}

/// `l_loader` of an object that dlopen(3) loads is not its caller: `__RTLD_CALLMAP` in
/// `_dl_map_object` of glibc.
#[disposable::test]
fn dlopen_does_not_inherit_rpath_of_its_caller() {
    let root = TestRoot::glibc();
    add_program(&root, &["libb.so"]);
    root.compile(
        "/opt/x/libc1.so",
        EMPTY,
        &shared("-Wl,-soname,libc1.so", &[]),
    );
    let needed = root.at("/opt/x/libc1.so");
    let needed = [needed.to_str().unwrap()];
    root.compile(
        "/opt/x/libb.so",
        EMPTY,
        &shared("-Wl,-soname,libb.so", &needed),
    );
    assert!(!loads(&root, "libb.so"));
    let closure = root.closure_of(&["/prog"], Some(Priority::Recommended));
    let missing: Vec<_> = closure
        .missing
        .iter()
        .map(|missing| &missing.name)
        .collect();
    assert_eq!(missing, ["libc1.so"]);
}

/// `needed_by` of what dlopen(3) loads is the program: `dlopen` of ldso/dynlink.c of musl.
#[disposable::test]
fn musl_dlopen_searches_for_the_program() {
    let root = TestRoot::musl();
    add_program(&root, &["libb.so"]);
    root.compile("/opt/x/libb.so", EMPTY, &shared("-Wl,-soname,libb.so", &[]));
    assert!(!loads(&root, "libb.so"));
    let closure = root.closure_of(&["/prog"], Some(Priority::Recommended));
    assert!(!closure.objects.keys().any(|path| path.ends_with("libb.so")));
}

#[disposable::test]
fn each_dlopen_entry_is_also_loaded_alone() {
    let root = TestRoot::glibc();
    add_program(&root, &["libx1.so", "libb.so"]);
    for directory in ["/opt/x", "/lib"] {
        let path = format!("{directory}/libz9.so.1");
        root.compile(&path, EMPTY, &shared("-Wl,-soname,libz9.so.1", &[]));
    }
    let needed = root.at("/lib/libz9.so.1");
    let needed = needed.to_str().unwrap();
    let runpath = [needed, "-Wl,--enable-new-dtags,-rpath,/opt/x"];
    root.compile(
        "/lib/libx1.so",
        EMPTY,
        &shared("-Wl,-soname,libx1.so", &runpath),
    );
    root.compile(
        "/lib/libb.so",
        EMPTY,
        &shared("-Wl,-soname,libb.so", &[needed]),
    );
    assert!(loads(&root, "libb.so") && loads(&root, "libx1.so"));
}

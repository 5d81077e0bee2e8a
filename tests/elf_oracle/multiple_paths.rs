//! Files that several paths resolve to: a copy of several closures must contain each path, and the
//! cache if one of the programs finds the file by it alone.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use jailctl::elf::{Options, Resolver, implicit};
use jailctl::host::HostView;

use super::elf_builder::ElfBuilder;
use super::test_root::{LinkOptions, TUPLE, TestRoot, has, plain_library};

/// Compares the loader's list of each program in the root and in a copy of their common closure.
fn compare_all(root: &TestRoot, programs: &[&str]) {
    let closure = root.closure_of(programs, None);
    assert_eq!(closure.missing, []);
    let copy = root.copy(&closure);
    for program in programs {
        let expected = root.expected(program).unwrap();
        assert!(expected.1.is_empty(), "{expected:?}");
        assert_eq!(copy.expected(program).unwrap(), expected, "{programs:?}");
    }
}

fn program<'a>(needed: &'a [&'a str], rpath: &'a str) -> LinkOptions<'a> {
    LinkOptions {
        needed,
        rpath: Some(rpath),
        ..LinkOptions::default()
    }
}

/// Creates `/lib/libp.so`, which needs `libq.so`, found in a directory that depends on the program.
fn requester(root: &TestRoot) {
    let requester = LinkOptions {
        soname: Some("libp.so"),
        needed: &["libq.so"],
        ..LinkOptions::default()
    };
    root.library("/lib/libp.so", requester);
}

#[disposable::test]
fn shared_library_with_a_path_for_each_program() {
    for new_root in [TestRoot::glibc, TestRoot::musl] {
        let root = new_root();
        requester(&root);
        plain_library(&root, "/opt/b/libq.so");
        root.link("b", "/opt/link");
        root.dir("/opt/d");
        let ways = ["/opt/b", "/opt/link", "/opt/d/../b"];
        let names = ["/p0", "/p1", "/p2"];
        for (name, way) in names.iter().zip(ways) {
            root.program(name, program(&["libp.so"], way));
        }
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            compare_all(&root, &order.map(|at| names[at]));
        }
    }
}

#[disposable::test]
fn cache_is_needed_if_one_program_needs_it() {
    let root = TestRoot::glibc();
    requester(&root);
    plain_library(&root, "/opt/b/libq.so");
    root.write("/etc/ld.so.conf", b"/opt/b\n");
    root.ldconfig();
    root.program("/found", program(&["libp.so"], "/opt/b"));
    root.program("/cached", program(&["libp.so"], "/none"));
    compare_all(&root, &["/found", "/cached"]);
    compare_all(&root, &["/cached", "/found"]);
    assert!(!root.closure("/found").needs_cache);
}

/// ldconfig(8) creates no link for a file in a subdirectory of `glibc-hwcaps`, so only the cache
/// has its soname.
#[disposable::test]
fn soname_without_link_needs_the_cache() {
    let root = TestRoot::glibc();
    let link = LinkOptions {
        soname: Some("libfoo.so.1"),
        ..LinkOptions::default()
    };
    root.dir("/etc");
    let better = format!("{TUPLE}/glibc-hwcaps/x86-64-v2/libfoo.so.1.2");
    root.library(&better, link);
    root.library(&format!("{TUPLE}/libfoo.so.1"), link);
    // libfoo.so.01 is the same name in the cache, and nowhere else.
    for (name, needed) in [("/level", &["libfoo.so.1"]), ("/digits", &["libfoo.so.01"])] {
        root.program(name, program(needed, "/none"));
    }
    root.ldconfig();
    has(&root.compare("/level"), &format!("/usr{better}"));
    assert!(root.closure("/level").needs_cache);
    root.compare("/digits");
    assert!(root.closure("/digits").needs_cache);
}

#[disposable::test]
fn cached_file_outside_the_search_needs_the_cache() {
    let root = TestRoot::glibc();
    plain_library(&root, "/usr/lib/libfoo.so.1");
    plain_library(&root, &format!("{TUPLE}/libfoo.so.1"));
    root.write("/etc/ld.so.conf", b"/usr/lib\n");
    root.ldconfig();
    let needed = &["libfoo.so.1"];
    root.program("/cached", program(needed, "/none"));
    root.program("/other", program(needed, TUPLE));
    has(&root.compare("/cached"), "/usr/lib/libfoo.so.1");
    compare_all(&root, &["/cached", "/other"]);
}

#[disposable::test]
fn module_outside_the_search_needs_the_cache() {
    let root = TestRoot::glibc();
    plain_library(&root, "/opt/b/libnss_foo.so.2");
    root.write("/etc/ld.so.conf", b"/opt/b\n");
    root.ldconfig();
    root.program("/p", program(&["libc.so.6"], "/none"));
    let options = Options {
        libraries: implicit::nss_modules("passwd: files foo\n", &[]),
        ..Options::default()
    };
    let view = HostView::new(&root.path).unwrap();
    let mut resolver = Resolver::new(&view, &options);
    resolver.add_all(&["/p".into()]).unwrap();
    let closure = resolver.finish().unwrap();
    let module = Path::new("/opt/b/libnss_foo.so.2");
    assert!(closure.objects.contains_key(module) && closure.needs_cache);
}

/// ldconfig(8) sorts the cache by `char`, which is signed on x86, and the loader searches it so.
#[disposable::test]
fn name_beyond_ascii_hides_no_other_in_the_cache() {
    let root = TestRoot::glibc();
    let names = [
        "liba.so.1",
        "lib\u{e9}.so.1",
        "libz.so.1",
        "libm9.so.1",
        "libq.so.1",
    ];
    for name in names {
        plain_library(&root, &format!("/opt/l/{name}"));
    }
    root.write("/etc/ld.so.conf", b"/opt/l\n");
    root.ldconfig();
    root.program("/p", program(&names, "/none"));
    assert!(root.compare("/p").1.is_empty());
}

#[disposable::test]
fn link_loop_in_a_subdirectory() {
    let root = TestRoot::glibc();
    let below = root.at("/opt/glibc-hwcaps/x86-64-v2");
    root.dir("/opt/glibc-hwcaps/x86-64-v2");
    symlink("libl.so", below.join("libl.so")).unwrap();
    plain_library(&root, "/opt/libl.so");
    let link = LinkOptions {
        needed: &["libl.so"],
        runpath: Some("/opt"),
        ..LinkOptions::default()
    };
    root.program("/p", link);
    has(&root.compare("/p"), "/opt/libl.so");
    // Named itself, the subdirectory is an ordinary directory, and ends the search path.
    let link = LinkOptions {
        runpath: Some("/opt/glibc-hwcaps/x86-64-v2:/good"),
        ..link
    };
    plain_library(&root, "/good/libl.so");
    root.program("/r", link);
    assert!(root.compare("/r").1.contains("libl.so"));
}

/// The loader of a machine of the other byte order ignores a cache for other machines, which is not
/// damaged.
#[disposable::test]
fn cache_of_the_other_byte_order_is_not_damaged() {
    let root = TestRoot::glibc();
    root.dir("/etc");
    plain_library(&root, &format!("{TUPLE}/libx.so"));
    root.ldconfig();
    let strange = ElfBuilder {
        little: false,
        machine: 22,
        needed: &["libgone.so"],
        ..ElfBuilder::default()
    };
    root.write("/p", &strange.write());
    let closure = root.closure("/p");
    assert_eq!(closure.missing.len(), 1);
    assert_eq!(closure.missing[0].why, None);
}

#[disposable::test]
fn objects_without_a_file_are_not_missing() {
    let root = TestRoot::glibc();
    root.program("/p", program(&["linux-vdso.so.1", "libc.so.6"], "/none"));
    assert!(root.compare("/p").1.is_empty());
    root.program("/gate", program(&["linux-gate.so.1", "libc.so.6"], "/none"));
    assert!(root.compare("/gate").1.contains("linux-gate.so.1"));
    // The empty name, which no linker writes, is that of the program.
    root.program("/q", program(&["libempty.so", "libc.so.6"], "/none"));
    let mut bytes = fs::read(root.at("/q")).unwrap();
    let at = bytes
        .windows(11)
        .position(|part| part == b"libempty.so")
        .unwrap();
    bytes[at] = 0;
    fs::write(root.at("/q"), bytes).unwrap();
    assert!(root.compare("/q").1.is_empty());
}

//! One file by several ways: a copy of what several programs need must hold the way of each, and the cache where one of them has no other.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use jailctl::elf::{Options, Resolver, implicit};
use jailctl::host::HostView;

use super::elf_builder::ElfBuilder;
use super::test_root::{LinkOptions, TUPLE, TestRoot, has, plain_library};

/// In a copy of what programs need the loader says of each what it says in the world.
fn compare_all(world: &TestRoot, programs: &[&str]) {
    let closure = world.closure_of(programs, None);
    assert_eq!(closure.missing, []);
    let copy = world.copy(&closure);
    for program in programs {
        let expected = world.expected(program).unwrap();
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

/// `/lib/libp.so` of these worlds needs `libq.so`, wherever its program says that it is.
fn requester(world: &TestRoot) {
    let requester = LinkOptions {
        soname: Some("libp.so"),
        needed: &["libq.so"],
        ..LinkOptions::default()
    };
    world.library("/lib/libp.so", requester);
}

#[test]
fn shared_library_with_a_path_for_each_program() {
    let worlds = [TestRoot::glibc(), TestRoot::musl()];
    for world in worlds.iter().flatten() {
        requester(world);
        plain_library(world, "/opt/b/libq.so");
        world.link("b", "/opt/link");
        world.dir("/opt/d");
        let ways = ["/opt/b", "/opt/link", "/opt/d/../b"];
        let names = ["/p0", "/p1", "/p2"];
        for (name, way) in names.iter().zip(ways) {
            world.program(name, program(&["libp.so"], way));
        }
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            compare_all(world, &order.map(|at| names[at]));
        }
    }
}

#[test]
fn cache_is_needed_if_one_program_needs_it() {
    let Some(world) = TestRoot::glibc() else {
        return;
    };
    requester(&world);
    plain_library(&world, "/opt/b/libq.so");
    world.write("/etc/ld.so.conf", b"/opt/b\n");
    world.ldconfig();
    world.program("/found", program(&["libp.so"], "/opt/b"));
    world.program("/cached", program(&["libp.so"], "/none"));
    compare_all(&world, &["/found", "/cached"]);
    compare_all(&world, &["/cached", "/found"]);
    assert!(!world.closure("/found").needs_cache);
}

/// ldconfig(8) gives a file in a subdirectory of `glibc-hwcaps` no link, so its soname is in the cache alone.
#[test]
fn soname_without_link_needs_the_cache() {
    let Some(world) = TestRoot::glibc() else {
        return;
    };
    let link = LinkOptions {
        soname: Some("libfoo.so.1"),
        ..LinkOptions::default()
    };
    world.dir("/etc");
    let better = format!("{TUPLE}/glibc-hwcaps/x86-64-v2/libfoo.so.1.2");
    world.library(&better, link);
    world.library(&format!("{TUPLE}/libfoo.so.1"), link);
    // libfoo.so.01 is the same name to the cache, and to nothing else.
    for (name, needed) in [("/level", &["libfoo.so.1"]), ("/digits", &["libfoo.so.01"])] {
        world.program(name, program(needed, "/none"));
    }
    world.ldconfig();
    has(&world.compare("/level"), &format!("/usr{better}"));
    assert!(world.closure("/level").needs_cache);
    world.compare("/digits");
    assert!(world.closure("/digits").needs_cache);
}

#[test]
fn cached_file_outside_the_search_needs_the_cache() {
    let Some(world) = TestRoot::glibc() else {
        return;
    };
    plain_library(&world, "/usr/lib/libfoo.so.1");
    plain_library(&world, &format!("{TUPLE}/libfoo.so.1"));
    world.write("/etc/ld.so.conf", b"/usr/lib\n");
    world.ldconfig();
    let needed = &["libfoo.so.1"];
    world.program("/cached", program(needed, "/none"));
    world.program("/other", program(needed, TUPLE));
    has(&world.compare("/cached"), "/usr/lib/libfoo.so.1");
    compare_all(&world, &["/cached", "/other"]);
}

#[test]
fn module_outside_the_search_needs_the_cache() {
    let Some(world) = TestRoot::glibc() else {
        return;
    };
    plain_library(&world, "/opt/b/libnss_foo.so.2");
    world.write("/etc/ld.so.conf", b"/opt/b\n");
    world.ldconfig();
    world.program("/p", program(&["libc.so.6"], "/none"));
    let options = Options {
        libraries: implicit::nss_modules("passwd: files foo\n", &[]),
        ..Options::default()
    };
    let view = HostView::new(&world.root).unwrap();
    let mut resolver = Resolver::new(&view, &options);
    resolver.add_all(&["/p".into()]).unwrap();
    let closure = resolver.finish().unwrap();
    let module = Path::new("/opt/b/libnss_foo.so.2");
    assert!(closure.objects.contains_key(module) && closure.needs_cache);
}

/// ldconfig(8) sorts the cache, and the loader searches it, by `char`, which has a sign on x86.
#[test]
fn name_beyond_ascii_hides_no_other_in_the_cache() {
    let Some(world) = TestRoot::glibc() else {
        return;
    };
    let names = [
        "liba.so.1",
        "lib\u{e9}.so.1",
        "libz.so.1",
        "libm9.so.1",
        "libq.so.1",
    ];
    for name in names {
        plain_library(&world, &format!("/opt/l/{name}"));
    }
    world.write("/etc/ld.so.conf", b"/opt/l\n");
    world.ldconfig();
    world.program("/p", program(&names, "/none"));
    assert!(world.compare("/p").1.is_empty());
}

#[test]
fn link_loop_in_a_subdirectory() {
    let Some(world) = TestRoot::glibc() else {
        return;
    };
    let below = world.at("/opt/glibc-hwcaps/x86-64-v2");
    world.dir("/opt/glibc-hwcaps/x86-64-v2");
    symlink("libl.so", below.join("libl.so")).unwrap();
    plain_library(&world, "/opt/libl.so");
    let link = LinkOptions {
        needed: &["libl.so"],
        runpath: Some("/opt"),
        ..LinkOptions::default()
    };
    world.program("/p", link);
    has(&world.compare("/p"), "/opt/libl.so");
    // Named itself, it is a directory as any other, and ends the search path.
    let link = LinkOptions {
        runpath: Some("/opt/glibc-hwcaps/x86-64-v2:/good"),
        ..link
    };
    plain_library(&world, "/good/libl.so");
    world.program("/r", link);
    assert!(world.compare("/r").1.contains("libl.so"));
}

/// The loader of a machine of the other byte order passes over a cache that is not its own, and nothing is wrong with it.
#[test]
fn cache_of_the_other_byte_order_is_not_damaged() {
    let Some(world) = TestRoot::glibc() else {
        return;
    };
    world.dir("/etc");
    plain_library(&world, &format!("{TUPLE}/libx.so"));
    world.ldconfig();
    let strange = ElfBuilder {
        little: false,
        machine: 22,
        needed: &["libgone.so"],
        ..ElfBuilder::default()
    };
    world.write("/p", &strange.write());
    let closure = world.closure("/p");
    assert_eq!(closure.missing.len(), 1);
    assert_eq!(closure.missing[0].why, None);
}

#[test]
fn objects_without_a_file_are_not_missing() {
    let Some(world) = TestRoot::glibc() else {
        return;
    };
    world.program("/p", program(&["linux-vdso.so.1", "libc.so.6"], "/none"));
    assert!(world.compare("/p").1.is_empty());
    world.program("/gate", program(&["linux-gate.so.1", "libc.so.6"], "/none"));
    assert!(world.compare("/gate").1.contains("linux-gate.so.1"));
    // The empty name, which no linker writes, is that of the program.
    world.program("/q", program(&["libempty.so", "libc.so.6"], "/none"));
    let mut bytes = fs::read(world.at("/q")).unwrap();
    let at = bytes
        .windows(11)
        .position(|part| part == b"libempty.so")
        .unwrap();
    bytes[at] = 0;
    fs::write(world.at("/q"), bytes).unwrap();
    assert!(world.compare("/q").1.is_empty());
}

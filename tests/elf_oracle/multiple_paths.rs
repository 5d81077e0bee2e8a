//! One file by several ways: a copy of what several programs need must hold the way of each, and
//! the cache where one of them has no other.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use jailctl::elf::{Options, Resolver, implicit};
use jailctl::host::HostView;

use super::elf_builder::Forge;
use super::test_root::{Make, TUPLE, World, has, plain};

/// In a copy of what programs need the loader says of each what it says in the world.
fn agree_together(world: &World, programs: &[&str]) {
    let closure = world.closure_of(programs, None);
    assert_eq!(closure.missing, []);
    let copy = world.copy(&closure);
    for program in programs {
        let expected = world.expected(program).unwrap();
        assert!(expected.1.is_empty(), "{expected:?}");
        assert_eq!(copy.expected(program).unwrap(), expected, "{programs:?}");
    }
}

fn program<'a>(needed: &'a [&'a str], rpath: &'a str) -> Make<'a> {
    Make {
        needed,
        rpath: Some(rpath),
        ..Make::default()
    }
}

/// `/lib/libp.so` of these worlds needs `libq.so`, wherever its program says that it is.
fn asker(world: &World) {
    let asker = Make {
        soname: Some("libp.so"),
        needed: &["libq.so"],
        ..Make::default()
    };
    world.library("/lib/libp.so", asker);
}

#[disposable::test]
fn each_program_has_its_own_way_to_a_library_that_they_share() {
    for new_world in [World::glibc, World::musl] {
        let world = new_world();
        asker(&world);
        plain(&world, "/opt/b/libq.so");
        world.link("b", "/opt/link");
        world.dir("/opt/d");
        let ways = ["/opt/b", "/opt/link", "/opt/d/../b"];
        let names = ["/p0", "/p1", "/p2"];
        for (name, way) in names.iter().zip(ways) {
            world.program(name, program(&["libp.so"], way));
        }
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            agree_together(&world, &order.map(|at| names[at]));
        }
    }
}

#[disposable::test]
fn the_cache_counts_where_one_program_needs_it() {
    let world = World::glibc();
    asker(&world);
    plain(&world, "/opt/b/libq.so");
    world.write("/etc/ld.so.conf", b"/opt/b\n");
    world.ldconfig();
    world.program("/found", program(&["libp.so"], "/opt/b"));
    world.program("/cached", program(&["libp.so"], "/none"));
    agree_together(&world, &["/found", "/cached"]);
    agree_together(&world, &["/cached", "/found"]);
    assert!(!world.closure("/found").needs_cache);
}

/// ldconfig(8) gives a file in a subdirectory of `glibc-hwcaps` no link, so its soname is in the
/// cache alone.
#[disposable::test]
fn a_file_that_only_the_cache_knows_by_its_soname_needs_it() {
    let world = World::glibc();
    let make = Make {
        soname: Some("libfoo.so.1"),
        ..Make::default()
    };
    world.dir("/etc");
    let better = format!("{TUPLE}/glibc-hwcaps/x86-64-v2/libfoo.so.1.2");
    world.library(&better, make);
    world.library(&format!("{TUPLE}/libfoo.so.1"), make);
    // libfoo.so.01 is the same name to the cache, and to nothing else.
    for (name, needed) in [("/level", &["libfoo.so.1"]), ("/digits", &["libfoo.so.01"])] {
        world.program(name, program(needed, "/none"));
    }
    world.ldconfig();
    has(&world.agree("/level"), &format!("/usr{better}"));
    assert!(world.closure("/level").needs_cache);
    world.agree("/digits");
    assert!(world.closure("/digits").needs_cache);
}

#[disposable::test]
fn a_cached_file_that_the_loader_would_not_find_alone_needs_the_cache() {
    let world = World::glibc();
    plain(&world, "/usr/lib/libfoo.so.1");
    plain(&world, &format!("{TUPLE}/libfoo.so.1"));
    world.write("/etc/ld.so.conf", b"/usr/lib\n");
    world.ldconfig();
    let needed = &["libfoo.so.1"];
    world.program("/cached", program(needed, "/none"));
    world.program("/other", program(needed, TUPLE));
    has(&world.agree("/cached"), "/usr/lib/libfoo.so.1");
    agree_together(&world, &["/cached", "/other"]);
}

#[disposable::test]
fn a_module_that_only_the_cache_leads_to_needs_it() {
    let world = World::glibc();
    plain(&world, "/opt/b/libnss_foo.so.2");
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
#[disposable::test]
fn a_name_beyond_ascii_hides_no_other_in_the_cache() {
    let world = World::glibc();
    let names = [
        "liba.so.1",
        "lib\u{e9}.so.1",
        "libz.so.1",
        "libm9.so.1",
        "libq.so.1",
    ];
    for name in names {
        plain(&world, &format!("/opt/l/{name}"));
    }
    world.write("/etc/ld.so.conf", b"/opt/l\n");
    world.ldconfig();
    world.program("/p", program(&names, "/none"));
    assert!(world.agree("/p").1.is_empty());
}

#[disposable::test]
fn a_loop_in_a_subdirectory_does_not_hide_the_directory() {
    let world = World::glibc();
    let below = world.at("/opt/glibc-hwcaps/x86-64-v2");
    world.dir("/opt/glibc-hwcaps/x86-64-v2");
    symlink("libl.so", below.join("libl.so")).unwrap();
    plain(&world, "/opt/libl.so");
    let make = Make {
        needed: &["libl.so"],
        runpath: Some("/opt"),
        ..Make::default()
    };
    world.program("/p", make);
    has(&world.agree("/p"), "/opt/libl.so");
    // Named itself, it is a directory as any other, and ends the search path.
    let make = Make {
        runpath: Some("/opt/glibc-hwcaps/x86-64-v2:/good"),
        ..make
    };
    plain(&world, "/good/libl.so");
    world.program("/r", make);
    assert!(world.agree("/r").1.contains("libl.so"));
}

/// The loader of a machine of the other byte order passes over a cache that is not its own, and
/// nothing is wrong with it.
#[disposable::test]
fn a_cache_of_the_other_byte_order_is_not_damaged() {
    let world = World::glibc();
    world.dir("/etc");
    plain(&world, &format!("{TUPLE}/libx.so"));
    world.ldconfig();
    let strange = Forge {
        little: false,
        machine: 22,
        needed: &["libgone.so"],
        ..Forge::default()
    };
    world.write("/p", &strange.write());
    let closure = world.closure("/p");
    assert_eq!(closure.missing.len(), 1);
    assert_eq!(closure.missing[0].why, None);
}

#[disposable::test]
fn what_is_there_without_a_file_is_not_missing() {
    let world = World::glibc();
    world.program("/p", program(&["linux-vdso.so.1", "libc.so.6"], "/none"));
    assert!(world.agree("/p").1.is_empty());
    world.program("/gate", program(&["linux-gate.so.1", "libc.so.6"], "/none"));
    assert!(world.agree("/gate").1.contains("linux-gate.so.1"));
    // The empty name, which no linker writes, is that of the program.
    world.program("/q", program(&["libempty.so", "libc.so.6"], "/none"));
    let mut bytes = fs::read(world.at("/q")).unwrap();
    let at = bytes
        .windows(11)
        .position(|part| part == b"libempty.so")
        .unwrap();
    bytes[at] = 0;
    fs::write(world.at("/q"), bytes).unwrap();
    assert!(world.agree("/q").1.is_empty());
}

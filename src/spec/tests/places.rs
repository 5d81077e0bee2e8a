//! Accepted and refused paths.

use super::super::path_rules::{
    binary, dir, home, merged, mount_source, mount_target, root, source, target,
};
use super::super::violation::Violation;
use crate::names::JailPath;

/// Checks that each of `good` is accepted and each of `bad` is refused.
fn sort(check: impl Fn(&str) -> Result<(), Violation>, good: &[&str], bad: &[&str]) {
    for text in good {
        assert_eq!(check(text), Ok(()), "{text}");
    }
    for text in bad {
        assert!(check(text).is_err(), "{text}");
    }
}

/// Converts a check of a path inside the jail to a check of a string.
fn inside(check: fn(&JailPath) -> Result<(), Violation>) -> impl Fn(&str) -> Result<(), Violation> {
    move |text| check(&JailPath::new(text)?)
}

#[test]
fn roots_lie_where_nothing_else_lives() {
    sort(
        root,
        &[
            "/srv/jails/a",
            "/home/elba",
            "/var/jails/a",
            "/var/lib/machines",
            "/opt/jail",
            "/libs/a",
            "/srv/A.b_c-d",
            "/usrlocal/x",
            "/data/.x",
        ],
        &[
            "/",
            "",
            "srv/a",
            "/srv",
            "/srv/",
            "/home",
            "/jails",
            "/etc",
            "/etc/a",
            "/usr/local/a",
            "/var",
            "/var/lib",
            "/var/log",
            "/var/tmp/a",
            "/var/run/a",
            "/var/lib/jailctl/a",
            "/tmp/a",
            "/root/a",
            "/boot/a",
            "/dev/shm/a",
            "/proc/1/root",
            "/sys/a",
            "/run/a",
            "/bin/a",
            "/sbin/a",
            "/lib/a",
            "/lib64/a",
            "/libx32/a",
            "/srv/jails",
            "/srv/jails/.jailctl/a",
            "/jail/a",
            "/srv/../etc",
            "/srv/./a",
            "/srv//a",
            "/srv/a b",
            "/srv/a\nb",
            "/srv/é",
            "/srv/%h",
            "/%u",
            "/etc/%u",
            "/srv/a%u",
            "/srv/%u%u",
            "/srv/$x",
            "/srv/a\"b",
            "/srv/#a",
            "/srv/a*",
        ],
    );
}

#[test]
fn sources_hold_no_secrets() {
    sort(
        source,
        &[
            "/etc/vim",
            "/etc/skel",
            "/etc/ssh/ssh_host_rsa_key.pub",
            "/etc/ssh/ssh_config",
            "/usr/share/terminfo",
            "/etc/passwd",
            "/opt/etc/shadow",
            "/device/x",
        ],
        &[
            "/",
            "/etc",
            "/etc/shadow",
            "/etc/shadow-",
            "/etc/gshadow",
            "/etc/gshadow-",
            "/etc/ssh",
            "/etc/ssh/ssh_host_rsa_key",
            "/etc/ssh/ssh_host_ed25519_key",
            "/proc",
            "/proc/self/environ",
            "/sys/x",
            "/dev/sda",
            "/var",
            "/var/lib",
            "/var/lib/jailctl/a/keys/u",
            "etc/vim",
            "/etc/../etc/shadow",
            "/etc/./shadow",
            "/etc/vim/",
            "",
        ],
    );
    sort(
        mount_source,
        &["/var/www/17", "/srv"],
        &["/", "/etc", "/root", "/proc", "/sys/fs", "/dev"],
    );
    sort(
        binary,
        &["/opt/x/bin/y"],
        &["/", "/proc/self/exe", "/dev/x", "/etc/shadow", "/a/../b"],
    );
}

#[test]
fn files_go_where_the_tree_is_roots() {
    sort(
        inside(target),
        &[
            "/etc/vim",
            "/etc/profile",
            "/etc/nsswitch.conf",
            "/usr/bin/x",
            "/bin/x",
            "/lib/x",
            "/welcome.txt",
            "/jails",
            "/var/x",
            "/etc/passwdx",
        ],
        &[
            "/",
            "/bin",
            "/sbin",
            "/lib",
            "/lib64",
            "/libx32",
            "/proc",
            "/proc/x",
            "/dev/null",
            "/sys/x",
            "/jail",
            "/jail/bin/sh",
            "/.jailctl",
            "/.jailctl/x",
            "/etc/passwd",
            "/etc/group",
            "/etc/shadow",
            "/etc/gshadow-",
            "/etc/ld.so.preload",
            "/tmp/x",
            "/var/tmp",
            "relative",
            "/a/../etc/passwd",
        ],
    );
    sort(
        inside(mount_target),
        &["/www", "/home/u/x"],
        &[
            "/",
            "/etc",
            "/usr",
            "/bin",
            "/lib64",
            "/jail",
            "/.jailctl/x",
        ],
    );
}

#[test]
fn directories_and_homes_lie_outside_the_system() {
    sort(
        inside(dir),
        &[
            "/upload",
            "/var/www",
            "/srv/x",
            "/home/shared",
            "/run/x",
            "/library",
        ],
        &[
            "/",
            "/usr",
            "/usr/local/x",
            "/etc/x",
            "/dev/x",
            "/proc/x",
            "/sys",
            "/jail/x",
            "/.jailctl",
            "/bin/x",
            "/sbin",
            "/lib/x",
            "/lib64/x",
            "/tmp",
            "/tmp/x",
        ],
    );
    sort(
        inside(home),
        &["/home/u", "/var/www/u", "/upload", "/srv/u", "/root"],
        &[
            "/",
            "/home",
            "/usr/u",
            "/etc",
            "/bin/u",
            "/dev/shm",
            "/proc/u",
            "/jail/u",
            "/.jailctl/u",
            "/tmp",
            "/tmp/u",
            "/var",
            "/run/u",
        ],
    );
}

#[test]
fn a_link_and_what_it_leads_to_are_one_place() {
    let to = |text: &str| merged(&JailPath::new(text).expect("valid")).to_string();
    assert_eq!(to("/bin/x"), "/usr/bin/x");
    assert_eq!(to("/lib64"), "/usr/lib64");
    assert_eq!(to("/usr/bin/x"), "/usr/bin/x");
    assert_eq!(to("/binary"), "/binary");
}

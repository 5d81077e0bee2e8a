//! Mounts in `private_mounts` are visible there and in the programs started there, and nowhere
//! else.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read the system directly, and fail by a panic"
)]

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use disposable::harness::need_root;
use jailctl_session::mount::{DetachedMount, bind, tmpfs};
use jailctl_session::private_mounts;

fn main() -> ExitCode {
    disposable::harness::run()
}

/// Two directories, `a` with a file in it and an empty `b`; removed on drop.
struct Scratch(PathBuf);

impl Scratch {
    /// Creates both. Without root the calling test ends as ignored.
    fn new(name: &str) -> Self {
        need_root();
        let dir =
            std::env::temp_dir().join(format!("jailctl-mounts-{name}-{}", std::process::id()));
        fs::create_dir_all(dir.join("a")).expect("a scratch directory");
        fs::create_dir_all(dir.join("b")).expect("a scratch directory");
        fs::write(dir.join("a/file"), "from a").expect("a scratch file");
        Self(dir)
    }

    fn a(&self) -> PathBuf {
        self.0.join("a")
    }

    fn b(&self) -> PathBuf {
        self.0.join("b")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mounts() -> String {
    fs::read_to_string("/proc/thread-self/mountinfo").expect("mountinfo")
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| {
            let name = entry.expect("an entry").file_name();
            name.to_string_lossy().into_owned()
        })
        .collect();
    names.sort();
    names
}

#[disposable::test]
fn a_bind_is_seen_inside_and_not_outside() {
    let scratch = Scratch::new("bind");
    let (before, cwd) = (mounts(), std::env::current_dir().unwrap());
    let (inside, during) = private_mounts(|| {
        bind(&*scratch.a(), &*scratch.b()).unwrap();
        std::env::set_current_dir("/").unwrap();
        let outside = fs::read_to_string(format!("/proc/{}/mountinfo", std::process::id()));
        (names(&scratch.b()), outside.unwrap())
    })
    .unwrap();
    assert_eq!(inside, ["file"]);
    assert_eq!(during, before, "the host's mounts while the closure ran");
    assert_eq!(mounts(), before);
    assert_eq!(names(&scratch.b()), [""; 0]);
    assert_eq!(std::env::current_dir().unwrap(), cwd);
}

#[disposable::test]
fn what_is_started_inside_lives_inside() {
    let scratch = Scratch::new("spawn");
    let (spawned, forked) = private_mounts(|| {
        bind(&*scratch.a(), &*scratch.b()).unwrap();
        let file = scratch.b().join("file");
        // std uses posix_spawn(3) where it can, and fork(2) and exec(2) where it must, as for a
        // uid.
        let spawned = Command::new("cat").arg(&file).output().unwrap().stdout;
        let forked = Command::new("cat").arg(&file).uid(0).output().unwrap();
        (spawned, forked.stdout)
    })
    .unwrap();
    assert_eq!(spawned, b"from a");
    assert_eq!(forked, b"from a");
}

#[disposable::test]
fn a_second_closure_finds_nothing_of_the_first() {
    let scratch = Scratch::new("second");
    let namespace = || fs::read_link("/proc/thread-self/ns/mnt").unwrap();
    let first = private_mounts(|| {
        bind(&*scratch.a(), &*scratch.b()).unwrap();
        namespace()
    });
    let second = private_mounts(|| {
        assert_eq!(names(&scratch.b()), [""; 0]);
        namespace()
    });
    assert_ne!(first.unwrap(), namespace());
    assert_ne!(second.unwrap(), namespace());
}

#[disposable::test]
fn even_below_a_shared_mount_nothing_gets_out() {
    let scratch = Scratch::new("shared");
    // The outer closure stands for a host whose mounts are shared, as systemd configures them.
    private_mounts(|| {
        use rustix::mount::{MountPropagationFlags, mount_change};
        tmpfs(&*scratch.a(), 0o755).unwrap();
        mount_change(scratch.a(), MountPropagationFlags::SHARED).unwrap();
        for dir in ["x", "x/y", "z"] {
            fs::create_dir(scratch.a().join(dir)).unwrap();
        }
        let before = mounts();
        assert!(
            before.contains(" shared:"),
            "the control: it is shared here"
        );
        // Copied here, where the mount still belongs to the shared group.
        let host_x = fs::File::open(scratch.a().join("x")).unwrap();
        let tree = DetachedMount::clone_tree(host_x.as_fd()).unwrap();
        private_mounts(|| {
            tmpfs(&*scratch.a().join("x/y"), 0o700).unwrap();
            tree.attach(&*scratch.a().join("z")).unwrap();
            tmpfs(&*scratch.a().join("z/y"), 0o700).unwrap();
            assert_ne!(mounts(), before);
            assert!(!mounts().contains(" shared:"), "{}", mounts());
        })
        .unwrap();
        assert_eq!(mounts(), before);
    })
    .unwrap();
}

#[disposable::test]
fn places_can_be_descriptors() {
    let scratch = Scratch::new("fd");
    // The source is opened outside, as by a caller, the target inside.
    let source = fs::File::open(scratch.a()).unwrap();
    let tree = DetachedMount::clone_tree(source.as_fd()).unwrap();
    let inside = private_mounts(|| {
        let target = fs::File::open(scratch.b()).unwrap();
        tree.attach(target.as_fd()).unwrap();
        // A file over a file.
        let file = scratch.b().join("file");
        bind(Path::new("/dev/null"), &*file).unwrap();
        fs::read_to_string(file).unwrap()
    });
    assert_eq!(inside.unwrap(), "");
    assert_eq!(
        fs::read_to_string(scratch.a().join("file")).unwrap(),
        "from a"
    );
}

#[disposable::test]
fn a_tmpfs_is_empty_has_its_mode_and_runs_nothing() {
    let scratch = Scratch::new("tmpfs");
    private_mounts(|| {
        tmpfs(&*scratch.a(), 0o1750).unwrap();
        assert_eq!(names(&scratch.a()), [""; 0]);
        let mode = fs::metadata(scratch.a()).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o1750);
        let all = mounts();
        let line = all
            .lines()
            .find(|line| line.contains("jailctl-mounts-tmpfs"));
        let line = line.unwrap();
        for word in ["nosuid", "nodev", "noexec"] {
            assert!(line.contains(word), "{line}");
        }
    })
    .unwrap();
}

#[disposable::test]
fn errors_say_what_and_where_and_panics_come_back() {
    let scratch = Scratch::new("errors");
    let missing = scratch.0.join("missing");
    let error = private_mounts(|| bind(&*scratch.a(), &*missing)).unwrap();
    assert_eq!(
        error.unwrap_err().to_string(),
        format!(
            "could not mount on `{}`: no such file or directory",
            missing.display()
        )
    );
    let error = private_mounts(|| bind(&*missing, &*scratch.a())).unwrap();
    assert_eq!(error.unwrap_err().errno(), Some(rustix::io::Errno::NOENT));
    let panic = std::panic::catch_unwind(|| private_mounts(|| panic!("in the closure")));
    assert!(panic.is_err());
}

#[disposable::test]
fn without_the_right_to_unshare_the_closure_does_not_run() {
    if !rustix::process::geteuid().is_root() {
        let result = private_mounts(|| panic!("must not run"));
        assert_eq!(
            result.map(|(): ()| ()).unwrap_err().errno(),
            Some(rustix::io::Errno::PERM)
        );
        return;
    }
    // As root: a thread without capabilities is not permitted.
    std::thread::spawn(|| {
        use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
        let none = CapabilitySets {
            effective: CapabilitySet::empty(),
            permitted: CapabilitySet::empty(),
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, none).unwrap();
        let result = private_mounts(|| panic!("must not run"));
        let error = result.map(|(): ()| ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not unshare mounts: operation not permitted"
        );
    })
    .join()
    .unwrap();
}

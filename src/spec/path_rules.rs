//! Constraints on paths, by their text alone. Owners, symbolic links, mounts and other jails are
//! checked in `resolve`.

use std::path::Path;

use super::family::USER_TOKEN;
use super::values;
use super::violation::Violation;
use crate::layout::{JAIL_DIR, JAILS_DIR, PRIVATE_DIR, STATE};
use crate::names::JailPath;

/// Host directories that neither are nor contain a root.
const NOT_FOR_ROOTS: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/libexec",
    "/lost+found",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/tmp",
    "/usr",
    STATE,
    "/var/run",
    "/var/tmp",
    JAIL_DIR,
];

/// Host directories that may contain roots but are none.
const SHARED_DIRS: &[&str] = &[
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/srv",
    "/var",
    JAILS_DIR,
    "/var/cache",
    "/var/lib",
    "/var/local",
    "/var/log",
    "/var/mail",
    "/var/opt",
    "/var/spool",
    "/var/www",
];

/// Paths that jailctl reserves in each jail: the prefix of login shells, and the staging area.
const RESERVED_NAMES: &[&str] = &[JAIL_DIR, "/.jailctl"];

/// Symbolic links of a merged /usr.
const SYSTEM_LINKS: &[&str] = &["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Directories that a build writes again and exchanges as a whole, in addition to those that are
/// never mount points.
const EXCHANGED: &[&str] = &["/etc", "/usr"];

/// Kernel file systems.
const KERNEL: &[&str] = &["/proc", "/dev", "/sys"];

/// World-writable directories.
const SHARED: &[&str] = &["/tmp", "/var/tmp"];

/// Account files that jailctl writes in a jail, or that must not exist there.
const ACCOUNT_FILES: &[&str] = &[
    "/etc/passwd",
    "/etc/passwd-",
    "/etc/group",
    "/etc/group-",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
];

/// Host files that are never copied into a jail.
const SECRETS: &[&str] = &[
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/security/opasswd",
    "/etc/.pwd.lock",
    STATE,
];

/// The first of `dirs` that is `path` or an ancestor of it.
pub(crate) fn within<'a>(path: &str, dirs: &[&'a str]) -> Option<&'a str> {
    dirs.iter()
        .copied()
        .find(|dir| Path::new(path).starts_with(dir))
}

fn is_within(path: &str, dir: &str) -> String {
    if path == dir {
        "is".to_owned()
    } else {
        format!("is below `{dir}`,")
    }
}

const GOOD_ROOT: &str = "use a path such as `/srv/jails/<name>`, the default";
const GOOD_DIR: &str = "choose another path, such as `/upload` or `/var/www`";

/// Checks the root of a jail on the host.
///
/// # Errors
/// The [`Violation`] of the value.
pub fn root(text: &str) -> Result<(), Violation> {
    let path = JailPath::new(text)?;
    // `validate` checks the root of each user.
    let example = text
        .split('/')
        .map(|part| if part == USER_TOKEN { "u" } else { part });
    let example = example.collect::<Vec<_>>().join("/");
    if example.contains(USER_TOKEN) {
        return Err(Violation::new("has `%u` as a part of a component")
            .hint("`%u` must be a whole component, as in `/srv/jails/%u`"));
    }
    let text = example.as_str();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    if !text.chars().all(plain) {
        return Err("has a character other than a-z, A-Z, 0-9, `.`, `_`, `-` and `/`".into());
    }
    if text == "/" {
        return Err(Violation::new("is the root of the host").hint(GOOD_ROOT));
    }
    if let Some(place) = within(text, NOT_FOR_ROOTS) {
        return Err(
            Violation::new(format!("{} a system directory", is_within(text, place)))
                .hint(GOOD_ROOT),
        );
    }
    if path.parent() == Some(JailPath::root()) || SHARED_DIRS.contains(&text) {
        let shared = SHARED_DIRS.contains(&text);
        let why = if shared {
            "is a shared directory"
        } else {
            "is directly below `/`"
        };
        return Err(Violation::new(why).hint(GOOD_ROOT));
    }
    if text.split('/').any(|part| part == PRIVATE_DIR) {
        return Err(Violation::new("is below `.jailctl`, which jailctl reserves").hint(GOOD_ROOT));
    }
    Ok(())
}

/// Checks that `path` is a host file that may be copied into a jail: not a known secret, and not in
/// a kernel file system. Called for each path of a copied tree.
///
/// # Errors
/// The [`Violation`] of the value.
pub fn copyable(path: &Path) -> Result<(), Violation> {
    // Fast path for nearly all files.
    if path.as_os_str().as_encoded_bytes().starts_with(b"/usr/") {
        return Ok(());
    }
    if let Some(place) = KERNEL.iter().find(|place| path.starts_with(place)) {
        return Err(Violation::new(format!(
            "is in `{place}`, a kernel file system"
        )));
    }
    if SECRETS.iter().any(|secret| path.starts_with(secret)) {
        return Err(Violation::new("contains secrets of the host")
            .hint("the account files of a jail are generated from `[[user]]`"));
    }
    if path.parent() == Some(Path::new("/etc/ssh"))
        && path.extension().is_none_or(|end| end != "pub")
        && path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"ssh_host_"))
    {
        return Err(Violation::new("is a private key of the host")
            .hint("jails need none: sshd reads host keys outside of the jail"));
    }
    Ok(())
}

fn host_path(text: &str) -> Result<(), Violation> {
    Ok(JailPath::new(text).map(drop)?)
}

/// Checks the `source` of a `[[file]]`, or a `skel`.
///
/// # Errors
/// The [`Violation`] of the value.
pub fn source(text: &str) -> Result<(), Violation> {
    host_path(text)?;
    let path = Path::new(text);
    copyable(path)?;
    let holds = |inner: &&str| Path::new(inner).starts_with(path);
    if SECRETS.iter().any(holds) || KERNEL.iter().any(holds) || text == "/etc/ssh" {
        return Err(
            Violation::new("is a directory that contains secrets of the host")
                .hint("list the files or directories in it that the jail needs"),
        );
    }
    Ok(())
}

/// Checks an absolute path in `binaries`.
///
/// # Errors
/// The [`Violation`] of the value.
pub fn binary(text: &str) -> Result<(), Violation> {
    host_path(text)?;
    copyable(Path::new(text))?;
    if text == "/" {
        return Err("is a directory".into());
    }
    Ok(())
}

/// Checks the `source` of a `[[mount]]`.
///
/// # Errors
/// The [`Violation`] of the value.
pub fn mount_source(text: &str) -> Result<(), Violation> {
    if values::is_kind(text) {
        return Ok(());
    }
    host_path(text)?;
    let path = Path::new(text);
    copyable(path)?;
    if ["/", "/etc", "/root"].contains(&text) {
        return Err(Violation::new("is a system directory"));
    }
    if within(text, &[STATE]).is_some() || within(STATE, &[text]).is_some() {
        return Err(Violation::new("is or contains the records of jails"));
    }
    Ok(())
}

/// Checks the target of a `[[mount]]`.
///
/// # Errors
/// The [`Violation`] of the value.
pub fn mount_target(path: &JailPath) -> Result<(), Violation> {
    let text = path.as_str();
    if text == "/" {
        return Err(Violation::new("is the root of the jail"));
    }
    let covered = EXCHANGED.contains(&text) || SYSTEM_LINKS.contains(&text);
    let kernel = within(text, KERNEL).is_some() && !values::is_mount_point(text);
    if let Some(place) = [EXCHANGED, SYSTEM_LINKS]
        .iter()
        .find_map(|places| within(text, places))
        .filter(|_| !covered)
    {
        return Err(Violation::new(format!(
            "is below `{place}`, which a build exchanges as a whole: open sessions would lose the mount"
        ))
        .hint("choose another path, such as `/www` or `/srv/data`"));
    }
    if covered || within(text, RESERVED_NAMES).is_some() || kernel {
        return Err(Violation::new("would hide files of the jail"));
    }
    Ok(())
}

/// Checks the start directory of sftp: sshd splits its command line at spaces, and expands `%`.
///
/// # Errors
/// The [`Violation`] of the value.
pub fn start_dir(path: &JailPath) -> Result<(), Violation> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if !path.as_str().chars().all(plain) {
        return Err("has a character with a special meaning for sshd".into());
    }
    Ok(())
}

/// Checks the directory of a way in.
///
/// # Errors
/// The [`Violation`] of the value.
pub fn way_dir(path: &JailPath) -> Result<(), Violation> {
    let mut parts = path.as_str().split('/');
    if parts.any(|part| part.contains('%') && part != "%u") {
        return Err(Violation::new("has a `%` that is not the component `%u`")
            .hint("`%u` is the name of the user, and a component of its own"));
    }
    Ok(())
}

/// Checks a home directory.
///
/// # Errors
/// The [`Violation`] of the value.
pub fn home(path: &JailPath) -> Result<(), Violation> {
    let text = path.as_str();
    let hint = "use a path such as `/home/<name>`, the default";
    if text == "/" {
        return Err(Violation::new("is the root of the jail, which no user may own").hint(hint));
    }
    if let Some(place) = [
        SYSTEM_LINKS,
        KERNEL,
        RESERVED_NAMES,
        SHARED,
        &["/usr", "/etc", "/run", "/boot"],
    ]
    .iter()
    .find_map(|places| within(text, places))
    {
        return Err(
            Violation::new(format!("{} a system directory", is_within(text, place))).hint(hint),
        );
    }
    if ["/home", "/var", "/srv", "/opt", "/mnt", "/media"].contains(&text) {
        return Err(Violation::new("is a shared directory").hint(hint));
    }
    Ok(())
}

/// Checks the target of a `[[file]]`; homes and directories of users are checked in `validate`.
/// Called for each path of a copied tree.
///
/// # Errors
/// The [`Violation`] of the value.
pub fn target(path: &JailPath) -> Result<(), Violation> {
    let text = path.as_str();
    // Fast path for nearly all files.
    if text.starts_with("/usr/") {
        return Ok(());
    }
    if text == "/" {
        return Err(
            Violation::new("is the root of the jail").hint("give each part a separate target")
        );
    }
    if SYSTEM_LINKS.contains(&text) {
        return Err(Violation::new("is a symbolic link in each jail")
            .hint(format!("write its target `/usr{text}`")));
    }
    if let Some(place) = within(text, KERNEL) {
        return Err(Violation::new(format!(
            "{} a kernel file system",
            is_within(text, place)
        )));
    }
    if let Some(place) = within(text, RESERVED_NAMES) {
        return Err(Violation::new(format!(
            "{} reserved by jailctl",
            is_within(text, place)
        )));
    }
    if let Some(place) = within(text, SHARED) {
        return Err(Violation::new(format!(
            "{} a world-writable directory",
            is_within(text, place)
        )));
    }
    if ACCOUNT_FILES.contains(&text) {
        return Err(Violation::new("is generated by jailctl")
            .hint("delete the lines: accounts of the jail come from `[[user]]`"));
    }
    if text == "/etc/ld.so.preload" {
        return Err(Violation::new(
            "would load code into every program of the jail",
        ));
    }
    Ok(())
}

/// Checks the path of a `[[dir]]`.
///
/// # Errors
/// The [`Violation`] of the value.
pub fn dir(path: &JailPath) -> Result<(), Violation> {
    let text = path.as_str();
    if text == "/" {
        return Err(
            Violation::new("is the root of the jail, which is owned by root").hint(GOOD_DIR),
        );
    }
    if let Some(place) = [
        SYSTEM_LINKS,
        KERNEL,
        RESERVED_NAMES,
        SHARED,
        &["/usr", "/etc"],
    ]
    .iter()
    .find_map(|places| within(text, places))
    {
        return Err(
            Violation::new(format!("{} created by jailctl", is_within(text, place))).hint(GOOD_DIR),
        );
    }
    Ok(())
}

/// `path` in a merged /usr: `/usr/bin/x` for `/bin/x`.
pub fn merged(path: &JailPath) -> JailPath {
    match JailPath::new(&format!("/usr{path}")) {
        Ok(moved) if within(path.as_str(), SYSTEM_LINKS).is_some() => moved,
        _ => path.clone(),
    }
}

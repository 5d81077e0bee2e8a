//! Which paths a spec may name, by their text alone. What lies there (owners, links, mounts, other jails) is for `resolve` to see.

use std::path::Path;

use super::constraint::Violation;
use super::family::USER_TOKEN;
use crate::layout::{JAIL_DIR, JAILS_DIR, PRIVATE_DIR, STATE};
use crate::names::JailPath;

/// Directories of the host that neither are nor hold a jail.
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

/// Directories of the host that may hold jails but are none.
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

/// What jailctl keeps for itself in each jail: the mark of login shells, and the staging area.
const RESERVED_NAMES: &[&str] = &[JAIL_DIR, "/.jailctl"];

/// Links of the merged tree.
const SYSTEM_LINKS: &[&str] = &["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// Directories of a jail that a build makes anew and exchanges as a whole, beside those in which nothing can be mounted in any case.
const EXCHANGED: &[&str] = &["/etc", "/usr"];

/// What the kernel shows, in a jail as on the host.
const KERNEL: &[&str] = &["/proc", "/dev", "/sys"];

/// Where every user of the jail can write.
const SHARED: &[&str] = &["/tmp", "/var/tmp"];

/// Account files of a jail that jailctl writes, or that must not be there.
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

/// Host files that no jail may have a copy of.
const SECRETS: &[&str] = &[
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/security/opasswd",
    "/etc/.pwd.lock",
    STATE,
];

/// The first of `places` that `path` is or lies below.
pub(crate) fn within<'a>(path: &str, places: &[&'a str]) -> Option<&'a str> {
    places
        .iter()
        .copied()
        .find(|place| Path::new(path).starts_with(place))
}

fn is_within(path: &str, place: &str) -> String {
    if path == place {
        "is".to_owned()
    } else {
        format!("lies in `{place}`,")
    }
}

const GOOD_ROOT: &str = "a good place is `/srv/jails/<name>`, which is also the default";
const GOOD_DIR: &str = "choose a place of its own, as `/upload` or `/var/www`";

/// Whether `text` may be the root of a jail on the host.
pub fn root(text: &str) -> Result<(), Violation> {
    let path = JailPath::new(text)?;
    // Whether the place is a good one for each user is seen when the users are known.
    let standing = text
        .split('/')
        .map(|part| if part == USER_TOKEN { "u" } else { part });
    let standing = standing.collect::<Vec<_>>().join("/");
    if standing.contains(USER_TOKEN) {
        return Err(
            Violation::new("has `%u` in a component with more than that").hint(
                "`%u` stands for a user's name as a component of its own, as in `/srv/jails/%u`",
            ),
        );
    }
    let text = standing.as_str();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    if !text.chars().all(plain) {
        return Err("has a character other than a-z, A-Z, 0-9, `.`, `_`, `-` and `/`".into());
    }
    if text == "/" {
        return Err(Violation::new("is the host's own root").hint(GOOD_ROOT));
    }
    if let Some(place) = within(text, NOT_FOR_ROOTS) {
        return Err(Violation::new(format!(
            "{} a directory of the system's",
            is_within(text, place)
        ))
        .hint(GOOD_ROOT));
    }
    if path.parent() == Some(JailPath::root()) || SHARED_DIRS.contains(&text) {
        let shared = SHARED_DIRS.contains(&text);
        let why = if shared {
            "is a directory that others share"
        } else {
            "lies directly below `/`"
        };
        return Err(Violation::new(why).hint(GOOD_ROOT));
    }
    if text.split('/').any(|part| part == PRIVATE_DIR) {
        return Err(
            Violation::new("lies in `.jailctl`, where jailctl keeps its own").hint(GOOD_ROOT),
        );
    }
    Ok(())
}

/// Whether the host file `path` may be copied into a jail: by its name, it holds no secret and is not made up by the kernel.
///
/// For each path of a tree that is copied, too.
pub fn copyable(path: &Path) -> Result<(), Violation> {
    // Nearly all that is copied, and none of the places below.
    if path.as_os_str().as_encoded_bytes().starts_with(b"/usr/") {
        return Ok(());
    }
    if let Some(place) = KERNEL.iter().find(|place| path.starts_with(place)) {
        return Err(Violation::new(format!(
            "lies in `{place}`, which the kernel makes up"
        )));
    }
    if SECRETS.iter().any(|secret| path.starts_with(secret)) {
        return Err(Violation::new("holds the host's secrets")
            .hint("a jail has account files of its own, made from `[[user]]`"));
    }
    if path.parent() == Some(Path::new("/etc/ssh"))
        && path.extension().is_none_or(|end| end != "pub")
        && path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"ssh_host_"))
    {
        return Err(Violation::new("is a private key of the host")
            .hint("a jail needs none: sshd keeps them outside"));
    }
    Ok(())
}

fn host_path(text: &str) -> Result<(), Violation> {
    Ok(JailPath::new(text).map(drop)?)
}

/// Whether `text` may be the `source` of a `[[file]]`, or a `skel`.
pub fn source(text: &str) -> Result<(), Violation> {
    host_path(text)?;
    let path = Path::new(text);
    copyable(path)?;
    let holds = |inner: &&str| Path::new(inner).starts_with(path);
    if SECRETS.iter().any(holds) || KERNEL.iter().any(holds) || text == "/etc/ssh" {
        return Err(
            Violation::new("is a directory that holds the host's secrets")
                .hint("name the files or directories in it that the jail needs"),
        );
    }
    Ok(())
}

/// Whether the absolute path `text` may be one of the `binaries`.
pub fn binary(text: &str) -> Result<(), Violation> {
    host_path(text)?;
    copyable(Path::new(text))?;
    if text == "/" {
        return Err("is a directory".into());
    }
    Ok(())
}

/// Whether `text` may be the `source` of a `[[mount]]`.
pub fn mount_source(text: &str) -> Result<(), Violation> {
    if super::mount::is_kind(text) {
        return Ok(());
    }
    host_path(text)?;
    let path = Path::new(text);
    copyable(path)?;
    if ["/", "/etc", "/root"].contains(&text) {
        return Err(Violation::new("is a directory of the system's"));
    }
    if within(text, &[STATE]).is_some() || within(STATE, &[text]).is_some() {
        return Err(Violation::new("is or holds the records of jails"));
    }
    Ok(())
}

/// Whether `path` may be the target of a `[[mount]]`.
pub fn mount_target(path: &JailPath) -> Result<(), Violation> {
    let text = path.as_str();
    if text == "/" {
        return Err(Violation::new("is the whole jail"));
    }
    let covered = EXCHANGED.contains(&text) || SYSTEM_LINKS.contains(&text);
    let kernel = within(text, KERNEL).is_some() && !super::mount::is_place(text);
    if let Some(place) = [EXCHANGED, SYSTEM_LINKS]
        .iter()
        .find_map(|places| within(text, places))
        .filter(|_| !covered)
    {
        return Err(Violation::new(format!(
            "lies in `{place}`, which a build exchanges as a whole: sessions that live would lose what is mounted there"
        ))
        .hint("choose a place of its own, as `/www` or `/srv/data`"));
    }
    if covered || within(text, RESERVED_NAMES).is_some() || kernel {
        return Err(Violation::new("covers what jailctl made"));
    }
    Ok(())
}

/// Whether sftp may begin at `path`: sshd takes the words of its command line apart at spaces, and replaces what follows a `%`.
pub fn start_dir(path: &JailPath) -> Result<(), Violation> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if !path.as_str().chars().all(plain) {
        return Err("has a character that sshd would read as something else".into());
    }
    Ok(())
}

/// Whether `path` may be a user's home.
pub fn home(path: &JailPath) -> Result<(), Violation> {
    let text = path.as_str();
    let hint = "a good place is `/home/<name>`, which is also the default";
    if text == "/" {
        return Err(Violation::new("is the jail's root, which no user may own").hint(hint));
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
        return Err(Violation::new(format!(
            "{} a directory of the system's",
            is_within(text, place)
        ))
        .hint(hint));
    }
    if ["/home", "/var", "/srv", "/opt", "/mnt", "/media"].contains(&text) {
        return Err(Violation::new("is a directory that others share").hint(hint));
    }
    Ok(())
}

/// Whether a file may be put at `path`, as far as its name says; homes and users' directories are looked at in `check`.
///
/// For each path of a tree that is put there, too.
pub fn target(path: &JailPath) -> Result<(), Violation> {
    let text = path.as_str();
    // Nearly all that a jail has, and none of the places below.
    if text.starts_with("/usr/") {
        return Ok(());
    }
    if text == "/" {
        return Err(Violation::new("is the jail's root").hint("give each part a target of its own"));
    }
    if SYSTEM_LINKS.contains(&text) {
        return Err(Violation::new("is a link of the system's in each jail")
            .hint(format!("write `/usr{text}`, where it leads")));
    }
    if let Some(place) = within(text, KERNEL) {
        return Err(Violation::new(format!(
            "{} the kernel's own",
            is_within(text, place)
        )));
    }
    if let Some(place) = within(text, RESERVED_NAMES) {
        return Err(Violation::new(format!(
            "{} jailctl's own",
            is_within(text, place)
        )));
    }
    if let Some(place) = within(text, SHARED) {
        return Err(Violation::new(format!(
            "{} a directory that every user can write to",
            is_within(text, place)
        )));
    }
    if ACCOUNT_FILES.contains(&text) {
        return Err(Violation::new("is made by jailctl")
            .hint("take the lines out: the jail's accounts come from `[[user]]`"));
    }
    if text == "/etc/ld.so.preload" {
        return Err(Violation::new(
            "would load code into every program of the jail",
        ));
    }
    Ok(())
}

/// Whether a `[[dir]]` may be at `path`, as far as its name says.
pub fn dir(path: &JailPath) -> Result<(), Violation> {
    let text = path.as_str();
    if text == "/" {
        return Err(Violation::new("is the jail's root, which stays root's").hint(GOOD_DIR));
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
            Violation::new(format!("{} made by jailctl", is_within(text, place))).hint(GOOD_DIR),
        );
    }
    Ok(())
}

/// `path` as the merged tree has it: `/bin/x` is `/usr/bin/x`.
pub fn merged(path: &JailPath) -> JailPath {
    match JailPath::new(&format!("/usr{path}")) {
        Ok(moved) if within(path.as_str(), SYSTEM_LINKS).is_some() => moved,
        _ => path.clone(),
    }
}

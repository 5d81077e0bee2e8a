//! Schema of specs: name, type, default and meaning of every key. The parser, the hints, the
//! reference and the tests read this table.

use super::constraint::{Constraint, KeyWords, ValueType};

/// Schema of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySchema {
    /// Dotted path, with `[]` after an array of tables: `user[].name`.
    pub path: &'static str,
    /// Type of the value, with the constraint of strings.
    pub shape: ValueType,
    /// Whether the table must have the key.
    pub required: bool,
    /// Whether templates may not have the key.
    pub file_only: bool,
    /// Whether the list of the spec replaces those of the templates, because it grants access (ways
    /// in, ports, devices). Other lists add content and are concatenated.
    pub replaces: bool,
    /// Default, as TOML or in words; empty if there is none.
    pub default: &'static str,
    /// Meaning in one line: lower case, no full stop.
    pub doc: &'static str,
    /// Example: a line, or for a table lines, of a spec.
    pub example: &'static str,
}

impl KeySchema {
    const fn new(path: &'static str, shape: ValueType) -> Self {
        Self {
            path,
            shape,
            required: false,
            file_only: false,
            replaces: false,
            default: "",
            doc: "",
            example: "",
        }
    }

    const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn not_in_templates(mut self) -> Self {
        self.file_only = true;
        self
    }

    const fn replaces(mut self) -> Self {
        self.replaces = true;
        self
    }

    /// Whether a merge has to combine two lists for the key. Elements of an array of tables are
    /// replaced as a whole.
    pub fn meets(&self) -> bool {
        matches!(self.shape, ValueType::Texts(_)) && !self.file_only && !self.path.contains("[]")
    }

    /// Last component of the path: `name` of `user[].name`, `user` of `user[]`.
    pub fn name(&self) -> &'static str {
        let last = self
            .path
            .rsplit_once('.')
            .map_or(self.path, |parts| parts.1);
        last.trim_end_matches("[]")
    }

    /// Path of the table that has the key: `user[]` of `user[].name`; empty for the top level.
    pub fn table(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |parts| parts.0)
    }
}

/// Keys of the table at `path`; an empty path is the top level.
pub fn keys_of(path: &str) -> impl Iterator<Item = &'static KeySchema> + use<'_> {
    KEYS.iter().filter(move |key| key.table() == path)
}

/// Header of the table at `path`: `[[user]]`, `[sshd]`; "a spec" for the top level.
pub fn header(path: &str) -> String {
    match path.strip_suffix("[]") {
        _ if path.is_empty() => "a spec".to_owned(),
        Some(name) => format!("`[[{name}]]`"),
        None => format!("`[{path}]`"),
    }
}

const ACCESS_METHODS: KeyWords = KeyWords {
    kind: "a way in",
    now: &[
        "shell", "sftp", "forward", "scp", "rsync", "git", "borg", "restic", "command",
    ],
};

/// Modes of a way in: those of [`jailctl_gate::Protocol::modes`].
const fn modes(now: &'static [&'static str]) -> ValueType {
    ValueType::Text(Constraint::Word(KeyWords {
        kind: "a mode of this way in",
        now,
    }))
}

const DLOPEN: KeyWords = KeyWords {
    kind: "a priority of dlopen notes",
    now: &["required", "recommended", "suggested", "none"],
};

const PACKAGE_DEPENDENCIES: KeyWords = KeyWords {
    kind: "a kind of package dependencies",
    now: &["none", "required", "recommended"],
};

const NETWORK: KeyWords = KeyWords {
    kind: "a network mode",
    now: &["host", "none", "private"],
};

/// Keys of a spec. The row of a table precedes the rows of its keys.
pub static KEYS: &[KeySchema] = &[
    KeySchema::new("name", ValueType::Text(Constraint::JailName))
        .doc("name of the jail; the group of its accounts is `jail-<name>`")
        .example(r#"name = "arkham""#)
        .required()
        .not_in_templates(),
    KeySchema::new("root", ValueType::Text(Constraint::Root))
        .doc("root directory of the jail on the host; with the component `%u`, one jail per user, at the path with the user's name")
        .default(r#""/srv/jails/<name>""#)
        .example(r#"root = "/srv/jails/arkham""#)
        .not_in_templates(),
    KeySchema::new("templates", ValueType::Texts(Constraint::Template))
        .doc("partial specs, merged in order below this file: later values replace earlier ones; lists that add content are concatenated; lists that grant access (ways in, ports, devices) in this file replace those of the templates")
        .default("[]")
        .example(r#"templates = ["shell"]"#)
        .not_in_templates(),
    KeySchema::new("binaries", ValueType::Texts(Constraint::Binary))
        .doc("programs of the jail: names on the host's PATH or absolute paths; their dependencies are included")
        .default("[]")
        .example(r#"binaries = ["bash", "ls", "cat"]"#),
    KeySchema::new("optional", ValueType::Texts(Constraint::Binary))
        .doc("like `binaries`, but a program that the host lacks is a notice, not an error")
        .default("[]")
        .example(r#"optional = ["htop"]"#),
    KeySchema::new("packages", ValueType::Texts(Constraint::Package))
        .doc("host packages: all their files except documentation, and the dependencies of their programs; packages that they depend on are included, see `package_dependencies`")
        .default("[]")
        .example(r#"packages = ["nano"]"#),
    KeySchema::new("package_dependencies", ValueType::Text(Constraint::Word(PACKAGE_DEPENDENCIES)))
        .doc("packages that are included with those of `packages`: none, what they require, or what they recommend too; packages that start the system or manage packages are left out")
        .default(r#""required""#)
        .example(r#"package_dependencies = "recommended""#),
    KeySchema::new("dlopen", ValueType::Text(Constraint::Word(DLOPEN)))
        .doc("lowest priority of the dlopen notes whose libraries are included")
        .default(r#""recommended""#)
        .example(r#"dlopen = "required""#),
    KeySchema::new("plain_chroot", ValueType::Boolean)
        .doc("shells run in a plain chroot, even if the host could isolate their sessions")
        .default("false; if `pam_jailctl.so` is installed, sessions of a jail with a shell are isolated as with an empty `[namespaces]`")
        .example("plain_chroot = true"),
    KeySchema::new("user[]", ValueType::Tables(&["name"]))
        .doc("an account of the jail; jailctl creates it")
        .default("none")
        .example("[[user]]\nname = \"harlequin\"")
        .not_in_templates(),
    KeySchema::new("user[].name", ValueType::Text(Constraint::UserName))
        .doc("login name")
        .example(r#"name = "harlequin""#)
        .required(),
    KeySchema::new("user[].was", ValueType::Text(Constraint::UserName))
        .doc("former login name: the next build renames that account, and keeps its user id, home, password and keys; without effect once it is renamed")
        .default("none")
        .example(r#"was = "harley""#),
    KeySchema::new("user[].adopt", ValueType::Boolean)
        .doc("take over an existing account that jailctl did not create; it is restored when the jail is removed")
        .default("false")
        .example("adopt = true"),
    KeySchema::new("user[].allow", ValueType::Texts(Constraint::Word(ACCESS_METHODS)))
        .doc("ways in of this user, instead of those of the jail")
        .default("`allow` of `[sshd]`")
        .example(r#"allow = ["rsync"]"#),
    KeySchema::new("user[].command", ValueType::Texts(Constraint::Argument))
        .doc("program and arguments of the way in `command`, instead of those of the jail")
        .default("`command` of `[sshd]`")
        .example(r#"command = ["/usr/bin/menu"]"#),
    KeySchema::new("user[].shell", ValueType::Text(Constraint::JailPath))
        .doc("login shell, a path inside the jail; must be one of its programs")
        .default("the first shell in `binaries`")
        .example(r#"shell = "/bin/bash""#),
    KeySchema::new("user[].home", ValueType::Text(Constraint::Home))
        .doc("home directory, a path inside the jail")
        .default(r#""/home/<name>""#)
        .example(r#"home = "/home/harlequin""#),
    KeySchema::new("user[].authorized_keys", ValueType::Texts(Constraint::KeyLine))
        .doc("public keys that may log in; stored outside of the jail, where the user cannot change them")
        .default("[]")
        .example(r#"authorized_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKLW/9v1NuUyultBVkZJNjz2vNi4eV8Vq20GZ01ZeKPs harley@gotham"]"#),
    KeySchema::new("user[].password", ValueType::Text(Constraint::Password))
        .doc("`locked`, `unchanged` (jailctl does not touch it) or a crypt(5) hash")
        .default(r#""locked""#)
        .example(r#"password = "locked""#),
    KeySchema::new("user[].groups", ValueType::Texts(Constraint::GroupName))
        .doc("supplementary groups; created if the host lacks them")
        .default("[]")
        .example(r#"groups = ["web"]"#),
    KeySchema::new("user[].uid", ValueType::Integer(1000, 60000))
        .doc("user id")
        .default("the next unused id")
        .example("uid = 4101"),
    KeySchema::new("user[].expires", ValueType::Date)
        .doc("day from which the account is expired")
        .default("never")
        .example("expires = 2027-01-31"),
    KeySchema::new("user[].skel", ValueType::Text(Constraint::Source))
        .doc("host directory that is copied into a new home")
        .default("none")
        .example(r#"skel = "/etc/skel""#),
    KeySchema::new("sshd", ValueType::Table)
        .doc("sshd settings for the users of the jail")
        .example("[sshd]\nallow = [\"sftp\"]"),
    KeySchema::new("sshd.allow", ValueType::Texts(Constraint::Word(ACCESS_METHODS)))
        .doc("ways in; `shell` includes all programs of the jail; `scp` (`scp -O`), `rsync`, `git`, `borg` and `restic` allow what their clients send and nothing else; `command` runs one command; `forward` permits `ssh -L`, `-D` and `-W` into the network of the session, which must not be that of the host")
        .default(r#"["sftp"], and "shell" if `binaries` contain a shell"#)
        .example(r#"allow = ["shell", "sftp"]"#)
        .replaces(),
    KeySchema::new("sshd.command", ValueType::Texts(Constraint::Argument))
        .doc("program and arguments of the way in `command`: run for each connection that no other way in of the user takes, with the command line of the client in `SSH_ORIGINAL_COMMAND`; without a shell")
        .example(r#"command = ["/usr/bin/menu"]"#)
        .replaces(),
    KeySchema::new("sshd.start_dir", ValueType::Text(Constraint::StartDir))
        .doc("start directory of sftp; only without `shell`")
        .default("the home directory")
        .example(r#"start_dir = "/upload""#),
    KeySchema::new("sshd.umask", ValueType::Text(Constraint::Umask))
        .doc("umask of sftp and of programs; only without `shell`")
        .default("umask of sshd, 0022 on most hosts")
        .example(r#"umask = "0027""#),
    KeySchema::new("sshd.sftp_log", ValueType::Boolean)
        .doc("log sftp transfers to the host's log; only without `shell`; needs isolated sessions")
        .default("false")
        .example("sftp_log = true"),
    KeySchema::new("sftp", ValueType::Table)
        .doc("limits of the way in `sftp`")
        .example("[sftp]\nmode = \"read-only\""),
    KeySchema::new("sftp.mode", modes(&["read-write", "read-only"]))
        .doc("`read-only`: no file can be changed")
        .default(r#""read-write""#)
        .example(r#"mode = "read-only""#),
    KeySchema::new("scp", ValueType::Table)
        .doc("limits of the way in `scp`, the older protocol of scp(1)")
        .example("[scp]\npath = \"/backup\""),
    KeySchema::new("scp.path", ValueType::Text(Constraint::WayDir))
        .doc("directory inside the jail that this way in is limited to; the component `%u` is the name of the user; relative paths of clients are relative to it")
        .default("the whole jail; relative paths are relative to the home")
        .example(r#"path = "/backup""#),
    KeySchema::new("scp.mode", modes(&["read-write", "read-only", "write-only"]))
        .doc("`write-only`: the protocol returns no content")
        .default(r#""read-write""#)
        .example(r#"mode = "write-only""#),
    KeySchema::new("rsync", ValueType::Table)
        .doc("limits of the way in `rsync`")
        .example("[rsync]\npath = \"/backup\""),
    KeySchema::new("rsync.path", ValueType::Text(Constraint::WayDir))
        .doc("directory inside the jail that this way in is limited to; the component `%u` is the name of the user; relative paths of clients are relative to it")
        .default("the whole jail; relative paths are relative to the home")
        .example(r#"path = "/backup""#),
    KeySchema::new("rsync.mode", modes(&["read-write", "read-only", "write-only", "append-only"]))
        .doc("`append-only`: existing files are neither changed nor deleted; `write-only`: the protocol returns no content")
        .default(r#""read-write""#)
        .example(r#"mode = "append-only""#),
    KeySchema::new("git", ValueType::Table)
        .doc("limits of the way in `git`")
        .example("[git]\npath = \"/backup\""),
    KeySchema::new("git.path", ValueType::Text(Constraint::WayDir))
        .doc("directory inside the jail that this way in is limited to; the component `%u` is the name of the user; relative paths of clients are relative to it")
        .default("the whole jail; relative paths are relative to the home")
        .example(r#"path = "/backup""#),
    KeySchema::new("git.mode", modes(&["read-write", "read-only"]))
        .doc("`read-only`: no push")
        .default(r#""read-write""#)
        .example(r#"mode = "read-only""#),
    KeySchema::new("borg", ValueType::Table)
        .doc("limits of the way in `borg`")
        .example("[borg]\npath = \"/backup\""),
    KeySchema::new("borg.path", ValueType::Text(Constraint::WayDir))
        .doc("directory inside the jail that this way in is limited to; the component `%u` is the name of the user; relative paths of clients are relative to it")
        .default("the whole jail; relative paths are relative to the home")
        .example(r#"path = "/backup""#),
    KeySchema::new("borg.mode", modes(&["read-write", "append-only"]))
        .doc("`append-only`: as `borg serve --append-only`")
        .default(r#""read-write""#)
        .example(r#"mode = "append-only""#),
    KeySchema::new("restic", ValueType::Table)
        .doc("limits of the way in `restic`; restic uses it with `rclone` as backend")
        .example("[restic]\npath = \"/backup\""),
    KeySchema::new("restic.path", ValueType::Text(Constraint::WayDir))
        .doc("directory inside the jail that this way in is limited to; the component `%u` is the name of the user; relative paths of clients are relative to it")
        .default("the whole jail; relative paths are relative to the home")
        .example(r#"path = "/backup""#),
    KeySchema::new("restic.mode", modes(&["read-write", "append-only"]))
        .doc("`append-only`: as `rclone serve restic --append-only`")
        .default(r#""read-write""#)
        .example(r#"mode = "append-only""#),
    KeySchema::new("file[]", ValueType::Tables(&["target", "source"]))
        .doc("a file or tree of the host, or text from the spec")
        .default("none")
        .example("[[file]]\ntarget = \"/motd\"\ncontent = \"Welcome\\n\""),
    KeySchema::new("file[].source", ValueType::Text(Constraint::Source))
        .doc("host path to copy; alternative to `content`")
        .example(r#"source = "/etc/vim""#),
    KeySchema::new("file[].content", ValueType::Text(Constraint::Content))
        .doc("text of the file; alternative to `source`")
        .example(r#"content = "Welcome\n""#),
    KeySchema::new("file[].target", ValueType::Text(Constraint::Target))
        .doc("path inside the jail")
        .default("the path of `source`")
        .example(r#"target = "/etc/vim""#),
    KeySchema::new("file[].mode", ValueType::Text(Constraint::Mode))
        .doc("permission bits, in octal")
        .default(r#""0644" with `content`, otherwise that of `source`"#)
        .example(r#"mode = "0644""#),
    KeySchema::new("dir[]", ValueType::Tables(&["path"]))
        .doc("a directory that is created if it does not exist")
        .default("none")
        .example("[[dir]]\npath = \"/upload\"\nowner = \"harlequin\""),
    KeySchema::new("dir[].path", ValueType::Text(Constraint::Dir))
        .doc("path inside the jail")
        .example(r#"path = "/upload""#)
        .required(),
    KeySchema::new("dir[].owner", ValueType::Text(Constraint::UserName))
        .doc("owner: a user of the jail")
        .default("root")
        .example(r#"owner = "harlequin""#),
    KeySchema::new("dir[].group", ValueType::Text(Constraint::DirGroup))
        .doc("group: that of the jail, `jail-<name>`, or one of the `groups` of a user")
        .default("the primary group of the owner")
        .example(r#"group = "jail-a""#),
    KeySchema::new("dir[].mode", ValueType::Text(Constraint::DirMode))
        .doc("permission bits, in octal; write permission for the group and the setgid bit only with `group`")
        .default(r#""0755", with `group` "2775""#)
        .example(r#"mode = "0750""#),
    KeySchema::new("mount[]", ValueType::Tables(&["target"]))
        .doc("a file system that is mounted in sessions; never mounted on the host")
        .default("none")
        .example("[[mount]]\nsource = \"/var/www/17\"\ntarget = \"/www\""),
    KeySchema::new("mount[].source", ValueType::Text(Constraint::MountSource))
        .doc("host directory, or `tmpfs` (a separate one per session), `proc` (processes of the session) or `sysfs` (read-only)")
        .example(r#"source = "/var/www/17""#)
        .required(),
    KeySchema::new("mount[].target", ValueType::Text(Constraint::MountTarget))
        .doc("mount point inside the jail, not in a directory of a user and not below `/tmp`, `/etc` or `/usr`")
        .example(r#"target = "/www""#)
        .required(),
    KeySchema::new("mount[].options", ValueType::Texts(Constraint::MountOption))
        .doc("`ro` or `rw`, `nosuid` or `suid`, `nodev` or `dev`, `noexec` or `exec`; for tmpfs also `size=` (bytes, or a percentage of memory such as `10%`) and `mode=`; `suid`, `dev` and `exec` must be given explicitly")
        .default("`ro` (`rw` with tmpfs and proc), `nosuid`, `nodev`, `noexec`")
        .example(r#"options = ["rw"]"#),
    KeySchema::new("mount[].optional", ValueType::Boolean)
        .doc("while the host directory is missing, sessions begin without it and see an empty directory; otherwise no session begins")
        .default("false")
        .example("optional = true"),
    KeySchema::new("namespaces", ValueType::Table)
        .doc("namespaces of each session; without this table, `[network]`, `[limits]`, `[[mount]]` and `sftp_log`, a jail with a shell has the defaults of this table if `pam_jailctl.so` is installed, and every other jail is a plain chroot")
        .example("[namespaces]\npid = true"),
    KeySchema::new("namespaces.pid", ValueType::Boolean)
        .doc("separate process ids")
        .default("true")
        .example("pid = true"),
    KeySchema::new("namespaces.mnt", ValueType::Boolean)
        .doc("separate mounts, which include the root of the jail")
        .default("true")
        .example("mnt = true"),
    KeySchema::new("namespaces.uts", ValueType::Boolean)
        .doc("separate host name")
        .default("true")
        .example("uts = true"),
    KeySchema::new("namespaces.ipc", ValueType::Boolean)
        .doc("separate shared memory, message queues and semaphores; required if `memory` is limited")
        .default("true")
        .example("ipc = true"),
    KeySchema::new("namespaces.cgroup", ValueType::Boolean)
        .doc("separate view of the control groups")
        .default("true")
        .example("cgroup = true"),
    KeySchema::new("namespaces.user", ValueType::Boolean)
        .doc("separate user ids: only those of root and of the jail are mapped")
        .default("false")
        .example("user = false"),
    KeySchema::new("network", ValueType::Table)
        .doc("network of the sessions")
        .example("[network]\nmode = \"none\""),
    KeySchema::new("network.mode", ValueType::Text(Constraint::Word(NETWORK)))
        .doc("`host`: that of the host; `none`: only a loopback interface; `private`: one network per jail, which reaches others through NAT")
        .default(r#""private" with `allow_in` or `allow_out`; "none" if `allow` is `["sftp"]`; otherwise "host""#)
        .example(r#"mode = "none""#),
    KeySchema::new("network.allow_in", ValueType::Texts(Constraint::Port))
        .doc("ports of the private network that others may reach through the host's addresses")
        .default("[]")
        .example(r#"allow_in = ["tcp/80"]"#)
        .replaces(),
    KeySchema::new("network.allow_out", ValueType::Texts(Constraint::Port))
        .doc("ports that the private network may reach, with at most 4096 concurrent connections; never the host itself, and of link-local addresses (169.254.0.0/16) only port 53")
        .default("[]")
        .example(r#"allow_out = ["tcp/443", "udp/53"]"#)
        .replaces(),
    KeySchema::new("limits", ValueType::Table)
        .doc("limits on all sessions of the jail together; a limit that the host cannot enforce is refused")
        .example("[limits]\ntasks = 64"),
    KeySchema::new("limits.memory", ValueType::Text(Constraint::Size))
        .doc("memory, in bytes")
        .default("none")
        .example(r#"memory = "256M""#),
    KeySchema::new("limits.swap", ValueType::Text(Constraint::SizeOrNone))
        .doc("swap space, in bytes, in addition to `memory`; `0` for none")
        .default("none")
        .example(r#"swap = "64M""#),
    KeySchema::new("limits.cpu", ValueType::Text(Constraint::Percent))
        .doc("processor time, in percent of one CPU")
        .default("none")
        .example(r#"cpu = "50%""#),
    KeySchema::new("limits.cpu_weight", ValueType::Integer(1, 10_000))
        .doc("processor weight under contention; the default of other groups is 100")
        .default("100")
        .example("cpu_weight = 50"),
    KeySchema::new("limits.cpus", ValueType::Text(Constraint::Cpus))
        .doc("processors that may be used")
        .default("all")
        .example(r#"cpus = "0-1""#),
    KeySchema::new("limits.tasks", ValueType::Integer(8, 4_194_304))
        .doc("processes and threads, including two or three of sshd per connection")
        .default("none")
        .example("tasks = 64"),
    KeySchema::new("limits.io_weight", ValueType::Integer(1, 10_000))
        .doc("disk weight under contention; the default of other groups is 100")
        .default("100")
        .example("io_weight = 50"),
    KeySchema::new("limits.io_read", ValueType::Text(Constraint::Size))
        .doc("bytes per second read from each disk that contains the jail or a `[[mount]]`")
        .default("none")
        .example(r#"io_read = "10M""#),
    KeySchema::new("limits.io_write", ValueType::Text(Constraint::Size))
        .doc("bytes per second written to each of these disks; with cgroup v1, buffered writes are not limited")
        .default("none")
        .example(r#"io_write = "10M""#),
    KeySchema::new("limits.io_read_ops", ValueType::Integer(1, 4_294_967_295))
        .doc("read operations per second on each of these disks")
        .default("none")
        .example("io_read_ops = 500"),
    KeySchema::new("limits.io_write_ops", ValueType::Integer(1, 4_294_967_295))
        .doc("write operations per second on each of these disks")
        .default("none")
        .example("io_write_ops = 500"),
    KeySchema::new("limits.devices", ValueType::Texts(Constraint::Device))
        .doc("host devices that may be used in addition to those in `/dev` of the jail; all others are denied")
        .default("all")
        .example(r#"devices = ["/dev/fuse"]"#)
        .replaces(),
    KeySchema::new("limits.hugetlb", ValueType::Text(Constraint::Size))
        .doc("huge pages, in bytes, for each page size")
        .default("none")
        .example(r#"hugetlb = "64M""#),
    KeySchema::new("limits.net_cls_classid", ValueType::Integer(1, 4_294_967_295))
        .doc("class of packets for tc(8) and netfilter; cgroup v1 only")
        .default("none")
        .example("net_cls_classid = 0x100001"),
    KeySchema::new("limits.net_prio", ValueType::Integer(1, 4_294_967_295))
        .doc("priority of packets on each interface of the host; cgroup v1 only")
        .default("none")
        .example("net_prio = 3"),
    KeySchema::new("limits.open_files", ValueType::Integer(64, 1_048_576))
        .doc("open files per process, including the sshd processes of the connection")
        .default("1024 with `memory`, otherwise the limit of sshd")
        .example("open_files = 1024"),
    KeySchema::new("limits.core_size", ValueType::Text(Constraint::Size))
        .doc("core dump, in bytes; if core_pattern of the host names a program, the kernel runs it as root, outside of these limits")
        .default("no core dumps")
        .example(r#"core_size = "64M""#),
    KeySchema::new("limits.max_sessions", ValueType::Integer(1, 100_000))
        .doc("concurrent sessions")
        .default("none")
        .example("max_sessions = 4"),
    KeySchema::new("limits.cgroup_parent", ValueType::Text(Constraint::ControlGroup))
        .doc("control group below which that of the jail is created, in each hierarchy; it must exist when a session starts, and is never changed")
        .default("one that exists while sessions exist")
        .example(r#"cgroup_parent = "/customers""#),
    KeySchema::new("test[]", ValueType::Tables(&[]))
        .doc("a command that must succeed in the new tree before it goes live; it runs with the name and groups of the first user, and an unused user id")
        .default("none")
        .example("[[test]]\nrun = [\"bash\", \"-c\", \"ls /\"]"),
    KeySchema::new("test[].run", ValueType::Texts(Constraint::Argument))
        .doc("command and arguments")
        .example(r#"run = ["bash", "-c", "ls /"]"#)
        .required(),
];

//! Every key of a spec, as data: what it is called, what it may be, what it means. The parser, the hints, the reference and the tests all read this one table.

use super::constraint::{Constraint, KeyWords, ValueType};

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySchema {
    /// Dotted, with `[]` after an array of tables: `user[].name`.
    pub path: &'static str,
    /// Its type, and for text the rule.
    pub shape: ValueType,
    /// Whether its table must have it.
    pub required: bool,
    /// Whether only a spec may have it, and no template.
    pub file_only: bool,
    /// For a list that opens something: whether the list of the spec itself replaces those of the
    /// templates below it. Other lists add content, and are joined.
    pub replaces: bool,
    /// What holds where it is absent, as written or in words; empty where nothing does.
    pub default: &'static str,
    /// One line: what it is, lower case, no full stop.
    pub doc: &'static str,
    /// A line, or for a table lines, as they stand in a spec.
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

    /// Whether a template can have the key beside a spec that has it too, so that the two lists
    /// meet in a merge. Elements of an array of tables are replaced as a whole.
    pub fn meets(&self) -> bool {
        matches!(self.shape, ValueType::Texts(_)) && !self.file_only && !self.path.contains("[]")
    }

    /// The last component: `name` of `user[].name`, `user` of `user[]`.
    pub fn name(&self) -> &'static str {
        let last = self
            .path
            .rsplit_once('.')
            .map_or(self.path, |parts| parts.1);
        last.trim_end_matches("[]")
    }

    /// The path of the table that has it: `user[]` of `user[].name`; empty for the spec itself.
    pub fn table(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |parts| parts.0)
    }
}

/// The keys of the table at `path`, which is empty for the spec itself.
pub fn keys_of(path: &str) -> impl Iterator<Item = &'static KeySchema> + use<'_> {
    KEYS.iter().filter(move |key| key.table() == path)
}

/// A table's path as its header is written: `[[user]]`, `[sshd]`; "a spec" for the spec itself.
pub fn header(path: &str) -> String {
    match path.strip_suffix("[]") {
        _ if path.is_empty() => "a spec".to_owned(),
        Some(name) => format!("`[[{name}]]`"),
        None => format!("`[{path}]`"),
    }
}

const ACCESS_METHODS: KeyWords = KeyWords {
    kind: "a door",
    now: &["shell", "sftp", "forward"],
    later: &["scp", "rsync", "git"],
};

const DLOPEN: KeyWords = KeyWords {
    kind: "a kind of dlopen notes",
    now: &["required", "recommended", "suggested", "none"],
    later: &[],
};

const NETWORK: KeyWords = KeyWords {
    kind: "a kind of network",
    now: &["host", "none", "private"],
    later: &[],
};

/// The table. A table's own row stands before those of its keys.
pub static KEYS: &[KeySchema] = &[
    KeySchema::new("name", ValueType::Text(Constraint::JailName))
        .doc("the jail's name; its accounts' group is `jail-<name>`")
        .example(r#"name = "arkham""#)
        .required()
        .not_in_templates(),
    KeySchema::new("root", ValueType::Text(Constraint::Root))
        .doc("where the jail is on the host; with `%u` as a component, one jail for each user, who stands in its place")
        .default(r#""/srv/jails/<name>""#)
        .example(r#"root = "/srv/jails/arkham""#)
        .not_in_templates(),
    KeySchema::new("templates", ValueType::Texts(Constraint::Template))
        .doc("partial specs, merged in order, with this file on top: later wins; lists that add content are joined, and of a list that opens something (a way in, a port, a device) this file's own replaces those of the templates")
        .default("[]")
        .example(r#"templates = ["shell"]"#)
        .not_in_templates(),
    KeySchema::new("binaries", ValueType::Texts(Constraint::Binary))
        .doc("the programs of the jail: names on the host's PATH or absolute paths; what they need comes along")
        .default("[]")
        .example(r#"binaries = ["bash", "ls", "cat"]"#),
    KeySchema::new("optional", ValueType::Texts(Constraint::Binary))
        .doc("like `binaries`, but a missing one is a notice and no error")
        .default("[]")
        .example(r#"optional = ["htop"]"#),
    KeySchema::new("packages", ValueType::Texts(Constraint::Package))
        .doc("host packages: all their own files, less documents; what programs among them need comes along, other packages do not")
        .default("[]")
        .example(r#"packages = ["nano"]"#),
    KeySchema::new("dlopen", ValueType::Text(Constraint::Word(DLOPEN)))
        .doc("which libraries that a program may load at run time come along")
        .default(r#""recommended""#)
        .example(r#"dlopen = "required""#),
    KeySchema::new("plain_chroot", ValueType::Boolean)
        .doc("whoever has a shell is in a chroot and nothing more, also where sessions of their own are possible")
        .default("false; a jail with a shell has sessions of its own where `pam_jailctl.so` is installed, as with an empty `[namespaces]`")
        .example("plain_chroot = true"),
    KeySchema::new("user[]", ValueType::Tables(&["name"]))
        .doc("an account that lives in the jail; jailctl makes it")
        .default("none")
        .example("[[user]]\nname = \"harlequin\"")
        .not_in_templates(),
    KeySchema::new("user[].name", ValueType::Text(Constraint::UserName))
        .doc("the login name")
        .example(r#"name = "harlequin""#)
        .required(),
    KeySchema::new("user[].adopt", ValueType::Boolean)
        .doc("take over an account that exists and was not made by jailctl; it gets back what it had when the jail goes")
        .default("false")
        .example("adopt = true"),
    KeySchema::new("user[].shell", ValueType::Text(Constraint::JailPath))
        .doc("the login shell, a path inside the jail; one of the programs there")
        .default("the first shell in `binaries`")
        .example(r#"shell = "/bin/bash""#),
    KeySchema::new("user[].home", ValueType::Text(Constraint::Home))
        .doc("the home, a path inside the jail")
        .default(r#""/home/<name>""#)
        .example(r#"home = "/home/harlequin""#),
    KeySchema::new("user[].authorized_keys", ValueType::Texts(Constraint::KeyLine))
        .doc("public keys that may log in; kept outside the jail, where the user cannot change them")
        .default("[]")
        .example(r#"authorized_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKLW/9v1NuUyultBVkZJNjz2vNi4eV8Vq20GZ01ZeKPs harley@gotham"]"#),
    KeySchema::new("user[].password", ValueType::Text(Constraint::Password))
        .doc("`locked`, `unchanged` (leave alone what others set) or a crypt(5) hash")
        .default(r#""locked""#)
        .example(r#"password = "locked""#),
    KeySchema::new("user[].groups", ValueType::Texts(Constraint::GroupName))
        .doc("further groups; made where the host has none of the name")
        .default("[]")
        .example(r#"groups = ["web"]"#),
    KeySchema::new("user[].uid", ValueType::Integer(1000, 60000))
        .doc("the user id")
        .default("the next free one")
        .example("uid = 4101"),
    KeySchema::new("user[].expires", ValueType::Date)
        .doc("the day from which the account is closed")
        .default("never")
        .example("expires = 2027-01-31"),
    KeySchema::new("user[].skel", ValueType::Text(Constraint::Source))
        .doc("a host directory whose content a new home starts with")
        .default("none")
        .example(r#"skel = "/etc/skel""#),
    KeySchema::new("sshd", ValueType::Table)
        .doc("how the users may come in")
        .example("[sshd]\nallow = [\"sftp\"]"),
    KeySchema::new("sshd.allow", ValueType::Texts(Constraint::Word(ACCESS_METHODS)))
        .doc("the doors; `forward` is for `ssh -L`, `-D` and `-W` into the jail's own network, and needs one")
        .default(r#"["sftp"], and "shell" where `binaries` hold a shell"#)
        .example(r#"allow = ["shell", "sftp"]"#)
        .replaces(),
    KeySchema::new("sshd.start_dir", ValueType::Text(Constraint::StartDir))
        .doc("where sftp begins; only where sftp is the only door")
        .default("the home")
        .example(r#"start_dir = "/upload""#),
    KeySchema::new("sshd.umask", ValueType::Text(Constraint::Umask))
        .doc("the umask of sftp; only where sftp is the only door")
        .default("that of sshd, which is 0022 on most hosts")
        .example(r#"umask = "0027""#),
    KeySchema::new("sshd.sftp_log", ValueType::Boolean)
        .doc("sftp transfers are written to the host's log; only where sftp is the only door, and with sessions of their own")
        .default("false")
        .example("sftp_log = true"),
    KeySchema::new("file[]", ValueType::Tables(&["target", "source"]))
        .doc("a file or tree of the host's, or text given here")
        .default("none")
        .example("[[file]]\ntarget = \"/motd\"\ncontent = \"Welcome\\n\""),
    KeySchema::new("file[].source", ValueType::Text(Constraint::Source))
        .doc("the host path to copy; or give `content`")
        .example(r#"source = "/etc/vim""#),
    KeySchema::new("file[].content", ValueType::Text(Constraint::Content))
        .doc("the text of the file; or give `source`")
        .example(r#"content = "Welcome\n""#),
    KeySchema::new("file[].target", ValueType::Text(Constraint::Target))
        .doc("where it goes inside the jail")
        .default("the path of `source`")
        .example(r#"target = "/etc/vim""#),
    KeySchema::new("file[].mode", ValueType::Text(Constraint::Mode))
        .doc("permissions, in octal")
        .default(r#""0644" with `content`, otherwise as in `source`"#)
        .example(r#"mode = "0644""#),
    KeySchema::new("dir[]", ValueType::Tables(&["path"]))
        .doc("a directory that is made if it is missing")
        .default("none")
        .example("[[dir]]\npath = \"/upload\"\nowner = \"harlequin\""),
    KeySchema::new("dir[].path", ValueType::Text(Constraint::Dir))
        .doc("where, inside the jail")
        .example(r#"path = "/upload""#)
        .required(),
    KeySchema::new("dir[].owner", ValueType::Text(Constraint::UserName))
        .doc("a user of the jail")
        .default("root")
        .example(r#"owner = "harlequin""#),
    KeySchema::new("dir[].mode", ValueType::Text(Constraint::Mode))
        .doc("permissions, in octal")
        .default(r#""0755""#)
        .example(r#"mode = "0750""#),
    KeySchema::new("mount[]", ValueType::Tables(&["target"]))
        .doc("a host directory that sessions see; never mounted on the host itself")
        .default("none")
        .example("[[mount]]\nsource = \"/var/www/17\"\ntarget = \"/www\""),
    KeySchema::new("mount[].source", ValueType::Text(Constraint::MountSource))
        .doc("the host directory; or `tmpfs`, memory that each session has for itself, `proc`, its processes, or `sysfs`, the kernel's devices, read-only")
        .example(r#"source = "/var/www/17""#)
        .required(),
    KeySchema::new("mount[].target", ValueType::Text(Constraint::MountTarget))
        .doc("where sessions see it: in no place that others than root could move, and not below `/tmp`, `/etc` or `/usr`")
        .example(r#"target = "/www""#)
        .required(),
    KeySchema::new("mount[].options", ValueType::Texts(Constraint::MountOption))
        .doc("`ro` or `rw`, `nosuid` or `suid`, `nodev` or `dev`, `noexec` or `exec`; with tmpfs `size=` (bytes, or a share of memory as `10%`) and `mode=`; what is not named keeps its default, so that `suid`, `dev` and `exec` have to be written out")
        .default("`ro` (`rw` with tmpfs and proc), `nosuid`, `nodev`, `noexec`")
        .example(r#"options = ["rw"]"#),
    KeySchema::new("namespaces", ValueType::Table)
        .doc("what each session has of its own; without this table, `[network]`, `[limits]`, `[[mount]]` and `sftp_log` a jail with a shell has what an empty one says where `pam_jailctl.so` is installed, and any other jail is a plain chroot")
        .example("[namespaces]\npid = true"),
    KeySchema::new("namespaces.pid", ValueType::Boolean)
        .doc("its own process numbers")
        .default("true")
        .example("pid = true"),
    KeySchema::new("namespaces.mnt", ValueType::Boolean)
        .doc("its own mounts, the jail among them")
        .default("true")
        .example("mnt = true"),
    KeySchema::new("namespaces.uts", ValueType::Boolean)
        .doc("its own host name")
        .default("true")
        .example("uts = true"),
    KeySchema::new("namespaces.ipc", ValueType::Boolean)
        .doc("its own shared memory, queues and semaphores; always where `memory` is limited")
        .default("true")
        .example("ipc = true"),
    KeySchema::new("namespaces.cgroup", ValueType::Boolean)
        .doc("its own view of the control groups")
        .default("true")
        .example("cgroup = true"),
    KeySchema::new("namespaces.user", ValueType::Boolean)
        .doc("its own user ids: root's and the jail's, and no others")
        .default("false")
        .example("user = false"),
    KeySchema::new("network", ValueType::Table)
        .doc("what sessions reach, and what reaches them")
        .example("[network]\nmode = \"none\""),
    KeySchema::new("network.mode", ValueType::Text(Constraint::Word(NETWORK)))
        .doc("the host's network; none but a loopback; or `private`, a network of the jail's own, which its sessions share and leave by the host's addresses")
        .default(r#""private" with `allow_in` or `allow_out`; "none" where sftp is the only door; otherwise "host""#)
        .example(r#"mode = "none""#),
    KeySchema::new("network.allow_in", ValueType::Texts(Constraint::Port))
        .doc("ports of the jail's own network that others may reach, by the host's addresses")
        .default("[]")
        .example(r#"allow_in = ["tcp/80"]"#)
        .replaces(),
    KeySchema::new("network.allow_out", ValueType::Texts(Constraint::Port))
        .doc("ports of others that the jail's own network may reach, by 4096 connections at one time; none of the host itself, and of link-local addresses (169.254.0.0/16) port 53 alone")
        .default("[]")
        .example(r#"allow_out = ["tcp/443", "udp/53"]"#)
        .replaces(),
    KeySchema::new("limits", ValueType::Table)
        .doc("what all sessions of the jail may use together; what the host cannot keep is refused")
        .example("[limits]\ntasks = 64"),
    KeySchema::new("limits.memory", ValueType::Text(Constraint::Size))
        .doc("bytes of memory")
        .default("none")
        .example(r#"memory = "256M""#),
    KeySchema::new("limits.swap", ValueType::Text(Constraint::SizeOrNone))
        .doc("bytes of swap space, beside `memory`; `0` for none")
        .default("none")
        .example(r#"swap = "64M""#),
    KeySchema::new("limits.cpu", ValueType::Text(Constraint::Percent))
        .doc("processor time, in per cent of one CPU")
        .default("none")
        .example(r#"cpu = "50%""#),
    KeySchema::new("limits.cpu_weight", ValueType::Integer(1, 10_000))
        .doc("share of the processors where they are short, against others' 100")
        .default("100")
        .example("cpu_weight = 50"),
    KeySchema::new("limits.cpus", ValueType::Text(Constraint::Cpus))
        .doc("the processors that may be used")
        .default("all")
        .example(r#"cpus = "0-1""#),
    KeySchema::new("limits.tasks", ValueType::Integer(8, 4_194_304))
        .doc("processes and threads, among them the two or three that sshd has for each connection")
        .default("none")
        .example("tasks = 64"),
    KeySchema::new("limits.io_weight", ValueType::Integer(1, 10_000))
        .doc("share of the disk where it is short, against others' 100")
        .default("100")
        .example("io_weight = 50"),
    KeySchema::new("limits.io_read", ValueType::Text(Constraint::Size))
        .doc("bytes a second read from each disk that holds the jail or a `[[mount]]`")
        .default("none")
        .example(r#"io_read = "10M""#),
    KeySchema::new("limits.io_write", ValueType::Text(Constraint::Size))
        .doc("bytes a second written to each of them; with control groups of v1 without what the kernel writes for programs later")
        .default("none")
        .example(r#"io_write = "10M""#),
    KeySchema::new("limits.io_read_ops", ValueType::Integer(1, 4_294_967_295))
        .doc("reads a second from each of them")
        .default("none")
        .example("io_read_ops = 500"),
    KeySchema::new("limits.io_write_ops", ValueType::Integer(1, 4_294_967_295))
        .doc("writes a second to each of them")
        .default("none")
        .example("io_write_ops = 500"),
    KeySchema::new("limits.devices", ValueType::Texts(Constraint::Device))
        .doc("the host's devices that may be used beside those in the `/dev` of every jail, should a node of one be reached; with this line all others are refused")
        .default("all")
        .example(r#"devices = ["/dev/fuse"]"#)
        .replaces(),
    KeySchema::new("limits.hugetlb", ValueType::Text(Constraint::Size))
        .doc("bytes in huge pages, of each size")
        .default("none")
        .example(r#"hugetlb = "64M""#),
    KeySchema::new("limits.net_cls_classid", ValueType::Integer(1, 4_294_967_295))
        .doc("the class of packets, for tc(8) and netfilter; cgroup v1 only")
        .default("none")
        .example("net_cls_classid = 0x100001"),
    KeySchema::new("limits.net_prio", ValueType::Integer(1, 4_294_967_295))
        .doc("the priority of packets, on each interface of the host; cgroup v1 only")
        .default("none")
        .example("net_prio = 3"),
    KeySchema::new("limits.open_files", ValueType::Integer(64, 1_048_576))
        .doc("open files of each process, sshd's own for the connection among them")
        .default("1024 with `memory`, otherwise that of sshd")
        .example("open_files = 1024"),
    KeySchema::new("limits.core_size", ValueType::Text(Constraint::Size))
        .doc("bytes of a core dump; where the host has a program for cores, it is started for them, as root and outside of these limits")
        .default("no cores")
        .example(r#"core_size = "64M""#),
    KeySchema::new("limits.max_sessions", ValueType::Integer(1, 100_000))
        .doc("connections at one time")
        .default("none")
        .example("max_sessions = 4"),
    KeySchema::new("limits.cgroup_parent", ValueType::Text(Constraint::ControlGroup))
        .doc("the control group that the jail's own is made in, in each hierarchy; it has to be there when a session begins, and is left alone")
        .default("one that comes and goes with the sessions")
        .example(r#"cgroup_parent = "/customers""#),
    KeySchema::new("test[]", ValueType::Tables(&[]))
        .doc("a command that must succeed inside before a build goes live; it has the name and the groups of the first user, and a user id that nobody else has")
        .default("none")
        .example("[[test]]\nrun = [\"bash\", \"-c\", \"ls /\"]"),
    KeySchema::new("test[].run", ValueType::Texts(Constraint::Argument))
        .doc("the command and its arguments")
        .example(r#"run = ["bash", "-c", "ls /"]"#)
        .required(),
];

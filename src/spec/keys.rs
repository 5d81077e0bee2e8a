//! Every key of a spec, as data: what it is called, what it may be, what it means. The parser, the hints, the reference and the tests all read this one table.

use super::rule::{Rule, Shape, Words};

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Dotted, with `[]` after an array of tables: `user[].name`.
    pub path: &'static str,
    /// Its type, and for text the rule.
    pub shape: Shape,
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

impl Key {
    const fn new(path: &'static str, shape: Shape) -> Self {
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

    const fn file_only(mut self) -> Self {
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
        matches!(self.shape, Shape::Texts(_)) && !self.file_only && !self.path.contains("[]")
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
pub fn keys_of(path: &str) -> impl Iterator<Item = &'static Key> + use<'_> {
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

const DOORS: Words = Words {
    kind: "a door",
    now: &["shell", "sftp", "forward"],
    later: &["scp", "rsync", "git"],
};

const DLOPEN: Words = Words {
    kind: "a kind of dlopen notes",
    now: &["required", "recommended", "suggested", "none"],
    later: &[],
};

const NETWORK: Words = Words {
    kind: "a kind of network",
    now: &["host", "none", "private"],
    later: &[],
};

/// The table. A table's own row stands before those of its keys.
pub static KEYS: &[Key] = &[
    Key::new("name", Shape::Text(Rule::JailName))
        .doc("the jail's name; its accounts' group is `jail-<name>`")
        .example(r#"name = "arkham""#)
        .required()
        .file_only(),
    Key::new("root", Shape::Text(Rule::Root))
        .doc("where the jail is on the host; with `%u` as a component, one jail for each user, who stands in its place")
        .default(r#""/srv/jails/<name>""#)
        .example(r#"root = "/srv/jails/arkham""#)
        .file_only(),
    Key::new("templates", Shape::Texts(Rule::Template))
        .doc("partial specs, merged in order, with this file on top: later wins; lists that add content are joined, and of a list that opens something (a way in, a port, a device) this file's own replaces those of the templates")
        .default("[]")
        .example(r#"templates = ["shell"]"#)
        .file_only(),
    Key::new("binaries", Shape::Texts(Rule::Binary))
        .doc("the programs of the jail: names on the host's PATH or absolute paths; what they need comes along")
        .default("[]")
        .example(r#"binaries = ["bash", "ls", "cat"]"#),
    Key::new("optional", Shape::Texts(Rule::Binary))
        .doc("like `binaries`, but a missing one is a notice and no error")
        .default("[]")
        .example(r#"optional = ["htop"]"#),
    Key::new("packages", Shape::Texts(Rule::Package))
        .doc("host packages: all their own files, less documents; what programs among them need comes along, other packages do not")
        .default("[]")
        .example(r#"packages = ["nano"]"#),
    Key::new("dlopen", Shape::Text(Rule::Word(DLOPEN)))
        .doc("which libraries that a program may load at run time come along")
        .default(r#""recommended""#)
        .example(r#"dlopen = "required""#),
    Key::new("plain_chroot", Shape::Boolean)
        .doc("whoever has a shell is in a chroot and nothing more, also where sessions of their own are possible")
        .default("false; a jail with a shell has sessions of its own where `pam_jailctl.so` is installed, as with an empty `[namespaces]`")
        .example("plain_chroot = true"),
    Key::new("user[]", Shape::Tables(&["name"]))
        .doc("an account that lives in the jail; jailctl makes it")
        .default("none")
        .example("[[user]]\nname = \"harlequin\"")
        .file_only(),
    Key::new("user[].name", Shape::Text(Rule::UserName))
        .doc("the login name")
        .example(r#"name = "harlequin""#)
        .required(),
    Key::new("user[].adopt", Shape::Boolean)
        .doc("take over an account that exists and was not made by jailctl; it gets back what it had when the jail goes")
        .default("false")
        .example("adopt = true"),
    Key::new("user[].shell", Shape::Text(Rule::JailPath))
        .doc("the login shell, a path inside the jail; one of the programs there")
        .default("the first shell in `binaries`")
        .example(r#"shell = "/bin/bash""#),
    Key::new("user[].home", Shape::Text(Rule::Home))
        .doc("the home, a path inside the jail")
        .default(r#""/home/<name>""#)
        .example(r#"home = "/home/harlequin""#),
    Key::new("user[].authorized_keys", Shape::Texts(Rule::KeyLine))
        .doc("public keys that may log in; kept outside the jail, where the user cannot change them")
        .default("[]")
        .example(r#"authorized_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKLW/9v1NuUyultBVkZJNjz2vNi4eV8Vq20GZ01ZeKPs harley@gotham"]"#),
    Key::new("user[].password", Shape::Text(Rule::Password))
        .doc("`locked`, `keep` (leave alone what others set) or a crypt(5) hash")
        .default(r#""locked""#)
        .example(r#"password = "locked""#),
    Key::new("user[].groups", Shape::Texts(Rule::GroupName))
        .doc("further groups; made where the host has none of the name")
        .default("[]")
        .example(r#"groups = ["web"]"#),
    Key::new("user[].uid", Shape::Integer(1000, 60000))
        .doc("the user id")
        .default("the next free one")
        .example("uid = 4101"),
    Key::new("user[].expires", Shape::Date)
        .doc("the day from which the account is closed")
        .default("never")
        .example("expires = 2027-01-31"),
    Key::new("user[].skel", Shape::Text(Rule::Source))
        .doc("a host directory whose content a new home starts with")
        .default("none")
        .example(r#"skel = "/etc/skel""#),
    Key::new("sshd", Shape::Table)
        .doc("how the users may come in")
        .example("[sshd]\nallow = [\"sftp\"]"),
    Key::new("sshd.allow", Shape::Texts(Rule::Word(DOORS)))
        .doc("the doors; `forward` is for `ssh -L`, `-D` and `-W` into the jail's own network, and needs one")
        .default(r#"["sftp"], and "shell" where `binaries` hold a shell"#)
        .example(r#"allow = ["shell", "sftp"]"#)
        .replaces(),
    Key::new("sshd.start_dir", Shape::Text(Rule::StartDir))
        .doc("where sftp begins; only where sftp is the only door")
        .default("the home")
        .example(r#"start_dir = "/upload""#),
    Key::new("sshd.umask", Shape::Text(Rule::Umask))
        .doc("the umask of sftp; only where sftp is the only door")
        .default("that of sshd, which is 0022 on most hosts")
        .example(r#"umask = "0027""#),
    Key::new("sshd.log", Shape::Boolean)
        .doc("sftp transfers are written to the host's log; only where sftp is the only door, and with sessions of their own")
        .default("false")
        .example("log = true"),
    Key::new("file[]", Shape::Tables(&["target", "source"]))
        .doc("a file or tree of the host's, or text given here")
        .default("none")
        .example("[[file]]\ntarget = \"/motd\"\ncontent = \"Welcome\\n\""),
    Key::new("file[].source", Shape::Text(Rule::Source))
        .doc("the host path to copy; or give `content`")
        .example(r#"source = "/etc/vim""#),
    Key::new("file[].content", Shape::Text(Rule::Content))
        .doc("the text of the file; or give `source`")
        .example(r#"content = "Welcome\n""#),
    Key::new("file[].target", Shape::Text(Rule::Target))
        .doc("where it goes inside the jail")
        .default("the path of `source`")
        .example(r#"target = "/etc/vim""#),
    Key::new("file[].mode", Shape::Text(Rule::Mode))
        .doc("permissions, in octal")
        .default(r#""0644" with `content`, otherwise as in `source`"#)
        .example(r#"mode = "0644""#),
    Key::new("dir[]", Shape::Tables(&["path"]))
        .doc("a directory that is made if it is missing")
        .default("none")
        .example("[[dir]]\npath = \"/upload\"\nowner = \"harlequin\""),
    Key::new("dir[].path", Shape::Text(Rule::Dir))
        .doc("where, inside the jail")
        .example(r#"path = "/upload""#)
        .required(),
    Key::new("dir[].owner", Shape::Text(Rule::UserName))
        .doc("a user of the jail")
        .default("root")
        .example(r#"owner = "harlequin""#),
    Key::new("dir[].mode", Shape::Text(Rule::Mode))
        .doc("permissions, in octal")
        .default(r#""0755""#)
        .example(r#"mode = "0750""#),
    Key::new("mount[]", Shape::Tables(&["target"]))
        .doc("a host directory that sessions see; never mounted on the host itself")
        .default("none")
        .example("[[mount]]\nsource = \"/var/www/17\"\ntarget = \"/www\""),
    Key::new("mount[].source", Shape::Text(Rule::MountSource))
        .doc("the host directory; or `tmpfs`, memory that each session has for itself, `proc`, its processes, or `sysfs`, the kernel's devices, read-only")
        .example(r#"source = "/var/www/17""#)
        .required(),
    Key::new("mount[].target", Shape::Text(Rule::MountTarget))
        .doc("where sessions see it: in no place that others than root could move, and not below `/tmp`, `/etc` or `/usr`")
        .example(r#"target = "/www""#)
        .required(),
    Key::new("mount[].options", Shape::Texts(Rule::MountOption))
        .doc("`ro` or `rw`, `nosuid` or `suid`, `nodev` or `dev`, `noexec` or `exec`; with tmpfs `size=` (bytes, or a share of memory as `10%`) and `mode=`; what is not named keeps its default, so that `suid`, `dev` and `exec` have to be written out")
        .default("`ro` (`rw` with tmpfs and proc), `nosuid`, `nodev`, `noexec`")
        .example(r#"options = ["rw"]"#),
    Key::new("namespaces", Shape::Table)
        .doc("what each session has of its own; without this table, `[network]`, `[limits]`, `[[mount]]` and `log` a jail with a shell has what an empty one says where `pam_jailctl.so` is installed, and any other jail is a plain chroot")
        .example("[namespaces]\npid = true"),
    Key::new("namespaces.pid", Shape::Boolean)
        .doc("its own process numbers")
        .default("true")
        .example("pid = true"),
    Key::new("namespaces.mnt", Shape::Boolean)
        .doc("its own mounts, the jail among them")
        .default("true")
        .example("mnt = true"),
    Key::new("namespaces.uts", Shape::Boolean)
        .doc("its own host name")
        .default("true")
        .example("uts = true"),
    Key::new("namespaces.ipc", Shape::Boolean)
        .doc("its own shared memory, queues and semaphores; always where `memory` is limited")
        .default("true")
        .example("ipc = true"),
    Key::new("namespaces.cgroup", Shape::Boolean)
        .doc("its own view of the control groups")
        .default("true")
        .example("cgroup = true"),
    Key::new("namespaces.user", Shape::Boolean)
        .doc("its own user ids: root's and the jail's, and no others")
        .default("false")
        .example("user = false"),
    Key::new("network", Shape::Table)
        .doc("what sessions reach, and what reaches them")
        .example("[network]\nmode = \"none\""),
    Key::new("network.mode", Shape::Text(Rule::Word(NETWORK)))
        .doc("the host's network; none but a loopback; or `private`, a network of the jail's own, which its sessions share and leave by the host's addresses")
        .default(r#""private" with `allow_in` or `allow_out`; "none" where sftp is the only door; otherwise "host""#)
        .example(r#"mode = "none""#),
    Key::new("network.allow_in", Shape::Texts(Rule::Port))
        .doc("ports of the jail's own network that others may reach, by the host's addresses")
        .default("[]")
        .example(r#"allow_in = ["tcp/80"]"#)
        .replaces(),
    Key::new("network.allow_out", Shape::Texts(Rule::Port))
        .doc("ports of others that the jail's own network may reach, by 4096 connections at one time; none of the host itself, and of link-local addresses (169.254.0.0/16) port 53 alone")
        .default("[]")
        .example(r#"allow_out = ["tcp/443", "udp/53"]"#)
        .replaces(),
    Key::new("limits", Shape::Table)
        .doc("what all sessions of the jail may use together; what the host cannot keep is refused")
        .example("[limits]\ntasks = 64"),
    Key::new("limits.memory", Shape::Text(Rule::Size))
        .doc("bytes of memory")
        .default("none")
        .example(r#"memory = "256M""#),
    Key::new("limits.swap", Shape::Text(Rule::SizeOrNone))
        .doc("bytes of swap space, beside `memory`; `0` for none")
        .default("none")
        .example(r#"swap = "64M""#),
    Key::new("limits.cpu", Shape::Text(Rule::Percent))
        .doc("processor time, in per cent of one CPU")
        .default("none")
        .example(r#"cpu = "50%""#),
    Key::new("limits.cpu_weight", Shape::Integer(1, 10_000))
        .doc("share of the processors where they are short, against others' 100")
        .default("100")
        .example("cpu_weight = 50"),
    Key::new("limits.cpus", Shape::Text(Rule::Cpus))
        .doc("the processors that may be used")
        .default("all")
        .example(r#"cpus = "0-1""#),
    Key::new("limits.tasks", Shape::Integer(8, 4_194_304))
        .doc("processes and threads, among them the two or three that sshd has for each connection")
        .default("none")
        .example("tasks = 64"),
    Key::new("limits.io_weight", Shape::Integer(1, 10_000))
        .doc("share of the disk where it is short, against others' 100")
        .default("100")
        .example("io_weight = 50"),
    Key::new("limits.io_read", Shape::Text(Rule::Size))
        .doc("bytes a second read from each disk that holds the jail or a `[[mount]]`")
        .default("none")
        .example(r#"io_read = "10M""#),
    Key::new("limits.io_write", Shape::Text(Rule::Size))
        .doc("bytes a second written to each of them; with control groups of v1 without what the kernel writes for programs later")
        .default("none")
        .example(r#"io_write = "10M""#),
    Key::new("limits.io_read_ops", Shape::Integer(1, 4_294_967_295))
        .doc("reads a second from each of them")
        .default("none")
        .example("io_read_ops = 500"),
    Key::new("limits.io_write_ops", Shape::Integer(1, 4_294_967_295))
        .doc("writes a second to each of them")
        .default("none")
        .example("io_write_ops = 500"),
    Key::new("limits.devices", Shape::Texts(Rule::Device))
        .doc("the host's devices that may be used beside those in the `/dev` of every jail, should a node of one be reached; with this line all others are refused")
        .default("all")
        .example(r#"devices = ["/dev/fuse"]"#)
        .replaces(),
    Key::new("limits.hugetlb", Shape::Text(Rule::Size))
        .doc("bytes in huge pages, of each size")
        .default("none")
        .example(r#"hugetlb = "64M""#),
    Key::new("limits.net_class", Shape::Integer(1, 4_294_967_295))
        .doc("the class of packets, for tc(8) and netfilter; cgroup v1 only")
        .default("none")
        .example("net_class = 0x100001"),
    Key::new("limits.net_priority", Shape::Integer(1, 4_294_967_295))
        .doc("the priority of packets, on each interface of the host; cgroup v1 only")
        .default("none")
        .example("net_priority = 3"),
    Key::new("limits.open_files", Shape::Integer(64, 1_048_576))
        .doc("open files of each process, sshd's own for the connection among them")
        .default("1024 with `memory`, otherwise that of sshd")
        .example("open_files = 1024"),
    Key::new("limits.core_size", Shape::Text(Rule::Size))
        .doc("bytes of a core dump; where the host has a program for cores, it is started for them, as root and outside of these limits")
        .default("no cores")
        .example(r#"core_size = "64M""#),
    Key::new("limits.sessions", Shape::Integer(1, 100_000))
        .doc("connections at one time")
        .default("none")
        .example("sessions = 4"),
    Key::new("limits.parent", Shape::Text(Rule::ControlGroup))
        .doc("the control group that the jail's own is made in, in each hierarchy; it has to be there when a session begins, and is left alone")
        .default("one that comes and goes with the sessions")
        .example(r#"parent = "/customers""#),
    Key::new("test[]", Shape::Tables(&[]))
        .doc("a command that must succeed inside before a build goes live; it has the name and the groups of the first user, and a user id that nobody else has")
        .default("none")
        .example("[[test]]\nrun = [\"bash\", \"-c\", \"ls /\"]"),
    Key::new("test[].run", Shape::Texts(Rule::Argument))
        .doc("the command and its arguments")
        .example(r#"run = ["bash", "-c", "ls /"]"#)
        .required(),
];

//! Workloads: W1, the three programs of the tutorial; W2, the programs of users with a shell; W3,
//! those of web developers.

/// Programs of W1.
pub const W1: [&str; 3] = ["bash", "ls", "cat"];

/// Programs of W2.
pub const W2: [&str; 73] = [
    "bash",
    "sh",
    "ls",
    "cat",
    "cp",
    "mv",
    "rm",
    "mkdir",
    "rmdir",
    "ln",
    "chmod",
    "touch",
    "head",
    "tail",
    "cut",
    "sort",
    "uniq",
    "wc",
    "tr",
    "tee",
    "date",
    "echo",
    "printf",
    "env",
    "id",
    "whoami",
    "pwd",
    "sleep",
    "true",
    "false",
    "test",
    "du",
    "df",
    "stat",
    "basename",
    "dirname",
    "readlink",
    "realpath",
    "seq",
    "md5sum",
    "sha256sum",
    "grep",
    "egrep",
    "sed",
    "awk",
    "find",
    "xargs",
    "diff",
    "clear",
    "tput",
    "more",
    "less",
    "nano",
    "vim",
    "vi",
    "tar",
    "gzip",
    "gunzip",
    "zcat",
    "bzip2",
    "xz",
    "zip",
    "unzip",
    "rsync",
    "scp",
    "sftp",
    "ssh",
    "git",
    "git-upload-pack",
    "git-receive-pack",
    "curl",
    "file",
    "/usr/lib/openssh/sftp-server",
];

/// Directories of W3, as far as the machine has them.
const TREES: [&str; 4] = [
    "/usr/share/zoneinfo",
    "/usr/lib/python3",
    "/usr/lib/python3.11",
    "/usr/share/perl",
];

/// Packages with the programs, and with the contenders.
pub const PACKAGES: [&str; 15] = [
    "bzip2",
    "curl",
    "e2fsprogs",
    "file",
    "git",
    "jailkit",
    "less",
    "nano",
    "openssh-server",
    "rsync",
    "time",
    "unzip",
    "util-linux",
    "vim",
    "zip",
];

/// Spec of a workload, as the jail `name`.
pub fn spec(workload: &str, name: &str) -> String {
    let programs: &[&str] = if workload == "W1" { &W1 } else { &W2 };
    let mut text = format!("name = {name:?}\nbinaries = {programs:?}\n");
    if workload == "W3" {
        for tree in TREES {
            if std::path::Path::new(tree).is_dir() {
                text.push_str(&format!(
                    "\n[[file]]\nsource = {tree:?}\ntarget = {tree:?}\n"
                ));
            }
        }
    }
    text
}

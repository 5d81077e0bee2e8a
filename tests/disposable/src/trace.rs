//! What a command changes, by the system calls it makes; and its death at the n-th of them. Both
//! with strace(1).

use crate::{DisposableHost, Output};

/// Every system call that can change a file, a name or a mount, under the names of x86-64; strace
/// ignores those with a `?` where there is no such call.
pub const CHANGING: [&str; 51] = [
    "?open",
    "openat",
    "?openat2",
    "?creat",
    "?rename",
    "renameat",
    "renameat2",
    "?link",
    "linkat",
    "?symlink",
    "symlinkat",
    "?unlink",
    "unlinkat",
    "?rmdir",
    "?mkdir",
    "mkdirat",
    "?mknod",
    "mknodat",
    "?chmod",
    "fchmod",
    "fchmodat",
    "?fchmodat2",
    "?chown",
    "?lchown",
    "fchown",
    "fchownat",
    "?utime",
    "?utimes",
    "?futimesat",
    "utimensat",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    "truncate",
    "ftruncate",
    "fallocate",
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "sendfile",
    "copy_file_range",
    "splice",
    "mount",
    "umount2",
    "?move_mount",
    "ioctl",
];

/// One system call that changed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The call's name.
    pub call: String,
    /// What it changed: a new name, both names of a rename, the file behind a descriptor.
    pub paths: Vec<String>,
}

impl Change {
    /// Whether it changed something at or below `directory`. A name relative to an unknown working
    /// directory counts: it may be anywhere.
    pub fn is_below(&self, directory: &str) -> bool {
        self.paths.iter().any(|path| {
            !path.starts_with('/')
                || path
                    .strip_prefix(directory)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

impl DisposableHost {
    /// Runs a command, and gives with its outcome the successful system calls of it and its
    /// children that change files. An open for writing counts.
    #[track_caller]
    pub fn trace_writes(&self, command: &[&str]) -> (Output, Vec<Change>) {
        self.sh("rm -rf /run/trace && mkdir /run/trace").ok();
        let calls = format!("trace={}", CHANGING.join(","));
        // One file a process: no call is ever cut in two by another's.
        let mut line = vec!["strace", "-ff", "-y", "-qq", "-v", "-a1", "-s8192", "-o"];
        line.extend(["/run/trace/of", "-e", calls.as_str(), "--"]);
        line.extend(command);
        let output = self.run(line);
        let text = self.sh("cat /run/trace/of.*").ok();
        let changes = text.lines().into_iter().filter_map(change).collect();
        (output, changes)
    }

    /// Runs a command and kills, of it and of its children, whichever is the first to come to its
    /// `n`-th `call`, before the call does anything. A status of 137 means that the command itself
    /// met its end.
    #[track_caller]
    pub fn kill_at(&self, call: &str, n: usize, command: &[&str]) -> Output {
        let trace = format!("trace={call}");
        let inject = format!("inject={call}:signal=SIGKILL:when={n}");
        // Not with --seccomp-bpf, quicker as it is: it loses count.
        let mut line = vec!["strace", "-f", "-qq", "-o", "/dev/null"];
        line.extend(["-e", trace.as_str(), "-e", inject.as_str(), "--"]);
        line.extend(command);
        self.run(line)
    }
}

/// Reads one line of strace's; `None` for a call that failed or changed nothing.
fn change(line: &str) -> Option<Change> {
    let (call, rest) = line.split_once('(')?;
    let at = rest.rfind(") = ")?;
    let (arguments, result) = (&rest[..at], &rest[at + 4..]);
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let arguments = split(arguments);
    let opens = call.starts_with("open");
    if opens
        && !["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"]
            .iter()
            .any(|flag| arguments.iter().any(|argument| has_word(argument, flag)))
    {
        return None;
    }
    let paths = match call {
        "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" | "ftruncate" | "fallocate"
        | "fchmod" | "fchown" | "fsetxattr" | "fremovexattr" | "sendfile" => arguments
            .first()
            .and_then(|a| descriptor(a))
            .into_iter()
            .collect(),
        "copy_file_range" | "splice" => arguments
            .get(2)
            .and_then(|a| descriptor(a))
            .into_iter()
            .collect(),
        "ioctl" if !arguments.iter().any(|a| a.starts_with("FICLONE")) => return None,
        "ioctl" => arguments
            .first()
            .and_then(|a| descriptor(a))
            .into_iter()
            .collect(),
        // The target of a symbolic link is not a path that changes; neither is a mount.
        "symlink" | "symlinkat" | "mount" => named(&arguments[1..]),
        // The new name of a link, and the old: its link count changes.
        _ => named(&arguments),
    };
    Some(Change {
        call: call.to_owned(),
        paths,
    })
}

/// The paths among arguments: each string, below the directory descriptor before it unless it is
/// absolute; a lone descriptor where there is no string.
fn named(arguments: &[&str]) -> Vec<String> {
    let mut paths = Vec::new();
    let mut below = None;
    for argument in arguments {
        if let Some(text) = argument.strip_prefix('"') {
            let text = text.trim_end_matches("...").trim_end_matches('"');
            paths.push(match below.take() {
                Some(directory) if text.is_empty() => directory,
                Some(directory) if !text.starts_with('/') => format!("{directory}/{text}"),
                _ => text.to_owned(),
            });
        } else {
            below = below.or(descriptor(argument));
        }
    }
    if paths.is_empty() {
        paths.extend(below);
    }
    paths
}

/// The path that `-y` shows with a descriptor: `3</etc/passwd>`, `AT_FDCWD</root>`. Pipes and
/// sockets have none.
fn descriptor(argument: &str) -> Option<String> {
    let (_, path) = argument.split_once('<')?;
    let path = path.strip_suffix('>')?;
    path.starts_with('/').then(|| path.to_owned())
}

fn has_word(argument: &str, word: &str) -> bool {
    !argument.starts_with('"')
        && argument
            .split(|c: char| !c.is_ascii_uppercase() && c != '_')
            .any(|part| part == word)
}

/// Splits at the commas that are not within quotes or brackets.
fn split(arguments: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut quoted, mut escaped, mut start) = (0_u32, false, false, 0);
    for (at, c) in arguments.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' | '<' => depth += 1,
            '}' | ']' | '>' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(arguments[start..at].trim_start());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(arguments[start..].trim_start());
    parts
}

#[cfg(test)]
mod tests {
    use super::change;

    fn paths(line: &str) -> Option<Vec<String>> {
        change(line).map(|change| change.paths)
    }

    #[test]
    fn paths_are_put_together() {
        let cases = [
            (
                r#"openat(AT_FDCWD</root>, "a", O_RDWR|O_CREAT, 0666) = 3</root/a>"#,
                "/root/a",
            ),
            (
                r#"openat(5</srv/jails>, "x, \"y", O_WRONLY) = 3</srv/jails/x>"#,
                r#"/srv/jails/x, \"y"#,
            ),
            (
                r#"openat2(4</etc>, "x", {flags=O_WRONLY|O_CREAT, mode=0644, resolve=0}, 24) = 5</etc/x>"#,
                "/etc/x",
            ),
            (
                r#"write(7</etc/passwd>, "root) = 0"..., 8192) = 8192"#,
                "/etc/passwd",
            ),
            (r#"fchownat(7</srv>, "", 0, 0, AT_EMPTY_PATH) = 0"#, "/srv"),
            (
                r#"renameat2(3</a>, "b", 4</c>, "d", RENAME_EXCHANGE) = 0"#,
                "/a/b /c/d",
            ),
            (r#"symlinkat("../x", 4</c>, "d") = 0"#, "/c/d"),
            (r#"unlink("/etc/x") = 0"#, "/etc/x"),
            (
                r"utimensat(6</srv/x>, NULL, [{tv_sec=1, tv_nsec=2}], 0) = 0",
                "/srv/x",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(paths(line).expect("a change").join(" "), expected, "{line}");
        }
    }

    #[test]
    fn what_fails_or_reads_is_no_change() {
        for line in [
            r#"openat(AT_FDCWD</root>, "O_CREAT", O_RDONLY|O_CLOEXEC) = 3</root/a>"#,
            r#"mkdirat(AT_FDCWD</root>, "a", 0777) = -1 EEXIST (File exists)"#,
            "ioctl(0</dev/pts/0>, TCGETS, {c_iflag=ICRNL}) = 0",
            "+++ exited with 0 +++",
        ] {
            assert_eq!(change(line), None, "{line}");
        }
    }
}

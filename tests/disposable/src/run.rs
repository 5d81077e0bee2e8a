//! Commands inside a copy.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::DisposableHost;

/// The search path of every command inside: root's, as Debian has it.
pub(crate) const SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a command did.
#[derive(Clone, PartialEq, Eq)]
pub struct Output {
    command: String,
    code: i32,
    stdout: String,
    stderr: String,
}

#[expect(
    clippy::return_self_not_must_use,
    reason = "that a command succeeds is often all a test asks"
)]
impl Output {
    /// Itself, if the command succeeded; shows everything and fails the test if not.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.code == 0, "should have succeeded: {self:?}");
        self
    }

    /// Itself, if the command ended with this status; shows everything and fails the test if not.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(
            self.code == code,
            "should have ended with status {code}: {self:?}"
        );
        self
    }

    /// Itself, if the command failed; shows everything and fails the test if not.
    #[track_caller]
    pub fn fails(self) -> Self {
        assert!(self.code != 0, "should have failed: {self:?}");
        self
    }

    /// Whether it succeeded.
    pub fn success(&self) -> bool {
        self.code == 0
    }

    /// The exit status, or 128 and the signal that ended it.
    pub fn code(&self) -> i32 {
        self.code
    }

    /// What it wrote to its standard output.
    pub fn stdout(&self) -> &str {
        &self.stdout
    }

    /// What it wrote to its standard error.
    pub fn stderr(&self) -> &str {
        &self.stderr
    }

    /// Its standard output without white space at the ends.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }

    /// The lines of its standard output.
    pub fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "`{}` ended with status {}", self.command, self.code)?;
        writeln!(f, "--- stdout\n{}", self.stdout.trim_end())?;
        write!(f, "--- stderr\n{}", self.stderr.trim_end())
    }
}

/// A command that runs beside the test, with its input and output open. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    limit: Duration,
}

impl Running {
    /// Sends a line to its input.
    pub fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the input is open");
        writeln!(input, "{line}").expect("the command still reads");
    }

    /// Waits for a line of output that contains `mark`; gives all lines up to and including it.
    #[track_caller]
    pub fn hear(&mut self, mark: &str) -> Vec<String> {
        let end = Instant::now() + self.limit;
        let mut heard = Vec::new();
        while !heard
            .last()
            .is_some_and(|line: &String| line.contains(mark))
        {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => heard.push(line),
                Err(error) => panic!("waited for `{mark}`, {error}; heard {heard:#?}"),
            }
        }
        heard
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("our own child can be waited for")
            .is_none()
    }

    /// Closes its input and waits for its end; the exit status, as [`Output::code`].
    pub fn finish(mut self) -> i32 {
        drop(self.input.take());
        while self.lines.recv_timeout(self.limit).is_ok() {}
        code(self.child.wait().expect("our own child can be waited for"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended is as good; the command itself dies with nsenter, see `spawn`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl DisposableHost {
    /// Runs a command as root, in `/root`, and waits for its end and for the end of its output.
    #[track_caller]
    pub fn run<'a>(&self, command: impl IntoIterator<Item = &'a str>) -> Output {
        self.run_with_input(command, "")
    }

    /// Runs lines of bash as root, stopping at the first that fails.
    #[track_caller]
    pub fn sh(&self, script: &str) -> Output {
        self.run(["bash", "-euo", "pipefail", "-c", script])
    }

    /// Like [`Self::run`], with `input` on the command's standard input.
    #[track_caller]
    pub fn run_with_input<'a>(
        &self,
        command: impl IntoIterator<Item = &'a str>,
        input: &str,
    ) -> Output {
        let command: Vec<&str> = command.into_iter().collect();
        self.finish(self.enter(&command, true), &command, input, self.limit)
    }

    /// Starts a command as root that runs beside the test. Its standard error goes to its output.
    pub fn spawn<'a>(&self, command: impl IntoIterator<Item = &'a str>) -> Running {
        // nsenter forks to get into the pid namespace, and only nsenter is ours to kill.
        let mut inside = vec!["setpriv", "--pdeathsig", "KILL", "bash", "-c"];
        inside.extend(["exec \"$@\" 2>&1", "bash"]);
        inside.extend(command);
        let mut child = self
            .enter(&inside, true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("nsenter(1) starts (package util-linux)");
        let output = child.stdout.take().expect("a pipe");
        Running {
            input: child.stdin.take(),
            lines: lines_of(output),
            child,
            limit: self.limit,
        }
    }

    /// Writes a file inside, with its directories; mode 0644, root's.
    #[track_caller]
    pub fn write(&self, path: &str, text: &str) {
        let script = r#"mkdir -p "${1%/*}/" && cat >"$1""#;
        self.run_with_input(["bash", "-c", script, "write", path], text)
            .ok();
    }

    /// Reads a file inside.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        self.run(["cat", "--", path]).ok().stdout
    }

    /// Whether the path exists inside; a symbolic link counts, whatever its target.
    pub fn has(&self, path: &str) -> bool {
        self.run(["bash", "-c", r#"[ -e "$1" ] || [ -L "$1" ]"#, "has", path])
            .success()
    }

    /// Waits until a bash condition holds, and fails the test if it does not within the limit.
    #[track_caller]
    pub fn until(&self, condition: &str) {
        let script = format!("until {condition}; do sleep 0.01; done");
        self.run(["bash", "-c", &script]).ok();
    }

    /// Installs those packages that are missing, in the copy but over the machine's network.
    pub(crate) fn install(&self, packages: &[String]) {
        let script = r#"
            missing=()
            for package; do
                dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
            done
            [ ${#missing[@]} -gt 0 ] || exit 0
            # No daemon may start: the network is not the copy's.
            printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
            chmod 755 /usr/sbin/policy-rc.d
            apt-get -qq update
            apt-get -qq install --no-install-recommends "${missing[@]}"
            rm /usr/sbin/policy-rc.d
        "#;
        let mut command = vec!["bash", "-euo", "pipefail", "-c", script, "install"];
        command.extend(packages.iter().map(String::as_str));
        let mut enter = self.enter(&command, false);
        for proxy in ["http_proxy", "https_proxy", "no_proxy"] {
            if let Some(value) = std::env::var_os(proxy) {
                enter.env(proxy, value);
            }
        }
        enter.env("DEBIAN_FRONTEND", "noninteractive");
        self.finish(enter, &command, "", Duration::from_secs(600))
            .ok();
    }

    fn enter(&self, command: &[&str], own_network: bool) -> Command {
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["--target", &self.keeper.pid, "--mount", "--pid"]);
        nsenter.args(["--uts", "--ipc", "--root", "--wd"]);
        if own_network {
            nsenter.arg("--net");
        }
        nsenter
            .arg("--")
            .args(command)
            .env_clear()
            .env("PATH", SEARCH)
            .env("HOME", "/root")
            .env("USER", "root")
            .env("LANG", "C.UTF-8")
            .env("TERM", "dumb");
        nsenter
    }

    #[track_caller]
    fn finish(&self, mut enter: Command, command: &[&str], input: &str, limit: Duration) -> Output {
        let mut child = enter
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsenter(1) starts (package util-linux)");
        let mut pipe = child.stdin.take().expect("a pipe");
        let input = input.to_owned();
        // A command need not read all of its input.
        thread::spawn(move || drop(pipe.write_all(input.as_bytes())));
        let (done, ended) = mpsc::channel();
        thread::spawn(move || done.send(child.wait_with_output()));
        let name = command.join(" ");
        let Ok(output) = ended.recv_timeout(limit) else {
            self.keeper.kill();
            let seen = ended.recv_timeout(Duration::from_secs(10));
            panic!("`{name}` took longer than {limit:?}, so the copy was ended: {seen:?}");
        };
        let output = output.expect("our own child can be waited for");
        Output {
            command: name,
            code: code(output.status),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

fn code(status: std::process::ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .expect("a process exits or is killed")
}

fn lines_of(output: ChildStdout) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line);
            if sender.send(text.trim_end().to_owned()).is_err() {
                break;
            }
            line.clear();
        }
    });
    receiver
}

//! The process that holds a copy of the host: pid 1 of its namespaces. What it does inside is in
//! `init.sh`.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A copy's pid 1, seen from outside.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// `unshare`, which waits for pid 1. Closing its input ends the copy.
    unshare: Child,
    /// The pid of the copy's pid 1, for nsenter(1).
    pub(crate) pid: String,
}

impl Keeper {
    pub(crate) fn start(
        hostname: &str,
        jailctl: Option<&Path>,
        directory: Option<&(PathBuf, String)>,
    ) -> Self {
        let (directory, at) =
            directory.map_or((Path::new(""), ""), |(directory, at)| (directory, at));
        let mut unshare = Command::new("unshare")
            .args([
                "--mount",
                "--net",
                "--pid",
                "--uts",
                "--ipc",
                "--fork",
                "--kill-child",
            ])
            .args(["bash", "-c", include_str!("init.sh"), "keeper", hostname])
            .arg(jailctl.unwrap_or(Path::new("")))
            .arg(directory)
            .arg(at)
            .env_clear()
            .env("PATH", crate::run::SEARCH)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unshare(1) starts (package util-linux)");

        let mut said = String::new();
        BufReader::new(unshare.stdout.take().expect("a pipe"))
            .read_line(&mut said)
            .expect("the keeper speaks UTF-8");
        let Some(pid) = said.trim_end().strip_prefix("ready ") else {
            let mut errors = String::new();
            let pipe = unshare.stderr.as_mut().expect("a pipe");
            // A file that cannot be read is left out; the panic is reported all the same.
            let _ = pipe.read_to_string(&mut errors);
            let _ = unshare.wait();
            panic!("no copy of the host could be made: {}", errors.trim_end());
        };
        let pid = pid.to_owned();
        Self { unshare, pid }
    }

    /// Kills everything that runs in the copy, for a test that is about to fail.
    pub(crate) fn kill(&self) {
        // `--kill-child` takes pid 1 along, and with it the rest. The pid is ours until `drop` has
        // waited for it.
        let unshare = Pid::from_child(&self.unshare);
        kill_process(unshare, Signal::KILL).expect("our own child can be killed");
    }
}

impl Drop for Keeper {
    /// Ends everything that runs in the copy, and the copy. Returns when it is gone.
    fn drop(&mut self) {
        // Pid 1 reads the end of its input and exits; the kernel kills the rest of its namespace
        // before `unshare` can see that.
        drop(self.unshare.stdin.take());
        self.unshare
            .wait()
            .expect("our own child can be waited for");
    }
}

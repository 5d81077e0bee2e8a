//! Keys, and logins with the real clients, from the copy's root to the copy's sshd.

use crate::{DisposableHost, Output, Running};

/// An ed25519 key pair in the copy, where only its root can read it.
#[derive(Clone, Debug)]
pub struct Key {
    /// The private key's path inside.
    pub path: String,
    /// The public key's line, with its line feed.
    pub public: String,
}

/// A user and the key to come in with.
#[derive(Clone, Debug)]
pub struct Login<'host> {
    host: &'host DisposableHost,
    /// The account's name.
    pub user: String,
    key: Key,
}

/// The protocols of scp(1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scp {
    /// The default since OpenSSH 9.
    Sftp,
    /// `scp -O`: the program on the other side speaks rcp.
    Legacy,
}

impl DisposableHost {
    /// Makes a key pair.
    #[track_caller]
    pub fn key(&self, name: &str) -> Key {
        let path = format!("/run/keys/{name}");
        self.run(["mkdir", "-p", "-m", "0700", "/run/keys"]).ok();
        self.run([
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            name,
            "-f",
            &path,
        ])
        .ok();
        let public = self.read(&format!("{path}.pub"));
        Key { path, public }
    }

    /// A login as `user` with `key`; whether it works is up to the account.
    pub fn login(&self, user: &str, key: &Key) -> Login<'_> {
        Login {
            host: self,
            user: user.to_owned(),
            key: key.clone(),
        }
    }
}

impl<'host> Login<'host> {
    /// The same key for another account.
    #[must_use]
    pub fn as_user(&self, user: &str) -> Login<'host> {
        self.host.login(user, &self.key)
    }

    /// `ssh user@127.0.0.1 command`.
    #[track_caller]
    pub fn ssh(&self, command: &str) -> Output {
        self.ssh_with([], command)
    }

    /// Like [`Self::ssh`] with options of ssh(1), which win over the harness's own.
    #[track_caller]
    pub fn ssh_with<const N: usize>(&self, options: [&str; N], command: &str) -> Output {
        let line = self.line(options, command);
        self.host.run(line.iter().map(String::as_str))
    }

    /// A command on a terminal: `ssh -tt`.
    #[track_caller]
    pub fn ssh_pty(&self, command: &str) -> Output {
        self.ssh_with(["-tt"], command)
    }

    /// An ssh client that runs beside the test, with options of ssh(1).
    pub fn start<const N: usize>(&self, options: [&str; N], command: &str) -> Running {
        let line = self.line(options, command);
        self.host.spawn(line.iter().map(String::as_str))
    }

    /// The command line of ssh(1), for a test that needs more around it.
    pub fn line<const N: usize>(&self, options: [&str; N], command: &str) -> Vec<String> {
        let mut line = vec!["ssh".to_owned()];
        line.extend(self.options(&options));
        line.extend([self.to(), command.to_owned()]);
        line
    }

    /// A bash that takes one command after the other.
    pub fn session(&self) -> Session {
        let mut session = Session {
            ssh: self.start([], "bash"),
            count: 0,
        };
        // The caller relies on its existence.
        session.run(":");
        session
    }

    /// `sftp -b`: the commands of `batch`, a line each; the first that fails ends it.
    #[track_caller]
    pub fn sftp(&self, batch: &str) -> Output {
        let options = self.options(&[]);
        let to = self.to();
        let mut line = vec!["sftp", "-b", "-"];
        line.extend(options.iter().map(String::as_str));
        line.push(&to);
        self.host.run_with_input(line, batch)
    }

    /// Copies with scp(1); a path that starts with a colon is on the other side.
    #[track_caller]
    pub fn scp(&self, protocol: Scp, from: &str, to: &str) -> Output {
        let options = self.options(&[]);
        let mut line = vec!["scp", "-r"];
        line.push(match protocol {
            Scp::Sftp => "-s",
            Scp::Legacy => "-O",
        });
        line.extend(options.iter().map(String::as_str));
        let (from, to) = (self.place(from), self.place(to));
        line.extend([from.as_str(), to.as_str()]);
        self.host.run(line)
    }

    /// Copies with `rsync -a`; a path that starts with a colon is on the other side.
    #[track_caller]
    pub fn rsync(&self, from: &str, to: &str) -> Output {
        let ssh = format!("ssh {}", self.options(&[]).join(" "));
        self.host.run([
            "rsync",
            "-a",
            "-e",
            &ssh,
            &self.place(from),
            &self.place(to),
        ])
    }

    fn options(&self, first: &[&str]) -> Vec<String> {
        let mut options: Vec<String> = first.iter().map(ToString::to_string).collect();
        options.extend(["-F/dev/null".to_owned(), format!("-i{}", self.key.path)]);
        options.extend(
            [
                "BatchMode=yes",
                "ConnectTimeout=10",
                "IdentitiesOnly=yes",
                "IdentityAgent=none",
                // The quickest; tests log in often.
                "KexAlgorithms=curve25519-sha256",
                "LogLevel=ERROR",
                "StrictHostKeyChecking=no",
                "UserKnownHostsFile=/dev/null",
            ]
            .map(|option| format!("-o{option}")),
        );
        options
    }

    fn to(&self) -> String {
        format!("{}@127.0.0.1", self.user)
    }

    fn place(&self, path: &str) -> String {
        if path.starts_with(':') {
            format!("{}{path}", self.to())
        } else {
            path.to_owned()
        }
    }
}

/// A shell at the other end of a connection, which stays while the test does other things.
#[derive(Debug)]
pub struct Session {
    ssh: Running,
    count: u32,
}

impl Session {
    /// Runs a command in the shell: its exit status, and its output and errors.
    #[track_caller]
    pub fn run(&mut self, command: &str) -> (i32, String) {
        self.count += 1;
        let mark = format!("[{} ended]", self.count);
        self.ssh
            .say(&format!("{command}\nprintf '\\n%s %s\\n' \"$?\" '{mark}'"));
        let mut lines = self.ssh.hear(&mark);
        let last = lines.pop().expect("the marked line");
        let status = last
            .split(' ')
            .next()
            .and_then(|word| word.parse().ok())
            .expect("a status");
        (status, lines.join("\n").trim_end().to_owned())
    }

    /// Whether the connection is still open.
    pub fn alive(&mut self) -> bool {
        self.ssh.alive()
    }
}

/// A jailed and an unjailed login, to show by the same means that one cannot what the other can.
#[derive(Clone, Debug)]
pub struct Probe<'host> {
    /// The one in the jail.
    pub jailed: Login<'host>,
    /// The control.
    pub plain: Login<'host>,
}

impl<'host> Probe<'host> {
    /// What `means` gives for each.
    pub fn both<T>(&self, means: impl Fn(&Login<'host>) -> T) -> Both<T> {
        Both {
            jailed: means(&self.jailed),
            plain: means(&self.plain),
        }
    }
}

/// What a [`Probe`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Both<T> {
    /// For the one in the jail.
    pub jailed: T,
    /// For the control.
    pub plain: T,
}

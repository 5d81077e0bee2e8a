//! A disposable copy of the host, for tests and for the demonstration.
//!
//! A [`DisposableHost`] has the files of this machine under an overlay, an empty `/srv` and `/run`,
//! its own processes, terminals, host name and loopback. Real `useradd`, real sshd on 127.0.0.1 and
//! real clients run in it, several copies at once, and nothing done in one reaches the machine or
//! outlives the value: the copy ends when it is dropped, or when the test is killed. Cgroups are
//! the exception: there is one hierarchy per kernel.
//!
//! It needs root. Without root a test that calls [`harness::need_root`] is ignored; as root no test
//! is, and a missing tool is a failure.
//!
//! ```no_run
//! use disposable::DisposableHost;
//! use disposable::harness::need_root;
//!
//! need_root();
//! let host = DisposableHost::new();
//! let bob = host.plain_user("bob");
//! let sshd = host.sshd();
//! assert_eq!(bob.ssh("id -un").ok().stdout(), "bob\n");
//! assert_eq!(host.sh("who | wc -l").ok().text(), "0");
//! assert!(sshd.log().contains("Accepted publickey for bob"));
//! ```
//!
//! - [`harness`]: the test harness, which reports a test that cannot run as ignored.
//! - [`run`]: commands inside, their [`Output`], and [`Running`] ones.
//! - [`sshd`]: the real daemon on the copy's own port 22.
//! - [`login`]: keys, and the real clients: [`Login`], [`Session`], [`Probe`].
//! - [`trace`]: which system calls change something; death at the n-th of them.
//! - [`snapshot`]: what trees hold, and the difference between two looks.
//!
//! The program `demo` of this crate is the demonstration that `tests/demo` runs.
#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "the rule is the product's; a harness starts commands"
)]
#![expect(
    clippy::missing_panics_doc,
    reason = "a harness panics: that is how a test fails"
)]

pub mod harness;
mod init;
pub mod login;
pub mod run;
pub mod snapshot;
pub mod sshd;
pub mod trace;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use disposable_attribute::test;
use init::Keeper;
pub use login::{Key, Login, Probe, Session};
pub use run::{Output, Running};
pub use snapshot::Snapshot;
pub use sshd::Sshd;
pub use trace::Change;

/// The reason why this process cannot create a copy, as an error.
///
/// # Errors
/// The reason, as a clause.
pub fn available() -> Result<(), &'static str> {
    if rustix::process::geteuid().is_root() {
        Ok(())
    } else {
        Err("needs root, for namespaces and accounts")
    }
}

/// Options of a copy.
#[derive(Clone, Debug)]
pub struct Builder {
    hostname: String,
    jailctl: Option<PathBuf>,
    directory: Option<(PathBuf, String)>,
    packages: Vec<String>,
    limit: Duration,
}

impl Builder {
    /// Host name of the copy; `gotham` by default.
    #[must_use]
    pub fn hostname(mut self, name: &str) -> Self {
        name.clone_into(&mut self.hostname);
        self
    }

    /// The program that is `jailctl` in the copy, as `/usr/local/sbin/jailctl`: a test gives
    /// `env!("CARGO_BIN_EXE_jailctl")`.
    #[must_use]
    pub fn jailctl(mut self, program: impl AsRef<Path>) -> Self {
        self.jailctl = Some(std::path::absolute(program).expect("a path"));
        self
    }

    /// A directory of the machine's that the copy has at `at`, and writes to: for what has to be on
    /// a real disk. It is not taken away with the copy.
    #[must_use]
    pub fn directory(mut self, directory: impl AsRef<Path>, at: &str) -> Self {
        let directory = std::path::absolute(directory).expect("a path");
        self.directory = Some((directory, at.to_owned()));
        self
    }

    /// Debian packages that the copy shall have. Those the machine lacks are installed in the copy
    /// alone, over the machine's network, and start nothing.
    #[must_use]
    pub fn packages(mut self, names: &[&str]) -> Self {
        self.packages = names.iter().map(ToString::to_string).collect();
        self
    }

    /// How long one command may take before the copy is ended and the test fails; a minute unless
    /// said.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Creates the copy.
    pub fn make(self) -> DisposableHost {
        let keeper = Keeper::start(
            &self.hostname,
            self.jailctl.as_deref(),
            self.directory.as_ref(),
        );
        let host = DisposableHost {
            keeper,
            limit: self.limit,
        };
        if !self.packages.is_empty() {
            host.install(&self.packages);
        }
        host
    }
}

/// A copy of this machine; see the crate's documentation.
#[derive(Debug)]
pub struct DisposableHost {
    keeper: Keeper,
    limit: Duration,
}

impl Default for DisposableHost {
    fn default() -> Self {
        Self::new()
    }
}

impl DisposableHost {
    /// A copy with the default options.
    pub fn new() -> Self {
        Self::builder().make()
    }

    /// Options for a copy.
    pub fn builder() -> Builder {
        Builder {
            hostname: "gotham".to_owned(),
            jailctl: None,
            directory: None,
            packages: Vec::new(),
            limit: Duration::from_secs(60),
        }
    }

    /// Runs `jailctl` with `arguments`.
    pub fn jailctl<const N: usize>(&self, arguments: [&str; N]) -> Output {
        let mut command = vec!["jailctl"];
        command.extend(arguments);
        self.run(command)
    }

    /// An account as `useradd` makes it, with a home, bash and a key: what the jailed ones are
    /// compared with.
    pub fn plain_user(&self, name: &str) -> Login<'_> {
        self.run(["useradd", "--create-home", "--shell", "/bin/bash", name])
            .ok();
        let key = self.key(name);
        let script = r#"
            install -d -m 0700 -o "$1" -g "$1" "/home/$1/.ssh"
            install -m 0600 -o "$1" -g "$1" "$2.pub" "/home/$1/.ssh/authorized_keys"
        "#;
        self.run(["bash", "-euc", script, "plain_user", name, &key.path])
            .ok();
        self.login(name, &key)
    }
}

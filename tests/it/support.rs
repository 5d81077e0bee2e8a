//! Shared by the modules: a copy with jailctl in it, specs of two jails, and the reach of a login,
//! which shows whether an account gets out of its jail.
//!
//! Names that mean the same in all tests:
//!
//! | name | what |
//! |---|---|
//! | `gotham` | the disposable copy of this machine |
//! | `arkham` | the jail of [`Spec::arkham`]: a shell, `ls` and `cat` |
//! | `harlequin` | the user of `arkham` |
//! | `joker`, `ivy`, `napoleon` | further users of `arkham` or of a second jail |
//! | `dropbox` | the jail of [`Spec::dropbox`]: sftp alone |
//! | `selina` | the user of `dropbox` |
//! | `acme` | a family, one jail each for `alice`, `bob`, `carol`, `dave` and `eve` |
//! | `bob` | elsewhere the control: an account without a jail, or one that a spec adopts |
//! | `joe`, `mallory`, `lucius` | unjailed accounts that attack, or that own an id or file |
//! | `/canary` | a file of the host that no jail contains |

use disposable::harness::need_root;
use disposable::{DisposableHost, Key, Login, Output, Running};

/// Content of `/canary`, in the host's root and in no jail.
pub(crate) const CANARY: &str = "the canary of the host";

/// A copy with jailctl and a canary. Without root the calling test ends as ignored.
pub(crate) fn host() -> DisposableHost {
    need_root();
    let host = DisposableHost::builder()
        .jailctl(env!("CARGO_BIN_EXE_jailctl"))
        .make();
    host.write("/canary", CANARY);
    host
}

/// Installs systemd's template unit of user managers in the copy, also without systemd here.
pub(crate) fn have_user_managers(host: &DisposableHost) {
    host.sh(
        "mkdir -p /etc/systemd/system /usr/lib/systemd/system; touch /usr/lib/systemd/system/user@.service",
    )
    .ok();
}

/// Deletes the PAM services of the copy that not every Debian has: they refuse jailed accounts.
pub(crate) fn have_essential_services(host: &DisposableHost) {
    host.sh(
        "cd /etc/pam.d && for name in *; do
             case $name in
                 common-*|chfn|chpasswd|chsh|login|newusers|other|passwd|runuser|runuser-l|sshd|su|su-l) ;;
                 *) rm -f \"$name\" ;;
             esac
         done
         rm -f /usr/lib/pam.d/*",
    )
    .ok();
}

/// A spec that tests modify.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) binaries: Vec<&'static str>,
    /// Name and key lines of each user.
    pub(crate) users: Vec<(&'static str, Vec<String>)>,
    /// Text of further tables.
    pub(crate) more: String,
    /// Whether the jail is a plain chroot, also where sessions are possible.
    pub(crate) is_plain: bool,
}

impl Spec {
    /// The jail of the tutorial, with the programs `also`: a shell for harlequin.
    pub(crate) fn arkham(key: &Key, also: &[&'static str]) -> Self {
        let mut binaries = vec!["bash", "ls", "cat"];
        binaries.extend(also);
        Self {
            name: "arkham",
            binaries,
            users: vec![("harlequin", vec![key.public.trim().to_owned()])],
            more: "[[file]]\ntarget = \"/welcome\"\ncontent = \"Welcome to Arkham.\\n\"\n"
                .to_owned(),
            is_plain: false,
        }
    }

    /// This spec as a plain chroot.
    pub(crate) fn plain(mut self) -> Self {
        self.is_plain = true;
        self
    }

    /// A jail for files: sftp for selina, whose directory is `/upload`.
    pub(crate) fn dropbox(key: &Key) -> Self {
        Self {
            name: "dropbox",
            binaries: Vec::new(),
            users: vec![("selina", vec![key.public.trim().to_owned()])],
            more: "[sshd]\nallow = [\"sftp\"]\n\n[[dir]]\npath = \"/upload\"\nowner = \"selina\"\nmode = \"0750\"\n".to_owned(),
            is_plain: false,
        }
    }

    /// The TOML text.
    pub(crate) fn text(&self) -> String {
        let mut lines = vec![format!("name = {:?}", self.name)];
        if !self.binaries.is_empty() {
            lines.push(format!("binaries = {:?}", self.binaries));
        }
        if self.is_plain {
            lines.push("plain_chroot = true".to_owned());
        }
        for (name, keys) in &self.users {
            lines.push(format!(
                "\n[[user]]\nname = {name:?}\nauthorized_keys = {keys:?}"
            ));
        }
        lines.push(format!("\n{}", self.more));
        lines.join("\n")
    }

    /// Path of the spec in the copy.
    pub(crate) fn path(&self) -> String {
        format!("/root/{}.toml", self.name)
    }

    /// Writes the spec into the copy; returns its path.
    pub(crate) fn put(&self, host: &DisposableHost) -> String {
        let path = self.path();
        host.write(&path, &self.text());
        path
    }

    /// Writes the spec and builds it.
    #[track_caller]
    pub(crate) fn build(&self, host: &DisposableHost) -> Output {
        host.jailctl(["build", &self.put(host)])
    }

    /// Path of the jail's root.
    pub(crate) fn root(&self) -> String {
        format!("/srv/jails/{}", self.name)
    }
}

/// A copy with the jail arkham built: its spec, and harlequin's login.
#[track_caller]
pub(crate) fn arkham<'host>(
    host: &'host DisposableHost,
    also: &[&'static str],
) -> (Spec, Login<'host>) {
    let key = host.key("harlequin");
    let spec = Spec::arkham(&key, also);
    spec.build(host).ok();
    (spec, host.login("harlequin", &key))
}

/// Reach of a login, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// No session of any kind.
    Nothing,
    /// A session that does not see the host's canary.
    Jail,
    /// A session that reads the host's canary.
    Host,
}

/// Reach of `login` by a command or by sftp, the larger of both.
#[track_caller]
pub(crate) fn reach(host: &DisposableHost, login: &Login<'_>) -> Reach {
    let seen = login.ssh("echo reached; read line </canary; echo \"$line\"");
    let by_command = said(seen.stdout());
    host.run(["rm", "-f", "/run/loot"]).ok();
    let seen = login.sftp("pwd\n-get /canary /run/loot\n");
    let by_sftp = if host.has("/run/loot") {
        Reach::Host
    } else if seen.stdout().contains("Remote working directory") {
        Reach::Jail
    } else {
        Reach::Nothing
    };
    by_command.max(by_sftp)
}

/// Reach of a session that was to print `reached` and then the canary.
pub(crate) fn said(output: &str) -> Reach {
    if output.contains(CANARY) {
        Reach::Host
    } else if output.contains("reached") {
        Reach::Jail
    } else {
        Reach::Nothing
    }
}

/// The lines of `sshd -T` for a user's connection, in lower case.
#[track_caller]
pub(crate) fn effective(host: &DisposableHost, user: &str) -> Vec<String> {
    let connection = format!("user={user},host=localhost,addr=127.0.0.1");
    host.sh(&format!("mkdir -p /run/sshd; sshd -T -C {connection}"))
        .ok()
        .stdout()
        .lines()
        .map(str::to_lowercase)
        .collect()
}

/// Snapshot of `/etc`, the jails and the state, without the backup and lock files of the shadow
/// tools.
#[track_caller]
pub(crate) fn look(host: &DisposableHost) -> disposable::Snapshot {
    host.snapshot(["/etc", "/srv", "/var/lib/jailctl", "/var/mail", "/home"])
        .without(|path| {
            matches!(
                path.strip_prefix("/etc/"),
                Some(
                    "passwd-"
                        | "group-"
                        | "shadow-"
                        | "gshadow-"
                        | "subuid-"
                        | "subgid-"
                        | ".pwd.lock"
                )
            )
        })
}

/// A copy as of [`host`], with the PAM module installed and a listener that writes the messages to
/// `/dev/log` into a file.
pub(crate) fn host_with_module() -> DisposableHost {
    let host = host();
    log_and_module(&host);
    host
}

/// Adds the module and the listener of [`host_with_module`] to a copy.
pub(crate) fn log_and_module(host: &DisposableHost) {
    install_module(host);
    host.write(
        "/root/syslog.pl",
        "use Socket; unlink '/dev/log'; socket(S, AF_UNIX, SOCK_DGRAM, 0) or die; bind(S, sockaddr_un('/dev/log')) or die; chmod 0666, '/dev/log'; \
         open(L, '>>', '/run/syslog'); select(L); $| = 1; if (fork) { exit } while (recv(S, $m, 8192, 0) || 1) { print \"$m\\n\" }",
    );
    host.sh(
        "perl /root/syslog.pl </dev/null >/dev/null 2>&1; touch /run/utmp; chmod 664 /run/utmp",
    )
    .ok();
}

/// Installs the PAM module. Cargo builds it before these tests, because it is one of their
/// dependencies.
pub(crate) fn install_module(host: &DisposableHost) {
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_jailctl")).parent();
    let module = programs.map(|programs| programs.join("deps/libpam_jailctl.so"));
    let module = module.expect("a directory").display().to_string();
    host.sh(&format!(
        "install -m 644 {module} $(dirname $(find /usr/lib -name pam_succeed_if.so))/pam_jailctl.so"
    ))
    .ok();
}

/// Runs `command` on a usual terminal, and types `keys` (a format of printf(1)) two seconds
/// later.
#[track_caller]
pub(crate) fn type_into(
    host: &DisposableHost,
    login: &Login<'_>,
    command: &str,
    keys: &str,
) -> Output {
    let line = login.line(["-tt"], &format!("TERM=xterm-256color {command}"));
    let script = format!("(sleep 2; printf '{keys}'; sleep 1) | \"$@\"");
    let mut all = vec!["bash", "-c", &script, "type_into"];
    all.extend(line.iter().map(String::as_str));
    host.run(all)
}

/// Creates certificates for localhost: the host trusts that of `friend`, and not that of
/// `stranger`.
#[track_caller]
pub(crate) fn certify(host: &DisposableHost) {
    host.sh("for name in friend stranger; do
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
                -addext subjectAltName=DNS:localhost -keyout /run/$name.key -out /run/$name.crt 2>/dev/null
        done
        cat /run/friend.crt >>/etc/ssl/certs/ca-certificates.crt")
        .ok();
}

/// A server with such a certificate, which serves the files below `/run/www` or, where there is no
/// such directory, a page about the connection.
#[track_caller]
pub(crate) fn serve_tls(host: &DisposableHost, name: &str, port: &str) -> Running {
    let script = "if cd /run/www 2>/dev/null; then how=-WWW; else how=-www; fi
        exec openssl s_server $how -accept $2 -key /run/$1.key -cert /run/$1.crt";
    let mut server = host.spawn(["bash", "-c", script, "serve", name, port]);
    server.hear("ACCEPT");
    server
}

//! Processes of sshd for connections: the user of each, and how far its login is.
//!
//! Between authentication and chroot(2) the process that will run as the user still runs as root
//! with the root directory of the host, so neither user id nor root directory shows the user. The
//! process title does (setproctitle in the sources of OpenSSH), in forms that differ between
//! versions:
//!
//! | process | to 9.7 | 9.8 to 10.4 | 10.5 and later |
//! |---|---|---|---|
//! | accepted | `sshd: [accepted]` | `sshd-session: [accepted]`, `[rexeced]` | as 9.8 |
//! | network | `sshd: bob [net]` | `sshd-session: bob [net]`, `sshd-auth: bob [net]` | see below |
//! | monitor | `sshd: bob [priv]` | `sshd-session: bob [priv]` | see below |
//! | PAM | `sshd: bob [pam]` | `sshd-session: bob [pam]` | as 9.8 |
//!
//! From 10.5 on, the network process is `sshd-auth: bob [net]`, and `[session-auth]` before it has
//! a name; the monitor is as in 9.8, and `bob [postauth]` after authentication.
//!
//! A title is truncated to the room that the arguments and the environment had when sshd was
//! started. So a process is identified by name, ids, parent and children; a title is used if it is
//! complete, and without one the connection can be of any user.

use super::process_info::ProcessInfo;

/// Process of sshd for one connection, with user id 0.
#[derive(Debug)]
pub(super) struct Connection<'s> {
    pub(super) seen: &'s ProcessInfo,
    /// Login name, if the title is complete and contains it.
    pub(super) user: Option<&'s str>,
    pub(super) stage: Stage,
}

/// Progress of the login of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before authentication.
    Unauthenticated,
    /// Authentication is over, or no title shows that it is not.
    Authenticated,
}

/// Meaning of a process title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Title<'s> {
    /// The process that listens.
    Listener,
    /// A connection without a valid login name.
    Nobody,
    /// The unprivileged process before authentication; with the login name once the client has sent
    /// it.
    Network(Option<&'s str>),
    /// The process in which PAM asks for passwords.
    Asking(&'s str),
    /// `NAME [word]`: the monitor of a connection.
    Monitor(&'s str),
    /// `NAME` or `NAME@TERMINAL`: the process that runs as the user, or a truncated title.
    Session(&'s str),
    /// No title of sshd.
    Other,
}

impl<'s> Title<'s> {
    fn parse(text: &'s str) -> Self {
        let Some((program, rest)) = text.split_once(": ") else {
            return Self::Other;
        };
        // Arguments can contain `: ` too.
        if !program.starts_with("sshd") || program.contains(['/', ' ']) {
            return Self::Other;
        }
        if rest.contains(" [listener]") {
            return Self::Listener;
        }
        if rest.starts_with("[session-auth") || rest == "[net]" {
            return Self::Network(None);
        }
        let bracket = rest
            .strip_suffix(']')
            .and_then(|rest| rest.rsplit_once('['));
        match bracket {
            Some(("", _)) => Self::Nobody,
            Some((name, word)) => {
                let name = name.trim_end();
                let known = Some(name).filter(|name| *name != "unknown");
                match (known, word) {
                    (_, "net") => Self::Network(known),
                    (None, _) => Self::Nobody,
                    (Some(name), "pam") => Self::Asking(name),
                    (Some(name), _) => Self::Monitor(name),
                }
            }
            None => Self::Session(rest.rsplit_once('@').map_or(rest, |(name, _)| name)),
        }
    }
}

impl<'s> Connection<'s> {
    /// Every connection among the processes of the running system.
    ///
    /// `is_root` returns whether a login name has user id 0: the processes of a session of root
    /// have that id until its end.
    pub(super) fn all(seen: &'s [ProcessInfo], is_root: impl Fn(&str) -> bool) -> Vec<Self> {
        let sshd: Vec<(&ProcessInfo, Title<'_>)> = seen
            .iter()
            .filter(|seen| seen.is_sshd)
            .map(|seen| {
                (
                    seen,
                    Title::parse(seen.title.as_deref().unwrap_or_default()),
                )
            })
            .collect();
        let is_roots = |pid: i32| {
            sshd.iter()
                .any(|(other, _)| other.process.pid == pid && other.process.uid == 0)
        };
        let is_listener = |pid: i32| {
            sshd.iter()
                .any(|(other, title)| other.process.pid == pid && *title == Title::Listener)
        };
        let has_network = |pid: i32| {
            sshd.iter().any(|(child, title)| {
                child.parent == pid
                    && (matches!(title, Title::Network(_)) || child.name == "sshd-auth")
            })
        };
        let found = sshd.iter().filter(|(seen, _)| {
            // sshd of a container has other accounts.
            seen.process.uid == 0 && seen.is_near && seen.process.root.as_os_str() == "/"
        });
        found
            .filter_map(|(seen, title)| {
                let pid = seen.process.pid;
                let authenticated = if has_network(pid) {
                    Stage::Unauthenticated
                } else {
                    Stage::Authenticated
                };
                let (user, stage) = match *title {
                    // A child that the listener has just forked still has its title.
                    Title::Listener if is_listener(seen.parent) => (None, Stage::Unauthenticated),
                    Title::Listener => return None,
                    Title::Nobody => (None, Stage::Unauthenticated),
                    Title::Network(user) => (user, Stage::Unauthenticated),
                    Title::Asking(user) => (Some(user), Stage::Unauthenticated),
                    Title::Monitor(user) => (Some(user), authenticated),
                    Title::Session(user) if is_root(user) => return None,
                    Title::Session(_) => (None, authenticated),
                    // Before its first title, which it sets before it reads a login name.
                    Title::Other if seen.is_new_connection() => (None, Stage::Unauthenticated),
                    // There is no room for a title.
                    Title::Other if seen.name != "sshd" || is_roots(seen.parent) => {
                        (None, authenticated)
                    }
                    Title::Other => return None,
                };
                Some(Self { seen, user, stage })
            })
            .collect()
    }

    /// Whether a child runs as a user whose id is not in `uids`: the connection is of that user.
    pub(super) fn serves_others(&self, seen: &[ProcessInfo], uids: &[u32]) -> bool {
        let pid = self.seen.process.pid;
        let mut children = seen.iter().filter(|child| child.parent == pid);
        children.any(|child| child.process.uid != 0 && !uids.contains(&child.process.uid))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Process;
    use super::*;

    /// A process of `uid` with this name (comm) and title.
    fn seen(pid: i32, parent: i32, uid: u32, name: &str, title: &str) -> ProcessInfo {
        ProcessInfo {
            process: Process {
                pid,
                uid,
                root: "/".into(),
            },
            parent,
            name: name.to_owned(),
            is_sshd: name.starts_with("sshd"),
            is_near: true,
            title: Some(title.to_owned()),
        }
    }

    fn found(all: &[ProcessInfo]) -> Vec<(i32, Option<&str>, Stage)> {
        Connection::all(all, |name| name == "root")
            .into_iter()
            .map(|found| (found.seen.process.pid, found.user, found.stage))
            .collect()
    }

    use Stage::{Authenticated, Unauthenticated};

    const LISTENER: &str = "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups";

    #[test]
    fn the_stages_of_a_connection_up_to_openssh_9_7() {
        let listener = || seen(1, 0, 0, "sshd", LISTENER);
        let of = |titles: &[(i32, i32, u32, &str)]| -> Vec<ProcessInfo> {
            let one = |&(pid, parent, uid, title): &(i32, i32, u32, &str)| {
                seen(pid, parent, uid, "sshd", title)
            };
            std::iter::once(listener())
                .chain(titles.iter().map(one))
                .collect()
        };
        let all = of(&[(2, 1, 0, "sshd: [accepted]"), (3, 2, 99, "sshd: [net]")]);
        assert_eq!(found(&all), [(2, None, Unauthenticated)]);
        let all = of(&[
            (2, 1, 0, "sshd: unknown [priv]"),
            (3, 2, 99, "sshd: unknown [net]"),
        ]);
        assert_eq!(found(&all), [(2, None, Unauthenticated)]);
        let all = of(&[(2, 1, 0, "sshd: bob [priv]"), (3, 2, 99, "sshd: bob [net]")]);
        assert_eq!(found(&all), [(2, Some("bob"), Unauthenticated)]);
        let all = of(&[(2, 1, 0, "sshd: bob [priv]")]);
        assert_eq!(found(&all), [(2, Some("bob"), Authenticated)]);
        let all = of(&[
            (2, 1, 0, "sshd: bob [priv]"),
            (4, 2, 1001, "sshd: bob@pts/0"),
        ]);
        assert_eq!(found(&all), [(2, Some("bob"), Authenticated)]);
        // Just forked: still of root, with the title of its parent.
        let all = of(&[(2, 1, 0, "sshd: bob [priv]"), (4, 2, 0, "sshd: bob [priv]")]);
        assert_eq!(
            found(&all),
            [
                (2, Some("bob"), Authenticated),
                (4, Some("bob"), Authenticated)
            ]
        );
        let all = of(&[(2, 1, 0, "sshd: root@pts/0"), (5, 1, 0, "sshd: root")]);
        assert_eq!(found(&all), []);
    }

    #[test]
    fn the_stages_of_a_connection_from_openssh_9_8_on() {
        let listener = || seen(1, 0, 0, "sshd", LISTENER);
        let early = [
            listener(),
            seen(2, 1, 0, "sshd-session", "sshd-session: [accepted]"),
            seen(3, 2, 99, "sshd-auth", "sshd-auth: [session-auth]"),
            seen(
                4,
                1,
                0,
                "sshd-session",
                "/usr/lib/openssh/sshd-session\0-D\0-R",
            ),
            seen(5, 1, 0, "sshd-session", "sshd-session: [rexeced]"),
            seen(6, 1, 0, "sshd-session", "sshd-session: bob [priv]"),
            // Between the answer of the monitor and the new title of the other process.
            seen(7, 6, 99, "sshd-auth", "sshd-auth: [session-auth]"),
        ];
        assert_eq!(
            found(&early),
            [
                (2, None, Unauthenticated),
                (4, None, Unauthenticated),
                (5, None, Unauthenticated),
                (6, Some("bob"), Unauthenticated),
            ]
        );
        // 9.8 to 10.4, and 10.5: the monitor once the user is known.
        for word in ["priv", "postauth", "a-later-word"] {
            let title = format!("sshd-session: bob [{word}]");
            let all = [listener(), seen(2, 1, 0, "sshd-session", &title)];
            assert_eq!(found(&all), [(2, Some("bob"), Authenticated)], "{word}");
        }
        // Its listener was restarted.
        let orphan = [seen(
            2,
            0,
            0,
            "sshd-session",
            "sshd-session: bob [postauth]",
        )];
        assert_eq!(found(&orphan), [(2, Some("bob"), Authenticated)]);
    }

    #[test]
    fn a_title_that_was_cut_is_anybodys() {
        let all = [
            seen(1, 0, 0, "sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of"),
            seen(2, 1, 0, "sshd", "sshd: harlequin [pr"),
            seen(3, 1, 0, "sshd", "sshd: harl"),
            seen(4, 1, 0, "sshd", ""),
        ];
        assert_eq!(
            found(&all),
            [
                (2, None, Authenticated),
                (3, None, Authenticated),
                (4, None, Authenticated)
            ]
        );
    }

    #[test]
    fn what_listens_is_no_connection() {
        for title in [
            LISTENER,
            "/usr/sbin/sshd -D",
            "/usr/sbin/sshd -D -o Banner=a: b",
            "sshd -p 2222",
        ] {
            assert_eq!(found(&[seen(1, 0, 0, "sshd", title)]), [], "{title}");
        }
        let inetd = [seen(1, 0, 0, "sshd", "/usr/sbin/sshd\0-i")];
        assert_eq!(found(&inetd), [(1, None, Unauthenticated)]);
        let forked = [
            seen(1, 0, 0, "sshd", LISTENER),
            seen(2, 1, 0, "sshd", LISTENER),
        ];
        assert_eq!(found(&forked), [(2, None, Unauthenticated)]);
    }

    #[test]
    fn only_this_systems_sshd_counts() {
        let mut container = seen(2, 1, 0, "sshd", "sshd: bob [priv]");
        container.is_near = false;
        let mut elsewhere = seen(3, 1, 0, "sshd", "sshd: bob [priv]");
        elsewhere.process.root = "/srv/system".into();
        let users = seen(4, 1, 1001, "sshd", "sshd: bob [priv]");
        assert_eq!(found(&[container, elsewhere, users]), []);
    }

    #[test]
    fn a_child_tells_whose_a_connection_without_a_title_has_become() {
        let serves = |child: ProcessInfo| {
            let all = [seen(2, 1, 0, "sshd", "sshd: ?"), child];
            let connections = Connection::all(&all, |_| false);
            let [connection] = connections.as_slice() else {
                panic!("{connections:?}");
            };
            connection.serves_others(&all, &[1001])
        };
        assert!(serves(seen(3, 2, 1000, "bash", "-bash")));
        assert!(!serves(seen(3, 2, 1001, "bash", "-bash")));
        // Of root, and possibly a helper of a PAM module.
        assert!(!serves(seen(3, 2, 0, "sleep", "sleep\x003")));
        assert!(!serves(seen(3, 9, 1000, "bash", "-bash")));
    }
}

//! Policies: what one account may do, as a text of lines. A build writes it, and the gate reads it.
//!
//! ```text
//! gate 1
//! user ana
//! home /home/ana
//! umask 0027
//! way rsync
//! program /usr/bin/rsync
//! directory /backup
//! mode append-only
//! key
//! program /usr/bin/borg
//! argument serve
//! ```

use std::fmt::Write as _;

/// First line of a policy of the format that this version writes, and the only one that it reads.
const FORMAT: &str = "gate 1";

/// Directory in a jail of the policies: a file for each account, by its user id.
pub const DIRECTORY: &str = "/jail/ways";
/// Argument of the gate for a request in `SSH_ORIGINAL_COMMAND`.
pub const BY_REQUEST: &str = "ways";
/// Argument of the gate, before its number, for the command of a key.
pub const BY_KEY: &str = "key ";

/// What one account may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Login name, for messages.
    pub user: String,
    /// Home directory in the jail.
    pub home: String,
    /// umask(2) of what the gate starts; `None` keeps that of sshd.
    pub umask: Option<u32>,
    /// Ways in; at most one of a protocol.
    pub ways: Vec<Way>,
    /// Commands of keys, by the number that their keys name, from 0.
    pub keys: Vec<Command>,
}

/// A program with its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Path in the jail.
    pub program: String,
    /// Arguments, without the name of the program.
    pub arguments: Vec<String>,
}

/// A way in: a protocol, the program that serves it, and its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The protocol.
    pub protocol: Protocol,
    /// Program, with arguments that it always gets.
    pub command: Command,
    /// Directory that the protocol is limited to.
    pub directory: Option<String>,
    /// What may be done there.
    pub mode: Mode,
}

/// Protocol of a way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// sftp(1).
    Sftp,
    /// The protocol of rcp(1): `scp -O`.
    Scp,
    /// rsync(1).
    Rsync,
    /// git(1): clone, fetch and push.
    Git,
    /// borg(1).
    Borg,
    /// restic(1), by `rclone serve restic`.
    Restic,
    /// One command, for each request that no other way takes.
    Command,
}

impl Protocol {
    /// All protocols.
    pub const ALL: [Self; 7] = [
        Self::Sftp,
        Self::Scp,
        Self::Rsync,
        Self::Git,
        Self::Borg,
        Self::Restic,
        Self::Command,
    ];

    /// Name in specs and policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sftp => "sftp",
            Self::Scp => "scp",
            Self::Rsync => "rsync",
            Self::Git => "git",
            Self::Borg => "borg",
            Self::Restic => "restic",
            Self::Command => "command",
        }
    }

    /// Modes that the protocol can enforce, the default first.
    pub fn modes(self) -> &'static [Mode] {
        match self {
            Self::Rsync => &[
                Mode::ReadWrite,
                Mode::ReadOnly,
                Mode::WriteOnly,
                Mode::AppendOnly,
            ],
            Self::Scp => &[Mode::ReadWrite, Mode::ReadOnly, Mode::WriteOnly],
            Self::Git | Self::Sftp => &[Mode::ReadWrite, Mode::ReadOnly],
            Self::Borg | Self::Restic => &[Mode::ReadWrite, Mode::AppendOnly],
            Self::Command => &[Mode::ReadWrite],
        }
    }
}

/// What may be done in the directory of a way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Everything.
    #[default]
    ReadWrite,
    /// Reading.
    ReadOnly,
    /// Writing, by a protocol that then returns no content.
    WriteOnly,
    /// Reading, and adding what does not exist.
    AppendOnly,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 4] = [
        Self::ReadWrite,
        Self::ReadOnly,
        Self::WriteOnly,
        Self::AppendOnly,
    ];

    /// Name in specs and policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadWrite => "read-write",
            Self::ReadOnly => "read-only",
            Self::WriteOnly => "write-only",
            Self::AppendOnly => "append-only",
        }
    }

    /// The mode of this name.
    pub fn new(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name)
    }

    /// Whether files may be created.
    pub fn can_write(self) -> bool {
        self != Self::ReadOnly
    }

    /// Whether content may be read.
    pub fn can_read(self) -> bool {
        self != Self::WriteOnly
    }
}

impl Policy {
    /// Text of the policy. No value of it has a control character.
    pub fn to_text(&self) -> String {
        let mut text = format!("{FORMAT}\nuser {}\nhome {}\n", self.user, self.home);
        // Writing to a String cannot fail.
        if let Some(umask) = self.umask {
            let _ = writeln!(text, "umask {umask:04o}");
        }
        let command = |text: &mut String, command: &Command| {
            let _ = writeln!(text, "program {}", command.program);
            for argument in &command.arguments {
                let _ = writeln!(text, "argument {argument}");
            }
        };
        for way in &self.ways {
            let _ = writeln!(text, "way {}", way.protocol.as_str());
            command(&mut text, &way.command);
            if let Some(directory) = &way.directory {
                let _ = writeln!(text, "directory {directory}");
            }
            if way.mode != Mode::ReadWrite {
                let _ = writeln!(text, "mode {}", way.mode.as_str());
            }
        }
        for key in &self.keys {
            text.push_str("key\n");
            command(&mut text, key);
        }
        text
    }

    /// Parses the text of a policy.
    ///
    /// # Errors
    /// A clause about the policy, for any text that a build does not write.
    pub fn parse(text: &str) -> Result<Self, String> {
        /// The value that lines are about.
        enum Part {
            Account,
            Way,
            Key,
        }
        let mut lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        if lines.next() != Some(FORMAT) {
            return Err(format!("it does not begin with `{FORMAT}`"));
        }
        let mut policy = Self::default();
        let mut part = Part::Account;
        for line in lines {
            let (word, value) = line.split_once(' ').unwrap_or((line, ""));
            let damaged = || format!("it has the line {line:?}");
            let way = policy.ways.last_mut();
            let command = match part {
                Part::Account => None,
                Part::Way => way.map(|way| &mut way.command),
                Part::Key => policy.keys.last_mut(),
            };
            match (word, command) {
                ("user", None) => value.clone_into(&mut policy.user),
                ("home", None) => value.clone_into(&mut policy.home),
                ("umask", None) => {
                    let umask = u32::from_str_radix(value, 8).map_err(|_| damaged())?;
                    policy.umask = Some(umask);
                }
                ("way", _) => {
                    let mut known = Protocol::ALL.into_iter();
                    let protocol = known.find(|one| one.as_str() == value);
                    policy.ways.push(Way {
                        protocol: protocol.ok_or_else(damaged)?,
                        command: Command::default(),
                        directory: None,
                        mode: Mode::default(),
                    });
                    part = Part::Way;
                }
                ("key", _) if line == "key" => {
                    policy.keys.push(Command::default());
                    part = Part::Key;
                }
                ("program", Some(command)) => value.clone_into(&mut command.program),
                ("argument", Some(command)) => command.arguments.push(value.to_owned()),
                ("directory" | "mode", Some(_)) if matches!(part, Part::Way) => {
                    let way = policy.ways.last_mut().ok_or_else(damaged)?;
                    if word == "mode" {
                        way.mode = Mode::new(value).ok_or_else(damaged)?;
                    } else {
                        way.directory = Some(value.to_owned());
                    }
                }
                _ => return Err(damaged()),
            }
        }
        policy.check()?;
        Ok(policy)
    }

    /// Checks what the types do not express.
    fn check(&self) -> Result<(), String> {
        let ways = self.ways.iter().map(|way| &way.command);
        let is_absolute = |path: &str| path.starts_with('/');
        if self.user.is_empty() || !is_absolute(&self.home) {
            return Err("it has no user or no home".to_owned());
        }
        let mut commands = ways.chain(&self.keys);
        if !commands.all(|command| is_absolute(&command.program)) {
            return Err("it has a program without a path".to_owned());
        }
        let mut directories = self.ways.iter().filter_map(|way| way.directory.as_deref());
        if !directories.all(is_absolute) {
            return Err("it has a directory without a path".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        let command = |program: &str, arguments: &[&str]| Command {
            program: program.to_owned(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
        };
        Policy {
            user: "ana".to_owned(),
            home: "/home/ana".to_owned(),
            umask: Some(0o027),
            ways: vec![
                Way {
                    protocol: Protocol::Rsync,
                    command: command("/usr/bin/rsync", &[]),
                    directory: Some("/back up".to_owned()),
                    mode: Mode::AppendOnly,
                },
                Way {
                    protocol: Protocol::Sftp,
                    command: command("/usr/lib/openssh/sftp-server", &["-d", "/a b"]),
                    directory: None,
                    mode: Mode::ReadWrite,
                },
            ],
            keys: vec![command("/usr/bin/borg", &["serve", ""]), command("/x", &[])],
        }
    }

    #[test]
    fn a_written_policy_is_read_back() {
        assert_eq!(Policy::parse(&policy().to_text()), Ok(policy()));
    }

    #[test]
    fn a_damaged_policy_is_refused() {
        let text = policy().to_text();
        for (from, to) in [
            ("gate 1", "gate 2"),
            ("way rsync", "way shell"),
            ("mode append-only", "mode append"),
            ("umask 0027", "umask 0o27"),
            ("program /usr/bin/rsync\n", ""),
            ("program /usr/bin/borg", "program borg"),
            ("directory /back up", "directory back up"),
            ("home /home/ana\n", ""),
            ("user ana\n", ""),
            ("key\n", "key 1\n"),
            ("way sftp", "path /x"),
        ] {
            let other = text.replacen(from, to, 1);
            assert_ne!(other, text, "{from}");
            assert!(Policy::parse(&other).is_err(), "{other}");
        }
        assert!(Policy::parse("").is_err());
    }
}

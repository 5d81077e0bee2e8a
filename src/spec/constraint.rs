//! Types of values, and constraints on single strings. Checks of values against each other are in
//! `validate`.

use std::borrow::Cow;

use super::authorized_keys;
use super::display::{is_hidden, list, quote, suggest};
use super::password;
use super::path_rules;
use super::reserved_names;
use super::values;
use super::violation::Violation;
use crate::names::{JailName, JailPath};

/// Type of the value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// `[key]`.
    Table,
    /// `[[key]]`. The first of these keys that an element has identifies it: in a merge, an element
    /// replaces the one of a lower layer with the same identity.
    Tables(&'static [&'static str]),
    /// String.
    Text(Constraint),
    /// Array of strings.
    Texts(Constraint),
    /// Integer between two bounds, both included.
    Integer(i64, i64),
    /// `true` or `false`.
    Boolean,
    /// Date without a time.
    Date,
}

impl ValueType {
    /// Name of the type, with its article.
    pub fn description(self) -> &'static str {
        match self {
            Self::Table => "a table",
            Self::Tables(_) => "an array of tables",
            Self::Text(_) => "a string",
            Self::Texts(_) => "an array of strings",
            Self::Integer(..) => "an integer",
            Self::Boolean => "a boolean",
            Self::Date => "a date",
        }
    }
}

/// Keywords of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyWords {
    /// Kind of keyword, with its article: "a way in".
    pub kind: &'static str,
    /// Supported keywords.
    pub now: &'static [&'static str],
}

/// Constraint on a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// Name of a jail, see [`JailName`].
    JailName,
    /// Name of a user, see [`crate::names::UserName`], that is not a system account.
    UserName,
    /// Name of a group, in the same characters as a user name.
    GroupName,
    /// Name of a template: a file name without suffix.
    Template,
    /// Program: a name on the host's PATH, or an absolute host path.
    Binary,
    /// Name of a host package.
    Package,
    /// Root of a jail on the host.
    Root,
    /// Host path to copy.
    Source,
    /// Host path to mount.
    MountSource,
    /// Path inside the jail.
    JailPath,
    /// Home directory inside the jail.
    Home,
    /// Target of a `[[file]]`.
    Target,
    /// Path of a `[[dir]]`.
    Dir,
    /// Mount point of a `[[mount]]`.
    MountTarget,
    /// Start directory of sftp.
    StartDir,
    /// Directory of a way in, with the component `%u` for the name of the user.
    WayDir,
    /// Octal permission bits without setuid, setgid, sticky, and write permission for group and
    /// others.
    Mode,
    /// Group of a `[[dir]]`.
    DirGroup,
    /// Octal permission bits of a `[[dir]]`: as `Mode`, and with setgid and write permission for
    /// the group.
    DirMode,
    /// Octal umask.
    Umask,
    /// Keyword.
    Word(KeyWords),
    /// Line of an authorized_keys file.
    KeyLine,
    /// `locked`, `unchanged` or a crypt(5) hash.
    Password,
    /// Text of any number of lines.
    Content,
    /// Number of bytes, with `K`, `M`, `G` or `T` for powers of 1024.
    Size,
    /// Number of bytes as `Size`, or `0`.
    SizeOrNone,
    /// Percentage of one CPU.
    Percent,
    /// List of CPUs, as in cpuset(7).
    Cpus,
    /// Character device of the host.
    Device,
    /// Path of a control group in its hierarchy.
    ControlGroup,
    /// Protocol and port: `tcp/80`.
    Port,
    /// Option of mount(8).
    MountOption,
    /// Argument of a command.
    Argument,
}

impl Constraint {
    /// Name of the values, with its article; completes "is not …".
    pub fn description(self) -> &'static str {
        match self {
            Self::JailName => "a jail name",
            Self::UserName => "a user name",
            Self::GroupName => "a group name",
            Self::Template => "a template name",
            Self::Binary => "a program name or path",
            Self::Package => "a package name",
            Self::Root => "a valid root",
            Self::Source => "a host path that may be copied",
            Self::MountSource => "a host path that may be mounted",
            Self::JailPath => "a path inside the jail",
            Self::Home => "a valid home",
            Self::Target => "a valid target of a `[[file]]`",
            Self::Dir => "a valid path of a `[[dir]]`",
            Self::MountTarget => "a valid target of a `[[mount]]`",
            Self::StartDir => "a valid start directory",
            Self::WayDir => "a directory inside the jail",
            Self::Mode => "a mode",
            Self::DirGroup => "a group of the jail",
            Self::DirMode => "a mode of a directory",
            Self::Umask => "a umask",
            Self::Word(words) => words.kind,
            Self::KeyLine => "a line of authorized_keys",
            Self::Password => "`locked`, `unchanged` or a crypt(5) hash",
            Self::Content => "plain text",
            Self::Size => "a size",
            Self::SizeOrNone => "a size or 0",
            Self::Percent => "a percentage",
            Self::Cpus => "a list of CPUs",
            Self::Device => "a device",
            Self::ControlGroup => "a control group",
            Self::Port => "a protocol and port",
            Self::MountOption => "a mount option",
            Self::Argument => "an argument",
        }
    }

    /// The constraint in a sentence, for hints and the reference.
    pub fn help(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::JailName => {
                "a jail name has 1 to 27 characters: a-z first, then a-z, 0-9, `_` and `-`"
            }
            Self::UserName | Self::GroupName => {
                "a name has 1 to 32 characters: a-z or `_` first, then a-z, 0-9, `_` and `-`"
            }
            Self::Template => {
                "a template name has 1 to 32 characters: a-z first, then a-z, 0-9, `_` and `-`"
            }
            Self::Binary => {
                "write a name on the host's PATH such as `ls`, or an absolute path such as `/opt/tool/bin/tool`"
            }
            Self::Package => {
                "write the names that the host's package manager uses, each as a separate string"
            }
            Self::Root => {
                "a root is an absolute path of two or more components in a-z, A-Z, 0-9, `.`, `_` and `-`, such as `/srv/jails/arkham`; the component `%u` is replaced by each user name"
            }
            Self::Source | Self::MountSource => {
                "write an absolute host path without `.`, `..` and a final `/`"
            }
            Self::JailPath
            | Self::Home
            | Self::Target
            | Self::Dir
            | Self::MountTarget
            | Self::WayDir => {
                "write an absolute path inside the jail without `.`, `..` and a final `/`"
            }
            Self::StartDir => {
                "write a directory of the jail in a-z, A-Z, 0-9, `.`, `_`, `-` and `/`, such as `/upload`"
            }
            Self::Mode => {
                "a mode is a string of octal digits without write permission for group and others, such as \"0644\" or \"0750\""
            }
            Self::DirGroup => {
                "write the group of the jail, such as \"jail-arkham\", or one of the `groups` of a user"
            }
            Self::DirMode => {
                "the mode of a directory is a string of octal digits without write permission for others, such as \"0750\" or \"2770\""
            }
            Self::Umask => "a umask is a string of octal digits, such as \"0027\"",
            Self::Word(words) => {
                return Cow::Owned(format!("write {}", list(words.now.iter().copied(), "or")));
            }
            Self::KeyLine => "write the line of the user's .pub file: key type, key, comment",
            Self::Password => {
                "create a hash with `mkpasswd` or `openssl passwd -6` and put it between single quotes"
            }
            Self::Content => "text may contain newlines and tabs, but no other control characters",
            Self::Size => "a size is a number with `K`, `M`, `G` or `T`, such as \"256M\"",
            Self::SizeOrNone => {
                "write a number with `K`, `M`, `G` or `T`, such as \"256M\", or \"0\""
            }
            Self::Cpus => "write numbers and ranges separated by commas, such as \"0-2,4\"",
            Self::Device => {
                "write the path of a character device below /dev, such as \"/dev/fuse\""
            }
            Self::ControlGroup => {
                "write its path in the hierarchy, in a-z, A-Z, 0-9, `.`, `_` and `-`, such as \"/customers/acme\""
            }
            Self::Percent => "write a percentage of one CPU, such as \"50%\" or \"200%\"",
            Self::Port => "write `tcp/` or `udp/` and a port from 1 to 65535, such as \"tcp/80\"",
            Self::MountOption => {
                "write `ro` or `rw`, `nosuid` or `suid`, `nodev` or `dev`, `noexec` or `exec`, and for tmpfs `size=64M` or `mode=1777`"
            }
            Self::Argument => {
                "write each argument as a separate string of one line without control characters"
            }
        })
    }

    /// Regular expression for editors. It accepts all valid values, and refuses the most common
    /// mistakes. Empty for keywords, and if there is no such expression.
    pub fn pattern(self) -> &'static str {
        match self {
            Self::JailName => "^[a-z][a-z0-9_-]{0,26}$",
            Self::DirMode => "^[02]?[0-7][0-7][0145]$",
            Self::UserName | Self::GroupName | Self::DirGroup => "^[a-z_][a-z0-9_-]{0,31}$",
            Self::Template => "^[a-z][a-z0-9_-]{0,31}$",
            Self::Binary => "^(/[^\\n]*[^/\\n]|[A-Za-z0-9._+\\[][A-Za-z0-9._+\\[-]*)$",
            Self::Package => "^[A-Za-z0-9][A-Za-z0-9._+:-]*$",
            Self::Root => "^(/[A-Za-z0-9._%-]+){2,}$",
            Self::Source
            | Self::MountSource
            | Self::Home
            | Self::Target
            | Self::Dir
            | Self::MountTarget => "^/[^\\n]*[^/\\n]$",
            Self::JailPath | Self::WayDir => "^/([^\\n]*[^/\\n])?$",
            Self::StartDir => "^/([A-Za-z0-9._/-]*[A-Za-z0-9._-])?$",
            Self::Mode => "^0?[0-7][0145][0145]$",
            Self::Umask => "^0?[01][0-7][0-7]$",
            Self::KeyLine => "^[a-z].* AAAA",
            Self::Password => "^(locked|unchanged|\\$.+|_.{19})$",
            Self::Size => "^[0-9]+[KMGT]?$",
            Self::SizeOrNone => "^[0-9]+[KMGT]?$",
            Self::Percent => "^[0-9]+%$",
            Self::Cpus => "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$",
            Self::Device => "^/dev/[A-Za-z0-9._/-]+$",
            Self::ControlGroup => "^(/[A-Za-z0-9._-]+)+$",
            Self::Port => "^(tcp|udp)/[0-9]+$",
            Self::MountOption => "^[A-Za-z0-9_=%.-]+$",
            Self::Word(_) | Self::Content | Self::Argument => "",
        }
    }

    /// Whether values are never printed, even if they are invalid.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Password | Self::KeyLine)
    }

    /// Checks `text`.
    ///
    /// # Errors
    /// The violation.
    pub fn check(self, text: &str) -> Result<(), Violation> {
        if self != Self::KeyLine {
            self.check_characters(text)?;
        }
        match self {
            Self::JailName => Ok(JailName::new(text).map(drop)?),
            Self::UserName => reserved_names::user(text),
            Self::GroupName => reserved_names::group(text),
            Self::Template => template_name(text),
            Self::Binary => binary(text),
            Self::Package => package(text),
            Self::Root => path_rules::root(text),
            Self::Source => path_rules::source(text),
            Self::MountSource => path_rules::mount_source(text),
            Self::JailPath => Ok(JailPath::new(text).map(drop)?),
            Self::Home => path_rules::home(&JailPath::new(text)?),
            Self::Target => path_rules::target(&JailPath::new(text)?),
            Self::Dir => path_rules::dir(&JailPath::new(text)?),
            Self::MountTarget => path_rules::mount_target(&JailPath::new(text)?),
            Self::StartDir => path_rules::start_dir(&JailPath::new(text)?),
            Self::WayDir => path_rules::way_dir(&JailPath::new(text)?),
            Self::Mode => mode(text).map(drop),
            Self::DirGroup => reserved_names::dir_group(text),
            Self::DirMode => dir_mode(text).map(drop),
            Self::Umask => umask(text),
            Self::Word(words) => word(words, text),
            Self::KeyLine => authorized_keys::check(text),
            Self::Password => password::check(text),
            Self::Content => Ok(()),
            Self::Size => values::size(text).map(drop),
            Self::SizeOrNone if text == "0" => Ok(()),
            Self::SizeOrNone => values::size(text).map(drop),
            Self::Percent => values::percent(text).map(drop),
            Self::Cpus => values::cpus(text),
            Self::Device => values::device(text),
            Self::ControlGroup => values::control_group(text).map(drop),
            Self::Port => port(text),
            Self::MountOption => mount_option(text),
            Self::Argument => Ok(()),
        }
    }

    fn check_characters(self, text: &str) -> Result<(), Violation> {
        let lines = self == Self::Content;
        match text
            .chars()
            .find(|&c| is_hidden(c) && !(lines && (c == '\n' || c == '\t')))
        {
            None => Ok(()),
            Some(_) if self.is_secret() => Err("has a control or invisible character".into()),
            Some(c) => Err(Violation::form(format!(
                "has the {} character `{}`",
                if c.is_control() {
                    "control"
                } else {
                    "invisible"
                },
                super::display::visible(c)
            ))),
        }
    }
}

fn template_name(text: &str) -> Result<(), Violation> {
    if text.len() > 32 {
        return Err("is longer than 32 characters".into());
    }
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err("does not start with a letter a-z".into());
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if !text.chars().all(plain) {
        return Err("has a character other than a-z, 0-9, `_` and `-`".into());
    }
    Ok(())
}

fn binary(text: &str) -> Result<(), Violation> {
    if text.starts_with('/') {
        return path_rules::binary(text);
    }
    if text.is_empty() {
        return Err("is empty".into());
    }
    if text.contains(char::is_whitespace) {
        return Err(Violation::new("has a space").hint(
            "write each program as a separate string, without arguments: [\"ls\", \"cat\"]",
        ));
    }
    if text.contains('/') {
        return Err("is neither a name nor an absolute path".into());
    }
    if text.starts_with('-') {
        return Err("starts with `-`".into());
    }
    if text.len() > 255 {
        return Err("is longer than 255 characters".into());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-[".contains(c);
    if text == "." || text == ".." || !text.chars().all(plain) {
        return Err("has a character that program names do not have".into());
    }
    Ok(())
}

fn package(text: &str) -> Result<(), Violation> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-:".contains(c);
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text.chars().all(plain) {
        return Err("has a character that package names do not have".into());
    }
    if text.len() > 255 {
        return Err("is longer than 255 characters".into());
    }
    Ok(())
}

fn octal(text: &str) -> Result<u32, Violation> {
    if !(3..=4).contains(&text.len()) || !text.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
        return Err("is not three or four octal digits".into());
    }
    u32::from_str_radix(text, 8).map_err(|_| "is not a number".into())
}

/// Parses permission bits: three or four octal digits.
///
/// # Errors
/// The violation.
pub fn mode(text: &str) -> Result<u32, Violation> {
    let bits = octal(text)?;
    for (bit, why) in [
        (0o4000, "has the setuid bit"),
        (0o2000, "has the setgid bit"),
        (0o1000, "has the sticky bit"),
        (0o020, "grants write permission to the group"),
        (0o002, "grants write permission to others"),
    ] {
        if bits & bit != 0 {
            let safe = bits & 0o755;
            return Err(Violation::new(why).hint(format!("the mode without it is \"{safe:04o}\"")));
        }
    }
    Ok(bits)
}

/// Parses permission bits of a directory: three or four octal digits.
///
/// # Errors
/// The violation.
pub fn dir_mode(text: &str) -> Result<u32, Violation> {
    let bits = octal(text)?;
    mode(&format!("{:04o}", bits & !0o2020)).map_err(|violation| {
        let safe = bits & 0o2775;
        violation.hint(format!("the mode without it is \"{safe:04o}\""))
    })?;
    Ok(bits)
}

/// Checks an octal umask that leaves the owner all permissions.
fn umask(text: &str) -> Result<(), Violation> {
    if octal(text)? & 0o7600 != 0 {
        return Err(Violation::new("removes permissions of the owner")
            .hint("use a umask such as \"0027\" or \"0077\""));
    }
    Ok(())
}

fn word(words: KeyWords, text: &str) -> Result<(), Violation> {
    if words.now.contains(&text) {
        return Ok(());
    }
    let violation = Violation::form(format!(
        "is none of {}",
        list(words.now.iter().copied(), "and")
    ));
    Err(match suggest(text, words.now.iter().copied()) {
        Some(meant) => violation.hint(format!("did you mean `{}`?", quote(meant))),
        None => violation,
    })
}

fn port(text: &str) -> Result<(), Violation> {
    if !text.starts_with("tcp/") && !text.starts_with("udp/") {
        return Err("starts with neither `tcp/` nor `udp/`".into());
    }
    values::port(text)
        .map(drop)
        .ok_or_else(|| "has no port from 1 to 65535".into())
}

fn mount_option(text: &str) -> Result<(), Violation> {
    values::option(text)
}

//! Names of users and groups that are refused on every host: system accounts, and groups with
//! privileges.

use super::violation::Violation;
use crate::layout::GROUP_PREFIX;
use crate::names::UserName;

/// System accounts, whatever their user id.
const SYSTEM_ACCOUNTS: &[&str] = &[
    "root",
    "daemon",
    "bin",
    "sys",
    "sync",
    "games",
    "man",
    "lp",
    "mail",
    "news",
    "uucp",
    "proxy",
    "www-data",
    "backup",
    "list",
    "irc",
    "gnats",
    "nobody",
    "_apt",
    "sshd",
    "messagebus",
    "dbus",
    "polkitd",
    "adm",
    "shutdown",
    "halt",
    "operator",
    "ftp",
    "toor",
    "nginx",
    "apache",
    "postfix",
    "mysql",
    "postgres",
    "uuidd",
    "tcpdump",
    "_chrony",
    "chrony",
    "ntp",
    "rpc",
    "sssd",
    "tss",
];

/// Checks the name of a user.
pub(crate) fn user(text: &str) -> Result<(), Violation> {
    UserName::new(text)?;
    if SYSTEM_ACCOUNTS.contains(&text) || text.starts_with("systemd-") {
        return Err(Violation::new("is a system account")
            .hint("choose another name; jailctl creates the account"));
    }
    Ok(())
}

/// Groups whose members can become root, read secrets, or change programs of other users.
const POWERFUL_GROUPS: &[&str] = &[
    "root",
    "wheel",
    "sudo",
    "admin",
    "adm",
    "shadow",
    "disk",
    "docker",
    "podman",
    "lxd",
    "incus",
    "incus-admin",
    "libvirt",
    "libvirtd",
    "kvm",
    "staff",
    "src",
    "kmem",
    "mem",
    "tty",
    "utmp",
    "input",
    "video",
    "render",
    "backup",
    "operator",
    "systemd-journal",
    "wireshark",
    "vboxusers",
    "polkitd",
    "crontab",
    "mail",
    "daemon",
    "bin",
    "sys",
    "ssl-cert",
    "ssh_keys",
    "_ssh",
];

/// Checks the name of a group of a directory. Whether the jail has it is checked in `validate`.
pub(crate) fn dir_group(text: &str) -> Result<(), Violation> {
    if text.starts_with(GROUP_PREFIX) {
        return Ok(UserName::new(text).map(drop)?);
    }
    group(text)
}

/// Checks the name of a supplementary group. Groups of the host are checked in `resolve`.
pub(crate) fn group(text: &str) -> Result<(), Violation> {
    UserName::new(text)?;
    if POWERFUL_GROUPS.contains(&text) || text.starts_with("systemd-") {
        return Err(Violation::new("is a privileged group of the host")
            .hint("choose another group for the jail"));
    }
    if text.starts_with(GROUP_PREFIX) {
        return Err(Violation::new("has the prefix of jail groups")
            .hint("each user is in the group of the jail already"));
    }
    Ok(())
}

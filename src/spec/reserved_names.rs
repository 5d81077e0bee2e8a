//! Names of users and groups that a spec may not have, whatever the host: they are the system's own, or give power.

use super::constraint::Violation;
use crate::layout::GROUP_PREFIX;
use crate::names::UserName;

/// Accounts that systems keep for themselves, whatever their uid.
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

/// Whether `text` may be the name of a jail's user.
pub(crate) fn user(text: &str) -> Result<(), Violation> {
    UserName::new(text)?;
    if SYSTEM_ACCOUNTS.contains(&text) || text.starts_with("systemd-") {
        return Err(Violation::new("is a system account")
            .hint("choose a name of its own for the jail's user; jailctl makes the account"));
    }
    Ok(())
}

/// Groups whose members can become root, read what is root's, or change what everybody runs.
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

/// Whether `text` may be the name of a further group. Which groups a host has is for `resolve` to see.
pub(crate) fn group(text: &str) -> Result<(), Violation> {
    UserName::new(text)?;
    if POWERFUL_GROUPS.contains(&text) || text.starts_with("systemd-") {
        return Err(Violation::new("gives power over the host")
            .hint("choose a group of its own for the jail"));
    }
    if text.starts_with(GROUP_PREFIX) {
        return Err(Violation::new("looks like the group of a jail")
            .hint("each user is in the jail's own group anyway"));
    }
    Ok(())
}

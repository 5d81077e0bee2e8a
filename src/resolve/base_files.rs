//! Files in `/etc` and devices that every jail has. The time zone is all that is copied from the
//! host.

use std::fmt::Write as _;
use std::path::Path;

use super::tree::{Entry, EntryKind, Reason, Tree, USR_MERGE_LINKS};
use super::types::ResolvedAccounts;
use crate::error::{Error, Finding, Result};
use crate::host::{HostView, Ownership};
use crate::layout::DEVICES;
use crate::names::JailPath;

/// Text of nsswitch.conf(5) in a jail: its own files, and DNS for hosts.
pub(super) const NSSWITCH: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nservices: files\nprotocols: files\n";
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";

/// Adds passwd, group, nsswitch.conf, hosts and localtime.
pub(super) fn add_names(
    tree: &mut Tree,
    view: &HostView,
    resolved: &ResolvedAccounts,
) -> Result<()> {
    let accounts = &resolved.accounts;
    let mut passwd = "root:x:0:0:root:/root:/usr/sbin/nologin\n".to_owned();
    for account in accounts {
        let shell = account
            .shell
            .as_ref()
            .map_or("/usr/sbin/nologin", JailPath::as_str);
        // Writing to a String cannot fail.
        let _ = writeln!(
            passwd,
            "{}:x:{}:{}::{}:{shell}",
            account.name, account.uid, account.gid, account.home
        );
    }
    let mut groups = "root:x:0:\n".to_owned();
    if let Some(group) = resolved.named_group() {
        let _ = writeln!(groups, "{}:x:{}:", group.name, group.gid);
    }
    for one in &resolved.further_groups {
        let members: Vec<&str> = accounts
            .iter()
            .filter(|account| account.groups.contains(&one.name))
            .map(|account| account.name.as_str())
            .collect();
        let _ = writeln!(groups, "{}:x:{}:{}", one.name, one.gid, members.join(","));
    }
    let names = || Reason::rule("names of users and groups");
    add(tree, "/etc/passwd", Entry::text(passwd, 0o644, names()))?;
    add(tree, "/etc/group", Entry::text(groups, 0o644, names()))?;
    add_default(
        tree,
        "/etc/nsswitch.conf",
        Entry::text(NSSWITCH, 0o644, Reason::rule("where names are looked up")),
    )?;
    add_default(
        tree,
        "/etc/hosts",
        Entry::text(HOSTS, 0o644, Reason::rule("the name localhost")),
    )?;
    if let Some(target) = view.resolve_links(Path::new("/etc/localtime"))?
        && target.stat.kind() == crate::host::FileKind::File
    {
        add_default(
            tree,
            "/etc/localtime",
            Entry::host_file(
                target.real,
                target.stat,
                vec![Reason::rule("the host's time zone")],
            ),
        )?;
    }
    Ok(())
}

/// Adds the links of a merged /usr, such as `bin -> usr/bin`, for the directories that the tree has
/// in /usr.
pub(super) fn add_usr_merge_links(tree: &mut Tree) -> Result<()> {
    for name in USR_MERGE_LINKS {
        if tree.get(&path(&format!("/usr/{name}"))?).is_some() {
            let link = Entry::symlink(format!("usr/{name}"), vec![Reason::rule("merged /usr")]);
            add(tree, &format!("/{name}"), link)?;
        }
    }
    Ok(())
}

/// Adds the devices of [`DEVICES`].
pub(super) fn add_devices(tree: &mut Tree) -> Result<()> {
    for (name, major, minor) in DEVICES {
        let entry = Entry {
            kind: EntryKind::Device { major, minor },
            owner: Ownership::root(0o666),
            user_owned: false,
            why: vec![Reason::rule("devices that programs take for granted")],
        };
        add(tree, &format!("/dev/{name}"), entry)?;
    }
    Ok(())
}

fn path(text: &str) -> Result<JailPath> {
    JailPath::new(text).map_err(|why| Error::from(Finding::new(format!("`{text}` {why}"))))
}

fn add(tree: &mut Tree, at: &str, entry: Entry) -> Result<()> {
    Ok(tree.add(path(at)?, entry)?)
}

fn add_default(tree: &mut Tree, at: &str, entry: Entry) -> Result<()> {
    Ok(tree.add_default(path(at)?, entry)?)
}

//! Paths, file names, modes and account conventions of jailctl: everything that is on disk by one
//! of its names.
//!
//! | path | mode | content |
//! |---|---|---|
//! | `/etc/jailctl/jails.d/*.toml` | | specs of the administrator |
//! | `/etc/jailctl/templates/*.toml` | | templates of the administrator |
//! | `/etc/jailctl/rules.d/*.toml` | | rules of the administrator |
//! | `/srv/jails/JAIL` | 0755 | root of a jail, unless its spec names another |
//! | `ROOT/.jailctl` | 0700 | what jailctl keeps in a root: marker, stage, previous tree |
//! | `ROOT/.jailctl/jail` | 0600 | marker: the jail of the root, and the homes of deleted users |
//! | `ROOT/.jailctl/stage` | 0700 | tree under construction, until it is exchanged |
//! | `ROOT/.jailctl/previous` | 0700 | tree before the last build, for `rollback` |
//! | `ROOT/../.jailctl/store` | 0700 | files that the jails of a directory share by hard links |
//! | `ROOT/jail` | 0755 | login shells of the jail, and `root`, a link to `/` |
//! | `ROOT/jail/gate` | 0755 | login shell of accounts without the way in `shell` |
//! | `ROOT/jail/ways/UID` | 0644 | what the gate allows to an account |
//! | `/var/lib/jailctl` | 0711 | records of all jails; sshd reads keys below it as the user |
//! | `/var/lib/jailctl/.journal` | 0600 | undo of the run in progress |
//! | `/var/lib/jailctl/JAIL` | 0711 | records of a jail |
//! | `/var/lib/jailctl/JAIL/manifest.json` | 0600 | what was built |
//! | `/var/lib/jailctl/JAIL/spec.toml` | 0600 | spec that was built |
//! | `/var/lib/jailctl/JAIL/previous` | 0700 | manifest and spec of the build before |
//! | `/var/lib/jailctl/JAIL/.new` | 0700 | manifest and spec under construction |
//! | `/var/lib/jailctl/JAIL/keys/USER` | 0644 | authorized keys of a user (`AuthorizedKeysFile`) |
//! | `/var/lib/jailctl/JAIL/locked` | 0600 | users that `lock` has locked |
//! | `/var/lib/jailctl/JAIL/policy` | 0600 | session policy |
//! | `/var/lib/jailctl/JAIL/session` | 0700 | mount point of the sessions |
//! | `/var/cache/jailctl/jails` | 0600 | index of all jails |
//! | `/var/cache/jailctl/JAIL.VERB` | 0600 | access log of a run that found nothing to do |
//! | `/run/jailctl/lock` | 0600 | lock of the host, with the process id of its holder |
//! | `/run/jailctl/net` | 0700 | registers of networks: a locked file for each session |
//! | `/run/jailctl/sessions/JAIL` | 0700 | a locked file for each session |
//! | `/etc/ssh/sshd_config.d/05-jailctl.all.conf` | 0644 | sshd settings of each jail or family |
//! | `/etc/ssh/sshd_config.d/05-jailctl.conf` | 0644 | sshd settings that all jails share |
//! | `/etc/pam.d/SERVICE` | | block of lines for jailed accounts |
//! | `/etc/systemd/system/user@UID.service` | 0644 | empty file: masks the user manager |
//!
//! Accounts in passwd(5) and group(5) of the host: the primary group is `jail-JAIL`, the shell
//! `/jail/SHELL`, the home `/jail/root/HOME`, the comment `jailctl jail JAIL`, and
//! `jailctl jail JAIL adopted` where the account existed before.
//!
//! Kernel objects of the running system are named in the session crate, which creates them: control
//! groups ([`jailctl_session::cgroup`]), network interfaces and nft tables
//! ([`jailctl_session::network`]).

pub use jailctl_session::shared_layout::{
    DEVICES, GROUP_PREFIX, JAIL_DIR, JAIL_ROOT, POLICY, POLICY_MODE, ROOT_NAME, RUN, RUN_MODE,
    RUN_SESSIONS, SESSION_DIR, SHELL_PREFIX, STATE,
};

/// Mode of [`STATE`] and of the records of a jail: sshd(8) opens authorized keys as the user.
pub const STATE_MODE: u32 = 0o711;
/// Journal of the run in progress. No name of a jail starts with a dot.
pub const JOURNAL: &str = "/var/lib/jailctl/.journal";
/// File name of the manifest in the records of a jail.
pub const MANIFEST: &str = "manifest.json";
/// File name of the spec in the records of a jail.
pub const SPEC: &str = "spec.toml";
/// Directory of the records before the last build, in the records of a jail.
pub const PREVIOUS_RECORDS: &str = "previous";
/// Directory of records under construction, in the records of a jail.
pub const NEW_RECORDS: &str = ".new";
/// Directory of authorized keys in the records of a jail: a file for each user, by its name.
pub const KEYS_DIR: &str = "keys";
/// File of the locked users in the records of a jail: a login name on each line.
pub const LOCKED: &str = "locked";
/// Directory of the access logs of runs that found nothing to do.
pub const CACHE: &str = "/var/cache/jailctl";
/// File name of the index of all jails in [`CACHE`]. The names of access logs have a dot.
pub const FLEET_INDEX_NAME: &str = "jails";
/// Index of all jails: their roots and mounts, with the stat of the records that they are from.
pub const FLEET_INDEX: &str = "/var/cache/jailctl/jails";
/// File name of the lock of the host, in [`RUN`].
pub const LOCK_NAME: &str = "lock";
/// Lock of the host: held by the one process that may change jails.
pub const LOCK: &str = "/run/jailctl/lock";

/// Directory of the administrator's specs.
pub const SPECS_DIR: &str = "/etc/jailctl/jails.d";
/// Directory of the administrator's templates.
pub const TEMPLATES_DIR: &str = "/etc/jailctl/templates";
/// Directory of the administrator's rules.
pub const RULES_DIR: &str = "/etc/jailctl/rules.d";
/// Directory of the roots of jails whose spec names none.
pub const JAILS_DIR: &str = "/srv/jails";

/// Directory in the root of a jail that belongs to jailctl: owned by root, closed to all others.
pub const PRIVATE_DIR: &str = ".jailctl";
/// Mode of [`PRIVATE_DIR`] and of other directories that are closed to all but root.
pub const PRIVATE_MODE: u32 = 0o700;
/// Mode of files that are closed to all but root: records, markers, indices of stores.
pub const PRIVATE_FILE_MODE: u32 = 0o600;
/// Mode of the root of a jail and of other directories that its users enter.
pub const PUBLIC_DIR_MODE: u32 = 0o755;
/// Marker of a root, relative to the root.
pub const MARKER: &str = ".jailctl/jail";
/// Tree under construction, relative to the root.
pub const STAGE: &str = ".jailctl/stage";
/// Tree before the last build, relative to the root.
pub const PREVIOUS_TREE: &str = ".jailctl/previous";
/// Store of shared files, relative to the directory that holds the roots.
pub const STORE: &str = ".jailctl/store";
/// File name of the index in [`STORE`].
pub const STORE_INDEX: &str = "index";
/// File name of the digests of source files in [`STORE`].
pub const STORE_SOURCES: &str = "sources";
/// Directory of files under construction in [`STORE`].
pub const STORE_NEW: &str = "new";
/// File in [`STORE`] that exists while the store is changed.
pub const STORE_BUSY: &str = "busy";
/// Suffix of a file under construction, until it replaces the file of the same name.
pub const NEW_SUFFIX: &str = ".jailctl-new";

/// Configuration file of sshd(8).
pub const SSHD_CONFIG: &str = "/etc/ssh/sshd_config";
/// Directory of drop-ins of sshd_config(5).
pub const SSHD_CONFIG_DIR: &str = "/etc/ssh/sshd_config.d";
/// Drop-in with the settings of each jail or family. It sorts before [`COMMON_SNIPPET`], and
/// sshd(8) uses the first value of each keyword.
pub const JAILS_SNIPPET: &str = "05-jailctl.all.conf";
/// Drop-in with the settings that all jails share.
pub const COMMON_SNIPPET: &str = "05-jailctl.conf";
/// Prefix of the drop-in of one jail or family, by an older jailctl; its name and
/// [`SNIPPET_SUFFIX`] follow.
pub const SNIPPET_PREFIX: &str = "05-jailctl-";
/// Suffix of a snippet.
pub const SNIPPET_SUFFIX: &str = ".conf";
/// Mode of snippets, of authorized keys and of PAM service files that jailctl creates.
pub const PUBLIC_MODE: u32 = 0o644;

/// Directories of PAM service files in the order in which libpam searches them: administrator,
/// distribution.
pub const PAM_SERVICE_DIRS: [&str; 2] = ["/etc/pam.d", "/usr/lib/pam.d"];
/// Directories in which distributions keep PAM modules; libpam searches one of them.
pub const PAM_MODULE_DIRS: [&str; 8] = [
    "/usr/lib/x86_64-linux-gnu/security",
    "/usr/lib/aarch64-linux-gnu/security",
    "/usr/lib64/security",
    "/usr/lib/security",
    "/lib/x86_64-linux-gnu/security",
    "/lib/aarch64-linux-gnu/security",
    "/lib64/security",
    "/lib/security",
];
/// File name of the PAM module.
pub const PAM_MODULE: &str = "pam_jailctl.so";
/// Directory of mailboxes. A host may have none.
pub const MAIL_DIR: &str = "/var/mail";
/// Directory of the administrator's systemd units.
pub const UNITS_DIR: &str = "/etc/systemd/system";

/// Path that exists on no host and in no jail: the shell and home of accounts that must not have
/// any.
pub const NONEXISTENT: &str = "/jail/none";
/// Login shell of accounts that the gate serves, in the jail and in the passwd(5) of the host.
pub const GATE: &str = "/jail/gate";
/// Pattern of the login shells of jailed accounts, for pam_succeed_if(8).
pub const SHELL_PATTERN: &str = "/jail/*";
/// Pattern of the groups of all jails, for sshd_config(5).
pub const GROUP_PATTERN: &str = "jail-*";
/// Prefix of the comment of jailed accounts in passwd(5); the name of the jail follows.
pub const GECOS_PREFIX: &str = "jailctl jail ";
/// Suffix of the comment of an account that existed before its jail.
pub const GECOS_ADOPTED: &str = " adopted";

/// `PATH` of sessions, and the directories in which jailctl searches programs of a jail.
pub const SESSION_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_agree_with_the_directories_that_hold_them() {
        for (path, directory) in [
            (JOURNAL, STATE),
            (LOCK, RUN),
            (JAIL_ROOT, JAIL_DIR),
            (NONEXISTENT, JAIL_DIR),
            (SHELL_PREFIX, JAIL_DIR),
            (SHELL_PATTERN, JAIL_DIR),
            (GATE, JAIL_DIR),
            (jailctl_gate::policy::DIRECTORY, JAIL_DIR),
            (MARKER, PRIVATE_DIR),
            (STAGE, PRIVATE_DIR),
            (PREVIOUS_TREE, PRIVATE_DIR),
            (STORE, PRIVATE_DIR),
        ] {
            assert!(
                std::path::Path::new(path).starts_with(directory),
                "{path} is not below {directory}"
            );
        }
        assert_eq!(LOCK, format!("{RUN}/{LOCK_NAME}"));
        assert_eq!(FLEET_INDEX, format!("{CACHE}/{FLEET_INDEX_NAME}"));
        assert_eq!(SHELL_PATTERN, format!("{SHELL_PREFIX}*"));
        assert_eq!(GROUP_PATTERN, format!("{GROUP_PREFIX}*"));
        assert!(COMMON_SNIPPET.ends_with(SNIPPET_SUFFIX));
        assert!(JAILS_SNIPPET.ends_with(SNIPPET_SUFFIX) && JAILS_SNIPPET < COMMON_SNIPPET);
    }
}

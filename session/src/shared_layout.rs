//! Paths, file names and account conventions that sessions share with `jailctl` and the PAM module.
//!
//! The rest of what jailctl keeps on disk is in `jailctl::layout`.

/// Directory of the records of all jails: a directory for each jail, by its name.
pub const STATE: &str = "/var/lib/jailctl";
/// File name of the session policy in the records of a jail.
pub const POLICY: &str = "policy";
/// Mode of the session policy. The file is refused with any other mode.
pub const POLICY_MODE: u32 = 0o600;
/// Directory in the records of a jail over which its sessions, and no other process, have a mount.
pub const SESSION_DIR: &str = "session";
/// Name of the jail's root below [`SESSION_DIR`]. It does not exist outside of sessions.
pub const ROOT_NAME: &str = "root";

/// Directory of locks and of what is true until the next boot.
pub const RUN: &str = "/run/jailctl";
/// Mode of [`RUN`].
pub const RUN_MODE: u32 = 0o755;
/// Directory of the registers of networks: for each jail a directory with a locked file for each
/// session in its network.
pub const RUN_NETWORKS: &str = "/run/jailctl/net";
/// Directory of the session counts of all jails: a directory for each jail, a file for each
/// session.
pub const RUN_SESSIONS: &str = "/run/jailctl/sessions";

/// Directory that exists in every jail and on no host. It holds the login shells of the jail, so
/// that sshd(8), su(1) and login(1) find no shell outside of the jail.
pub const JAIL_DIR: &str = "/jail";
/// Prefix of the login shells of jailed accounts in the passwd(5) of the host.
pub const SHELL_PREFIX: &str = "/jail/";
/// Link to `/` in every jail. Homes in the passwd(5) of the host begin with it: what the host
/// itself runs or writes for a jailed account finds no home; in the jail the same path resolves to
/// the home.
pub const JAIL_ROOT: &str = "/jail/root";
/// Prefix of the primary groups of jailed accounts; the name of the jail or of its family follows.
pub const GROUP_PREFIX: &str = "jail-";

/// Devices that every jail has and that every session may use: name in `/dev`, major and minor
/// number, see `admin-guide/devices.txt` of the kernel.
pub const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

//! Settings of sshd that confine the accounts of a jail: one list, from which the snippet is
//! written, and with which the output of `sshd -T` is compared.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use jailctl_gate::policy::BY_REQUEST;

use super::jail_blocks::{BlockSettings, block_text, for_user, is_closing};
use super::programs::RequestedObject;
use super::session;
use super::tree::Reason;
use super::types::{ResolvedJail, SshdSnippet};
use crate::host::HostView;
use crate::host::sshd::{Config, ExpectedSettings, SshdInfo};
use crate::layout::{JAILS_SNIPPET, KEYS_DIR, NONEXISTENT, SNIPPET_PREFIX, SNIPPET_SUFFIX, STATE};
use crate::names::JailName;
use crate::spec::{AccessMethod, Login, Password, Server, Spec, User};

/// Settings that the snippet of a jail with `forward` has in any case: each kind of forwarding by
/// its own keyword.
const FORWARDING: [&str; 5] = [
    "AllowTcpForwarding",
    "AllowStreamLocalForwarding",
    "GatewayPorts",
    "PermitOpen",
    "PermitListen",
];
/// Beginning of `COMMON_SNIPPET`, by which the file is recognised, whichever version wrote it.
const COMMON_MARK: &str = "# Written by jailctl for all jails; ";
/// First line of `COMMON_SNIPPET`.
const COMMON_HEAD: &str = "# Written by jailctl for all jails; `jailctl build` writes it again.\n";

/// Returns the program that sshd starts for sftp of users with a shell, which the jail needs;
/// `None` if sshd serves sftp itself, or not at all. `host_sftp` is the host's subsystem. Adds a
/// notice where the spec and the host disagree.
pub(super) fn sftp_program(
    spec: &Spec,
    host_sftp: Option<&str>,
    notices: &mut Vec<String>,
) -> Option<RequestedObject> {
    let of_user = |user: &User| {
        (
            user.allows(AccessMethod::Shell),
            user.allows(AccessMethod::Sftp),
        )
    };
    let mut ways: Vec<(bool, bool)> = spec.users.iter().map(of_user).collect();
    if ways.is_empty() {
        let has = |method| spec.access.value.contains(&method);
        ways.push((has(AccessMethod::Shell), has(AccessMethod::Sftp)));
    }
    let has_sftp = spec.access.value.contains(&AccessMethod::Sftp);
    if host_sftp.is_none() && has_sftp && spec.default_access.login().server != Server::InternalSftp
    {
        notices.push("sshd on this host has no subsystem `sftp`: the jail has no sftp".to_owned());
    }
    let host_sftp = host_sftp?;
    if host_sftp != "internal-sftp" {
        return ways.contains(&(true, true)).then(|| RequestedObject {
            path: PathBuf::from(host_sftp),
            why: Reason::rule("the program that sshd starts for sftp"),
            span: Some(spec.access.span.clone()),
            is_placed: false,
        });
    }
    if ways.contains(&(true, false)) {
        notices.push(
            "the jail does not allow `sftp`, which is open nevertheless: sshd on this host serves it itself to all users with a shell (`Subsystem sftp internal-sftp`)".to_owned(),
        );
    }
    None
}

/// Returns the host's subsystem for sftp by the configuration files alone, without an sshd.
pub(super) fn configured_sftp(view: &HostView) -> Option<String> {
    Config::read(view).ok().and_then(|config| config.sftp())
}

/// File name of the snippet of a jail by an older jailctl, which wrote a file for each jail or
/// family. It sorts early, since sshd uses the first value of a keyword.
pub fn own_snippet_name(name: &JailName) -> String {
    format!("{SNIPPET_PREFIX}{}{SNIPPET_SUFFIX}", name.family_name())
}

/// The root and the records directory of a jail as sshd_config(5) has them: for a family with `%u`,
/// which sshd replaces by the login name.
fn snippet_paths(spec: &Spec) -> (PathBuf, PathBuf) {
    let name = &spec.name.value;
    match &spec.family {
        Some(family) => (
            family.root.clone(),
            Path::new(STATE).join(format!("{}.%u", name.family_name())),
        ),
        None => (spec.root.value.clone(), ResolvedJail::state(name)),
    }
}

/// The command `internal-sftp` with its options: see sftp-server(8). With a log, each file is
/// logged to the facility that has sshd's logins on most hosts.
fn internal_sftp(spec: &Spec) -> String {
    let sftp = &spec.sftp;
    let mut command = "internal-sftp".to_owned();
    let limits = spec.way_limits.get(&AccessMethod::Sftp);
    if limits.is_some_and(|limits| !limits.mode.can_write()) {
        command.push_str(" -R");
    }
    if let Some(start) = &sftp.start_dir {
        command.push_str(" -d ");
        command.push_str(start.value.as_str());
    }
    if let Some(umask) = &sftp.umask {
        command.push_str(" -u ");
        command.push_str(&umask.value);
    }
    if sftp.log.is_some() {
        command.push_str(" -f AUTHPRIV -l INFO");
    }
    command
}

/// The settings of a jail for users with this login: keyword as in sshd_config(5), and value as
/// `sshd -T` prints it.
fn settings(spec: &Spec, login: Login) -> Vec<(&'static str, String)> {
    let (root, state) = snippet_paths(spec);
    // With sessions, a path that exists in sessions only: a connection without one finds nothing.
    let root = match &spec.session {
        Some(_) => session::session_root_path(&state),
        None => root,
    };
    let keys = state.join(KEYS_DIR).join("%u");
    let passwords = match &spec.family {
        Some(family) => family.passwords,
        None => spec
            .users
            .iter()
            .any(|user| user.password.value != Password::Locked),
    };
    let yes_no = |yes: bool| if yes { "yes" } else { "no" };
    let force = match login.server {
        Server::Shell => "none".to_owned(),
        Server::InternalSftp => internal_sftp(spec),
        // Each key has a command, which sshd would not use beside this one.
        Server::Gate if login.has_key_commands => "none".to_owned(),
        Server::Gate => BY_REQUEST.to_owned(),
        // Otherwise sshd would serve a subsystem of the host without a shell.
        Server::Nothing => NONEXISTENT.to_owned(),
    };
    let forward = login.forward;
    // Each forwarding by its own keyword: `DisableForwarding` alone left X11 and agents open before
    // OpenSSH 10.0 (CVE-2025-32728).
    [
        ("ChrootDirectory", root.display().to_string()),
        ("ForceCommand", force),
        ("PubkeyAuthentication", "yes".to_owned()),
        ("AuthorizedKeysFile", keys.display().to_string()),
        ("AuthorizedKeysCommand", "none".to_owned()),
        ("AuthorizedPrincipalsFile", "none".to_owned()),
        ("AuthorizedPrincipalsCommand", "none".to_owned()),
        ("TrustedUserCAKeys", "none".to_owned()),
        ("PasswordAuthentication", yes_no(passwords).to_owned()),
        ("KbdInteractiveAuthentication", yes_no(passwords).to_owned()),
        ("PermitEmptyPasswords", "no".to_owned()),
        ("HostbasedAuthentication", "no".to_owned()),
        ("GSSAPIAuthentication", "no".to_owned()),
        ("KerberosAuthentication", "no".to_owned()),
        ("PermitTTY", yes_no(login.terminal).to_owned()),
        ("PermitUserRC", "no".to_owned()),
        ("DisableForwarding", yes_no(!forward).to_owned()),
        (
            "AllowTcpForwarding",
            if forward { "local" } else { "no" }.to_owned(),
        ),
        ("AllowStreamLocalForwarding", "no".to_owned()),
        ("AllowAgentForwarding", "no".to_owned()),
        ("X11Forwarding", "no".to_owned()),
        ("PermitTunnel", "no".to_owned()),
        ("GatewayPorts", "no".to_owned()),
        (
            "PermitOpen",
            if forward { "any" } else { "none" }.to_owned(),
        ),
        ("PermitListen", "none".to_owned()),
    ]
    .into_iter()
    .collect()
}

/// The settings of the groups of all jails, the strictest possible: with these alone no account can
/// log in.
fn common_settings() -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("ForceCommand", NONEXISTENT.to_owned()),
        ("PubkeyAuthentication", "yes".to_owned()),
    ];
    let none = [
        "AuthorizedKeysFile",
        "AuthorizedKeysCommand",
        "AuthorizedPrincipalsFile",
        "AuthorizedPrincipalsCommand",
        "TrustedUserCAKeys",
        "PermitOpen",
        "PermitListen",
    ];
    let no = [
        "PasswordAuthentication",
        "KbdInteractiveAuthentication",
        "PermitEmptyPasswords",
        "HostbasedAuthentication",
        "GSSAPIAuthentication",
        "KerberosAuthentication",
        "PermitTTY",
        "PermitUserRC",
        "AllowTcpForwarding",
        "AllowStreamLocalForwarding",
        "AllowAgentForwarding",
        "X11Forwarding",
        "PermitTunnel",
        "GatewayPorts",
    ];
    settings.extend(none.map(|keyword| (keyword, "none".to_owned())));
    settings.extend(no.map(|keyword| (keyword, "no".to_owned())));
    settings.push(("DisableForwarding", "yes".to_owned()));
    settings
}

/// The settings whose keywords sshd knows: it would report any other at each start.
fn known(
    settings: Vec<(&'static str, String)>,
    sshd_info: &SshdInfo,
) -> impl Iterator<Item = (&'static str, String)> {
    settings
        .into_iter()
        .filter(|(keyword, _)| sshd_info.keywords.contains(&keyword.to_ascii_lowercase()))
}

/// The text of `COMMON_SNIPPET`(crate::layout::COMMON_SNIPPET).
///
/// OpenSSH 10.0 refuses all logins once its whole configuration exceeds 256 KiB (monitor_wrap.c),
/// so that settings which all jails have are written once.
pub fn common(sshd_info: &SshdInfo) -> String {
    let mut text = format!(
        "{COMMON_HEAD}# Settings of each jail are in `{JAILS_SNIPPET}`, which sshd reads before this file: the first value counts. Without it these accounts cannot log in.\n\
         Match Group {}\n",
        JailName::groups()
    );
    for (keyword, value) in known(common_settings(), sshd_info) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    {keyword} {value}");
    }
    text
}

/// Whether jailctl wrote a text at the path of `COMMON_SNIPPET`, by its first line.
pub fn is_common(text: &str) -> bool {
    text.starts_with(COMMON_MARK)
}

/// The snippet of a jail, and the settings that must result from it.
pub(super) fn render(spec: &Spec, sshd_info: &SshdInfo) -> SshdSnippet {
    let name = &spec.name.value;
    let group = name.group();
    let of_login =
        |login| -> Vec<(&str, String)> { known(settings(spec, login), sshd_info).collect() };
    let default = spec.default_access.login();
    let settings = of_login(default);
    let common_settings = common_settings();
    // sshd sends the whole configuration, comments included, to a process for each connection:
    // settings that do not differ are in the common drop-in only.
    let forwards = default.forward;
    let is_own = |(keyword, value): &&(&'static str, String)| {
        let is_forwarding = forwards && FORWARDING.contains(keyword);
        is_forwarding
            || !is_closing(keyword, value) && !common_settings.contains(&(*keyword, value.clone()))
    };
    let own = settings.iter().filter(is_own);
    let mut own: BlockSettings = own
        .map(|(keyword, value)| ((*keyword).to_owned(), value.clone()))
        .collect();
    let own_logins = spec.own_logins();
    for (user, login) in own_logins.iter() {
        let opens = |keyword: &str| login.forward && FORWARDING.contains(&keyword);
        for (keyword, value) in of_login(*login) {
            if opens(keyword) || !settings.contains(&(keyword, value.clone())) {
                own.push(for_user(user, keyword, &value));
            }
        }
    }
    // Not set by the snippet: the session stack of another service would run the host's modules for
    // these accounts, and without PAM there is no session. `PAMServiceName` in a Match block keeps
    // OpenSSH 10.4 from starting at all, and 10.5 ignores it there.
    let service = sshd_info.pam_service.clone();
    let knows_service = sshd_info.keywords.contains("pamservicename");
    let pam = (spec.session.iter().map(|_| ("usepam", "yes".to_owned()))).chain(
        service
            .iter()
            .filter(|_| knows_service)
            .map(|name| ("pamservicename", name.clone())),
    );
    let expected = spec
        .users
        .iter()
        .map(|user| ExpectedSettings {
            user: user.name.value.as_str().to_owned(),
            groups: std::iter::once(group.clone())
                .chain(user.groups.iter().map(|one| one.value.clone()))
                .collect(),
            settings: of_login(user.login())
                .iter()
                .map(|(keyword, value)| (keyword.to_ascii_lowercase(), value.clone()))
                .chain(pam.clone().map(|(key, value)| (key.to_owned(), value)))
                .collect(),
            has_own_block: own_logins.iter().any(|(own, _)| *own == user.name.value),
        })
        .collect();
    SshdSnippet {
        file: JAILS_SNIPPET.to_owned(),
        pam_service: service.clone(),
        text: block_text(&group, &own),
        settings: own,
        common: common(sshd_info),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::SourceText;
    use crate::spec::{BuiltIn, load};

    fn policy_with(keywords: &[&str], more: &str) -> SshdSnippet {
        let text = format!("name = \"arkham\"\n[[user]]\nname = \"harlequin\"\n{more}");
        let source = std::sync::Arc::new(SourceText {
            name: "arkham.toml".to_owned(),
            text,
        });
        let spec = load(&source, &BuiltIn).expect("a good spec");
        let keywords = keywords.iter().map(|word| (*word).to_owned()).collect();
        let sshd_info = SshdInfo {
            keywords,
            sftp: None,
            pid_file: None,
            pam_service: Some("corp".to_owned()),
            stamp: std::collections::BTreeMap::new(),
        };
        render(&spec, &sshd_info)
    }

    #[test]
    fn the_pam_service_is_the_hosts_and_is_verified_if_sshd_prints_it() {
        let old = ["chrootdirectory"];
        let new = ["chrootdirectory", "pamservicename"];
        for (keywords, more) in [
            (&old[..], "[namespaces]\n"),
            (&new[..], "[namespaces]\n"),
            (&new[..], ""),
        ] {
            let policy = policy_with(keywords, more);
            assert!(!policy.text.contains("PAMServiceName"), "{}", policy.text);
            let expected = &policy.expected[0].settings;
            let verified = ("pamservicename".to_owned(), "corp".to_owned());
            assert_eq!(
                expected.contains(&verified),
                keywords.len() > 1,
                "{expected:?}"
            );
        }
    }
}

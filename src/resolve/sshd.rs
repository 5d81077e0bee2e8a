//! The sshd settings that lock a jail's accounts in: one list, from which the snippet is written and against which sshd's answer is held.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::programs::RequestedObject;
use super::session;
use super::tree::Reason;
use super::types::{ResolvedJail, SshdSnippet};
use crate::host::HostView;
use crate::host::sshd::{Config, ExpectedSettings, SshdInfo};
use crate::layout::{KEYS_DIR, NONEXISTENT, SNIPPET_PREFIX, SNIPPET_SUFFIX, STATE};
use crate::names::JailName;
use crate::spec::{AccessMethod, Password, SftpSpec, Spec};

/// Settings that stand in each jail's own file too: if [`COMMON_SNIPPET`](crate::layout::COMMON_SNIPPET) is lost, nothing is forwarded out of a jail. What `DisableForwarding` leaves open before
/// OpenSSH 10.0 (CVE-2025-32728) is among them.
const CLOSING: [&str; 4] = [
    "DisableForwarding",
    "AllowAgentForwarding",
    "X11Forwarding",
    "PermitTunnel",
];
/// The same for a jail that forwards: each kind by its own keyword.
const FORWARDING: [&str; 5] = [
    "AllowTcpForwarding",
    "AllowStreamLocalForwarding",
    "GatewayPorts",
    "PermitOpen",
    "PermitListen",
];
/// How the text of [`COMMON_SNIPPET`](crate::layout::COMMON_SNIPPET) begins.
const COMMON_HEAD: &str = "# Written by jailctl for all jails; `jailctl build` writes it anew.\n";

/// How sftp is served in a jail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sftp {
    /// By sshd itself: the only door, or the host's choice for everybody.
    Internal,
    /// By the program that the host's sshd names, brought into the tree.
    Program(String),
}

/// How sftp is served, given the doors; `None` where it is no door, or the host has no such subsystem.
fn sftp(doors: &[AccessMethod], program: Option<&str>) -> Option<Sftp> {
    if !doors.contains(&AccessMethod::Sftp) {
        return None;
    }
    if AccessMethod::is_sftp_only(doors) {
        return Some(Sftp::Internal);
    }
    match program? {
        "internal-sftp" => Some(Sftp::Internal),
        program => Some(Sftp::Program(program.to_owned())),
    }
}

/// Returns the program that sshd starts for sftp, which the jail needs; `None` if sshd serves sftp
/// itself, or not at all. `host_sftp` is the host's subsystem. Adds a notice where the spec and the
/// host disagree.
pub(super) fn sftp_program(
    spec: &Spec,
    host_sftp: Option<&str>,
    notices: &mut Vec<String>,
) -> Option<RequestedObject> {
    let doors = &spec.doors.value;
    match sftp(doors, host_sftp) {
        Some(Sftp::Program(program)) => {
            return Some(RequestedObject {
                path: PathBuf::from(program),
                why: Reason::rule("the door sftp: the program that sshd starts for it"),
                site: Some(spec.doors.site.clone()),
                is_placed: false,
            });
        }
        Some(Sftp::Internal) => {}
        None if doors.contains(&AccessMethod::Sftp) => {
            notices
                .push("sshd on this host has no subsystem `sftp`: that door stays shut".to_owned());
        }
        None if *doors == [AccessMethod::Shell] && host_sftp == Some("internal-sftp") => {
            notices.push(
                "`sftp` is no door of the jail and is open nevertheless: sshd on this host serves it itself to everybody with a shell (`Subsystem sftp internal-sftp`)".to_owned(),
            );
        }
        None => {}
    }
    None
}

/// Returns the host's subsystem for sftp by the configuration files alone, without an sshd.
pub(super) fn configured_sftp(view: &HostView) -> Option<String> {
    Config::read(view).ok().and_then(|config| config.sftp())
}

/// The name of a jail's snippet: it sorts early, since the first value wins. The members of a family share it.
pub fn snippet_name(name: &JailName) -> String {
    format!("{SNIPPET_PREFIX}{}{SNIPPET_SUFFIX}", name.family_name())
}

/// Where a jail stands, and where its records lie, as sshd is told it: of a family with `%u`, which sshd replaces by the name of who logs in.
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

/// sshd's own sftp with its options: see sftp-server(8). What it logs goes where sshd's own words on logins go on most hosts, with each file.
fn internal_sftp(sftp: &SftpSpec) -> String {
    let mut command = "internal-sftp".to_owned();
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

/// Keyword as sshd_config(5) writes it, and value as `sshd -T` prints it.
fn settings(spec: &Spec) -> Vec<(&'static str, String)> {
    let doors = &spec.doors.value;
    let (root, state) = snippet_paths(spec);
    // With a session, a name that exists in sessions only: whoever comes in without one finds nothing.
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
    let force = if doors.contains(&AccessMethod::Shell) {
        "none".to_owned()
    } else if doors.contains(&AccessMethod::Sftp) {
        internal_sftp(&spec.sftp)
    } else {
        // A subsystem of the host's would be served without a shell.
        NONEXISTENT.to_owned()
    };
    let forward = doors.contains(&AccessMethod::Forward);
    // Each forwarding by its own keyword: `DisableForwarding` alone left X11 and agents open before OpenSSH 10.0 (CVE-2025-32728).
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
        (
            "PermitTTY",
            yes_no(doors.contains(&AccessMethod::Shell)).to_owned(),
        ),
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

/// The settings of the groups of all jails, the strictest that there are: with these alone nobody comes in.
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

/// Of `settings`, those whose keywords sshd knows: any other would be reported at each of its starts.
fn known(
    settings: Vec<(&'static str, String)>,
    facts: &SshdInfo,
) -> impl Iterator<Item = (&'static str, String)> {
    settings
        .into_iter()
        .filter(|(keyword, _)| facts.keywords.contains(&keyword.to_ascii_lowercase()))
}

/// The text of [`COMMON_SNIPPET`](crate::layout::COMMON_SNIPPET).
///
/// OpenSSH 10.0 lets nobody in once its whole configuration exceeds 256 KiB (monitor_wrap.c), so that what is the same for all jails is written once.
pub fn common(facts: &SshdInfo) -> String {
    let mut text = format!(
        "{COMMON_HEAD}# What a jail opens is in a file of its own, which comes before this one: the first value counts. Without it these accounts cannot log in.\n\
         Match Group {}\n",
        JailName::groups()
    );
    for (keyword, value) in known(common_settings(), facts) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    {keyword} {value}");
    }
    text
}

/// Whether a text in the place of [`COMMON_SNIPPET`](crate::layout::COMMON_SNIPPET) was written by jailctl, at least its first line.
pub fn is_common(text: &str) -> bool {
    text.starts_with(COMMON_HEAD)
}

/// The snippet of a jail and what must come of it.
pub(super) fn render(spec: &Spec, facts: &SshdInfo) -> SshdSnippet {
    let name = &spec.name.value;
    let group = name.group();
    let settings: Vec<(&str, String)> = known(settings(spec), facts).collect();
    let common_settings = common_settings();
    // sshd sends the whole configuration to a process for each connection: what does not differ is in the common file alone, comments included.
    let mut text = format!("Match Group {group}\n");
    let forwards = spec.doors.value.contains(&AccessMethod::Forward);
    let is_own = |setting: &&(&str, String)| {
        let closes = CLOSING.contains(&setting.0) || forwards && FORWARDING.contains(&setting.0);
        closes || !common_settings.contains(setting)
    };
    for (keyword, value) in settings.iter().filter(is_own) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    {keyword} {value}");
    }
    // Not set by the snippet: the session stack of another service would let the host's modules run for these accounts, and without PAM there is no session.
    // `PAMServiceName` in a Match block keeps OpenSSH 10.4 from starting at all, and 10.5 ignores it there.
    let service = facts.pam_service.clone();
    let knows_service = facts.keywords.contains("pamservicename");
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
            settings: settings
                .iter()
                .map(|(keyword, value)| (keyword.to_ascii_lowercase(), value.clone()))
                .chain(pam.clone().map(|(key, value)| (key.to_owned(), value)))
                .collect(),
        })
        .collect();
    SshdSnippet {
        file: snippet_name(name),
        pam_service: service.clone(),
        text,
        common: common(facts),
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
        let facts = SshdInfo {
            keywords,
            sftp: None,
            pid_file: None,
            pam_service: Some("corp".to_owned()),
            stamp: std::collections::BTreeMap::new(),
        };
        render(&spec, &facts)
    }

    #[test]
    fn the_service_of_pam_is_the_hosts_and_is_verified_where_sshd_tells_it() {
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

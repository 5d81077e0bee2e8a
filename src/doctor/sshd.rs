//! Checks of sshd: its settings for the user, by its own answer for each kind of connection that a
//! Match block names.

use std::path::Path;
use std::sync::Arc;

use super::problems::{Problem, ProblemCode, Subject};
use super::{keys, root, session};
use crate::error::Result;
use crate::host::sshd::{Config, ExpectedSettings, Settings, Sshd};
use crate::host::{Digest, HostView, listens};
use crate::layout::{COMMON_SNIPPET, SSHD_CONFIG_DIR};
use crate::plan;
use crate::spec::fingerprint;

/// Largest snippet, file of keys or list that is read, in bytes.
const LIMIT: u64 = 2 << 20;

pub(super) fn problems(case: &Subject<'_>, is_member: bool) -> Result<Vec<Problem>> {
    let asked = ask(case);
    let (config, answers) = match asked {
        Ok(asked) => asked,
        Err(error) => {
            let findings = error.findings.into_iter();
            return Ok(findings
                .map(|finding| Problem {
                    code: ProblemCode::SshdConfig,
                    finding,
                })
                .collect());
        }
    };
    let mut reasons = Vec::new();
    let found = plan::snippet(case.view, &case.manifest.name)?;
    let path = &found.path;
    let is_changed = |text: &str| {
        let is_edited = !found.is_as_written && !found.is_older;
        is_edited || Digest::of(text.as_bytes()) != case.confinement.snippet.1
    };
    match &found.text {
        None => reasons.push(
            Problem::new(
                ProblemCode::SnippetGone,
                format!("sshd finds no settings of the jail in `{}`", path.display()),
                case.build(),
            )
            .why("they were removed, and sshd refuses the account without them"),
        ),
        Some(text) if is_changed(text) => reasons.push(
            Problem::new(
                ProblemCode::SnippetChanged,
                format!("`{}` differs from what was built", path.display()),
                case.build(),
            )
            .why("it confines the account"),
        ),
        Some(text) if is_member => {
            let mut settings = settings_for(text, &case.user);
            let common = crate::resolve::common(&case.confinement.sshd);
            let further = settings_for(&common, &case.user);
            // A snippet of an older jailctl contains all settings itself.
            let is_whole = further
                .iter()
                .all(|(keyword, _)| settings.iter().any(|(own, _)| own == keyword));
            if !is_whole {
                reasons.extend(common_problem(case, &config, &common));
            }
            for (keyword, value) in further {
                if settings.iter().all(|(own, _)| *own != keyword) {
                    settings.push((keyword, value));
                }
            }
            let expected = ExpectedSettings {
                user: case.user.clone(),
                groups: vec![case.confinement.group.0.clone()],
                settings,
                has_own_block: false,
            };
            for (shown, found) in &answers {
                for finding in expected.diff(found, shown) {
                    reasons.push(Problem {
                        code: ProblemCode::SshdSettings,
                        finding,
                    });
                }
            }
        }
        Some(_) => {}
    }
    if let Some((_, settings)) = answers.first() {
        reasons.extend(listener(case, settings, path)?);
        reasons.extend(methods(case, settings)?);
        reasons.extend(subsystem(case, settings)?);
        reasons.extend(session::without_pam(case, value(settings, "usepam")));
    }
    Ok(reasons)
}

/// The problem of the settings that all jails share, if they differ from what was built.
fn common_problem(case: &Subject<'_>, config: &Config, expected: &str) -> Option<Problem> {
    let path = Path::new(SSHD_CONFIG_DIR).join(COMMON_SNIPPET);
    let found = config
        .drop_ins
        .iter()
        .find(|(name, _)| name == COMMON_SNIPPET);
    match found {
        Some((_, text)) if text == expected => None,
        Some(_) => Some(
            Problem::new(
                ProblemCode::SnippetChanged,
                format!("`{}` differs from what was built", path.display()),
                case.build(),
            )
            .why("it restricts the accounts of all jails"),
        ),
        None => Some(
            Problem::new(
                ProblemCode::SnippetGone,
                format!("sshd does not read `{}`", path.display()),
                case.build(),
            )
            .why("it does not exist, and it restricts the accounts of all jails"),
        ),
    }
}

/// Settings of each kind of connection, with the argument of `sshd -T -C`.
type Answers = Vec<(String, Settings)>;

fn ask(case: &Subject<'_>) -> Result<(Arc<Config>, Answers)> {
    let config = Config::read(case.view)?;
    let samples = config.blocks()?.samples(&case.user)?;
    let answers = Sshd::find(case.view)?.effective(&case.user, &samples)?;
    Ok((config, answers))
}

/// Keyword in lower case and value of each setting of a snippet that applies to the user: the first
/// one counts.
fn settings_for(text: &str, user: &str) -> Settings {
    let mut settings = Settings::new();
    let mut applies = false;
    for line in text.lines() {
        if let Some(criteria) = line.strip_prefix("Match ") {
            let of_user = criteria.strip_prefix("User ");
            let named = of_user.and_then(|rest| rest.split(' ').next());
            applies = named.is_none_or(|named| named == user);
        } else if applies
            && line.starts_with(' ')
            && let Some((keyword, value)) = line.trim().split_once(' ')
        {
            let keyword = keyword.to_ascii_lowercase();
            if settings.iter().all(|(known, _)| *known != keyword) {
                settings.push((keyword, value.trim().to_owned()));
            }
        }
    }
    settings
}

fn value<'s>(settings: &'s Settings, keyword: &str) -> Option<&'s str> {
    settings
        .iter()
        .find(|(known, _)| known == keyword)
        .map(|(_, value)| value.as_str())
}

/// Checks that sshd listens, and has read its configuration since the last build.
fn listener(case: &Subject<'_>, settings: &Settings, snippet: &Path) -> Result<Option<Problem>> {
    if !case.view.is_live() {
        return Ok(None);
    }
    let ports: Vec<u16> = settings
        .iter()
        .filter(|(keyword, _)| keyword == "port")
        .filter_map(|(_, port)| port.parse().ok())
        .collect();
    if !listens(&ports)? {
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        return Ok(Some(
            Problem::new(
                ProblemCode::SshdDown,
                "sshd does not run",
                "start it: `systemctl start ssh`, or `sshd` by hand",
            )
            .why(format!("no process listens on port {}", ports.join(", "))),
        ));
    }
    let Some(pid_file) = value(settings, "pidfile").filter(|path| *path != "none") else {
        return Ok(None);
    };
    // sshd writes it again each time it has read its configuration.
    let started = case.view.stat(Path::new(pid_file))?;
    let written = case.view.stat(snippet)?;
    let is_behind = matches!((&started, &written), (Some(started), Some(written)) if started.mtime < written.ctime);
    Ok(is_behind.then(|| {
        Problem::new(
            ProblemCode::SshdBehind,
            "sshd does not use the current configuration of the jail",
            format!("run `systemctl reload ssh`, or `kill -HUP $(cat {pid_file})`"),
        )
        .why(format!(
            "it has not read its configuration since `{}` was written",
            snippet.display()
        ))
    }))
}

/// Checks that sshd accepts the keys of the account, and that they suffice.
fn methods(case: &Subject<'_>, settings: &Settings) -> Result<Vec<Problem>> {
    let mut reasons = Vec::new();
    if let Some(methods) = value(settings, "authenticationmethods")
        && methods != "any"
        && !methods
            .split_whitespace()
            .any(|list| list == "publickey" || list == "password")
    {
        reasons.push(
            Problem::new(ProblemCode::Methods, "sshd requires more than a key", "remove `AuthenticationMethods` from sshd's configuration, or exclude the jail's group by a Match block before it")
                .why(format!("`AuthenticationMethods` is `{methods}`")),
        );
    }
    let Some(taken) = value(settings, "pubkeyacceptedalgorithms")
        .or_else(|| value(settings, "pubkeyacceptedkeytypes"))
    else {
        return Ok(reasons);
    };
    let text = case
        .view
        .read(&keys::path(case), LIMIT)?
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let kinds: Vec<String> = text
        .lines()
        .filter_map(fingerprint)
        .map(|key| key.kind)
        .collect();
    let is_taken = |kind: &String| {
        taken.split(',').any(|name| {
            name == kind || (kind == "ssh-rsa" && ["rsa-sha2-256", "rsa-sha2-512"].contains(&name))
        })
    };
    if !kinds.is_empty() && !kinds.iter().any(is_taken) {
        reasons.push(
            Problem::new(ProblemCode::KeyKind, format!("sshd accepts no key of `{}`", case.user), "give the user a key of an accepted type, or add the type to `PubkeyAcceptedAlgorithms`")
                .why(format!("they are {}, and `PubkeyAcceptedAlgorithms` does not have these types", kinds.join(", "))),
        );
    }
    if value(settings, "usepam") == Some("no") {
        let accounts = case.view.accounts()?;
        let password = accounts
            .user(&case.user)
            .and_then(|found| found.password.as_deref());
        if password.is_some_and(|password| password.starts_with('!')) {
            reasons.push(
                Problem::new(ProblemCode::Locked, format!("the account `{}` is locked", case.user), case.build())
                    .why("its password begins with `!`, and with `UsePAM no` sshd then accepts no key either"),
            );
        }
    }
    Ok(reasons)
}

/// Checks that the program that serves sftp in a jail with a shell is in the jail.
fn subsystem(case: &Subject<'_>, settings: &Settings) -> Result<Vec<Problem>> {
    if value(settings, "forcecommand").is_some_and(|command| command != "none") {
        return Ok(Vec::new());
    }
    let program = settings
        .iter()
        .filter(|(keyword, _)| keyword == "subsystem")
        .filter_map(|(_, value)| value.strip_prefix("sftp "))
        .filter_map(|command| command.split_whitespace().next())
        .find(|program| program.starts_with('/'));
    let Some(program) = program.map(Path::new) else {
        return Ok(Vec::new());
    };
    // A jail without sftp was built without it.
    let wanted = case
        .manifest
        .entries
        .keys()
        .any(|path| Path::new(path.as_str()) == program);
    if !wanted || case.view.lstat(&case.manifest.root)?.is_none() {
        return Ok(Vec::new());
    }
    let inside = HostView::new(&case.view.display_path(&case.manifest.root))?;
    root::program(case, &inside, program, "the sftp server")
}

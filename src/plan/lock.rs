//! The steps that have sshd lock a jail's accounts in, and what sshd is asked for them. A jail that never had accounts needs none of it.

use std::path::Path;

use super::{Manifest, SNIPPET_LIMIT, Step};
use crate::error::Result;
use crate::host::View;
use crate::host::sshd::{Config, DROP_INS, Daemon, Facts};
use crate::resolve::ResolvedJail;
use crate::spec::{Family, Spec};

/// A snippet as it is and as it is to be.
pub(super) type Snippet = (Option<String>, Option<String>);

/// What sshd says of itself: as remembered, if none of the files it stands on has changed since, or asked anew.
pub fn facts(view: &View, manifest: Option<&Manifest>) -> Result<Facts> {
    let config = Config::read(view)?;
    let daemon = Daemon::find(view)?;
    match manifest.and_then(|manifest| manifest.lock.as_ref()) {
        Some(lock) if lock.sshd.stamp == daemon.stamp(&config)? => Ok(lock.sshd.clone()),
        _ => daemon.facts(&config),
    }
}

/// Asks sshd whether it would lock the jail's accounts in with the jail's snippet in its place, whatever stands there now.
pub fn verify(view: &View, jail: &ResolvedJail) -> Result<()> {
    let config = Config::read(view)?;
    let Some(lock) = &jail.lock else {
        return Ok(());
    };
    let mut drop_ins: Vec<(String, String)> = config
        .drop_ins
        .iter()
        .filter(|(name, _)| *name != lock.sshd.file)
        .cloned()
        .collect();
    drop_ins.push((lock.sshd.file.clone(), lock.sshd.text.clone()));
    Daemon::find(view)?.verify(&drop_ins, &config.blocks()?, &lock.sshd.expected)
}

/// What sshd says of itself, where the jail has accounts, or had some: what they left belongs to its group, which therefore stays.
pub(super) fn facts_for(
    spec: &Spec,
    manifest: Option<&Manifest>,
    view: &View,
) -> Result<Option<Facts>> {
    let had_some = manifest.is_some_and(|manifest| manifest.lock.is_some());
    if spec.users.is_empty() && !had_some {
        return Ok(None);
    }
    facts(view, manifest).map(Some)
}

/// How a snippet changes: what is open to accounts while some of what they have is as it was and some as it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It comes before all else: it ends a forwarding, which the network of sessions that are to come may not be meant for.
    First,
    /// It comes when all else is done.
    Last,
}

/// When the jail's snippet is written.
pub(super) fn turn(wanted: &ResolvedJail, view: &View) -> Result<Turn> {
    let Some(lock) = &wanted.lock else {
        return Ok(Turn::Last);
    };
    let before = snippet(view, &lock.sshd.file)?.unwrap_or_default();
    let forwards = |text| said(text, "AllowTcpForwarding").is_some_and(|value| value != "no");
    // Between plain chroots and sessions everybody is out until all is done.
    let is_same_root = said(&before, "ChrootDirectory") == said(&lock.sshd.text, "ChrootDirectory");
    Ok(
        if is_same_root && forwards(&before) && !forwards(&lock.sshd.text) {
            Turn::First
        } else {
            Turn::Last
        },
    )
}

/// Writes the snippet, or sees to it that it still does what it is for. Gives it where it changes.
///
/// That of a family, once some of it is built, is written with the last of its jails, or with the first where it comes first.
pub(super) fn steps(
    wanted: &ResolvedJail,
    family: Option<&Family>,
    facts: Option<&Facts>,
    manifest: Option<&Manifest>,
    view: &View,
    steps: &mut Vec<Step>,
) -> Result<Option<Snippet>> {
    let Some(lock) = &wanted.lock else {
        return Ok(None);
    };
    let before = snippet(view, &lock.sshd.file)?;
    let text = &lock.sshd.text;
    let differs = before.as_ref() != Some(text);
    let is_early = family.is_some_and(|family| !family.is_last)
        && turn(wanted, view)? == Turn::Last
        && Manifest::names(view)?
            .iter()
            .any(|other| other.shared() == wanted.name.shared());
    if differs && !is_early {
        steps.push(Step::InstallSnippet {
            file: lock.sshd.file.clone(),
            text: text.clone(),
        });
        return Ok(Some((before, Some(text.clone()))));
    }
    let recorded = manifest.and_then(|manifest| manifest.lock.as_ref());
    let as_verified = !differs
        && recorded.map(|lock| &lock.sshd) == facts
        && steps
            .iter()
            .all(|step| !matches!(step, Step::MakeAccount(_)));
    if !as_verified {
        steps.push(Step::VerifySnippet);
    }
    Ok(None)
}

/// The value of a keyword in a snippet.
fn said<'t>(snippet: &'t str, keyword: &str) -> Option<&'t str> {
    let mut lines = snippet
        .lines()
        .filter_map(|line| line.trim().split_once(' '));
    lines.find_map(|(key, value)| (key == keyword).then_some(value))
}

/// The text of a drop-in; `None` where it is not there.
pub(super) fn snippet(view: &View, file: &str) -> Result<Option<String>> {
    let bytes = view.read(&Path::new(DROP_INS).join(file), SNIPPET_LIMIT)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

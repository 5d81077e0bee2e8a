//! What sessions of a jail have of their own: the policy, and the lines in sshd's stack of PAM by which it is applied.

use std::path::{Path, PathBuf};

use jailctl_session::policy::{DOOR, POLICY, Policy};

use super::{SNIPPET_LIMIT, Step, sessions};
use crate::error::Result;
use crate::host::{Passwd, Process, View, nft, pam};
use crate::names::JailName;
use crate::resolve::{ResolvedJail, STATE, table};

/// What is found of a jail's policy, and what is to be.
#[derive(Debug)]
pub(super) struct Sessions {
    is: Option<String>,
    has_door: bool,
    wanted: Option<String>,
    /// The rules of its network as they are and as they are to be, where they change.
    rules: Option<(String, String)>,
    stack: Option<String>,
}

impl Sessions {
    pub(super) fn look(view: &View, wanted: &ResolvedJail) -> Result<Self> {
        let text = |path: &Path| -> Result<Option<String>> {
            let bytes = view.read(path, SNIPPET_LIMIT)?;
            Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        };
        let is = text(&ResolvedJail::state(&wanted.name).join(POLICY))?;
        let to = wanted.session.as_ref().map(Policy::to_text);
        let rules = |policy: Option<&Policy>| policy.and_then(table).unwrap_or_default();
        let before = is.as_deref().and_then(|text| Policy::parse(text).ok());
        let rules = (rules(before.as_ref()), rules(wanted.session.as_ref()));
        let rules = Some(rules).filter(|(was, to)| was != to && !to.is_empty());
        if let (Some((_, to)), true, Some(program)) = (&rules, view.is_live(), nft::find(view)?) {
            nft::check(program, to)?;
        }
        Ok(Self {
            is,
            has_door: view
                .lstat(&ResolvedJail::state(&wanted.name).join(DOOR))?
                .is_some(),
            wanted: to,
            rules,
            stack: text(Path::new(pam::STACK))?,
        })
    }

    /// Half a policy is one: the account is refused.
    fn is_there(&self) -> bool {
        self.is.is_some() || self.has_door
    }

    /// Closes the jail where plain chroot and sessions take turns, and gives whether it did. Nobody may be in it then: between a session and a
    /// plain chroot an open directory could be handed over, and from there `..` would lead to the host.
    pub(super) fn close(
        &self,
        view: &View,
        jail: &ResolvedJail,
        users: &[&Passwd],
        steps: &mut Vec<Step>,
    ) -> Result<bool> {
        if self.is_there() == self.wanted.is_some() || users.is_empty() {
            return Ok(false);
        }
        let uids: Vec<u32> = users.iter().map(|user| user.uid).collect();
        sessions::refuse_change(&jail.name, &Process::living(view, &jail.root, &uids)?)?;
        steps.extend(users.iter().map(|user| Step::Close {
            user: user.name.clone(),
        }));
        steps.push(Step::FindNobody {
            root: jail.root.clone(),
            uids,
        });
        Ok(true)
    }

    /// What comes before sshd lets anybody into a session.
    pub(super) fn install(&self, steps: &mut Vec<Step>) {
        let Some(text) = &self.wanted else { return };
        if self.is.as_ref() != Some(text) || !self.has_door {
            steps.push(Step::WritePolicy {
                text: text.clone(),
                rules: self.rules.clone(),
            });
        }
        let stack = self.stack.clone().unwrap_or_default();
        let with = pam::with_lines(&stack);
        if with != stack {
            steps.push(Step::WriteStack {
                from: stack,
                to: with,
            });
        }
    }

    /// What goes when sshd sends nobody into a session any more.
    pub(super) fn uninstall(
        &self,
        view: &View,
        name: &JailName,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        if self.is_there() && self.wanted.is_none() {
            steps.push(Step::RemovePolicy);
            let stack = without_lines(view, name)?;
            steps.extend(stack.map(|(from, to)| Step::WriteStack { from, to }));
        }
        Ok(())
    }
}

/// Whether the jail's sessions have a policy.
pub(super) fn has_policy(view: &View, name: &JailName) -> Result<bool> {
    Ok(view
        .lstat(&ResolvedJail::state(name).join(POLICY))?
        .is_some())
}

/// sshd's stack as it is, and without our lines; `None` if another jail than `name` needs them, or if there are none.
pub(super) fn without_lines(view: &View, name: &JailName) -> Result<Option<(String, String)>> {
    for other in view.list(Path::new(STATE))?.unwrap_or_default() {
        let policy: PathBuf = Path::new(STATE).join(&other).join(POLICY);
        if other != name.as_str() && view.lstat(&policy)?.is_some() {
            return Ok(None);
        }
    }
    let Some(bytes) = view.read(Path::new(pam::STACK), SNIPPET_LIMIT)? else {
        return Ok(None);
    };
    let from = String::from_utf8_lossy(&bytes).into_owned();
    let to = pam::without_lines(&from);
    Ok((to != from).then_some((from, to)))
}

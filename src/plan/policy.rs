//! What sessions of a jail have of their own: the policy, and the lines in sshd's stack of PAM by which it is applied.

use std::path::Path;

use jailctl_session::policy::{DOOR, POLICY, Policy};

use super::lock::snippet;
use super::{SNIPPET_LIMIT, Step, sessions};
use crate::error::Result;
use crate::host::pam::Edit;
use crate::host::{Passwd, Process, View, nft, pam};
use crate::names::JailName;
use crate::resolve::{ResolvedJail, STATE, snippet_name, table};

/// What is found of a jail's policy, and what is to be.
#[derive(Debug)]
pub(super) struct Sessions {
    is: Option<String>,
    has_door: bool,
    wanted: Option<String>,
    /// The rules of its network as they are and as they are to be, where they change.
    rules: Option<(String, String)>,
    /// sshd's stack of PAM, and the one of jailed accounts.
    stack: Option<String>,
    own: Option<String>,
    /// Whether the snippet names the latter; `None` where there are to be no sessions.
    names_stack: Option<bool>,
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
            own: text(Path::new(pam::OWN))?,
            names_stack: wanted
                .lock
                .as_ref()
                .filter(|_| wanted.session.is_some())
                .map(|lock| lock.sshd.names_stack),
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
        steps.push(find_nobody(jail, users));
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
        let (path, from, to) = if self.names_stack == Some(true) {
            (pam::OWN, self.own.clone(), pam::own_stack(&stack))
        } else {
            (pam::STACK, self.stack.clone(), pam::with_lines(&stack))
        };
        if from.as_ref() != Some(&to) {
            steps.push(Step::WriteStack(Edit {
                path: path.into(),
                from,
                to: Some(to),
            }));
        }
    }

    /// What goes when sshd sends nobody into a session any more.
    pub(super) fn uninstall(
        &self,
        view: &View,
        name: &JailName,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        let ends = self.is_there() && self.wanted.is_none();
        if ends {
            steps.push(Step::RemovePolicy);
        }
        // sshd came to know the keyword, or was replaced by one that does not.
        let idle = match self.names_stack {
            Some(true) => self
                .stack
                .as_ref()
                .is_some_and(|text| pam::without_lines(text) != *text),
            Some(false) => self.own.is_some(),
            None => false,
        };
        if ends || idle {
            let edits = leave_stacks(view, name, &[], self.names_stack)?;
            steps.extend(edits.into_iter().map(Step::WriteStack));
        }
        Ok(())
    }
}

/// Sees to it that none of its users is in a jail.
pub(super) fn find_nobody(jail: &ResolvedJail, users: &[&Passwd]) -> Step {
    Step::FindNobody {
        root: jail.root.clone(),
        uids: users.iter().map(|user| user.uid).collect(),
    }
}

/// Whether the jail's sessions have a policy.
pub(super) fn has_policy(view: &View, name: &JailName) -> Result<bool> {
    Ok(view
        .lstat(&ResolvedJail::state(name).join(POLICY))?
        .is_some())
}

/// What goes of our stack and our lines where no jail but `name` and those that go `along` needs them, and that one has what `names_stack` says.
pub(super) fn leave_stacks(
    view: &View,
    name: &JailName,
    along: &[JailName],
    names_stack: Option<bool>,
) -> Result<Vec<Edit>> {
    let mut needed: Vec<bool> = names_stack.into_iter().collect();
    for other in view.list(Path::new(STATE))?.unwrap_or_default() {
        let policy = Path::new(STATE).join(&other).join(POLICY);
        let other = other.to_str().and_then(|other| JailName::parse(other).ok());
        if let Some(other) = other.filter(|other| other != name && !along.contains(other))
            && view.lstat(&policy)?.is_some()
        {
            let snippet = snippet(view, &snippet_name(&other))?;
            needed.push(snippet.is_some_and(|text| crate::resolve::names_stack(&text)));
        }
    }
    let mut edits = Vec::new();
    let text = |path: &str| -> Result<Option<String>> {
        let bytes = view.read(Path::new(path), SNIPPET_LIMIT)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    };
    let mut edit = |path: &str, from: String, to: Option<String>| {
        if to.as_ref() != Some(&from) {
            edits.push(Edit {
                path: path.into(),
                from: Some(from),
                to,
            });
        }
    };
    if !needed.contains(&false)
        && let Some(from) = text(pam::STACK)?
    {
        let to = pam::without_lines(&from);
        edit(pam::STACK, from, Some(to));
    }
    if !needed.contains(&true)
        && let Some(from) = text(pam::OWN)?.filter(|text| pam::is_own(text))
    {
        edit(pam::OWN, from, None);
    }
    Ok(edits)
}

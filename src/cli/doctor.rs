//! `doctor`: why a user cannot log in, or whether the host can have jails.

use std::path::Path;

use clap::Args;

use super::output::{CommandOutput, OutputOptions};
use crate::doctor::{diagnose, host_problems};
use crate::error::{Error, ErrorKind, Finding, Result};
use crate::host::HostView;
use crate::show::doctor::{json, text};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// User of a jail [default: check the host].
    user: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Prints the problems. Exit status 1 if there are any.
    pub(crate) fn run(self, options: OutputOptions) -> Result<CommandOutput> {
        // Only root can read shadow(5), the records and the settings of sshd; a partial diagnosis
        // would be wrong.
        if !rustix::process::geteuid().is_root() {
            return Err(Error::failed("could not check accounts and sshd")
                .why("permission denied")
                .hint("run it as root, for example with sudo"));
        }
        let view = HostView::new(Path::new("/"))?;
        let mut notices = Vec::new();
        let (subject, ok, failed, jail, found, outside) = match &self.user {
            None => {
                let found = host_problems(&view)?;
                (
                    "this host".to_owned(),
                    "ready for jails",
                    "not ready for jails",
                    None,
                    found,
                    Vec::new(),
                )
            }
            Some(user) => {
                let diagnosis = diagnose(&view, user)?.ok_or_else(|| {
                    Finding::new(format!("`{}` is not a user of a jail", user.escape_debug()))
                        .why("no jail of this host has such an account")
                        .hint("`jailctl list` lists the jails with their users")
                })?;
                notices.extend(
                    (diagnosis.exposure.iter())
                        .map(|exposure| format!("the jail `{}` is {exposure}", diagnosis.jail)),
                );
                notices.extend(diagnosis.user_dirs.iter().map(|flaw| {
                    format!("{flaw}; `jailctl build` with the spec of the jail fixes it")
                }));
                (
                    format!("{user} in the jail {}", diagnosis.jail),
                    "no problems found",
                    "cannot log in",
                    Some(diagnosis.jail),
                    diagnosis.reasons,
                    diagnosis.outside,
                )
            }
        };
        let text = if self.json {
            let jail = jail.as_ref().map(crate::names::JailName::as_str);
            let all = [found.as_slice(), &outside].concat();
            format!("{}\n", json(self.user.as_deref(), jail, &all))
        } else {
            let mut page = text(&subject, ok, failed, &found, options.paint);
            if !outside.is_empty() {
                page.push_str(&text(&subject, "", "not confined", &outside, options.paint));
            }
            page
        };
        Ok(CommandOutput {
            text,
            notices,
            code: if found.is_empty() && outside.is_empty() {
                0
            } else {
                ErrorKind::Negative as u8
            },
            ..CommandOutput::default()
        })
    }
}
